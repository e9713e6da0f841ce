# SPDX-License-Identifier: Apache-2.0
"""Services of the cluster that a tailnet sees: the routes that an operator makes of them, on a real API server, real Envoy Gateway and Envoy.

What leads the tailnet to the Gateway is no part of this file. The tests of it tell one story and run in this order.
"""

import json
import os
import time

import pytest

from tests.lib import chart, kube_gateway as kube
from tests.lib.cluster import condition
from tests.lib.kube_gateway import endpoint_slice
from tests.lib.kube_home import GATEWAY, KubeHome, TEAM
from tests.lib.process import eventually, holds
from tests.lib.web import EchoServer

GROUP = "gateway.tailscale.com"
ROUTES = "/apis/gateway.networking.k8s.io/v1"
OTHER = "team-b"
GRAFANA, SHOP = 9001, 9002


class IngressHome(KubeHome):
    """One operator, one extension server; the tailnet is a file without devices."""

    def start(self):
        self.begin_cluster()
        self.start_cluster(controllers=True)
        self.prepare()
        self.cluster.create_namespace(OTHER)
        with open(os.path.join(self.workdir, "devices.json"), "w", encoding="utf-8") as f:
            json.dump({"devices": []}, f)
        self._add(self.operators, "operator", self.deployment(chart.account("operator")), "--local-sources-dir", self.workdir).start()
        deployment = eventually(lambda: self.deployment(chart.account("extension")) if self.has_certificates() else None, 60, "it made an extension server")
        self.add_extension(deployment).start()
        return self.start_peers()

    def apply_service(self, name, namespace=TEAM, to=GRAFANA, ports=None, labels=None, type="ClusterIP", **annotations):
        """What is behind it listens at the hub."""
        ports = ports or [{"name": "http", "port": 80, "targetPort": to}]
        meta = {"name": name, "namespace": namespace, "labels": {f"{GROUP}/expose": "true"} if labels is None else labels,
                "annotations": {f"{GROUP}/{k}": v for k, v in annotations.items()}}
        self.cluster.apply({"apiVersion": "v1", "kind": "Service", "metadata": meta, "spec": {
            "type": type, "ports": ports, **({"externalName": "outside.example"} if type == "ExternalName" else {})}})
        slices = endpoint_slice(name, namespace, [self.network.HUB], to)
        slices["ports"] = [{"name": p["name"], "port": p["targetPort"], "protocol": "TCP"} for p in ports]
        self.cluster.apply(slices)

    def routes(self, kind="httproutes", namespace=TEAM):
        """{host and path: route} of those that were made."""
        items = self.cluster.get(f"{ROUTES}/namespaces/{namespace}/{kind}?labelSelector=app.kubernetes.io/managed-by%3Dtailscale-gateway")["items"]
        found = {}
        for r in items:
            match = r["spec"]["rules"][0].get("matches", [{}])[0].get("path", {"value": "/"})
            found[r["spec"]["hostnames"][0] + match["value"]] = r
        return found

    def tsgw(self, name="corp-gateway", namespace=TEAM):
        return self.object("tailscalegateways", name, namespace)

    def drop_service(self, name, namespace=TEAM):
        self.cluster.kubectl("-n", namespace, "delete", "service", name)
        self.cluster.kubectl("-n", namespace, "delete", "endpointslice", f"{name}-1", "--ignore-not-found")

    def route_row(self, service, **wanted):
        """The operator's own row of a Service, where it says what is wanted; else None."""
        rows = [r for r in self.operators[0].state()["routes"] if r["service"] == service]
        return next((r for r in rows if all(r.get(k) == v for k, v in wanted.items())), None)

    def says(self, kind, status, reason=None, **of):
        c = condition(self.tsgw(**of), kind)
        assert c.get("status") == status and reason in (None, c.get("reason")), c
        return c


@pytest.fixture(scope="module")
def stack(workdir):
    made = IngressHome("kingress", workdir)
    yield made
    made.close()


def tailscale_gateway(namespace=TEAM, name="corp-gateway", discovery=None, **ingress):
    ingress = {"hostPattern": "{service}.{tailnet}.gateway.local", "protocol": "HTTP", **ingress}
    return {"apiVersion": f"{GROUP}/v1alpha1", "kind": "TailscaleGateway", "metadata": {"name": name, "namespace": namespace},
            "spec": {"gatewayRef": {"name": GATEWAY, "namespace": kube.NAMESPACE}, "tailnets": [
                {"name": "corp", "tailscaleTailnetRef": {"name": "corp"}, "routeGeneration": {"ingress": ingress},
                 **({"serviceDiscovery": discovery} if discovery else {})}]}}


