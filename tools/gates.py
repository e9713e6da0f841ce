#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""All that a tool can check, one line for each gate: `gate NAME: ok` or `gate NAME: failed` below its findings.

    tools/gates.py [--build DIR] [--only NAME]… [--no-cache]

    format    clang-format 14 would change nothing
    floors    src/ keeps to the tables of ARCHITECTURE.md (tools/floors.py)
    budgets   sizes, comments, banned calls, first lines (tools/budgets.py)
    docs      pages, links, metrics (tools/docs.py)
    tidy      clang-tidy 14 with .clang-tidy, and the warnings of meson.build as clang knows them
    cppcheck  a second opinion

A file that passed tidy or cppcheck is not looked at again until it, a header of ours that it includes, the
configuration or the tool changes: the cache holds one empty file for each such digest.
"""

import argparse
import concurrent.futures
import hashlib
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import time

import budgets
import csource
import docs
import floors

CODE = ["src", "tests", "bench"]
JOBS = 2
CACHE_DAYS = 14
# The rest makes code, and clang needs leave to use some of it.
KEPT_FLAGS = re.compile(r"-(?:I|D|isystem|std=|include|W(?!error))")
TIDY_FLAGS = ["-Wno-unknown-warning-option"]
# The analyzer does not know that assert_non_null of cmocka ends a test.
TIDY_OF_TESTS = "--checks=-clang-analyzer-core.NullDereference,-clang-analyzer-core.NonNullParamChecker"
# It does not follow `t != NULL` through a call, nor a loop that fills an array; clang's analyzer does.
CPPCHECK = ["cppcheck", "--quiet", "--std=c11", "--enable=warning,portability", "--error-exitcode=1", "--inline-suppr",
            "--suppress=missingIncludeSystem", "--suppress=unknownMacro", "--suppress=preprocessorErrorDirective",
            "--suppress=internalAstError", "--suppress=nullPointer", "--suppress=ctunullpointer", "--suppress=uninitvar",
            "--suppress=arrayIndexThenCheck",
            "--template={file}:{line}: {message} [{id}]", "-D__GNUC__=12", "-DNULL=0"]


class Cache:
    """Digests of what has passed."""

    def __init__(self, enabled):
        base = os.environ.get("TSGW_CACHE") or os.path.join(
            os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache"), "tailscale-gateway")
        self.folder = os.path.join(base, "gates")
        self.enabled = enabled
        os.makedirs(self.folder, exist_ok=True)

    def has(self, digest):
        path = os.path.join(self.folder, digest)
        if not self.enabled or not os.path.exists(path):
            return False
        os.utime(path)
        return True

    def add(self, digest):
        with open(os.path.join(self.folder, digest), "w", encoding="utf-8"):
            pass

    def prune(self):
        oldest = time.time() - CACHE_DAYS * 86400
        for entry in os.scandir(self.folder):
            if entry.stat().st_mtime < oldest:
                os.unlink(entry.path)


class Unit:
    """A file as meson compiles it: its flags, and the headers of ours behind it."""

    def __init__(self, path, flags, folders):
        self.path, self.flags, self.folders = path, flags, folders

    def digest(self, *more):
        """Of the file, of every header of ours that it reaches, and of what else decides."""
        seen, todo, parts = set(), [self.path], list(more)
        while todo:
            path = todo.pop()
            if path in seen:
                continue
            seen.add(path)
            for _, target, quoted in csource.includes(csource.read(path)):
                homes = [os.path.join(f, target) for f in self.folders] if quoted else []
                todo += [h for h in homes if os.path.exists(h)][:1]
        for path in sorted(seen):
            parts += [os.path.basename(path), csource.read(path)]
        return hashlib.sha256("\0".join(parts).encode("utf-8", "replace")).hexdigest()


def units(build):
    """The C files of this tree that meson compiles (what is generated is not looked at)."""
    with open(os.path.join(build, "compile_commands.json"), encoding="utf-8") as f:
        commands = json.load(f)
    found = {}
    for entry in commands:
        path = os.path.normpath(os.path.join(entry["directory"], entry["file"]))
        relative = os.path.relpath(path, csource.ROOT)
        if relative.split(os.sep)[0] not in CODE or not os.path.exists(path):
            continue
        flags, folders = [], []
        for word in shlex.split(entry["command"]):
            if KEPT_FLAGS.match(word):
                if word.startswith("-I"):
                    folders.append(os.path.normpath(os.path.join(entry["directory"], word[2:])))
                    word = "-I" + folders[-1]
                flags.append(word)
        found.setdefault(path, Unit(path, flags, folders))
    return [found[p] for p in sorted(found)]


def run(argv):
    done = subprocess.run(argv, cwd=csource.ROOT, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    return done.returncode, done.stdout, done.stderr


def gate_format(_options):
    paths = csource.files(csource.ROOT, CODE, [".c", ".h"])
    code, out, err = run(["clang-format-14", "--dry-run", "-Werror", *paths]) if paths else (0, "", "")
    return [line for line in (out + err).splitlines() if "error:" in line] if code else []


def gate_floors(_options):
    return floors.check(csource.ROOT)


def gate_budgets(_options):
    return budgets.check(csource.ROOT)


def gate_docs(_options):
    return docs.check(csource.ROOT)


def each_unit(options, name, config, command):
    """Runs `command(unit)` -> findings on every unit that has not passed as it stands, two at a time."""
    build = os.path.join(csource.ROOT, options.build)
    if not os.path.exists(os.path.join(build, "compile_commands.json")):
        return [f"{options.build}/compile_commands.json is not there: meson setup {options.build}"]
    cache = Cache(not options.no_cache)
    todo = []
    for unit in units(build):
        digest = unit.digest(name, config, " ".join(f for f in unit.flags if not f.startswith("-I")))
        if not cache.has(digest):
            todo.append((unit, digest))
    found = []
    with concurrent.futures.ThreadPoolExecutor(JOBS) as pool:
        for (_, digest), findings in zip(todo, pool.map(lambda t: command(t[0]), todo)):
            if findings:
                found += [f for f in findings if f not in found]
            else:
                cache.add(digest)
    cache.prune()
    return found


def gate_tidy(options):
    version = run(["clang-tidy-14", "--version"])[1]
    config = csource.read(os.path.join(csource.ROOT, ".clang-tidy"))

    def command(unit):
        checks = [TIDY_OF_TESTS] if unit.path.endswith("_test.c") else []
        code, out, err = run(["clang-tidy-14", "--quiet", *checks, unit.path, "--", *unit.flags, *TIDY_FLAGS])
        lines = [line for line in out.splitlines() if re.search(r": (?:error|warning|note): ", line)]
        return [line.replace(csource.ROOT + os.sep, "") for line in lines] or (err.splitlines() if code else [])

    return each_unit(options, "tidy", version + config + " ".join(TIDY_FLAGS), command)


def gate_cppcheck(options):
    version = run(["cppcheck", "--version"])[1]

    def command(unit):
        flags = [f for f in unit.flags if f.startswith(("-I", "-D"))]
        code, _, err = run([*CPPCHECK, *flags, os.path.relpath(unit.path, csource.ROOT)])
        return err.splitlines() if code else []

    return each_unit(options, "cppcheck", version + " ".join(CPPCHECK), command)


GATES = {"format": gate_format, "floors": gate_floors, "budgets": gate_budgets, "docs": gate_docs,
         "tidy": gate_tidy, "cppcheck": gate_cppcheck}
PROGRAMS = {"format": "clang-format-14", "budgets": "pmccabe", "tidy": "clang-tidy-14", "cppcheck": "cppcheck"}


def main(argv):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", default="build", help="a build folder of meson's (default: build)")
    parser.add_argument("--only", action="append", choices=GATES, help="this gate alone; may be repeated")
    parser.add_argument("--no-cache", action="store_true", help="look at every file again")
    options = parser.parse_args(argv)
    failed = False
    for name, gate in GATES.items():
        if options.only and name not in options.only:
            continue
        program = PROGRAMS.get(name)
        findings = gate(options) if not program or shutil.which(program) else [f"{program} is missing: make deps"]
        for finding in findings:
            print(finding)
        print(f"gate {name}: {'failed' if findings else 'ok'}", flush=True)
        failed = failed or bool(findings)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
