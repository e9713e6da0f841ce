#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Runs everything that must pass and counts it: `N passed, N failed` alone on the last line.

    tools/test_all.py [--only unit|gates|e2e]… [--soak]

unit: build with the sanitizers, then meson's tests (unit, golden, corpus). gates: tools/gates.py.
e2e: pytest over tests/e2e with the real peers. A stage that breaks before it can count is one failure;
what was skipped is named and counted as neither.
"""

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
import xml.etree.ElementTree as ElementTree

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
BUILD = os.path.join(ROOT, "build-asan")
PROGRAM = os.path.join(BUILD, "tailscale-gateway")
PLAIN = os.path.join(ROOT, "build")
SETUP = ["-Db_sanitize=address,undefined", "-Db_lundef=false", "-Dwerror=true"]
# A stage that takes longer hangs; a cold build of the peers is the longest thing by far.
STAGE_SECONDS = 45 * 60


class Tally:
    def __init__(self):
        self.passed, self.failed, self.skipped = 0, [], []

    def stage(self, name, argv, env=None):
        """Runs one step with its output on ours; False (and one failure) where it did not end well."""
        print(f"== {name}: {' '.join(argv)}", flush=True)
        start = time.monotonic()
        try:
            code = subprocess.run(argv, cwd=ROOT, stdin=subprocess.DEVNULL, env=env, timeout=STAGE_SECONDS, check=False).returncode
        except (OSError, subprocess.TimeoutExpired) as e:
            code = str(e)
        print(f"== {name}: {'done' if code == 0 else f'ended with {code}'} after {time.monotonic() - start:.0f} s", flush=True)
        return code == 0

    def need(self, name, argv):
        done = self.stage(name, argv)
        if not done:
            self.failed.append(name)
        return done

    def junit(self, name, path, ended_well):
        """Counts the cases of a JUnit file. A bad end that no case accounts for is a failure of its own."""
        before = len(self.failed)
        try:
            root = ElementTree.parse(path).getroot()
        except (OSError, ElementTree.ParseError) as e:
            self.failed.append(f"{name}: no results ({e})")
            return
        for suite in root.iter("testsuite"):
            for case in suite.findall("testcase"):
                title = f"{name}: {case.get('classname') or suite.get('name')} {case.get('name')}"
                if case.find("failure") is not None or case.find("error") is not None:
                    self.failed.append(title)
                elif case.find("skipped") is not None:
                    self.skipped.append(title)
                else:
                    self.passed += 1
        if not ended_well and len(self.failed) == before:
            self.failed.append(f"{name}: ended badly though no case failed")


def build(tally):
    if not os.path.exists(os.path.join(BUILD, "build.ninja")):
        if not tally.need("configure", ["meson", "setup", BUILD, *SETUP]):
            return False
    if not tally.need("build", ["ninja", "-C", BUILD]):
        return False
    if not os.path.lexists(PROGRAM):
        os.symlink("src/app/tailscale-gateway", PROGRAM)
    return True


def build_plain(tally):
    """The program without sanitizers: what its memory may be under attack can only be held against this one."""
    if not os.path.exists(os.path.join(PLAIN, "build.ninja")):
        if not tally.need("configure plain", ["meson", "setup", PLAIN, "-Dwerror=true"]):
            return False
    return tally.need("build plain", ["ninja", "-C", PLAIN, "src/app/tailscale-gateway"])


def unit(tally):
    result = os.path.join(BUILD, "meson-logs", "testlog.junit.xml")
    if os.path.exists(result):
        os.unlink(result)
    done = tally.stage("unit", ["meson", "test", "-C", BUILD, "--print-errorlogs", "--timeout-multiplier", "3"])
    tally.junit("unit", result, done)


def gates(tally):
    print("== gates: tools/gates.py", flush=True)
    with subprocess.Popen([sys.executable, "tools/gates.py", "--build", "build-asan"], cwd=ROOT, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True) as proc:
        seen = []
        for line in proc.stdout:
            print(line, end="", flush=True)
            m = re.match(r"gate (\S+): (ok|failed|skipped)", line)
            if m:
                seen.append(m.groups())
    tally.passed += sum(1 for _, how in seen if how == "ok")
    tally.skipped += [f"gate {n}" for n, how in seen if how == "skipped"]
    failed = [f"gate {n}" for n, how in seen if how == "failed"]
    tally.failed += failed
    if not seen or (proc.returncode != 0 and not failed):
        tally.failed.append(f"gates: tools/gates.py ended with {proc.returncode}")


def e2e(tally, soak):
    with tempfile.TemporaryDirectory(prefix="tsgw-results-") as folder:
        result = os.path.join(folder, "e2e.xml")
        done = tally.stage("e2e", [sys.executable, "-m", "pytest", "tests/e2e", "-v", "--durations=10", "-o", "junit_family=xunit1",
                                   f"--junitxml={result}", *(["--soak", "-m", "soak"] if soak else [])],
                           env=dict(os.environ, TSGW_PROGRAM=PROGRAM))
        tally.junit("e2e", result, done)


def soak_system(tally):
    if tally.need("soak of sources", [sys.executable, "tests/system/soak_sources.py", PROGRAM]):
        tally.passed += 1


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", action="append", choices=["unit", "gates", "e2e"])
    parser.add_argument("--soak", action="store_true", help="of the end-to-end tests the long forms alone, and those of tests/system")
    args = parser.parse_args()
    stages = args.only or ["unit", "gates", "e2e"]
    tally = Tally()
    if shutil.which("meson") is None:
        print("meson is missing: make deps")
    real = ["envoy", "envoy-gateway", "envoy-gateway-chart", "tailscaled", "headscale", "kube-apiserver", "etcd", "helm", "h2spec"]
    peers = ["judge"] + (real if "e2e" in stages else [])
    have = tally.need("peers", [sys.executable, "tools/peers.py", "get", *peers]) if {"unit", "e2e"} & set(stages) else True
    built = build(tally) if {"unit", "e2e"} & set(stages) else False
    if "unit" in stages and built:
        unit(tally)
    if "gates" in stages:
        gates(tally)
    if "e2e" in stages and have and built and build_plain(tally):
        e2e(tally, args.soak)
        if args.soak:
            soak_system(tally)
    for title in tally.skipped:
        print(f"skipped: {title}")
    for title in tally.failed:
        print(f"FAILED: {title}")
    print(f"{tally.passed} passed, {len(tally.failed)} failed")
    return 1 if tally.failed else 0


if __name__ == "__main__":
    sys.exit(main())