@pytest.fixture(scope="module", autouse=True)
def story(stack):
    stack.start()
    hub = stack.network.hub
    stack.others += [EchoServer(hub, "grafana", GRAFANA), EchoServer(hub, "shop", SHOP)]
    stack.cluster.apply({"apiVersion": f"{GROUP}/v1alpha1", "kind": "TailscaleTailnet", "metadata": {"name": "corp", "namespace": TEAM},
                         "spec": {"file": {"path": os.path.join(stack.workdir, "devices.json")}, "pollInterval": "1s"}})
    stack.cluster.apply(tailscale_gateway())


def test_a_labelled_service_answers(stack):
    stack.apply_service("grafana")
    stack.apply_service("hidden", to=SHOP, labels={})
    answer = stack.wait_for("grafana.corp.gateway.local", "/d/1?x=2", seconds=60, device="grafana")
    assert (answer.json()["path"], answer.json()["query"]) == ("/d/1", "x=2")
    assert list(stack.routes()) == ["grafana.corp.gateway.local/"]
    eventually(lambda: stack.says("Programmed", "True"), 20, "status says so")
    stack.says("Accepted", "True")
    assert stack.tsgw()["status"]["tailnets"][0]["hosts"] == 1


def test_its_route_is_ours_and_its_gateways(stack):
    route = stack.routes()["grafana.corp.gateway.local/"]
    meta, owner = route["metadata"], stack.tsgw()["metadata"]
    assert meta["labels"][f"{GROUP}/gateway"] == "corp-gateway" and meta["annotations"][f"{GROUP}/service"] == f"{TEAM}/grafana"
    assert [(o["kind"], o["uid"]) for o in meta["ownerReferences"]] == [("TailscaleGateway", owner["uid"])]
    assert route["spec"]["parentRefs"][0]["sectionName"] == "http"
    assert not stack.cluster.denied(user="system:serviceaccount:"), stack.cluster.denied(user="system:serviceaccount:")[:5]


def test_annotations_say_host_path_and_port(stack):
    ports = [{"name": "admin", "port": 9100, "targetPort": GRAFANA}, {"name": "api", "port": 80, "targetPort": SHOP}]
    stack.apply_service("shop", ports=ports)
    eventually(lambda: stack.route_row("shop", reason="NoPort"), 20, "two ports, and none says that it is meant")
    stack.apply_service("shop", ports=ports, host="Store.{tailnet}.Gateway.local", path="/public/", port="api")
    answer = stack.wait_for("store.corp.gateway.local", "/public/a", device="shop")
    assert answer.json()["path"] == "/public/a"
    assert stack.ask("store.corp.gateway.local", "/private").status == 404
    assert stack.ask("shop.corp.gateway.local").status == 404
    assert set(stack.routes()) == {"grafana.corp.gateway.local/", "store.corp.gateway.local/public"}
    # A number names a port as well, and the route stays the same object.
    before = stack.routes()["store.corp.gateway.local/public"]["metadata"]
    stack.apply_service("shop", ports=ports, host="store.{tailnet}.gateway.local", path="/public", port="9100")
    stack.wait_for("store.corp.gateway.local", "/public/a", device="grafana")
    assert stack.routes()["store.corp.gateway.local/public"]["metadata"]["uid"] == before["uid"]
    # Another Service below another path of the same host.
    stack.apply_service("docs", to=SHOP, host="store.{tailnet}.gateway.local", path="/docs")
    stack.wait_for("store.corp.gateway.local", "/docs/x", device="shop")
    stack.wait_for("store.corp.gateway.local", "/public/a", device="grafana")
    for name in ("shop", "docs"):
        stack.drop_service(name)
    eventually(lambda: list(stack.routes()) == ["grafana.corp.gateway.local/"], 20, "they are gone with their Services")


