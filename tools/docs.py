#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Holds the pages to what can be checked of them.

    tools/docs.py [ROOT]

Fails on: a page of docs/ that is longer than 150 lines (but where a program made it) or not in docs/README.md, a relative
link that leads nowhere, a metric that src/ names and none of docs/metrics*.md does, and a reason of a condition that
the code's list and docs/conditions.md do not both have.
"""

import glob
import os
import re
import sys

import csource

PAGE_LINES = 150
MADE = "<!-- Made by `"  # first words of a page that a program prints: it is to be looked things up in, not to be read
LINK = re.compile(r"\]\(([^)\s#]+)(?:#[^)]*)?\)")
METRIC = re.compile(r'"(tailscale_gateway_[a-z_]*[a-z])"')
PREFIX = re.compile(r'^#define (\w+) +"(tailscale_gateway_[a-z_]*)"$', re.M)
CONDITION = re.compile(r'\{"(\w+)", "(\w+)"\}')


def check_links(root, page, text, problems):
    for m in LINK.finditer(re.sub(r"```.*?```", lambda b: "\n" * b.group(0).count("\n"), text, flags=re.S)):
        target = m.group(1)
        if re.match(r"[a-z]+:", target):
            continue
        if not os.path.exists(os.path.join(root, os.path.dirname(page), target)):
            problems.append(f"{page}: the link to {target} leads nowhere")


def check_metrics(root, problems):
    pages = glob.glob(os.path.join(root, "docs", "metrics*.md"))
    known = set(re.findall(r"tailscale_gateway_\w+", "".join(csource.read(page) for page in pages)))
    for path in csource.files(root, ["src"], [".c"]):
        if path.endswith("_test.c"):
            continue
        text = csource.read(os.path.join(root, path))
        for macro, prefix in PREFIX.findall(text):
            text = re.sub(rf'\b{macro} "', f'"{prefix}', text)
        # A prefix to which something else adds the rest ends in an underscore and is no match.
        for name in sorted(set(METRIC.findall(text)) - known):
            problems.append(f"{path}: {name} is in none of docs/metrics*.md")


def check_conditions(root, problems):
    """The reasons in the list of the code are those of the page's tables, by type."""
    source, page = os.path.join(root, "src/model/condition.c"), os.path.join(root, "docs/conditions.md")
    if not os.path.exists(source) or not os.path.exists(page):
        return
    listed, told, kind = set(CONDITION.findall(csource.read(source))), set(), ""
    for row in re.findall(r"^\| *(`\w+`)? *\| *((?:`\w+`(?:, )?)+) *\|", csource.read(page), flags=re.M):
        kind = row[0].strip("`") or kind
        told |= {(kind, reason) for reason in re.findall(r"\w+", row[1])}
    problems += [f"docs/conditions.md: {kind} {reason} is not told of" for kind, reason in sorted(listed - told)]
    problems += [f"docs/conditions.md: {kind} {reason} is not in src/model/condition.c" for kind, reason in sorted(told - listed)]


def check(root):
    """All problems of the tree at `root`, one line each."""
    problems = []
    index = csource.read(os.path.join(root, "docs/README.md"))
    pages = [p for p in sorted(os.listdir(root)) if p.endswith(".md")] + csource.files(root, ["docs", "bench", "examples"], [".md"])
    for page in pages:
        text = csource.read(os.path.join(root, page))
        check_links(root, page, text, problems)
        if not page.startswith("docs/") or page == "docs/README.md":
            continue
        if text.count("\n") > PAGE_LINES and not text.startswith(MADE):
            problems.append(f"{page}: {text.count(chr(10))} lines, at most {PAGE_LINES}")
        if f"]({page.removeprefix('docs/')})" not in index:
            problems.append(f"{page}: is not in docs/README.md")
    check_metrics(root, problems)
    check_conditions(root, problems)
    return problems


if __name__ == "__main__":
    sys.exit(csource.gate(check, sys.argv[1:]))
