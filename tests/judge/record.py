#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Records what the real Envoy Gateway sends to an extension server.

    tests/judge/record.py                  every case in both naming schemes, into tests/corpus/hooks
    tests/judge/record.py -c https -s v2   one case, one scheme
    tests/judge/record.py -o DIR           elsewhere; also keeps what is too large for the tree
    tests/judge/record.py -c many -n 1000 -o DIR    a Gateway with that many HTTPRoutes (its manifests are generated)

A case is tests/corpus/hooks/<case>/in.yaml; its recordings are tests/corpus/hooks/<scheme>-<case>/<Method>.bin
(-2, -3 where a method was called several times; ordered by bytes, because Envoy Gateway's order varies). Needs root:
Envoy Gateway listens on fixed ports, so each one runs in a network namespace of its own, without a way out.
"""

import argparse
import base64
import os
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

LARGEST = 200 << 10  # of a file that is kept in the tree
PER_METHOD = 4       # files of one method that are kept of a case
QUIET_SECONDS = 1.5  # without a call: Envoy Gateway is done
START_SECONDS = 300  # 1,000 routes take it two minutes on a loaded machine: it validates each file
SCHEMES = {"v1": "", "v2": "runtimeFlags: {enabled: [XDSNameSchemeV2]}"}
# Cases in which secrets are sent along; otherwise as our supported configuration has it, without.
WITH_SECRETS = {"https"}

CONFIG = """
apiVersion: gateway.envoyproxy.io/v1alpha1
kind: EnvoyGateway
gateway: {controllerName: gateway.envoyproxy.io/gatewayclass-controller}
%(flags)s
provider:
  type: Custom
  custom:
    resource: {type: File, file: {paths: [%(dir)s/res]}}
    infrastructure:
      type: Host
      host: {configHome: %(dir)s/config, dataHome: %(dir)s/data, stateHome: %(dir)s/state, runtimeDir: %(dir)s/run}
extensionApis: {enableBackend: true}
extensionManager:
  policyResources: [{group: gateway.tailscale.com, version: v1alpha1, kind: TailscaleGatewayBinding}]
  resources: [{group: example.test, version: v1, kind: Filter}]
  backendResources: [{group: example.test, version: v1, kind: Target}]
  hooks:
    xdsTranslator:
      post: [Route, VirtualHost, HTTPListener, Cluster, Endpoints, Translation]
      translation:
        listener: {includeAll: true}
        route: {includeAll: true}
        cluster: {includeAll: true}
        secret: {includeAll: %(secrets)s}
  maxMessageSize: 64Mi
  service: {unix: {path: %(dir)s/ext.sock}}
"""


def throw_away_certificate(folder):
    """A self-signed pair for the recording alone: it ends in the recorded bytes and guards nothing."""
    crt, key = os.path.join(folder, "crt.pem"), os.path.join(folder, "key.pem")
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
                    "-subj", "/CN=recorded.example.com", "-addext",
                    "subjectAltName=DNS:secure.example.com,DNS:other.example.com,DNS:any.example.com",
                    "-days", "36500", "-keyout", key, "-out", crt], check=True, stdin=subprocess.DEVNULL, capture_output=True)
    return {name: base64.b64encode(open(path, "rb").read()).decode() for name, path in (("@TLS_CRT@", crt), ("@TLS_KEY@", key))}


def many(n):
    """The manifests of `one-route`, with n routes of a host and a Backend each."""
    with open(os.path.join(CORPUS, "one-route", "in.yaml"), encoding="utf-8") as f:
        documents = f.read().split("---\n")
    out = [d for d in documents if "kind: HTTPRoute" not in d and "kind: Backend" not in d]
    for d in documents:
        if d not in out:
            out += [d.replace("name: web", f"name: web-{i:04}").replace("www.example.com", f"www-{i:04}.example.com")
                    for i in range(n)]
    return "---\n".join(d.rstrip("\n") + "\n" for d in out)


def start(argv, log):
    with open(log, "ab") as f:
        return subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=f, stderr=f)


def stop(proc):
    if proc and proc.poll() is None:
        proc.send_signal(signal.SIGTERM)
        try:
            proc.wait(10)
        except subprocess.TimeoutExpired:
            proc.kill()
            proc.wait()


def wait_for(path, proc):
    deadline = time.monotonic() + START_SECONDS
    while not os.path.exists(path):
        if proc.poll() is not None or time.monotonic() > deadline:
            raise RuntimeError(f"{path} did not appear")
        time.sleep(0.02)


def wait_quiet(folder, gateways, proc, log):
    """Until each Gateway was translated and no further call comes."""
    deadline, seen, since = time.monotonic() + START_SECONDS, [], time.monotonic()
    while True:
        names = sorted(n for n in os.listdir(folder) if n.endswith(".bin"))
        if names != seen:
            seen, since = names, time.monotonic()
        if sum(n.endswith("-PostTranslateModify.bin") for n in names) >= gateways and time.monotonic() - since > QUIET_SECONDS:
            return
        if proc.poll() is not None or time.monotonic() > deadline:
            raise RuntimeError(f"Envoy Gateway did not translate; the end of {log}:\n" + open(log, encoding="utf-8").read()[-3000:])
        time.sleep(0.05)


def record(case, scheme, manifests, raw):
    """Runs Envoy Gateway on the manifests; the requests are then in the folder raw."""
    work = tempfile.mkdtemp(prefix="tsgw-record-")
    netns = f"tsgw-record-{os.getpid()}"
    judge = gateway = None
    try:
        os.mkdir(os.path.join(work, "res"))
        for name, value in throw_away_certificate(work).items():
            manifests = manifests.replace(name, value)
        with open(os.path.join(work, "res", "in.yaml"), "w", encoding="utf-8") as f:
            f.write(manifests)
        with open(os.path.join(work, "eg.yaml"), "w", encoding="utf-8") as f:
            f.write(CONFIG % {"dir": work, "flags": SCHEMES[scheme], "secrets": "true" if case in WITH_SECRETS else "false"})
        subprocess.run(["ip", "netns", "add", netns], check=True)
        subprocess.run(["ip", "-n", netns, "link", "set", "lo", "up"], check=True)
        program = peers.get("envoy-gateway")
        subprocess.run([program, "certgen", "--local", "--config-home", os.path.join(work, "config")],
                       check=True, stdin=subprocess.DEVNULL, capture_output=True)
        judge = start([peers.get("judge"), "record", "-unix", os.path.join(work, "ext.sock"), "-out", raw],
                      os.path.join(work, "judge.log"))
        wait_for(os.path.join(work, "ext.sock"), judge)
        log = os.path.join(work, "eg.log")
        gateway = start(["ip", "netns", "exec", netns, program, "server", "--config-path", os.path.join(work, "eg.yaml")], log)
        merged = "mergeGateways: true" in manifests
        wait_quiet(raw, 1 if merged else manifests.count("\nkind: Gateway\n"), gateway, log)
    finally:
        stop(gateway)
        stop(judge)
        subprocess.run(["ip", "netns", "del", netns], check=False, capture_output=True)
        shutil.rmtree(work, ignore_errors=True)


def keep(raw, target, everything):
    """Moves recordings to their names: one file for each different request of a method."""
    by_method = {}
    for name in os.listdir(raw):
        with open(os.path.join(raw, name), "rb") as f:
            by_method.setdefault(name.split("-", 1)[1].removesuffix(".bin"), set()).add(f.read())
    shutil.rmtree(target, ignore_errors=True)
    os.makedirs(target)
    for method, bodies in sorted(by_method.items()):
        fitting = sorted(b for b in bodies if everything or len(b) <= LARGEST)
        for i, body in enumerate(fitting if everything else fitting[:PER_METHOD]):
            with open(os.path.join(target, method + (f"-{i + 1}" if i else "") + ".bin"), "wb") as f:
                f.write(body)
        print(f"{os.path.basename(target)}/{method}: {len(bodies)} recorded, {min(map(len, bodies))} to {max(map(len, bodies))} bytes",
              flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("-c", "--case", action="append", help="case; default: all of the corpus")
    parser.add_argument("-s", "--scheme", action="append", choices=sorted(SCHEMES))
    parser.add_argument("-o", "--out", default=CORPUS)
    parser.add_argument("-n", "--routes", type=int, default=1000, help="routes of the case `many`")
    args = parser.parse_args()
    for case in args.case or sorted(c for c in os.listdir(CORPUS) if os.path.exists(os.path.join(CORPUS, c, "in.yaml"))):
        if case == "many":
            manifests = many(args.routes)
        else:
            with open(os.path.join(CORPUS, case, "in.yaml"), encoding="utf-8") as f:
                manifests = f.read()
        for scheme in args.scheme or sorted(SCHEMES):
            with tempfile.TemporaryDirectory(prefix="tsgw-raw-") as raw:
                record(case, scheme, manifests, raw)
                keep(raw, os.path.join(args.out, f"{scheme}-{case}"), os.path.realpath(args.out) != os.path.realpath(CORPUS))


if __name__ == "__main__":
    main()
