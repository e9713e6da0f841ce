# SPDX-License-Identifier: Apache-2.0
"""What `explain` says of a URL is what a running Envoy does with it.

Configurations and requests are drawn by seed: users' routes with exact hosts, wildcards and none, listeners with and without
a hostname, several TailscaleGateways of two namespaces with priorities, and hosts, paths and cases that are nearly right.
Envoy says in its access log which route a request took; `explain` says which it should take. Nobody answers the requests:
what is looked at is the choice.
"""

import json
import os
import random
import threading
import urllib.parse

import pytest

from tests.lib import envoy as lib
from tests.lib.process import eventually
from tests.lib.stack import ADMIN_PORT, LISTENER_PORT, gateway_resource, tailnet_resource
from tests.lib.web import Connection

CONFIGURATIONS, REQUESTS = 20, 500  # 10,000 pairs
WORKERS = 4
NAMESPACES = ("demo", "team-b")
SERVICES = ("api", "api-one", "api-two", "a", "grafana", "web", "taken", "x1")
DOMAINS = ("tailscale.local", "example.com", "corp.example.com")
PREFIXES = ("/tailscale/{service}/", "/{service}/", "/t/{tailnet}/{service}/", "/", "/{service}/deep/")
NOWHERE = "100.64.200.1"  # nobody listens there: refused at once, since the hub has it


def draw_gateway(r, i):
    egress = {"hostPattern": "{service}." + r.choice(DOMAINS), "pathPrefix": r.choice(PREFIXES), "protocol": "HTTP"}
    if r.random() < 0.4:
        egress["pathHosts"] = r.sample(["*", "www.example.com", "*.example.com", "*.corp.example.com", "absent.example.com", "taken.example.com"], r.randint(1, 3))
    if r.random() < 0.3:
        egress["overrideHosts"] = True
    one = {"name": "corp", "tailscaleTailnetRef": {"name": "corp-tailnet"}, "serviceDiscovery": {"enabled": False},
           "connectivity": {"mode": "Direct"}, "routeGeneration": {"egress": egress}}
    return gateway_resource(name=f"g{i}", namespace=r.choice(NAMESPACES), tailnets=[one], priority=r.choice([None, 0, 5]))


def draw_endpoints(r, namespace):
    names = r.sample(SERVICES, r.randint(1, len(SERVICES)))
    one = [{"name": n, "tailscaleIP": NOWHERE, "port": p, "protocol": "HTTP"} for n in names for p in r.sample([80, 8080], r.randint(1, 2))]
    return {"apiVersion": "gateway.tailscale.com/v1alpha1", "kind": "TailscaleEndpoints", "metadata": {"name": "mine", "namespace": namespace},
            "spec": {"tailnet": "corp", "endpoints": one}}


def draw_users(r, seed):
    """A user's own routes. Each has a name of its own: without Kubernetes Envoy Gateway 1.9 keeps the hostnames of a route whose
    new manifest has none."""
    made = []
    for i, (hosts, namespace) in enumerate(r.sample([(["www.example.com"], "demo"), (["taken.example.com", "taken.tailscale.local"], "demo"),
                                                     (["*.example.com"], "demo"), (["*.corp.example.com"], "team-b"), (None, "demo"),
                                                     (["api.corp.example.com"], "team-b")], r.randint(0, 4))):
        route = lib.http_route(f"u{seed}-{i}", hosts, "nowhere", namespace=namespace)
        route["spec"]["parentRefs"][0]["namespace"] = "demo"
        if r.random() < 0.5:
            route["spec"]["rules"][0]["matches"] = [{"path": {"type": "PathPrefix", "value": r.choice(["/app", "/tailscale", "/api"])}}]
        made.append(route)
    return made


def draw_listener(r):
    one = {"name": "http", "protocol": "HTTP", "port": LISTENER_PORT, "allowedRoutes": {"namespaces": {"from": "All"}}}
    if r.random() < 0.25:
        one["hostname"] = r.choice(["*.example.com", "*.tailscale.local"])
    return one


def draw_url(r):
    """A host and a path: often right, often almost."""
    host = r.choice([f"{r.choice(SERVICES)}.{r.choice(DOMAINS)}", "www.example.com", "taken.example.com", "absent.example.com", "any.corp.example.com",
                     "nobody.example.org", "example.com", f"x.{r.choice(SERVICES)}.tailscale.local"])
    host = r.choice([host, host, host, host.upper(), host.title(), f"{host}:{LISTENER_PORT}"])
    path = r.choice([p.replace("{service}", r.choice(SERVICES)).replace("{tailnet}", "corp") for p in PREFIXES])
    path = r.choice([path, path.rstrip("/") or "/", path + "more", path + "more/", (path.rstrip("/") or "/") + "x", path.upper(), "/" + path,
                     path + "../", path + "./a//b", path.replace("a", "%61"), "/app", "/other", path + "%2e%2e/x"])
    return host, path + r.choice(["", "", "?q=1", "?a=/api/"])


def canary(name):
    """An entry of its own on a listener of its own, and the one service that it has."""
    ours = {"name": "canary", "tailscaleTailnetRef": {"name": "corp-tailnet"}, "serviceDiscovery": {"enabled": False}, "connectivity": {"mode": "Direct"},
            "routeGeneration": {"egress": {"hostPattern": "{service}.test", "protocol": "HTTP", "pathPrefix": "/", "sectionName": "canary"}}}
    return gateway_resource(name="canary", tailnets=[ours]), {
        "apiVersion": "gateway.tailscale.com/v1alpha1", "kind": "TailscaleEndpoints", "metadata": {"name": "canary", "namespace": "demo"},
        "spec": {"tailnet": "canary", "endpoints": [{"name": name, "tailscaleIP": NOWHERE, "port": 80, "protocol": "HTTP"}]}}


