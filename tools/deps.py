#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Installs the Debian packages that this tree needs, where they are missing; says nothing where they are not.

Asking dpkg for all of them takes 20 ms, so there is no stamp that could be wrong.
"""

import os
import shutil
import subprocess
import sys

BUILD = ["gcc", "libc6-dev", "make", "meson", "ninja-build", "pkg-config", "libevent-dev", "libnghttp2-dev",
         "libcurl4-openssl-dev", "libssl-dev", "libyaml-dev", "libyajl-dev", "libcmocka-dev"]
GATES = ["clang-14", "clang-format-14", "clang-tidy-14", "libclang-rt-14-dev", "pmccabe", "cppcheck"]
TESTS = ["iproute2", "curl", "ca-certificates", "git", "python3", "python3-pip", "python3-pytest", "python3-yaml"]


def installed(packages):
    query = subprocess.run(["dpkg-query", "-W", "-f", "${Package} ${db:Status-Abbrev}\n", *packages],
                           stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    return {line.split()[0] for line in query.stdout.splitlines() if line.split()[1:] == ["ii"]}


def main():
    wanted = BUILD + GATES + TESTS
    if not shutil.which("dpkg-query") or not shutil.which("apt-get"):
        print("deps: this is not Debian; these packages, or what holds the same, must be there: " + " ".join(wanted))
        return 0
    missing = sorted(set(wanted) - installed(wanted))
    if not missing:
        return 0
    apt = ["apt-get", "-q", "-o", "Dpkg::Use-Pty=0", "-o", "DPkg::Lock::Timeout=300"]
    env = ["env", "DEBIAN_FRONTEND=noninteractive"]
    if os.geteuid() != 0:
        if not shutil.which("sudo"):
            print(f"deps: missing and neither root nor sudo: apt-get install {' '.join(missing)}", file=sys.stderr)
            return 1
        env = ["sudo"] + env
    print(f"deps: installing {' '.join(missing)}", flush=True)
    for step in (["update"], ["install", "-y", "--no-install-recommends", *missing]):
        done = subprocess.run([*env, *apt, *step], stdin=subprocess.DEVNULL, check=False)
        if done.returncode != 0:
            print(f"deps: apt-get {step[0]} failed; see above", file=sys.stderr)
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
