#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What hook-tool says and answers, compared with what it said and answered when somebody last looked.

    golden.py HOOK_TOOL [--update] [CASE…]

A case is a folder of translate/: `ours.yaml`, `requests` (names of recordings of tests/corpus/hooks, one a line), and for
each a `<recording>.txt`: the decisions, the result of PostTranslateModify, and what is ours in the answer, in full, with
theirs named beside it. --update writes what comes out; the diff is what a reviewer reads.
"""

import difflib
import os
import struct
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
sys.path.insert(0, os.path.join(ROOT, "tools"))
import gen_tokens  # noqa: E402

OURS = "tailscale/"
LONG = {"access_log"}  # what we pass on without a look into it


class Schema:
    """The slim .proto files as {full name: {number: (field, full type or scalar, key and value of a map)}}."""

    def __init__(self, folder):
        found = []
        for name in sorted(os.listdir(folder)):
            if name.endswith(".proto"):
                with open(os.path.join(folder, name), encoding="utf-8") as f:
                    found += gen_tokens.Parser(name, f.read()).file()
        self.kinds = {f"{package}.{name}": kind for package, name, kind, _ in found}
        self.messages = {}
        for package, name, kind, members in found:
            if kind == "message":
                self.messages[f"{package}.{name}"] = {
                    number: (field, self.full(package, name, value if word == "map" else word), word == "map")
                    for field, number, word, value in members}

    def full(self, package, scope, word):
        if word in gen_tokens.SCALARS:
            return word
        parts = scope.split(".")
        for n in range(len(parts), -1, -1):
            full = ".".join([package, *parts[:n], word])
            if full in self.kinds:
                return full
        return word


def varint(data, at):
    value = shift = 0
    while True:
        value |= (data[at] & 0x7F) << shift
        shift += 7
        at += 1
        if data[at - 1] < 0x80:
            return value, at


def fields(data):
    at = 0
    while at < len(data):
        tag, at = varint(data, at)
        if tag & 7 == 0:
            value, at = varint(data, at)
        elif tag & 7 == 1:
            value, at = struct.unpack_from("<d", data, at)[0], at + 8
        elif tag & 7 == 2:
            size, at = varint(data, at)
            value, at = data[at:at + size], at + size
        else:
            raise ValueError(f"wire type {tag & 7}")
        yield tag >> 3, value


def get(data, number):
    return next((value for n, value in fields(data) if n == number), b"")


def text_of(value, kind):
    if isinstance(value, bytes):
        return '"' + value.decode().replace("\n", "\\n") + '"' if kind == "string" else f"<{len(value)} bytes>"
    return str(value)


def dump(schema, data, message, indent, out):
    """The fields of a message as indented lines."""
    pad = "  " * indent
    for number, value in fields(data):
        field, kind, is_map = schema.messages[message].get(number, (f"#{number}", "?", False))
        if is_map:
            out.append(f'{pad}{field} "{get(value, 1).decode()}":')
            value = get(value, 2)
        elif field in LONG:
            out.append(f"{pad}{field}: <theirs>")
            continue
        elif kind in schema.messages:
            out.append(f"{pad}{field}:")
        else:
            out.append(f"{pad}{field}: {text_of(value, kind)}")
            continue
        if kind == "google.protobuf.Any":
            kind = get(value, 1).decode().split("/")[-1]
            out.append(f"{pad}  ({kind})")
            value = get(value, 2)
        dump(schema, value, kind, indent + 1, out)


def dump_answer(schema, answer):
    out = []
    for number, value in fields(answer):
        name = get(value, 1).decode(errors="replace")
        if number == 1 and name.startswith(OURS):
            out.append("cluster, ours:")
            dump(schema, value, "envoy.config.cluster.v3.Cluster", 1, out)
        elif number == 3 and OURS.encode() in value:
            out.append(f"listener {name}, with ours:")
            dump_listener(schema, value, out)
        elif number != 4:
            out.append(f"{('cluster', 'secret', 'listener')[number - 1]} {name}")
        else:
            out.append(f"routes {name}:")
            dump_routes(schema, value, out)
    return out


def dump_listener(schema, listener, out):
    """Filter chains and listener filters; in full those that hold something of ours."""
    for number, value in fields(listener):
        if number not in (3, 9, 25):
            continue
        kind = "ListenerFilter" if number == 9 else "FilterChain"
        name = get(value, 1 if number == 9 else 7).decode()
        if OURS.encode() in value:
            out.append(f"  {kind}, with ours:")
            dump(schema, value, f"envoy.config.listener.v3.{kind}", 2, out)
        else:
            out.append(f"  {kind} {name}")


def dump_routes(schema, routes, out):
    for number, vhost in fields(routes):
        if number != 2:
            continue
        name = get(vhost, 1).decode()
        if name.startswith(OURS):
            out.append("  virtual host, ours:")
            dump(schema, vhost, "envoy.config.route.v3.VirtualHost", 2, out)
            continue
        out.append(f"  virtual host {name}:")
        for n, route in fields(vhost):
            if n == 3 and get(route, 14).decode().startswith(OURS):
                out.append("    route, ours:")
                dump(schema, route, "envoy.config.route.v3.Route", 3, out)
            elif n == 3:
                out.append(f"    route {get(route, 14).decode()}")


def run(tool, case, recording, schema):
    manifests = [os.path.join(HERE, "translate", case, "ours.yaml"),
                 os.path.join(ROOT, "tests/corpus/hooks", recording.split("-", 1)[1], "in.yaml")]
    request = os.path.join(ROOT, "tests/corpus/hooks", recording, "PostTranslateModify.bin")
    with tempfile.TemporaryDirectory() as folder:
        answer = os.path.join(folder, "answer")
        said = [subprocess.run([tool, *args, *manifests], stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
                for args in (["report"], ["answer", "PostTranslateModify", request, answer])]
        lines = [line for one in said for line in (one.stdout + one.stderr).splitlines()]
        if os.path.exists(answer):
            with open(answer, "rb") as f:
                lines += dump_answer(schema, f.read())
    return [line.rstrip() for line in lines]


def main():
    args = [a for a in sys.argv[1:] if a != "--update"]
    update = len(args) != len(sys.argv) - 1
    tool, cases = args[0], args[1:] or sorted(os.listdir(os.path.join(HERE, "translate")))
    schema = Schema(os.path.join(ROOT, "schema"))
    failed = 0
    for case in cases:
        with open(os.path.join(HERE, "translate", case, "requests"), encoding="utf-8") as f:
            recordings = f.read().split()
        for recording in recordings:
            path = os.path.join(HERE, "translate", case, recording + ".txt")
            got = run(tool, case, recording, schema)
            if update:
                with open(path, "w", encoding="utf-8") as f:
                    f.write("\n".join(got) + "\n")
                continue
            with open(path, encoding="utf-8") as f:
                want = f.read().splitlines()
            diff = list(difflib.unified_diff(want, got, path, "now", lineterm=""))
            print("\n".join(diff) if diff else f"{case} {recording}: ok")
            failed += bool(diff)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
