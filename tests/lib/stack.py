# SPDX-License-Identifier: Apache-2.0
"""Everything that one test module runs: network, tailnet, Envoy Gateway, Envoy, and our program."""

import json
import os
import subprocess

from .envoy import Envoy, EnvoyGateway, write, write_yaml
from .netns import Network
from .process import Process, eventually
from .tailnet import Tailnet
from .web import EchoServer, request

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
GROUP = "gateway.tailscale.com/v1alpha1"
LISTENER_PORT = 10080
ADMIN_PORT, METRICS_PORT = 9801, 9802
SANITIZER_ENV = {"ASAN_OPTIONS": "detect_leaks=1:exitcode=99:detect_stack_use_after_return=1",
                 "UBSAN_OPTIONS": "halt_on_error=1:print_stacktrace=1", "LSAN_OPTIONS": "exitcode=99"}


def program():
    """The binary under test: TSGW_PROGRAM, else the build with the sanitizers, else the plain one."""
    if os.environ.get("TSGW_PROGRAM"):
        return os.environ["TSGW_PROGRAM"]
    for folder in ("build-asan", "build"):
        path = os.path.join(ROOT, folder, "tailscale-gateway")
        if os.access(path, os.X_OK):
            return path
    raise FileNotFoundError("no build/tailscale-gateway; `make build-asan` makes one")


class Gateway:
    """Our program, `run` without Kubernetes, and its commands."""

    def __init__(self, stack, name="tailscale-gateway"):
        self.stack = stack
        self.path = program()
        self.process = Process(name, [
            self.path, "run", "--resources", stack.resources, "--gateway-resources", stack.gateway_resources,
            "--generated", stack.generated, "--extension-address", f"unix://{stack.extension}",
            "--admin-address", f"tcp://127.0.0.1:{ADMIN_PORT}", "--metrics-address", f"tcp://127.0.0.1:{METRICS_PORT}",
            "--log-level", "debug"], stack.log_dir, ns=stack.network.hub, env=SANITIZER_ENV)

    def start(self, wait=True):
        self.process.start()
        if wait:
            self.wait_ready()
        return self

    def wait_ready(self, seconds=20):
        eventually(lambda: self.process.check() and self.get("/readyz").status == 200, seconds, "/readyz says yes")
        return self

    def get(self, path):
        return request(self.stack.network.hub, METRICS_PORT, path)

    def state(self):
        answer = request(self.stack.network.hub, ADMIN_PORT, "/state")
        assert answer.status == 200, answer
        return answer.json()

    def metric(self, name, **labels):
        total = 0.0
        for line in self.get("/metrics").body.decode().splitlines():
            head, _, value = line.rpartition(" ")
            if (head == name or head.startswith(name + "{")) and all(f'{k}="{v}"' in head for k, v in labels.items()):
                total += float(value)
        return total

    def command(self, *args, code=None):
        """One of the commands, run in the hub; returns what it printed."""
        done = subprocess.run(["nsenter", f"--net={self.stack.network.hub.path}", self.path, *args], stdin=subprocess.DEVNULL,
                              capture_output=True, text=True, timeout=30, check=False, env={**os.environ, **SANITIZER_ENV})
        out = done.stdout + done.stderr
        assert code is None or done.returncode == code, f"{' '.join(args)}: exit code {done.returncode}, expected {code}\n{out}"
        return out

    def explain(self, url):
        return self.command("explain", url, "--admin-address", f"tcp://127.0.0.1:{ADMIN_PORT}")

    def status(self):
        return self.command("status", "--admin-address", f"tcp://127.0.0.1:{ADMIN_PORT}", "-o", "json")

    def stop(self):
        """Ends it as a user would, and requires a clean end: exit code 0 and no report of a sanitizer."""
        code = self.process.stop()
        report = self.process.sanitizer_report()
        assert report is None, report
        assert code == 0, f"exit code {code}\n{self.process.tail()}"


