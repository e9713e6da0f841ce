#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Holds src/ to the tables of ARCHITECTURE.md.

    tools/floors.py [ROOT]

Fails on: an include of a floor that the table does not permit, an outside header that is not permitted there, a
header of ours included by another path than "floor/module.h", two modules of one name, a .c file that does not begin
with its own header, a secret made readable outside the files below, and where meson.build says something else than
the tables. A row whose folder is not in src/ yet binds nothing.
"""

import ast
import fnmatch
import os
import re
import sys

import csource

# Who may see the bytes of a Secret: what wraps them, and what puts them into a request. A new line here is
# a decision for a reviewer.
MAY_REVEAL = ["src/base/secret.*", "src/base/secret_test.c", "src/net/http_client.c", "src/tailnet/token.c",
              "src/proto/certificate.c", "src/io/issue.c", "src/io/issue_test.c", "src/control/certificates_plan_test.c",
              "src/execute/cert_writer.c", "src/execute/cert_writer_test.c"]

LIBC = set("""
alloca.h assert.h ctype.h dirent.h dlfcn.h endian.h err.h errno.h fcntl.h fenv.h float.h fnmatch.h ftw.h getopt.h glob.h
grp.h ifaddrs.h inttypes.h iso646.h libgen.h limits.h locale.h malloc.h math.h netdb.h poll.h pthread.h pwd.h regex.h
sched.h search.h semaphore.h setjmp.h signal.h spawn.h stdalign.h stdarg.h stdatomic.h stdbool.h stddef.h stdint.h
stdio.h stdlib.h stdnoreturn.h string.h strings.h syslog.h termios.h threads.h time.h uchar.h ucontext.h unistd.h
utime.h wchar.h wctype.h
""".split())
LIBC_FOLDERS = {"arpa", "linux", "net", "netinet", "sys"}
# What a sanitizer's runtime offers; the compiler's own.
COMPILER = {"sanitizer"}


class Tables:
    """What ARCHITECTURE.md permits: floor -> set of floors, floor -> globs of outside headers; floors in order."""

    def __init__(self, text, problems):
        self.may, self.outside = {}, {}
        for line in text.splitlines():
            cells = [c.strip() for c in line.strip().strip("|").split("|")]
            name = re.fullmatch(r"`(\w+)`", cells[0])
            if not line.startswith("| `") or not name:
                continue
            words = re.findall(r"`([^`]+)`", cells[-1])
            if len(cells) == 3:
                self.add_floor(name.group(1), words, cells[2] == "all", problems)
            elif len(cells) == 2:
                self.outside[name.group(1)] = words
        if not self.may:
            problems.append("ARCHITECTURE.md: no table of floors (| `folder` | promise | may include |)")

    def add_floor(self, floor, words, everything, problems):
        for word in words:
            if word not in self.may:
                problems.append(f"ARCHITECTURE.md: `{floor}` may include `{word}`, which does not stand above it")
        self.may[floor] = set(self.may) if everything else set(words)


def is_outside(path, target, floor, tables):
    """A test, and what helps it, may play the peer of its floor: it may use what the floors below are made with."""
    homes = {floor} | (tables.may[floor] if "test" in os.path.basename(path) else set())
    return any(fnmatch.fnmatchcase(target, glob) for home in homes for glob in tables.outside.get(home, []))


def check_include(path, floor, tables, line, target, quoted):
    """Why this include is wrong, or None."""
    top = target.split("/")[0]
    if quoted:
        if "/" not in target and is_outside(path, target, floor, tables):
            return None
        if "/" not in target or top not in tables.may:
            return f'"{target}": ours are included as "floor/module.h", outside headers in <>'
        if top != floor and top not in tables.may[floor]:
            may = ", ".join(sorted(tables.may[floor])) or "nothing of ours"
            return f"`{floor}` may not include `{top}` ({target}); it may include {may}"
        return None
    if target in LIBC or ("/" in target and top in LIBC_FOLDERS | COMPILER):
        return None
    if target == "cmocka.h" and "test" in os.path.basename(path):
        return None
    if is_outside(path, target, floor, tables):
        return None
    return f"<{target}> is an outside header that `{floor}` may not include"


def check_file(root, path, floor, tables, problems):
    text = csource.read(os.path.join(root, path))
    found = csource.includes(text)
    for line, target, quoted in found:
        wrong = check_include(path, floor, tables, line, target, quoted)
        if wrong:
            problems.append(f"{path}:{line}: {wrong}")
    own = re.sub(r"(_test)?\.c$", ".h", path)
    if path.endswith(".c") and not path.endswith("_test.c") and os.path.exists(os.path.join(root, own)):
        if not found or found[0][1] != own.removeprefix("src/"):
            problems.append(f'{path}:1: the first include must be "{own.removeprefix("src/")}", so that it stands alone')
    if not any(fnmatch.fnmatchcase(path, glob) for glob in MAY_REVEAL):
        stripped = csource.strip(text)
        for m in re.finditer(r"\bsecret_reveal\b", stripped):
            problems.append(f"{path}:{stripped.count(chr(10), 0, m.start()) + 1}: secret_reveal: not in a file of MAY_REVEAL in tools/floors.py")


def check_names(paths, problems):
    homes = {}
    for path in paths:
        module = os.path.splitext(os.path.basename(path))[0]
        homes.setdefault(module, set()).add(os.path.dirname(path))
    for module, folders in sorted(homes.items()):
        if len(folders) > 1:
            problems.append(f"src: module name `{module}` is used in {' and '.join(sorted(folders))}")


def meson_dict(text, name):
    """A dictionary literal of meson is one of Python, but for the names of variables in it."""
    m = re.search(rf"^{name} = (\{{.*?^\}})", text, re.M | re.S)
    return ast.literal_eval(re.sub(r"\b(dep_\w+)\b", r"'\1'", m.group(1))) if m else None


def check_meson(root, tables, present, problems):
    text = csource.read(os.path.join(root, "meson.build"))
    floors, outside = meson_dict(text, "floors"), meson_dict(text, "outside")
    if floors is None or outside is None:
        problems.append("meson.build: the dictionaries `floors` and `outside` are not there")
        return
    wanted = {f: tables.may[f] & set(present) for f in present if f in tables.may and f != "app"}
    for floor in sorted(wanted.keys() | floors.keys()):
        if floor not in floors:
            problems.append(f"meson.build: `floors` lacks `{floor}`")
        elif floor not in wanted:
            problems.append(f"meson.build: `floors` has `{floor}`, which ARCHITECTURE.md and src/ do not both have")
        elif set(floors[floor]) != wanted[floor]:
            problems.append(f"meson.build: `floors` says {floor}: {sorted(floors[floor])}, ARCHITECTURE.md says {sorted(wanted[floor])}")
    for floor in sorted(outside.keys() - tables.outside.keys()):
        problems.append(f"meson.build: `outside` has `{floor}`, which may include no outside header")


def check(root):
    """All problems of the tree at `root`, one line each."""
    problems = []
    tables = Tables(csource.read(os.path.join(root, "ARCHITECTURE.md")), problems)
    present = sorted(d for d in os.listdir(os.path.join(root, "src")) if os.path.isdir(os.path.join(root, "src", d)))
    paths = csource.files(root, ["src"], [".c", ".h"])
    for floor in present:
        if floor not in tables.may:
            problems.append(f"src/{floor}: not in the table of ARCHITECTURE.md")
    for path in paths:
        parts = path.split("/")
        if len(parts) != 3:
            problems.append(f"{path}: a module stands directly in its floor's folder")
        elif parts[1] in tables.may:
            check_file(root, path, parts[1], tables, problems)
    check_names(paths, problems)
    check_meson(root, tables, present, problems)
    return problems


if __name__ == "__main__":
    sys.exit(csource.gate(check, sys.argv[1:]))