class Talker:
    """Requests over one kept connection, opened again where the other side closed it."""

    def __init__(self, ns, port):
        self.ns, self.port, self.conn = ns, port, None

    def ask(self, path, headers):
        for again in (True, False):
            try:
                self.conn = self.conn or Connection(self.ns, "127.0.0.1", self.port, 20)
                self.conn.putrequest("GET", path, skip_host="Host" in headers, skip_accept_encoding=True)
                for k, v in headers.items():
                    self.conn.putheader(k, v)
                self.conn.endheaders()
                answer = self.conn.getresponse()
                return answer.status, answer.read()
            except OSError:
                self.conn = None
                if not again:
                    raise
        return None


@pytest.fixture(scope="module", autouse=True)
def running(stack):
    stack.network.hub.ip("addr", "add", f"{NOWHERE}/32", "dev", "lo")
    lib.write(os.path.join(stack.resources, "devices.json"), json.dumps({"devices": []}))
    stack.write_gateway("base.yaml", lib.gateway_class())
    stack.write_gateway("config.yaml", lib.gateway(), lib.backend("nowhere", "127.0.0.1", 9), lib.http_route("hello", ["hello.test"], "nowhere"))
    stack.make_gateway().start()
    stack.make_eg().start()
    stack.envoy = stack.start_envoy()
    stack.wait_for("hello.test", status=503)  # what is written before Envoy Gateway watches its directories it misses
    return stack


def install(stack, seed):
    """All of one configuration, and that Envoy has it: what is written in two directories becomes one World and one revision
    after another, so a canary that is written when our program has read both is behind all of it."""
    r = random.Random(seed)
    listeners = [draw_listener(r), {"name": "canary", "protocol": "HTTP", "port": LISTENER_PORT + 1, "allowedRoutes": {"namespaces": {"from": "All"}}}]
    gateways = [draw_gateway(r, i) for i in range(r.randint(1, 4))]
    users = draw_users(r, seed)
    for g in gateways:
        g["spec"]["gatewayRef"]["sectionName"] = "http"
    for u in users:
        u["spec"]["parentRefs"][0]["sectionName"] = "http"
    ours = [*[tailnet_resource(namespace=n, file={"path": "devices.json"}) for n in NAMESPACES], *gateways, *[draw_endpoints(r, n) for n in NAMESPACES]]
    stack.write_gateway("config.yaml", lib.gateway(listeners=listeners), lib.backend("nowhere", "127.0.0.1", 9), lib.backend("nowhere", "127.0.0.1", 9, "team-b"),
                        lib.http_route("canary", [f"theirs-{seed}.test"], "nowhere", section="canary"), *users)
    stack.write_resources("ours.yaml", *ours, *canary(f"first-{seed}"))
    envoy, admin = Talker(stack.network.hub, LISTENER_PORT + 1), Talker(stack.network.hub, ADMIN_PORT)

    def is_read():
        return "HTTPRoute demo/canary" in explain(admin, f"theirs-{seed}.test", "/")["verdict"] and explain(admin, f"first-{seed}.test", "/")["route"]
    eventually(is_read, 30, f"our program has read configuration {seed}")
    stack.write_resources("ours.yaml", *ours, *canary(f"second-{seed}"))
    eventually(lambda: envoy.ask("/", {"Host": f"second-{seed}.test"})[0] == 503 and explain(admin, f"second-{seed}.test", "/")["route"], 30,
               f"Envoy has configuration {seed}", every=0.1)


def explain(talker, host, path):
    """What explain says; of it `route` is None where none of ours takes the request."""
    status, body = talker.ask("/explain?url=" + urllib.parse.quote(f"http://{host}{path}", safe=""), {})
    assert status == 200, body
    return json.loads(body)


def pairs(stack, seed, found):
    """The requests of one configuration, each marked by its number; what explain says of each goes to `found`."""
    r = random.Random(f"{seed} requests")
    urls = [draw_url(r) for _ in range(REQUESTS)]

    def work(first):
        envoy, admin = Talker(stack.network.hub, LISTENER_PORT), Talker(stack.network.hub, ADMIN_PORT)
        for i in range(first, len(urls), WORKERS):
            host, path = urls[i]
            envoy.ask(path, {"Host": host, "User-Agent": f"pair-{seed}-{i}"})
            found[f"pair-{seed}-{i}"] = (host, path, explain(admin, host, path)["route"])
    threads = [threading.Thread(target=work, args=(i,)) for i in range(WORKERS)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()


def taken(envoy):
    """By mark the route that Envoy took, from its access log."""
    routes = {}
    with open(envoy.process.log, encoding="utf-8", errors="replace") as f:
        for line in f:
            if '"pair-' in line and line.startswith("{"):
                one = json.loads(line)
                routes[one["user-agent"]] = one["route_name"]
    return routes


def test_explain_says_what_envoy_does(running, figure):
    found = {}
    for seed in range(CONFIGURATIONS):
        install(running, seed)
        pairs(running, seed, found)
    assert len(found) == CONFIGURATIONS * REQUESTS
    routes = {}

    def logged():
        routes.update(taken(running.envoy))
        return len(routes) == len(found)
    eventually(logged, 30, "Envoy has written its access log", every=1)
    ours = {mark: name if name and name.startswith("tailscale/") else None for mark, name in routes.items()}
    wrong = [f"{mark}: {host}{path}: Envoy took {routes[mark]}, explain says {said}" for mark, (host, path, said) in found.items() if ours[mark] != said]
    figure(f"{len(found)} pairs, {sum(1 for v in ours.values() if v)} of them to routes of ours, {len(wrong)} not as explained")
    assert not wrong, "\n".join([f"{len(wrong)} of {len(found)}", *wrong[:20]])
