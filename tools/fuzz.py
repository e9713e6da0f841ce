#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Runs each fuzz target for a while: libFuzzer, AddressSanitizer, UBSan, clang 14.

    tools/fuzz.py [NAME…]        all targets of tests/fuzz/meson.build, or these

Environment: FUZZ_SECONDS (30) for each target, FUZZ_BUILD (build-fuzz) for the build folder. The tree's corpus is
only read; what is found worth keeping goes to BUILD/corpus/NAME and is used again by the next run. An input that
fails is left in BUILD/crashes/NAME, the command that shows it again is printed, and the exit code is 1.
"""

import os
import re
import shutil
import subprocess
import sys

import csource

INPUT_MAX = 1 << 16
RSS_LIMIT_MB = 1024
# One input of 64 KiB is milliseconds of work; ten seconds is a loop.
INPUT_SECONDS = 10


def targets():
    table = csource.read(os.path.join(csource.ROOT, "tests/fuzz/meson.build"))
    return re.findall(r"^  '(\w+)': \[", table, re.M)


def build(folder, names):
    """Coverage for every floor; the targets themselves get libFuzzer's main from meson.build."""
    env = dict(os.environ, CC="clang-14")
    if not os.path.exists(os.path.join(folder, "build.ninja")):
        setup = ["meson", "setup", folder, csource.ROOT, "-Dfuzz=true", "-Db_sanitize=address,undefined", "-Db_lundef=false",
                 "-Dc_args=-fsanitize=fuzzer-no-link"]
        if subprocess.run(setup, env=env, stdin=subprocess.DEVNULL, check=False).returncode:
            return False
    programs = [f"tests/fuzz/fuzz_{name}" for name in names]
    return subprocess.run(["ninja", "--quiet", "-C", folder, *programs], stdin=subprocess.DEVNULL, check=False).returncode == 0


def seed(name, corpus):
    source = os.path.join(csource.ROOT, "tests/fuzz/corpus", name)
    os.makedirs(corpus, exist_ok=True)
    for file in sorted(os.listdir(source)):
        shutil.copyfile(os.path.join(source, file), os.path.join(corpus, file))


def fuzz(name, folder, seconds):
    corpus, crashes = os.path.join(folder, "corpus", name), os.path.join(folder, "crashes", name)
    os.makedirs(crashes, exist_ok=True)
    seed(name, corpus)
    program = os.path.join(folder, "tests", "fuzz", f"fuzz_{name}")
    before = set(os.listdir(crashes))
    log = os.path.join(folder, f"fuzz_{name}.log")
    with open(log, "wb") as out:
        code = subprocess.run([program, corpus, f"-max_total_time={seconds}", f"-max_len={INPUT_MAX}", f"-timeout={INPUT_SECONDS}",
                               f"-rss_limit_mb={RSS_LIMIT_MB}", f"-artifact_prefix={crashes}/", "-print_final_stats=1"],
                              stdin=subprocess.DEVNULL, stdout=out, stderr=out, check=False).returncode
    text = csource.read(log)
    runs = re.search(r"stat::number_of_executed_units:\s*(\d+)", text)
    new = sorted(set(os.listdir(crashes)) - before)
    print(f"fuzz {name}: {'failed' if code else 'ok'}, {runs.group(1) if runs else '?'} inputs, {len(os.listdir(corpus))} kept", flush=True)
    for file in new:
        print(f"  again: {program} {os.path.join(crashes, file)}")
    if code:
        print(f"  log: {log}")
        print("\n".join("  " + line for line in text.splitlines() if re.search(r"ERROR|SUMMARY|runtime error", line)))
    return code == 0


def main(argv):
    if argv and argv[0] in ("-h", "--help"):
        print(__doc__.strip())
        return 0
    unknown = [name for name in argv if name not in targets()]
    if unknown:
        print(f"fuzz: no target {', '.join(unknown)}; there are: {', '.join(targets())}", file=sys.stderr)
        return 2
    folder = os.path.join(csource.ROOT, os.environ.get("FUZZ_BUILD", "build-fuzz"))
    names = argv or targets()
    if not build(folder, names):
        return 1
    results = [fuzz(name, folder, int(os.environ.get("FUZZ_SECONDS", "30"))) for name in names]
    print(f"fuzz: {sum(results)} ok, {len(results) - sum(results)} failed")
    return 0 if all(results) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
