#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Every recorded request of Envoy Gateway through the real program, each answer judged.

    tests/judge/judged.py PROGRAM [CASE…]
    tests/judge/judged.py --self      the judge's own tests

For each case of tests/corpus/hooks the program runs on the manifests that were recorded, with a tailnet of three
devices; `judge` calls it as Envoy Gateway does and checks what comes back, and Envoy, where it is there (tools/peers.py
get envoy), validates the whole of it. Exit code 77 (skipped) where judge is not built: tools/peers.py get judge.
"""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
CORPUS = os.path.join(ROOT, "tests", "corpus", "hooks")
sys.path.insert(0, os.path.join(ROOT, "tools"))
import peers  # noqa: E402

SCHEMES = ("v1", "v2")
SERVICES = 3
WAIT_SECONDS = 30
SKIPPED = 77
# Where nothing of ours may be: two listeners fit; all routes carry authentication; none fits.
NOTHING = {"two-listeners", "gateway-auth", "tcp-udp"}

MANIFESTS = """
apiVersion: gateway.tailscale.com/v1alpha1
kind: TailscaleTailnet
metadata: {name: corp-tailnet, namespace: demo}
spec: {file: {path: devices.json}, pollInterval: 1s, proxyAddresses: ["127.0.0.1:3128", "/run/proxy.sock"]}
---
apiVersion: gateway.tailscale.com/v1alpha1
kind: TailscaleGateway
metadata: {name: corp-gateway, namespace: demo}
spec:
  gatewayRef: {name: gw}
  tailnets:
  - name: corp
    tailscaleTailnetRef: {name: corp-tailnet}
    serviceDiscovery: {enabled: true, ports: [{pattern: "api-1", port: 443}, {pattern: "api-2", port: 50051, protocol: GRPC}], defaultPort: {port: 80, protocol: HTTP}}
    routeGeneration: {egress: {hostPattern: "{service}.tailscale.local", pathPrefix: "/tailscale/{service}/"}}
"""
# Listeners that are not HTTP: those of case tcp-udp.
LISTENERS = """
---
apiVersion: gateway.tailscale.com/v1alpha1
kind: TailscaleGateway
metadata: {name: listeners, namespace: demo}
spec:
  gatewayRef: {name: gw}
  tailnets:
  - name: ports
    tailscaleTailnetRef: {name: corp-tailnet}
    serviceDiscovery: {enabled: false}
    routeGeneration:
      egress:
        hostPattern: "{service}.ports.local"
        protocol: UDP
        portMap: [{service: database, listenerPort: 10022}, {service: database, listenerPort: 10023}, {service: names, listenerPort: 10053}]
    connectivity: {mode: Direct}
  - name: through
    tailscaleTailnetRef: {name: corp-tailnet}
    serviceDiscovery: {enabled: false}
    routeGeneration: {egress: {hostPattern: "{service}.tls.local", protocol: TLS}}
---
apiVersion: gateway.tailscale.com/v1alpha1
kind: TailscaleEndpoints
metadata: {name: ports, namespace: demo}
spec:
  tailnet: ports
  endpoints:
  - {name: database, tailscaleIP: 100.64.0.9, port: 5432, protocol: TCP}
  - {name: names, tailscaleIP: 100.64.0.9, port: 53, protocol: UDP}
---
apiVersion: gateway.tailscale.com/v1alpha1
kind: TailscaleEndpoints
metadata: {name: through, namespace: demo}
spec:
  tailnet: through
  endpoints:
  - {name: vault, tailscaleIP: 100.64.0.9, port: 8200, protocol: TLS}
  - {name: other, tailscaleIP: 100.64.0.8, port: 443, protocol: HTTPS}
