#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Makes pb_tokens.h from the slim .proto files of schema/.

    gen_tokens.py OUT.h FILE.proto…

For each field a number PBN_<Message>_<field> (for the reader's switch) and a token PB_<Message>_<field> whose C type
is the field's kind (for the writer: a string written to a message field does not compile). A map is what it is on the
wire: a repeated message with `key` and `value`. For each message PB_TYPE_<Message>, its type URL for an Any. Where a
later file has a message of the same name, its tokens have the last part of its package before the version in front:
udp_proxy_Route.

It reads the proto3 that schema/ uses and stops at anything else: packages, messages, enums, fields, maps.
"""

import re
import sys

SCALARS = {"string": "PbStr", "bytes": "PbBytes", "bool": "PbBool", "double": "PbDouble", "int32": "PbVarint",
           "int64": "PbVarint", "uint32": "PbVarint", "uint64": "PbVarint"}
TOKEN = re.compile(r"[A-Za-z_][A-Za-z0-9_.]*|\d+|\"[^\"]*\"|[{}=;<>,]")
RESERVED = range(19000, 20000)


class Fault(Exception):
    """What is wrong with a .proto file."""


class Parser:
    def __init__(self, path, text):
        self.path = path
        text = re.sub(r"//[^\n]*", "", text)
        rest = TOKEN.sub("", text).strip()
        if rest:
            raise Fault(f"{path}: what is {rest.split()[0]!r}?")
        self.tokens = TOKEN.findall(text)
        self.at = 0
        self.package = ""

    def next(self):
        if self.at == len(self.tokens):
            raise Fault(f"{self.path}: ends in the middle")
        self.at += 1
        return self.tokens[self.at - 1]

    def want(self, *tokens):
        for token in tokens:
            got = self.next()
            if got != token:
                raise Fault(f"{self.path}: {got!r} where {token!r} is expected")

    def file(self):
        """Yields (full name, kind, members) of every message and enum."""
        self.want("syntax", "=", '"proto3"', ";", "package")
        self.package = self.next()
        self.want(";")
        found = []
        while self.at < len(self.tokens):
            self.definition(self.next(), "", found)
        return found

    def definition(self, word, scope, found):
        name = scope + self.next()
        self.want("{")
        if word == "message":
            self.message(name, found)
        elif word == "enum":
            self.enum(name, found)
        else:
            raise Fault(f"{self.path}: {word!r} is not known here")

    def message(self, name, found):
        fields = []
        while (word := self.next()) != "}":
            if word in ("message", "enum"):
                self.definition(word, name + ".", found)
                continue
            if word == "repeated":
                word = self.next()
            value = None
            if word == "map":
                self.want("<", "string", ",")
                value = self.next()
                self.want(">")
            field = self.next()
            self.want("=")
            number = int(self.next())
            self.want(";")
            if not 1 <= number < 1 << 29 or number in RESERVED:
                raise Fault(f"{self.path}: {name}.{field}: {number} cannot be a field number")
            fields.append((field, number, word, value))
        if len({f[1] for f in fields}) != len(fields):
            raise Fault(f"{self.path}: {name}: a number comes twice")
        found.append((self.package, name, "message", fields))

    def enum(self, name, found):
        values = []
        while (word := self.next()) != "}":
            self.want("=")
            values.append((word, int(self.next())))
            self.want(";")
        found.append((self.package, name, "enum", values))


def resolve(kinds, package, scope, word):
    """The C token type of a field of type `word`, looked up from the innermost scope outwards."""
    if word in SCALARS:
        return SCALARS[word]
    parts = scope.split(".")
    for n in range(len(parts), -1, -1):
        full = ".".join([package, *parts[:n], word])
        if full in kinds:
            break
    else:
        full = word
    if full == "google.protobuf.Any":
        return "PbAny"
    if full not in kinds:
        raise Fault(f"{package}.{scope}: type {word} is not defined")
    return "PbMsg" if kinds[full] == "message" else "PbEnum"


def emit(found):
    kinds = {f"{package}.{name}": kind for package, name, kind, _ in found}
    c_names = {}
    for package, name, _, _ in found:
        c_name = name.replace(".", "_")
        if c_name in c_names.values():
            c_name = f"{package.split('.')[-2]}_{c_name}"
        if c_name in c_names.values():
            raise Fault(f"{name} is defined in packages that end alike: tokens would collide")
        c_names[package, name] = c_name
    out = ["/* SPDX-License-Identifier: Apache-2.0 */", "#pragma once",
           "/* Made by tools/gen_tokens.py from schema/; not to be edited. */", "", '#include "proto/pb_wire.h"', ""]

    def field(c_name, number, kind):
        out.append(f"enum {{ PBN_{c_name} = {number} }};")
        out.append(f"#define PB_{c_name} (({kind}){{PBN_{c_name}}})")

    for package, name, kind, members in found:
        c_name = c_names[package, name]
        if kind == "enum":
            values = ", ".join(f"PB_{c_name}_{value} = {number}" for value, number in members)
            out.append(f"enum {{ {values} }};")
        else:
            out.append(f'#define PB_TYPE_{c_name} STR("type.googleapis.com/{package}.{name}")')
            for member, number, word, value in members:
                if word == "map":
                    field(f"{c_name}_{member}", number, "PbMsg")
                    field(f"{c_name}_{member}_key", 1, "PbStr")
                    field(f"{c_name}_{member}_value", 2, resolve(kinds, package, name, value))
                else:
                    field(f"{c_name}_{member}", number, resolve(kinds, package, name, word))
        out.append("")
    return "\n".join(out)


def main():
    out, *files = sys.argv[1:]
    found = []
    try:
        for path in files:
            with open(path, encoding="utf-8") as f:
                found += Parser(path, f.read()).file()
        text = emit(found)
    except Fault as fault:
        print(fault, file=sys.stderr)
        return 1
    with open(out, "w", encoding="utf-8") as f:
        f.write(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
