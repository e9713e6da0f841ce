#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Holds the C files to their budgets. If one hurts, it is moved for everyone: there is no list of exceptions.

    tools/budgets.py [ROOT]

Only a callback (`on_…`) may have more parameters: a library chose them. Sizes are those of CONTRIBUTING.md. Length and complexity are counted by pmccabe (modified: a switch counts once),
nesting and parameters here.
"""

import os
import re
import subprocess
import sys

import csource

FUNCTION_LINES = 100
COMPLEXITY = 20
NESTING = 3
PARAMETERS = 6
FILE_LINES = {".c": 1000, ".h": 300}

# Function -> what to use. A pattern is matched against the whole name.
BANNED = {
    "strcpy|strncpy|stpcpy|strcat|sprintf|vsprintf|gets": "Buf, or snprintf into an array of known size",
    "strtok": "str_cut",
    "atoi|atol|atoll|atof|sscanf|fscanf|scanf": "str_to_u64",
    "alloca|__builtin_alloca": "an arena",
    "system|popen|execlp|execvp": "nothing: no shell and no search on PATH",
    "rand|srand|random|srandom|drand48|rand_r": "getrandom, or a seed handed in",
    "tmpnam|tempnam|mktemp": "file_write_atomic",
    "longjmp|siglongjmp": "an Err",
}
# What only these files may call.
RESERVED = [
    ("setenv|putenv|unsetenv", r".*_test\.c", "values handed down"),
    ("malloc|calloc|realloc|reallocarray|strdup|strndup|asprintf|vasprintf", r"src/base/(mem|secret|arena)\.c|.*_test\.c", "mem_new, mem_try, an arena or a leaf"),
    ("time|gettimeofday|clock_gettime|localtime|localtime_r|mktime", r"src/io/clock(_test)?\.c", "loop_now, loop_wall, or a `now` handed in"),
    ("sleep|usleep|nanosleep|clock_nanosleep", r"(?!)", "a timer of the loop"),
]
# Verbs that promise the same everywhere (CONTRIBUTING.md); all else in a header says what it promises.
KNOWN_VERB = re.compile(r"\w+_(?:init|done|free|ref|unref|cleanup|order|same)")
# A callback, whose parameters a library chose: on_read, client_on_read.
CALLBACK = re.compile(r"(?:\w+_)?on_")
# Assembled, so that this file is not a finding.
UNFINISHED = re.compile(r"\b(?:TO" r"DO|FIX" r"ME|XX" r"X)\b")
SPDX = "SPDX-License-Identifier: Apache-2.0"
CHECKED = ["src", "tests", "tools", "schema", "bench", "web", "deploy"]
TEXTS = [".c", ".h", ".py", ".sh", "meson.build", "meson_options.txt"]


def check_complexity(root, paths, problems):
    """One run of pmccabe over all files: modified, traditional, statements, first line, lines, file(line): name."""
    if not paths:
        return
    done = subprocess.run(["pmccabe", *paths], cwd=root, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    for line in done.stdout.splitlines():
        m = re.match(r"(\d+)\t(\d+)\t\d+\t(\d+)\t(\d+)\t(.+)\(\d+\): (\S+)", line)
        if not m:
            continue
        modified, _, first, lines = (int(g) for g in m.groups()[:4])
        where = f"{m.group(5)}:{first}: {m.group(6)}"
        if modified > COMPLEXITY:
            problems.append(f"{where}: complexity {modified}, at most {COMPLEXITY}")
        if lines > FUNCTION_LINES:
            problems.append(f"{where}: {lines} lines, at most {FUNCTION_LINES}")
    for line in done.stderr.splitlines():
        problems.append(f"pmccabe: {line}")


def check_functions(path, text, problems):
    toks = csource.tokens(csource.without_directives(csource.strip(text)))
    for f in csource.functions(toks):
        if f.params > PARAMETERS and not CALLBACK.match(f.name):
            problems.append(f"{path}:{f.line}: {f.name}: {f.params} parameters, at most {PARAMETERS}: make a struct of options")
        depth, line = csource.nesting(f.body) if f.body is not None else (0, 0)
        if depth > NESTING:
            problems.append(f"{path}:{line}: {f.name}: nested {depth} deep, at most {NESTING}")
        if path.endswith(".h") and path.startswith("src/") and f.body is None and not KNOWN_VERB.fullmatch(f.name) \
                and not has_comment(text.splitlines(), f.line):
            problems.append(f"{path}:{f.line}: {f.name}: no comment says what it promises")


def has_comment(lines, line):
    """Does a comment stand above, in the same run of lines without an empty one?"""
    for at in range(line - 1, -1, -1):
        if not lines[at].strip():
            return False
        if "*/" in lines[at] and at < line - 1 and SPDX not in lines[at]:
            return True
    return False


def check_calls(path, text, problems):
    stripped = csource.strip(text)

    def report(names, instead):
        for m in re.finditer(rf"(?<![\w.>])(?:{names})(?=\s*\()", stripped):
            line = stripped.count("\n", 0, m.start()) + 1
            problems.append(f"{path}:{line}: {m.group(0)} is not used here; use {instead}")

    for names, instead in BANNED.items():
        report(names, instead)
    for names, where, instead in RESERVED:
        if path.startswith("src/") and not re.fullmatch(where, path):
            report(names, instead)


def check_text(path, text, problems):
    lines = text.splitlines()
    head = lines[1:2] if lines and lines[0].startswith("#!") else lines[:1]
    if not head or SPDX not in head[0]:
        problems.append(f"{path}:1: the first line must say {SPDX}")
    for n, line in enumerate(lines, 1):
        if UNFINISHED.search(line):
            problems.append(f"{path}:{n}: unfinished work belongs into an issue: {line.strip()}")


def check_fuzz_table(root, problems):
    table = os.path.join(root, "tests/fuzz/meson.build")
    if not os.path.exists(table):
        return
    listed = set(re.findall(r"^\s*'(\w+)': \[", csource.read(table), re.M))
    for path in csource.files(root, ["tests/fuzz"], [".c"]):
        m = re.fullmatch(r"tests/fuzz/fuzz_(\w+)\.c", path)
        if m and m.group(1) not in listed:
            problems.append(f"{path}: has no line in the table of tests/fuzz/meson.build")
        if m and not os.path.isdir(os.path.join(root, "tests/fuzz/corpus", m.group(1))):
            problems.append(f"{path}: has no corpus in tests/fuzz/corpus/{m.group(1)}")


def check(root):
    """All problems of the tree at `root`, one line each."""
    problems = []
    for path in csource.files(root, CHECKED, TEXTS):
        if "/corpus/" in path:
            continue
        text = csource.read(os.path.join(root, path))
        check_text(path, text, problems)
        suffix = os.path.splitext(path)[1]
        if suffix not in FILE_LINES:
            continue
        if text.count("\n") > FILE_LINES[suffix]:
            problems.append(f"{path}: {text.count(chr(10))} lines, at most {FILE_LINES[suffix]}")
        check_functions(path, text, problems)
        check_calls(path, text, problems)
    check_complexity(root, csource.files(root, CHECKED, [".c", ".h"]), problems)
    check_fuzz_table(root, problems)
    return problems


if __name__ == "__main__":
    sys.exit(csource.gate(check, sys.argv[1:]))
