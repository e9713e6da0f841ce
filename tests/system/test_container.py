#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What deploy/Containerfile says, held against the program as it was built here: no container is built.

    tests/system/test_container.py PROGRAM [unittest's arguments]

Whatever it links and was compiled of comes from packages that the file installs, all that meson reads is in the context, and in a
root that holds the program and its libraries alone, read-only, it runs as 65532.
"""

import fnmatch
import http.client
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import unittest

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
PROGRAM = ""
USER = 65532
WAIT_SECONDS = 30
SANITIZERS = re.compile(r"lib(asan|ubsan|lsan|stdc\+\+)\.so")  # the last for the second
# In every Debian image, and not in what is installed there.
BASE = {"libc6", "libc-bin", "base-files", "zlib1g"}
KUBECONFIG = """apiVersion: v1
kind: Config
current-context: x
clusters: [{name: x, cluster: {server: "https://127.0.0.1:%d"}}]
users: [{name: x, user: {token: none}}]
contexts: [{name: x, context: {cluster: x, user: x, namespace: default}}]
"""
IN_ITS_ROOT = """set -e
root=$1; shift
mount --bind "$root" "$root"
mount --rbind /proc "$root/proc"
mount -o remount,bind,ro "$root"
exec chroot --userspec=%d:%d "$root" "$@"
""" % (USER, USER)


def read(*names):
    with open(os.path.join(ROOT, *names), encoding="utf-8") as f:
        return f.read()


def installed(stage):
    """The packages that apt-get installs in a stage: 0 builds, 1 runs."""
    text = re.split(r"^FROM ", read("deploy", "Containerfile"), flags=re.M)[1 + stage].replace("\\\n", " ")
    return set(re.search(r"apt-get install ([^&\n]*)", text).group(1).split()) - {"-y", "--no-install-recommends"}


def output(*argv):
    done = subprocess.run(argv, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False, timeout=120)
    return done.stdout


def with_dependencies(packages):
    """These and what they depend on, as far as it is installed here."""
    depends = {}
    for line in output("dpkg-query", "-W", "-f", "${Package}\\t${Depends}, ${Pre-Depends}\\t${Provides}\\n").splitlines():
        name, needs, provides = line.split("\t")
        alternatives = re.split(r"[,|]", needs)
        depends.setdefault(name, set()).update(n.split("(")[0].split(":")[0].strip() for n in alternatives)
        for other in provides.split(","):
            depends.setdefault(other.split("(")[0].strip(), set()).add(name)
    found, todo = set(), set(packages)
    while todo:
        name = todo.pop()
        found.add(name)
        todo |= {n for n in depends.get(name, ()) if n and n not in found}
    return found


def owners(paths):
    """{path: package} by dpkg, which knows some files by the name that they had before /lib became a link."""
    found = {}
    for line in output("dpkg-query", "-S", *{q for p in paths for q in (p, p.removeprefix("/usr"))}).splitlines():
        packages, _, path = line.partition(": ")
        for p in (path, "/usr" + path):
            found[p] = packages.split(",")[0].split(":")[0]
    return {p: found.get(p) for p in paths}


def libraries():
    """Paths of all that the program links, and of what these do; the loader among them."""
    lines = output("ldd", PROGRAM).splitlines()
    return [m.group(1) for m in (re.search(r"(/\S+) \(0x", line) for line in lines) if m]


class Packages(unittest.TestCase):
    def assert_owned(self, paths, stage):
        by = owners({os.path.realpath(p) for p in paths})
        allowed = with_dependencies(installed(stage)) | BASE
        strange = {p: name for p, name in by.items() if name not in allowed}
        self.assertEqual(strange, {}, f"stage {stage} of deploy/Containerfile installs none of these")

    def test_what_it_links_is_there(self):
        paths = [p for p in libraries() if not SANITIZERS.search(p)]
        self.assertTrue(any("libcurl" in p for p in paths), paths)
        self.assert_owned(paths, 1)

    def test_nothing_is_installed_in_vain(self):
        direct = re.findall(r"NEEDED +(\S+)", output("objdump", "-p", PROGRAM))
        by_name = {os.path.basename(p): p for p in libraries()}
        used = set(owners({os.path.realpath(by_name[n]) for n in direct}).values())
        self.assertEqual(installed(1) - used, {"ca-certificates"})

    def test_what_it_is_compiled_of_is_there(self):
        build = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(PROGRAM))))
        headers = {h for h in re.findall(r"^ +(/usr/\S+)", output("ninja", "-C", build, "-t", "deps"), re.M)}
        if not headers:
            self.skipTest("ninja knows no dependencies")
        self.assert_owned(headers, 0)

    def test_what_meson_reads_is_in_the_context(self):
        rules = [line for line in read(".dockerignore").split() if line]
        tracked = output("git", "-C", ROOT, "ls-files").splitlines()
        if not tracked:
            self.skipTest("this is no checkout")
        in_context = {t for t in tracked if any(fnmatch.fnmatch(t.split("/")[0], r[1:]) for r in rules if r.startswith("!"))}
        read_by_meson = {t for t in tracked if os.path.basename(t) == "meson.build" or t.startswith(("src/", "schema/"))}
        self.assertEqual(read_by_meson - in_context, set())


class Root(unittest.TestCase):
    """A directory as the image's root filesystem."""

    def setUp(self):
        probe = subprocess.run(["unshare", "--mount", "true"], stdin=subprocess.DEVNULL, capture_output=True, check=False)
        if os.geteuid() != 0 or probe.returncode != 0:
            self.skipTest("only root makes a root filesystem")
        self.dir = tempfile.mkdtemp(prefix="tsgw-root-", dir="/tmp")
        self.addCleanup(shutil.rmtree, self.dir)
        os.chmod(self.dir, 0o755)
        for name in ("proc", "etc", "tmp", "usr/bin"):
            os.makedirs(os.path.join(self.dir, name))
        for path in libraries():
            self.put(path, path)
        self.put(PROGRAM, "/usr/bin/tailscale-gateway")

    def put(self, path, to):
        to = self.dir + to
        os.makedirs(os.path.dirname(to), exist_ok=True)
        shutil.copyfile(path, to)
        os.chmod(to, 0o755)

    def argv(self, *args):
        entry = re.search(r'ENTRYPOINT \["([^"]+)"\]', read("deploy", "Containerfile")).group(1)
        return ["unshare", "--mount", "sh", "-c", IN_ITS_ROOT, "sh", self.dir, entry, *args]

    def test_who_it_runs_as(self):
        self.assertIn(f"USER {USER}:{USER}\n", read("deploy", "Containerfile"))

    def test_commands(self):
        self.assertIn("usage: tailscale-gateway", output(*self.argv("--help")))
        self.assertRegex(output(*self.argv("version")), r"^tailscale-gateway \d")
        self.assertEqual(output(*self.argv("render", "--crds")).count("kind: CustomResourceDefinition"), 4)

    def test_a_shape_lives_and_ends(self):
        """Without an API server: alive, and not ready."""
        ports = []
        for _ in range(2):
            with socket.create_server(("127.0.0.1", 0)) as s:
                ports.append(s.getsockname()[1])
        with open(os.path.join(self.dir, "etc", "kubeconfig"), "w", encoding="ascii") as f:
            f.write(KUBECONFIG % ports[0])
        with tempfile.TemporaryFile() as log:
            with subprocess.Popen(self.argv("operator", "--kubeconfig", "/etc/kubeconfig", "--metrics-address", f"tcp://127.0.0.1:{ports[1]}"),
                                  stdin=subprocess.DEVNULL, stdout=log, stderr=log) as proc:
                try:
                    self.until(lambda: self.status(ports[1], "/healthz") == 200, proc, log)
                    self.assertEqual(self.status(ports[1], "/readyz"), 503)
                    with open(f"/proc/{proc.pid}/status", encoding="ascii") as f:
                        status = f.read()
                    self.assertRegex(status, rf"Uid:\s+{USER}\s+{USER}\s+{USER}\s+{USER}\n")
                    self.assertRegex(status, rf"Gid:\s+{USER}\s+{USER}\s+{USER}\s+{USER}\n")
                    proc.send_signal(signal.SIGTERM)
                    self.assertEqual(proc.wait(WAIT_SECONDS), 0)
                finally:
                    proc.kill()

    def status(self, port, path):
        conn = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
        try:
            conn.request("GET", path)
            return conn.getresponse().status
        except OSError:
            return None
        finally:
            conn.close()

    def until(self, check, proc, log):
        end = time.monotonic() + WAIT_SECONDS
        while not check():
            if time.monotonic() > end or proc.poll() is not None:
                log.seek(0)
                self.fail(log.read().decode())
            time.sleep(0.05)


if __name__ == "__main__":
    PROGRAM = os.path.abspath(sys.argv.pop(1))
    unittest.main()
