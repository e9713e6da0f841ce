#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""`make run`: Envoy Gateway, Envoy, a tailnet and our program on this machine, until Ctrl-C.

TAILNET=file (default) takes the devices from a file; TAILNET=headscale joins real tailscaled devices to a real
headscale; TAILNET=local serves the tailnet that this machine's own tailscaled is in (its socket: TS_SOCKET; the port that its
devices are asked on: DEVICE_PORT, else 80). RUN_ONCE=1 ends after the first answer. Everything lives in one new directory,
which is removed at the end.
"""

import ctypes
import json
import os
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time

import yaml

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path.insert(0, ROOT)

from tests.lib.envoy import EnvoyGateway, write_yaml  # noqa: E402
from tests.lib.netns import Here, Loopback  # noqa: E402
from tests.lib.process import Process, Timeout  # noqa: E402
from tests.lib.stack import secret  # noqa: E402
from tests.lib.tailnet import Tailnet  # noqa: E402
from tests.lib.web import EchoServer  # noqa: E402
from tools import local_tailscaled, peers  # noqa: E402

PROGRAM = os.environ.get("TSGW_PROGRAM") or os.path.join(ROOT, "build", "tailscale-gateway")
LISTENER, DEVICE_PORT = 10080, 18480
ADMIN, METRICS = 19005, 19006  # the program's defaults, so that `status` needs no flag
ENVOY_GATEWAY_PORTS = [8081, 18000, 18002, 19000, 19001, 19003]
FILE_DEVICES = {"api-server": "127.0.0.11", "api-reports": "127.0.0.12", "laptop": "127.0.0.13", "api-new": "127.0.0.14"}
HEADSCALE_PORTS = {"api-server": 18480, "laptop": 18481, "api-reports": 18482}
ANSWER_SECONDS = 60
DEVICES_TRIED = 8
PATIENCE_SECONDS = 15  # a device passes Envoy's health check some seconds after its route is there
PR_SET_CHILD_SUBREAPER = 36


class Stop(Exception):
    """The user, or the system, wants it to end."""


class Session:
    def __init__(self, home):
        self.home, self.here, self.network = home, Here(), Loopback()
        self.logs = self.folder("log")
        self.resources, self.gateways, self.generated = self.folder("resources"), self.folder("gateway-resources"), self.folder("generated")
        self.processes, self.servers, self.tailnet, self.next = [], [], None, []
        self.devices, self.other = ["api-server"], "laptop"  # which are asked, and which is explained
        self.is_foreign = False  # a tailnet of the user's, not one of ours

    def folder(self, name):
        path = os.path.join(self.home, name)
        os.makedirs(path)
        return path

    def copy(self, folder):
        shutil.copy(os.path.join(ROOT, "examples/run/gateway.yaml"), self.gateways)
        source = os.path.join(ROOT, "examples/run", folder)
        for name in sorted(os.listdir(source)):
            shutil.copy(os.path.join(source, name), self.resources)

    def start_file_tailnet(self):
        self.copy("file")
        self.servers += [EchoServer(self.here, name, DEVICE_PORT, address) for name, address in FILE_DEVICES.items()]
        devices = os.path.join(self.resources, "devices.json")
        with open(devices, encoding="utf-8") as f:
            known = json.load(f)["devices"]
        line = json.dumps({**known[0], "id": "4", "nodeId": "n4", "name": "api-new.corp.ts.net", "hostname": "api-new", "addresses": [FILE_DEVICES["api-new"]]})
        self.next = [("a device that joins: add this to the list in the file, then ask for it (within two seconds, no restart)",
                      [f"$EDITOR {devices}", f"    {line}", f"curl -H 'Host: api-new.tailscale.local' http://127.0.0.1:{LISTENER}/"])]

    def start_headscale_tailnet(self):
        self.copy("headscale")
        self.tailnet = Tailnet(self.network, self.home, self.logs, proxy_port=18281, ports=HEADSCALE_PORTS,
                               port=18280, stun=18282, grpc=18283, domain="corp.test")
        self.tailnet.start(list(HEADSCALE_PORTS))
        write_yaml(os.path.join(self.resources, "secret.yaml"), secret("corp-key", "envoy-gateway-system", api_key=self.tailnet.headscale.api_key))
        control = f"{self.tailnet.headscale.program} -c {self.tailnet.headscale.config}"
        self.next = [("the tailnet as its control server sees it", [f"{control} nodes list"]),
                     ("a device that is deleted stops answering", [f"{control} nodes delete --force --identifier ID"])]

    def start_local_tailnet(self):
        path = local_tailscaled.find_socket()
        status = local_tailscaled.find_status(path)
        self.devices = local_tailscaled.devices(status)
        if not self.devices:
            raise local_tailscaled.LocalError("no other device of this tailnet is online, so there is nothing to serve")
        self.other, self.is_foreign = self.devices[-1], True
        self.copy("local")
        manifest = os.path.join(self.resources, "tailnet.yaml")
        with open(manifest, encoding="utf-8") as f:
            tailnet, gateway = yaml.safe_load_all(f)
        tailnet["spec"]["localAPI"]["socket"] = os.path.abspath(path)
        entry = gateway["spec"]["tailnets"][0]
        entry["serviceDiscovery"]["defaultPort"]["port"] = local_tailscaled.device_port()
        entry["connectivity"] = local_tailscaled.connectivity(status)
        write_yaml(manifest, tailnet, gateway)
        self.next = [("a device that joins or leaves the tailnet is seen within a second", ["build/tailscale-gateway status"])]

    def curl(self, device):
        return ["curl", "-sS", "-H", f"Host: {device}.tailscale.local", f"http://127.0.0.1:{LISTENER}/"]

    def start_gateway(self):
        socket_path = os.path.join(self.home, "extension")
        ours = Process("tailscale-gateway", [
            PROGRAM, "run", "--resources", self.resources, "--gateway-resources", self.gateways, "--generated", self.generated,
            "--extension-address", f"unix://{socket_path}"], self.logs)
        eg = EnvoyGateway(self.here, os.path.join(self.home, "eg"), self.logs, [self.gateways, os.path.join(self.generated, "envoy-gateway")],
                          extension=socket_path)
        eg.provide_envoy()
        self.processes += [ours.start(), eg.start(wait=False).process]

    def ask(self, device):
        """Status and body; status 0 where there is no route to it yet."""
        done = subprocess.run([*self.curl(device), "-m", "5", "-w", "\n%{http_code} %header{x-envoy-upstream-service-time}"],
                              stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
        body, _, line = done.stdout.rpartition("\n")
        status, _, from_device = line.partition(" ")
        return (int(status) if done.returncode == 0 and (status != "404" or from_device) else 0), body.strip()[:300]

    def wait_for_answer(self):
        """The first device that answers. Whether one of a user's own tailnet serves HTTP nobody knows: then, after a while, what Envoy says of it."""
        end, routed, patience = time.monotonic() + ANSWER_SECONDS, None, None
        while time.monotonic() < end:
            for p in self.processes:
                p.check()
            for device in self.devices[:DEVICES_TRIED]:
                status, body = self.ask(device)
                if 0 < status < 500:
                    return device, body if status == 200 else f"status {status} {body}", "A device of the tailnet answers through Envoy"
                if status and routed is None:
                    routed, patience = (device, f"status {status} {body}"), time.monotonic() + PATIENCE_SECONDS
            if routed and self.is_foreign and time.monotonic() > patience:
                return (*routed, "Envoy has the routes, and no device answers at that port (DEVICE_PORT)")
            time.sleep(0.1)
        raise Timeout(f"no answer within {ANSWER_SECONDS} s from: {shlex.join(self.curl(self.devices[0]))}\n" + "\n".join(p.tail(15) for p in self.processes))

    def tell(self, device, answer, what, seconds):
        blocks = [("the same device by path", [f"curl http://127.0.0.1:{LISTENER}/tailscale/{device}/any/path?with=query"]),
                  ("what is there, and why something else is not",
                   ["build/tailscale-gateway status", f"build/tailscale-gateway explain http://{self.other}.tailscale.local/"]),
                  *self.next, ("the manifests, and what was generated from them", [f"ls {self.resources} {self.generated}/*"])]
        print(f"\nReady after {seconds:.1f} s. {what}:\n\n  {shlex.join(self.curl(device))}\n  {answer}\n\nTry next:")
        for title, lines in blocks:
            print(f"\n  # {title}")
            for line in lines:
                print(f"  {line}")
        end = "RUN_ONCE ends everything now" if os.environ.get("RUN_ONCE") else "Ctrl-C ends everything"
        print(f"\nLogs are in {self.logs}. {end} and removes {self.home}.", flush=True)

    def close(self):
        for p in reversed(self.processes):
            try:
                p.stop(10)
            except Timeout as e:
                print(e, file=sys.stderr)
        if self.tailnet:
            self.tailnet.stop()
        for s in self.servers:
            s.close()
        reap()