"""
PATCHES = {"tcp-udp": 4}  # listeners that lead to ours; one of those that are asked for is a TCPRoute's


def write(folder, name, text):
    with open(os.path.join(folder, name), "w", encoding="utf-8") as f:
        f.write(text)


def read(path):
    with open(path, encoding="utf-8", errors="replace") as f:
        return f.read()


class Program:
    def __init__(self, path, case):
        self.dir = tempfile.mkdtemp(prefix="judged-", dir="/tmp")
        self.socket = os.path.join(self.dir, "ext.sock")
        for sub in ("res", "eg", "gen"):
            os.mkdir(os.path.join(self.dir, sub))
        shutil.copy(os.path.join(CORPUS, case, "in.yaml"), os.path.join(self.dir, "eg", "in.yaml"))
        write(os.path.join(self.dir, "res"), "corp.yaml", MANIFESTS + LISTENERS)
        devices = [{"id": str(i), "nodeId": f"n{i}", "name": f"api-{i}.corp.ts.net", "hostname": f"api-{i}", "os": "linux",
                    "addresses": [f"100.64.0.{i + 1}", f"fd7a:115c:a1e0::{i + 1}"], "user": "alice", "authorized": True, "tags": []}
                   for i in range(SERVICES)]
        write(os.path.join(self.dir, "res"), "devices.json", json.dumps({"devices": devices}))
        with open(os.path.join(self.dir, "log"), "wb") as log:
            self.proc = subprocess.Popen(
                [path, "run", "--resources", f"{self.dir}/res", "--gateway-resources", f"{self.dir}/eg", "--generated", f"{self.dir}/gen",
                 "--extension-address", f"unix://{self.socket}", "--admin-address", f"unix://{self.dir}/admin.sock", "--metrics-address", ""],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log)

    def revision(self):
        folder = os.path.join(self.dir, "gen", "envoy-gateway")
        deadline = time.monotonic() + WAIT_SECONDS
        while time.monotonic() < deadline and self.proc.poll() is None:
            for name in sorted(os.listdir(folder)) if os.path.isdir(folder) else []:
                m = not name.startswith(".") and re.search(r"^\s*\"?revision\"?:\s*\"?([0-9A-Za-z]+)", read(os.path.join(folder, name)), re.M)
                if m:
                    return m.group(1)
            time.sleep(0.05)
        raise RuntimeError("no Binding was written")

    def stop(self):
        """True where it ended well: drained, and without a finding of a sanitizer."""
        if self.proc.poll() is None:
            self.proc.send_signal(signal.SIGTERM)
        try:
            self.proc.wait(30)
        except subprocess.TimeoutExpired:
            self.proc.kill()
            self.proc.wait()
        return self.proc.returncode == 0


def judge_one(judge, program, file, method, revision):
    """The judge's verdict on one answer, or a text that says why there is none."""
    request, answer = file, os.path.join(program.dir, "answer.bin")
    if method == "PostTranslateModify":
        request = os.path.join(program.dir, "request.bin")
        subprocess.run([judge, "bind", "-request", file, "-revision", revision, "-out", request], check=True, stdin=subprocess.DEVNULL)
    call = subprocess.run([judge, "call", "-target", f"unix://{program.socket}", "-method", method, "-request", request, "-answer", answer],
                          stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    if call.returncode != 0:
        return call.stderr.strip()
    check = subprocess.run([judge, "check", "-request", request, "-answer", answer, "-method", method],
                           stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    if check.returncode == 0 and method == "PostTranslateModify":
        refused = envoy_refuses(judge, program, answer)
        if refused:
            return refused
    return json.loads(check.stdout) if check.stdout else check.stderr.strip()


def envoy_refuses(judge, program, answer):
    """What Envoy says against an answer, or None."""
    if not is_there("envoy"):
        return None
    boot = os.path.join(program.dir, "boot.json")
    made = subprocess.run([judge, "bootstrap", "-answer", answer, "-out", boot], stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    if made.returncode != 0:
        return made.stderr.strip()
    done = subprocess.run([peers.get("envoy"), "--mode", "validate", "-c", boot, "-l", "error"], stdin=subprocess.DEVNULL,
                          capture_output=True, text=True, check=False)
    return None if done.returncode == 0 else f"Envoy refuses it: {done.stdout}{done.stderr}"


def is_there(name):
    recipe = peers.PEERS_BY_NAME[name]
    return bool(peers.fits(name, recipe)) or os.path.isdir(peers.home_of(recipe))


def wrong_with(verdict, case, method, has_binding):
    """Why a verdict is not what it must be, or None."""
    if isinstance(verdict, str):
        return verdict
    if not verdict["ok"]:
        return "; ".join(verdict["reasons"])
    ours = verdict["ours"]
    if method == "PostTranslateModify":
        wanted = 0 if case in NOTHING or not has_binding else SERVICES
        hosts = ours.get("virtual_hosts", 0)
        if hosts < wanted or ours.get("clusters", 0) < wanted:
            return f"{hosts} hosts of ours, expected at least {wanted} with their clusters"
        if ours.get("patches", 0) != (PATCHES.get(case, 0) if has_binding else 0):
            return f"{ours.get('patches', 0)} patches of listeners, expected {PATCHES.get(case, 0)}"
        if wanted == 0 and hosts + ours.get("routes", 0) > 0:
            return f"{hosts} hosts of ours, expected none"
    elif method != "PostVirtualHostModify" and ours:
        return f"{method} holds something of ours"
    return None


def run_case(judge, path, case):
    """Failures, as texts; and the number of requests."""
    failures, n = [], 0
    program = Program(path, case)
    try:
        revision = program.revision()
        for scheme in SCHEMES:
            folder = os.path.join(CORPUS, f"{scheme}-{case}")
            for name in sorted(os.listdir(folder)):
                file, method = os.path.join(folder, name), re.match(r"[A-Za-z]+", name).group()
                with open(file, "rb") as f:
                    has_binding = b"TailscaleGatewayBinding" in f.read()
                verdict = judge_one(judge, program, file, method, revision)
                why = wrong_with(verdict, case, method, has_binding)
                n += 1
                if why:
                    failures.append(f"{scheme}-{case}/{name}: {why}")
    except RuntimeError as e:
        failures.append(f"{case}: {e}")
    finally:
        if not program.stop():
            failures.append(f"{case}: the program ended with {program.proc.returncode}")
        if failures:
            failures.append(read(os.path.join(program.dir, "log"))[-4000:])
        shutil.rmtree(program.dir, ignore_errors=True)
    return failures, n


def main(argv):
    if not argv:
        print(__doc__.strip(), file=sys.stderr)
        return 2
    if not is_there("judge"):
        print("judge is not built: tools/peers.py get judge")
        return SKIPPED
    if argv == ["--self"]:
        env = dict(os.environ, CGO_ENABLED="0", GOTOOLCHAIN="local", GOWORK="off")
        return subprocess.run([peers.find_go(), "test", "-trimpath", "-buildvcs=false", "."], cwd=os.path.join(ROOT, "tests", "judge"),
                              env=env, stdin=subprocess.DEVNULL, check=False).returncode
    judge, failed, total = peers.get("judge"), 0, 0
    cases = argv[1:] or sorted(c for c in os.listdir(CORPUS) if os.path.exists(os.path.join(CORPUS, c, "in.yaml")))
    for case in cases:
        failures, n = run_case(judge, os.path.abspath(argv[0]), case)
        total += n
        failed += bool(failures)
        print(f"{case}: {n} requests, {'wrong' if failures else 'ok'}", flush=True)
        for text in failures:
            print("  " + text.replace("\n", "\n  "), flush=True)
    print(f"{total} requests, {failed} of {len(cases)} cases failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