def test_a_port_of_grpc_has_a_grpc_route(stack):
    stack.apply_service("rpc", ports=[{"name": "grpc", "port": 9090, "targetPort": GRAFANA}])
    def accepted():
        found = [r for r in stack.cluster.get(f"{ROUTES}/namespaces/{TEAM}/grpcroutes")["items"] if r["spec"]["hostnames"] == ["rpc.corp.gateway.local"]]
        parents = found[0].get("status", {}).get("parents") if found else None
        return parents and condition(None, "Accepted", parents[0]["conditions"]).get("status") == "True"
    eventually(accepted, 20, "Envoy Gateway accepts it")
    assert "rpc.corp.gateway.local/" not in stack.routes()
    stack.drop_service("rpc")
    eventually(lambda: not stack.cluster.get(f"{ROUTES}/namespaces/{TEAM}/grpcroutes")["items"], 20, "it is gone")


def test_what_envoy_gateway_says_of_a_route_is_shown(stack):
    stack.apply_service("outside", type="ExternalName")
    def bad():
        found = [condition(stack.tsgw(), k) for k in ("Accepted", "ResolvedRefs")]
        return next((c for c in found if c.get("status") == "False"), None)
    said = eventually(bad, 20, "it is told")
    assert "corp-gateway-outside-" in said["message"], said
    stack.drop_service("outside")
    eventually(lambda: stack.says("ResolvedRefs", "True") and stack.says("Accepted", "True"), 20, "all is well")


def grant(*kinds, name="tailnets", to=None):
    groups = {"TailscaleGateway": GROUP, "HTTPRoute": "gateway.networking.k8s.io"}
    return {"apiVersion": "gateway.networking.k8s.io/v1beta1", "kind": "ReferenceGrant", "metadata": {"name": name, "namespace": OTHER},
            "spec": {"from": [{"group": groups[k], "kind": k, "namespace": TEAM} for k in kinds],
                     "to": [{"group": "", "kind": "Service", **({"name": to} if to else {})}]}}


def test_another_namespace_must_permit_it(stack):
    stack.apply_service("wiki", namespace=OTHER, to=SHOP)
    said = eventually(lambda: stack.says("ResolvedRefs", "False", "RefNotPermitted"), 20, "it is told")["message"]
    assert f"{OTHER}/wiki" in said and "TailscaleGateway" in said and "HTTPRoute" in said, said
    assert stack.ask("wiki.corp.gateway.local").status == 404
    # Half of it is not enough, whichever.
    stack.cluster.apply(grant("TailscaleGateway"))
    eventually(lambda: "TailscaleGateway (" not in stack.says("ResolvedRefs", "False", "RefNotPermitted")["message"], 20, "the route's is missing")
    stack.cluster.apply(grant("HTTPRoute"))
    eventually(lambda: "HTTPRoute (" not in stack.says("ResolvedRefs", "False", "RefNotPermitted")["message"], 20, "the gateway's is missing")
    stack.cluster.apply(grant("TailscaleGateway", "HTTPRoute", to="another"))
    holds(lambda: "wiki.corp.gateway.local/" not in stack.routes(), 2, "it is for another Service", every=0.5)
    stack.cluster.apply(grant("TailscaleGateway", "HTTPRoute", to="wiki"))
    stack.wait_for("wiki.corp.gateway.local", device="shop")
    eventually(lambda: stack.says("ResolvedRefs", "True"), 20, "all is well")
    stack.cluster.kubectl("-n", OTHER, "delete", "referencegrant", "tailnets")
    stack.wait_for("wiki.corp.gateway.local", status=404)
    eventually(lambda: "wiki.corp.gateway.local/" not in stack.routes(), 20, "the route is gone")
    stack.says("ResolvedRefs", "False", "RefNotPermitted")
    stack.drop_service("wiki", OTHER)
    eventually(lambda: stack.says("ResolvedRefs", "True"), 20, "nothing is asked for")


def test_a_selector_reaches_as_far_as_grants(stack):
    stack.cluster.apply(tailscale_gateway(discovery={"services": {"matchLabels": {"tier": "web"}}}))
    stack.apply_service("plain", to=SHOP, labels={"tier": "web"})
    stack.apply_service("kept", to=SHOP, labels={"tier": "web", f"{GROUP}/expose": "false"})
    stack.apply_service("far", namespace=OTHER, to=SHOP, labels={"tier": "web"})
    stack.wait_for("plain.corp.gateway.local", device="shop")
    stack.says("ResolvedRefs", "True")
    assert stack.ask("far.corp.gateway.local").status == stack.ask("kept.corp.gateway.local").status == 404
    stack.cluster.apply(grant("TailscaleGateway", "HTTPRoute"))
    stack.wait_for("far.corp.gateway.local", device="shop")
    stack.cluster.apply(tailscale_gateway())
    eventually(lambda: list(stack.routes()) == ["grafana.corp.gateway.local/"], 20, "without a selector only labels count")
    stack.cluster.kubectl("-n", OTHER, "delete", "referencegrant", "tailnets")
    for name, namespace in (("plain", TEAM), ("kept", TEAM), ("far", OTHER)):
        stack.drop_service(name, namespace)