class Stack:
    """Owns all of it and takes it down in the right order. Parts are made when first asked for."""

    def __init__(self, label, workdir):
        self.workdir = workdir
        self.log_dir = os.path.join(workdir, "log")
        self.resources, self.gateway_resources = os.path.join(workdir, "res"), os.path.join(workdir, "gw")
        self.generated = os.path.join(workdir, "gen")
        for d in (self.log_dir, self.resources, self.gateway_resources, self.generated):
            os.makedirs(d)
        self.extension = os.path.join(workdir, "x")
        self.network = Network(label)
        self.tailnet = self.eg = self.gateway = None
        self.tailnets, self.envoys, self.others = [], [], []

    def begin_tailnet(self, devices, proxies=1, **more):
        """The first is `tailnet`. Each has ports, directories and a domain of its own; addresses they share."""
        n = len(self.tailnets)
        workdir, log_dir = self.workdir, self.log_dir
        if n:
            workdir, log_dir = os.path.join(self.workdir, f"t{n}"), os.path.join(self.log_dir, f"t{n}")
            os.makedirs(workdir)
            os.makedirs(log_dir)
            more = {"proxy_port": 3128 + 100 * n, "port": 8080 + n, "stun": 3478 + n, "grpc": 50443 + n, "domain": f"tn{n}.test", **more}
        made = Tailnet(self.network, workdir, log_dir, **more)
        self.tailnets.append(made)
        self.tailnet = self.tailnets[0]
        return made.begin_start(devices, proxies)

    def start_tailnet(self, devices, proxies=1, **more):
        return self.begin_tailnet(devices, proxies, **more).end_start()

    def make_eg(self, extension=True, runtime_flags=()):
        self.eg = EnvoyGateway(self.network.hub, os.path.join(self.workdir, "eg"), self.log_dir,
                               [self.gateway_resources, os.path.join(self.generated, "envoy-gateway")],
                               extension=self.extension if extension else None, runtime_flags=runtime_flags)
        return self.eg

    def start_envoy(self, namespace="demo", name="gw", admin_port=9901, cluster=None):
        made = Envoy(self.network.hub, os.path.join(self.workdir, "envoy"), self.log_dir, self.eg, namespace, name, admin_port,
                     cluster=cluster)
        self.envoys.append(made)
        return made.start()

    def make_gateway(self):
        self.gateway = Gateway(self)
        return self.gateway

    def ask(self, host, path="/", port=LISTENER_PORT, **more):
        return request(self.network.hub, port, path, host=host, **more)

    def wait_for(self, host, path="/", status=200, seconds=30, port=LISTENER_PORT, device=None):
        """Until that host and path answers so, and from that device; on failure our program's explanation goes with it."""
        def check():
            answer = self.ask(host, path, port=port, timeout=5)
            return answer if answer.status == status and device in (None, answer.headers["x-device"]) else None
        try:
            return eventually(check, seconds, f"{host}{path} answers {status}{f' from {device}' if device else ''}")
        except AssertionError as e:
            if self.gateway and self.gateway.process.running():
                raise AssertionError(f"{e}\n{self.gateway.explain(f'http://{host}{path}')}") from e
            raise

    def write_gateway(self, file, *documents):
        write_yaml(os.path.join(self.gateway_resources, file), *documents)

    def write_resources(self, file, *documents):
        write_yaml(os.path.join(self.resources, file), *documents)

    def bindings(self):
        """The generated Bindings: file name -> bytes."""
        folder = os.path.join(self.generated, "envoy-gateway")
        found = {}
        for name in sorted(os.listdir(folder)):
            if not name.startswith("."):
                with open(os.path.join(folder, name), "rb") as f:
                    found[name] = f.read()
        return found

    def processes(self):
        own = [p.process for p in (self.gateway, self.eg, *self.envoys) if p]
        return own + [p for t in self.tailnets for p in t.processes()]

    def logs(self):
        # Access logs of good answers would bury what an Envoy has to say.
        parts = [p.tail(without='"response_code":200') for p in self.processes()]
        if self.gateway and self.gateway.process.running():
            try:
                parts.insert(0, "--- /state\n" + json.dumps(self.gateway.state(), indent=1)[:20000])
            except (AssertionError, OSError, ValueError) as e:
                parts.insert(0, f"--- /state: {e!r}")
        return "\n".join(parts)

    def close(self):
        """Everything is stopped whatever happens; a bad end of our program is an error of the module."""
        problem = None
        try:
            if self.gateway:
                self.gateway.stop()
        except AssertionError as e:
            problem = e
        for o in self.others:
            o.close()
        for p in [*self.envoys, *([self.eg] if self.eg else [])]:
            p.process.kill()
        for t in self.tailnets:
            t.stop()
        self.network.close()
        if problem:
            raise problem


