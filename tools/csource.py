# SPDX-License-Identifier: Apache-2.0
"""Just enough C to check its shape: text without comments, tokens, functions, nesting.

It reads what clang-format 14 printed from this tree, not C at large; a macro that opens a brace which it
does not close would mislead it, and such a macro has no place here.
"""

import functools
import os
import re

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
TOKEN = re.compile(r"[A-Za-z_]\w*|\d[\w.]*|\"\"|''|[^\s\w]")
COMMENT_OR_STRING = re.compile(r"/\*.*?(?:\*/|\Z)|//[^\n]*|\"(?:\\.|[^\"\\\n])*\"?|'(?:\\.|[^'\\\n])*'?", re.S)
INCLUDE = re.compile(r'^[ \t]*#[ \t]*include[ \t]*(?:"([^"\n]+)"|<([^>\n]+)>)', re.M)
LOOPS = {"for", "while", "switch"}


def read(path):
    with open(path, encoding="utf-8", errors="replace") as f:
        return f.read()


def files(root, folders, suffixes):
    """Paths relative to `root`, sorted, of all files below `folders` with one of the suffixes."""
    found = []
    for folder in folders:
        for here, dirs, names in os.walk(os.path.join(root, folder)):
            dirs[:] = sorted(d for d in dirs if d != "__pycache__" and not d.startswith("."))
            found += [os.path.relpath(os.path.join(here, n), root) for n in names if n.endswith(tuple(suffixes))]
    return sorted(found)


@functools.lru_cache(maxsize=None)
def strip(text, keep_strings=False):
    """The text with comments blanked, and strings emptied unless they are to be kept; lines stay where they are."""
    def shorten(m):
        found = m.group(0)
        if found[:2] in ("/*", "//"):
            return "".join(c if c == "\n" else " " for c in found)
        return found if keep_strings else found[0] * 2

    return COMMENT_OR_STRING.sub(shorten, text)


def without_directives(stripped):
    """Preprocessor lines blanked, with their continuation lines."""
    def blank(m):
        return "\n" * m.group(0).count("\n")
    return re.sub(r"^[ \t]*#(?:[^\n]*\\\n)*[^\n]*", blank, stripped, flags=re.M)


@functools.lru_cache(maxsize=None)
def includes(text):
    """(line, path, is quoted) of each include."""
    stripped = strip(text, keep_strings=True)
    return [(stripped.count("\n", 0, m.start()) + 1, m.group(1) or m.group(2), m.group(1) is not None)
            for m in INCLUDE.finditer(stripped)]


def tokens(code):
    """[(text, line)] of stripped code without directives."""
    found, line, at = [], 1, 0
    for m in TOKEN.finditer(code):
        line += code.count("\n", at, m.start())
        at = m.start()
        found.append((m.group(0), line))
    return found


def closing(toks, i):
    """The index behind the bracket that closes the one at i."""
    depth = 0
    while i < len(toks):
        if toks[i][0] in "([{":
            depth += 1
        elif toks[i][0] in ")]}":
            depth -= 1
            if depth == 0:
                return i + 1
        i += 1
    return i


class Function:
    """A function as declared (body is None) or defined."""

    def __init__(self, name, line, params, body):
        self.name, self.line, self.params, self.body = name, line, params, body


def count_params(toks):
    """Of the tokens between the brackets; `...` is none."""
    if not toks or [t for t, _ in toks] == ["void"]:
        return 0
    depth, n = 0, 1
    for text, _ in toks:
        depth += (text in "([{") - (text in ")]}")
        n += text == "," and depth == 0
    return n - ([t for t, _ in toks[-3:]] == ["."] * 3)


def functions(toks):
    """What is declared or defined at file level. A declaration ends in `;`, and its name stands before the first bracket."""
    found, start, i = [], 0, 0
    while i < len(toks):
        text = toks[i][0]
        if text == "{":
            end = closing(toks, i)
            f = heading(toks, start, i)
            if f and toks[i - 1][0] == ")":
                f.body = toks[i + 1:end - 1]
                found.append(f)
                start = end
            i = end
        elif text == ";":
            f = heading(toks, start, i)
            if f:
                found.append(f)
            i += 1
            start = i
        elif text in "([":
            i = closing(toks, i)
        else:
            i += 1
    return found


def heading(toks, start, end):
    """The function that the tokens declare, or None for a type, a variable, a macro's use."""
    while start + 1 < end and re.fullmatch(r"[A-Z][A-Z0-9_]*", toks[start][0]) and toks[start + 1][0] == "(":
        start = closing(toks, start + 1)
    words = [t for t, _ in toks[start:end]]
    if not words or words[0] in ("typedef", "_Static_assert") or "=" in words or "{" in words or "(" not in words:
        return None
    at = start + words.index("(")
    while at > start and toks[at - 1][0] in ("__attribute__", "_Alignas", "CLEANUP"):
        at = closing(toks, at)
        while at < end and toks[at][0] != "(":
            at += 1
    name = toks[at - 1]
    if at <= start + 1 or at >= end or not re.match(r"[A-Za-z_]", name[0]):
        return None
    return Function(name[0], name[1], count_params(toks[at + 1:closing(toks, at) - 1]), None)


def nesting(body):
    """(depth, line) of the deepest control statement; `else if` is no level of its own."""
    deepest = (0, 0)

    def statement(i, depth):
        nonlocal deepest
        if i >= len(body):
            return i
        text, line = body[i]
        if text == "{":
            end = closing(body, i) - 1
            i += 1
            while i < end:
                i = statement(i, depth)
            return end + 1
        if text in ("if", "do") or text in LOOPS or is_loop_macro(i):
            deepest = max(deepest, (depth + 1, line), key=lambda d: d[0])
            i = i + 1 if text == "do" else closing(body, i + 1)
            i = statement(i, depth + 1)
            if text == "if" and i < len(body) and body[i][0] == "else":
                chained = i + 1 < len(body) and body[i + 1][0] == "if"
                i = statement(i + 1, depth if chained else depth + 1)
            return until_semicolon(i) if text == "do" else i
        if text in ("case", "default"):
            while i < len(body) and body[i][0] != ":":
                i = closing(body, i) if body[i][0] in "([{" else i + 1
            return i + 1
        if i + 1 < len(body) and body[i + 1][0] == ":":
            return i + 2
        return until_semicolon(i)

    def is_loop_macro(i):
        return body[i][0].endswith("_FOREACH") and i + 1 < len(body) and body[i + 1][0] == "("

    def until_semicolon(i):
        while i < len(body) and body[i][0] != ";":
            i = closing(body, i) if body[i][0] in "([{" else i + 1
        return i + 1

    i = 0
    while i < len(body):
        i = statement(i, 0)
    return deepest


def gate(check, argv):
    """The command of a gate: all problems of the tree that is named, or of this one; the exit code."""
    problems = check(argv[0] if argv else ROOT)
    for problem in problems:
        print(problem)
    return 1 if problems else 0
