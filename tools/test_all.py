#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Runs everything that must pass and counts it: `N passed, N failed` alone on the last line.

    tools/test_all.py [--only unit|gates|e2e]… [--soak]

unit: build with the sanitizers, then meson's tests (unit, golden, corpus). gates: tools/gates.py.
e2e: pytest over tests/e2e with the real peers, several files at once (TSGW_E2E_JOBS). A stage that breaks before it
can count is one failure; what was skipped is named and counted as neither.
"""

import argparse
import concurrent.futures
import glob
import json
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
# Of end-to-end files at once: each has a cluster or a tailnet of its own, up to 1.5 GiB with the sanitizers.
E2E_JOBS_MAX = 4
NEW_FILE_SECONDS = 60
NOTHING_TO_RUN = 5  # pytest's exit code


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


def times_of(path):
    """What each end-to-end file took the last time, by its path; {} where nobody knows."""
    try:
        with open(path, encoding="ascii") as f:
            return json.load(f)
    except (OSError, ValueError):
        return {}


def e2e_file(path, result, soak):
    """Runs one file with pytest: (exit code, what it printed, seconds)."""
    start = time.monotonic()
    argv = [sys.executable, "-m", "pytest", path, "-v", "--durations=5", "-o", "junit_family=xunit1", f"--junitxml={result}",
            *(["--soak", "-m", "soak"] if soak else [])]
    try:
        done = subprocess.run(argv, cwd=ROOT, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace",
                              env=dict(os.environ, TSGW_PROGRAM=PROGRAM), timeout=STAGE_SECONDS, check=False)
        code, said = done.returncode, done.stdout
    except (OSError, subprocess.TimeoutExpired) as e:
        code, said = str(e), str(getattr(e, "stdout", "") or "")
    return code, said, time.monotonic() - start


def e2e(tally, soak):
    """Each file stands by itself (its own network, its own /run), and most of its time it waits: so as many as there are hands run at once, those
    that took longest first. What a file printed follows when it is done."""
    known = os.path.join(BUILD, "e2e-times.json")
    paths, times = sorted(glob.glob(os.path.join(ROOT, "tests", "e2e", "test_*.py"))), times_of(known)
    names = sorted((os.path.relpath(p, ROOT) for p in paths), key=lambda n: (-times.get(n, NEW_FILE_SECONDS), n))
    hands, start = int(os.environ.get("TSGW_E2E_JOBS") or min(E2E_JOBS_MAX, os.cpu_count() or 1)), time.monotonic()
    print(f"== e2e: {len(names)} files, {hands} at once", flush=True)
    with tempfile.TemporaryDirectory(prefix="tsgw-results-") as folder, concurrent.futures.ThreadPoolExecutor(hands) as pool:
        results = {name: os.path.join(folder, f"{os.path.basename(name)}.xml") for name in names}
        running = {pool.submit(e2e_file, name, results[name], soak): name for name in names}
        for done in concurrent.futures.as_completed(running):
            name = running[done]
            code, said, seconds = done.result()
            print(f"{said}== {name}: {'done' if code == 0 else f'ended with {code}'} after {seconds:.0f} s", flush=True)
            times[name] = round(seconds, 1)
            if code != NOTHING_TO_RUN:
                tally.junit("e2e", results[name], code == 0)
    print(f"== e2e: done after {time.monotonic() - start:.0f} s", flush=True)
    if not soak:
        with open(known, "w", encoding="ascii") as f:
            json.dump(times, f, indent=1, sort_keys=True)


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