def test_a_users_route_keeps_its_host(stack):
    mine = kube.service_route("mine", TEAM, ["cart.corp.gateway.local"], "grafana", parent=GATEWAY)
    mine["spec"]["parentRefs"][0]["namespace"] = kube.NAMESPACE
    stack.cluster.apply(mine)
    stack.apply_service("cart", to=SHOP)
    stack.wait_for("cart.corp.gateway.local", device="grafana")
    eventually(lambda: stack.says("Conflicted", "True"), 20, "it is told")
    assert "cart.corp.gateway.local/" not in stack.routes()
    row = stack.tsgw()["status"]["conflicts"][0]
    assert row["service"] == "cart" and f"{TEAM}/mine" in row["message"], row
    stack.cluster.kubectl("-n", TEAM, "delete", "httproute", "mine")
    stack.wait_for("cart.corp.gateway.local", device="shop")
    stack.drop_service("cart")
    stack.wait_for("cart.corp.gateway.local", status=404)


def test_steady_state_and_a_restart_write_nothing(stack):
    time.sleep(6)
    before = {k: r["metadata"]["resourceVersion"] for k, r in stack.routes().items()}
    mark = stack.cluster.audit_mark()
    operator = stack.operators[0]
    operator.stop()
    operator.start()
    operator.wait_ready()
    stack.wait_leader()
    time.sleep(8)
    writes = [w for w in stack.ours(stack.cluster.writes(mark)) if w.resource not in ("leases", "events")]
    assert not writes, writes
    assert before == {k: r["metadata"]["resourceVersion"] for k, r in stack.routes().items()}


def test_what_was_changed_comes_back_and_what_is_alike_is_left(stack):
    route = stack.routes()["grafana.corp.gateway.local/"]["metadata"]
    path = f"{ROUTES}/namespaces/{TEAM}/httproutes/"
    stack.cluster.merge(path + route["name"], {"spec": {"hostnames": ["elsewhere.gateway.local"]}})
    eventually(lambda: list(stack.routes()) == ["grafana.corp.gateway.local/"], 20, "the host is back")
    # A copy that a user made of it is the user's.
    copy = kube.service_route("my-copy", TEAM, ["copy.gateway.local"], "grafana", parent=GATEWAY)
    copy["metadata"]["labels"] = {"app.kubernetes.io/managed-by": "tailscale-gateway"}
    stack.cluster.apply(copy)
    holds(lambda: stack.cluster.get(path + "my-copy"), 3, "it stays", every=0.5)
    stack.cluster.kubectl("-n", TEAM, "delete", "httproute", "my-copy")


def test_a_label_that_goes_takes_the_route(stack):
    stack.apply_service("grafana", labels={f"{GROUP}/expose": "other.another"})
    stack.wait_for("grafana.corp.gateway.local", status=404)
    assert not stack.routes()
    stack.apply_service("grafana", labels={f"{GROUP}/expose": "other.corp"})
    stack.wait_for("grafana.corp.gateway.local", device="grafana")


def test_a_direction_that_goes_takes_its_routes(stack):
    egress = tailscale_gateway()
    egress["spec"]["tailnets"][0]["routeGeneration"] = {"egress": {"hostPattern": "{service}.tailscale.local"}}
    egress["spec"]["tailnets"][0]["connectivity"] = {"mode": "Direct"}
    stack.cluster.apply(egress)
    eventually(lambda: not stack.routes(), 20, "the routes are gone")
    stack.cluster.kubectl("-n", TEAM, "delete", "tailscalegateway", "corp-gateway")
    stack.cluster.apply(tailscale_gateway())
    stack.wait_for("grafana.corp.gateway.local", device="grafana")


def test_a_gateway_that_goes_takes_its_routes(stack):
    stack.cluster.kubectl("-n", TEAM, "delete", "tailscalegateway", "corp-gateway")
    stack.wait_for("grafana.corp.gateway.local", status=404)
    eventually(lambda: not stack.routes(), 20, "the routes are gone")
    assert not stack.cluster.denied(user="system:serviceaccount:"), stack.cluster.denied(user="system:serviceaccount:")[:5]
