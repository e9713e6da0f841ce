# SPDX-License-Identifier: Apache-2.0
"""A real tailnet on one machine: headscale, and tailscaled devices in namespaces of their own."""

import json
import os
import subprocess

import yaml

from tools import peers

from .process import Process, eventually
from .web import EchoServer, listening, request

NODE_ENV = {"TS_DEBUG_USE_DERP_HTTP": "1", "TS_NO_LOGS_NO_SUPPORT": "1", "TS_DISABLE_PORTMAPPER": "1",
            "TS_PANIC_IF_HIT_MAIN_CONTROL": "1"}
TAGS = ("api", "proxy", "http-8080", "http-9090", "private")


class Headscale:
    """The control server, in the hub; API v1 with an API key. User 1 is alice, who owns every tag."""

    def __init__(self, network, workdir, log_dir, port=8080, stun=3478, grpc=50443, domain="tn.test", program=None):
        self.network, self.port, self.domain = network, port, domain
        self.home = os.path.join(workdir, "hs")
        os.makedirs(self.home)
        self.program = program or peers.get("headscale")
        self.url = f"http://{network.HUB}:{port}"
        home = self.home
        with open(f"{home}/policy.hujson", "w", encoding="utf-8") as f:
            json.dump({"tagOwners": {f"tag:{t}": ["alice@"] for t in TAGS}, "acls": [{"action": "accept", "src": ["*"], "dst": ["*:*"]}]}, f)
        config = {
            "server_url": self.url, "listen_addr": f"{network.HUB}:{port}", "metrics_listen_addr": "",
            "grpc_listen_addr": f"127.0.0.1:{grpc}", "grpc_allow_insecure": False,
            "unix_socket": f"{home}/s", "unix_socket_permission": "0700", "noise": {"private_key_path": f"{home}/noise.key"},
            "prefixes": {"v4": "100.64.0.0/10", "v6": "fd7a:115c:a1e0::/48", "allocation": "sequential"},
            "derp": {"server": {"enabled": True, "region_id": 999, "region_code": "lab", "region_name": "lab",
                                "verify_clients": True, "stun_listen_addr": f"{network.HUB}:{stun}",
                                "private_key_path": f"{home}/derp.key", "automatically_add_embedded_derp_region": True,
                                "ipv4": network.HUB},
                     "urls": [], "paths": [], "auto_update_enabled": False},
            "disable_check_updates": True, "database": {"type": "sqlite", "sqlite": {"path": f"{home}/db.sqlite"}},
            "log": {"level": "info"}, "policy": {"mode": "file", "path": f"{home}/policy.hujson"},
            "dns": {"magic_dns": True, "base_domain": domain, "override_local_dns": False, "nameservers": {"global": []}},
            "logtail": {"enabled": False}}
        self.config = f"{home}/config.yaml"
        with open(self.config, "w", encoding="utf-8") as f:
            yaml.safe_dump(config, f)
        self.process = Process("headscale", [self.program, "-c", self.config, "serve"], log_dir, ns=network.hub)
        self.api_key = None

    def start(self):
        self.process.start()
        eventually(lambda: self.process.check() and request(self.network.hub, self.port, "/health", address=self.network.HUB).status == 200,
                   30, "headscale answers /health")
        if self.api_key is None:
            self.cli("users", "create", "alice")
            self.api_key = self.cli("apikeys", "create").strip().splitlines()[-1]
        return self

    def cli(self, *args):
        done = subprocess.run([self.program, "-c", self.config, *args], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode == 0, f"headscale {' '.join(args)}: {done.stdout}{done.stderr}"
        return done.stdout

    def preauth_key(self, tags=()):
        owner = ["--tags", ",".join(tags)] if tags else ["--user", "1"]
        return json.loads(self.cli("preauthkeys", "create", *owner, "--reusable", "-e", "24h", "-o", "json"))["key"]

    def api(self, path="/api/v1/node", key=None):
        return request(self.network.hub, self.port, path, address=self.network.HUB,
                       headers={"Authorization": f"Bearer {key or self.api_key}"})

    def nodes(self):
        """The node list as the API gives it, by given name."""
        answer = self.api()
        assert answer.status == 200, answer
        return {n["givenName"]: n for n in answer.json()["nodes"]}

    def node(self, command, name, *more):
        """A command about one node, by its given name."""
        return self.cli("nodes", command, "--identifier", str(self.nodes()[name]["id"]), *more)

    def delete(self, name):
        self.node("delete", name, "--force")


class Node:
    """One tailscaled. A device has a namespace and an echo server; the proxy lives in the hub."""

    def __init__(self, tailnet, name, ns, tags=(), proxy_port=None):
        self.tailnet, self.name, self.ns, self.tags = tailnet, name, ns, tags
        self.proxy_port, self.server = proxy_port, None
        self.state = os.path.join(tailnet.workdir, name)
        os.makedirs(self.state, exist_ok=True)
        self.socket = os.path.join(self.state, "s")
        proxy = [f"--outbound-http-proxy-listen=127.0.0.1:{proxy_port}"] if proxy_port else []
        self.process = Process(f"tailscaled-{name}", [peers.get("tailscaled"), "--tun=userspace-networking", f"--statedir={self.state}",
                                                      f"--socket={self.socket}", "--port=0", *proxy], tailnet.log_dir, ns=ns, env=NODE_ENV)
        self.up = None

    def start(self):
        self.process.start()
        return self

    def cli(self, *args):
        return [peers.get("tailscale"), f"--socket={self.socket}", *args]

    def run(self, *args):
        """A command of tailscale that ends by itself."""
        done = subprocess.run(["nsenter", f"--net={self.ns.path}", *self.cli(*args)] if self.ns.path else self.cli(*args), stdin=subprocess.DEVNULL,
                              capture_output=True, text=True, timeout=30, check=False)
        assert done.returncode == 0, f"tailscale {' '.join(args)}: {done.stdout}{done.stderr}"
        return done.stdout

    def begin_join(self):
        """Starts `tailscale up`; several may join at the same time."""
        eventually(lambda: self.process.check() and os.path.exists(self.socket), 20, f"{self.name}'s tailscaled listens")
        key = self.tailnet.key(self.tags)
        self.up = Process(f"up-{self.name}", self.cli("up", f"--login-server={self.tailnet.headscale.url}", f"--authkey={key}",
                                                      f"--hostname={self.name}", "--accept-dns=false", "--timeout=60s"),
                          self.tailnet.log_dir, ns=self.ns, env=NODE_ENV).start()
        return self

    def end_join(self):
        eventually(lambda: not self.up.running(), 70, f"{self.name} joins")
        assert self.up.proc.returncode == 0, f"{self.up.tail()}\n{self.process.tail()}"
        if self.proxy_port:
            eventually(lambda: listening(self.ns, self.proxy_port), 20, f"{self.name}'s proxy listens")
        return self

    def address(self):
        return next(a for a in self.tailnet.headscale.nodes()[self.name]["ipAddresses"] if "." in a)

    def stop(self):
        self.process.stop()
        if self.server:
            self.server.close()


class Tailnet:
    """headscale, proxies in the hub from 127.0.0.1:3128 on, and devices that serve HTTP on port 8080."""

    def __init__(self, network, workdir, log_dir, proxy_port=3128, ports=None, **headscale):
        """`ports`: device -> port of its server, where that is not 8080."""
        self.network, self.workdir, self.log_dir = network, workdir, log_dir
        self.headscale = Headscale(network, workdir, log_dir, **headscale)
        self.proxy_port, self.ports = proxy_port, ports or {}
        self.nodes, self.keys = {}, {}

    def key(self, tags):
        if tags not in self.keys:
            self.keys[tags] = self.headscale.preauth_key(tags)
        return self.keys[tags]

    def start(self, devices=(), proxies=1):
        """Everything at once: names, or (name, tags)."""
        return self.begin_start(devices, proxies).end_start()

    def begin_start(self, devices=(), proxies=1):
        """So that several tailnets start at the same time."""
        joining = [Node(self, f"proxy-{i}", self.network.hub, proxy_port=self.proxy_port + i).start() for i in range(proxies)]
        joining += [self._device(*((d, ()) if isinstance(d, str) else d)).start() for d in devices]
        self.headscale.start()
        for node in joining:
            self.nodes[node.name] = node.begin_join()
        return self

    def end_start(self):
        for node in self.nodes.values():
            node.end_join()
        return self

    def _device(self, name, tags=()):
        node = Node(self, name, self.network.machine(name), tuple(tags))
        node.server = EchoServer(node.ns, name, self.ports.get(name, 8080))
        return node

    def begin_add(self, name, tags=()):
        self.nodes[name] = self._device(name, tags).start()
        return self.nodes[name].begin_join()

    def end_add(self, name):
        return self.nodes[name].end_join()

    def add_device(self, name, tags=()):
        return self.begin_add(name, tags).end_join()

    def proxy_addresses(self):
        return [f"127.0.0.1:{n.proxy_port}" for n in self.nodes.values() if n.proxy_port]

    def via_proxy(self, address, port=8080):
        """A request through the proxy as Envoy would make it: proof of the tailnet without Envoy."""
        return request(self.network.hub, self.proxy_port, f"http://{address}:{port}/", host=f"{address}:{port}")

    def processes(self):
        return [self.headscale.process] + [n.process for n in self.nodes.values()] + [n.up for n in self.nodes.values() if n.up]

    def stop(self):
        for node in self.nodes.values():
            node.process.kill()
            if node.server:
                node.server.close()
        self.headscale.process.kill()
