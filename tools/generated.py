#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The files of the tree that the program prints: they are what it prints, or the tables of src/model have moved on without them.

    tools/generated.py PROGRAM [--write] [ROOT]

Says which differ, and exits 1; --write makes them anew.
"""

import os
import subprocess
import sys

import csource

KINDS = ["tailscaleendpoints", "tailscalegatewaybindings", "tailscalegateways", "tailscaletailnets"]


def wanted(program):
    """Path within the tree -> what it should hold."""
    def render(*arguments):
        return subprocess.run([program, "render", *arguments], stdin=subprocess.DEVNULL, capture_output=True, check=True).stdout

    files = {f"deploy/crds/{kind}.yaml": b"# SPDX-License-Identifier: Apache-2.0\n" + render("--crds", kind) for kind in KINDS}
    files["docs/reference.md"] = render("--reference")
    return files


def check(program, root, write=False):
    """Paths that differed, sorted."""
    differ = []
    for path, content in sorted(wanted(program).items()):
        path = os.path.join(root, path)
        try:
            with open(path, "rb") as f:
                same = f.read() == content
        except FileNotFoundError:
            same = False
        if same:
            continue
        differ.append(os.path.relpath(path, root))
        if write:
            os.makedirs(os.path.dirname(path), exist_ok=True)
            with open(path, "wb") as f:
                f.write(content)
    known = {os.path.basename(p) for p in wanted(program)}
    folder = os.path.join(root, "deploy/crds")
    strangers = sorted(set(os.listdir(folder)) - known) if os.path.isdir(folder) else []
    return differ + [f"deploy/crds/{name} (nothing prints it)" for name in strangers]


def main(argv):
    write = "--write" in argv
    words = [a for a in argv if not a.startswith("-")]
    if not words:
        print(__doc__)
        return 2
    differ = check(words[0], words[1] if len(words) > 1 else csource.ROOT, write)
    for path in differ:
        print(f"{path}: {'written' if write else 'is not what the program prints: tools/generated.py PROGRAM --write'}")
    return 1 if differ and not write else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