def reap():
    """Ends what our children left to us: Envoy, whose parent is Envoy Gateway."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        end = time.monotonic() + 5
        while time.monotonic() < end:
            children = subprocess.run(["ps", "-o", "pid=", "--ppid", str(os.getpid())], stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False).stdout.split()
            alive = []
            for pid in children:
                try:
                    if os.waitpid(int(pid), os.WNOHANG)[0] == 0:
                        os.kill(int(pid), number)
                        alive.append(pid)
                except (ChildProcessError, ProcessLookupError):
                    pass
            if not alive:
                return
            time.sleep(0.05)


def taken(wanted):
    """The ports of these that somebody else listens on."""
    found = []
    for port in wanted:
        with socket.socket() as s:
            s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                s.bind(("0.0.0.0", port))
            except OSError:
                found.append(port)
    return found


def on_signal(number, frame):
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    raise Stop


def main():
    kind = os.environ.get("TAILNET") or "file"
    if kind not in ("file", "headscale", "local"):
        print(f"run: TAILNET={kind} is none of file, headscale, local", file=sys.stderr)
        return 2
    used = taken([LISTENER, ADMIN, METRICS, DEVICE_PORT, *ENVOY_GATEWAY_PORTS])
    if used:
        print(f"run: these ports must be free and are not: {', '.join(map(str, used))} (another `make run`?)", file=sys.stderr)
        return 1
    ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    signal.signal(signal.SIGINT, on_signal)
    signal.signal(signal.SIGTERM, on_signal)
    signal.signal(signal.SIGHUP, on_signal)
    session, keep = None, False
    try:
        for name in ["envoy", "envoy-gateway"] + (["headscale", "tailscaled", "tailscale"] if kind == "headscale" else []):
            peers.get(name)
        start = time.monotonic()
        session = Session(tempfile.mkdtemp(prefix="tsgw-run-"))
        print(f"Starting a tailnet ({kind}), our program, Envoy Gateway and Envoy…", flush=True)
        {"file": session.start_file_tailnet, "headscale": session.start_headscale_tailnet, "local": session.start_local_tailnet}[kind]()
        session.start_gateway()
        session.tell(*session.wait_for_answer(), time.monotonic() - start)
        while not os.environ.get("RUN_ONCE"):
            for p in session.processes:
                p.check()
            time.sleep(0.5)
        return 0
    except Stop:
        print("\nEnding.", flush=True)
        return 0
    except local_tailscaled.LocalError as e:
        print(f"run: {e}", file=sys.stderr)
        return 1
    except (AssertionError, OSError, peers.PeerError) as e:
        print(f"run: {e}", file=sys.stderr)
        keep = session is not None
        return 1
    finally:
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        if session:
            session.close()
            if keep:
                print(f"run: the logs are kept in {session.logs}", file=sys.stderr)
            else:
                shutil.rmtree(session.home, ignore_errors=True)


if __name__ == "__main__":
    sys.exit(main())