class LocalDevices:
    """A tailnet from a file: its devices are echo servers at tailnet addresses on the hub's loopback, reached
    directly. For tests whose subject is not the tailnet. Device N has 100.64.9.N."""

    def __init__(self, stack, domain="tn.test"):
        self.stack, self.domain, self.servers = stack, domain, {}
        self.write([])

    def serve(self, *names):
        for name in names:
            address = f"100.64.9.{len(self.servers) + 1}"
            self.stack.network.hub.ip("addr", "add", f"{address}/32", "dev", "lo")
            self.servers[name] = EchoServer(self.stack.network.hub, name, address=address)
            self.servers[name].address = address
            self.stack.others.append(self.servers[name])

    def write(self, names):
        """The device list, in the form of the API. The order given is kept."""
        devices = [{"id": f"n{s.address}", "nodeId": f"n{s.address}", "name": f"{n}.{self.domain}", "hostname": n, "os": "linux",
                    "addresses": [s.address], "user": "alice", "authorized": True, "tags": []}
                   for n, s in ((n, self.servers[n]) for n in names)]
        write(os.path.join(self.stack.resources, "devices.json"), json.dumps({"devices": devices}))


def find(value, **wanted):
    """Every object inside a JSON value that has these members with these values."""
    found = []
    if isinstance(value, dict):
        if all(k in value and value[k] == v for k, v in wanted.items()):
            found.append(value)
        value = list(value.values())
    if isinstance(value, list):
        for v in value:
            found += find(v, **wanted)
    return found


def tailnet_resource(name="corp-tailnet", namespace="demo", **spec):
    return {"apiVersion": GROUP, "kind": "TailscaleTailnet", "metadata": {"name": name, "namespace": namespace}, "spec": spec}


def headscale_tailnet(url, tailnet, **more):
    """A TailscaleTailnet for a lab's headscale; the key is in the Secret corp-key. `more` is of its spec, and `name`."""
    return tailnet_resource(**{"apiURL": url, "type": "Headscale", "magicDNSSuffix": tailnet.headscale.domain,
                               "credentials": {"secretRef": {"name": "corp-key"}}, "proxyAddresses": tailnet.proxy_addresses(),
                               "pollInterval": "1s", **more})


EGRESS = {"hostPattern": "{service}.tailscale.local", "pathPrefix": "/tailscale/{service}/", "protocol": "HTTP"}


def entry(name="corp", ref="corp-tailnet", patterns=("api-*",), exclude=("proxy-*",), egress=None, port=8080, **more):
    """One of spec.tailnets."""
    return {"name": name, "tailscaleTailnetRef": {"name": ref},
            "serviceDiscovery": {"enabled": True, "patterns": list(patterns), "excludePatterns": list(exclude),
                                 "defaultPort": {"port": port, "protocol": "HTTP"}},
            "routeGeneration": {"egress": {**EGRESS, **(egress or {})}}, **more}


def gateway_resource(name="corp-gateway", namespace="demo", gateway="gw", gateway_namespace="demo", tailnets=(), section=None, priority=None):
    ref = {"name": gateway, "namespace": gateway_namespace, **({"sectionName": section} if section else {})}
    spec = {"gatewayRef": ref, **({"priority": priority} if priority is not None else {}), "tailnets": list(tailnets)}
    return {"apiVersion": GROUP, "kind": "TailscaleGateway", "metadata": {"name": name, "namespace": namespace}, "spec": spec}


def static_endpoints(name, service, addresses, tailnet="corp", namespace="demo", port=8080):
    return {"apiVersion": GROUP, "kind": "TailscaleEndpoints",
            "metadata": {"name": name, "namespace": namespace, "labels": {"gateway.tailscale.com/tailnet": tailnet}},
            "spec": {"tailnet": tailnet, "endpoints": [{"name": service, "tailscaleIP": a, "port": port, "protocol": "HTTP"} for a in addresses]}}


def secret(name, namespace="demo", **values):
    return {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name, "namespace": namespace}, "stringData": values}
