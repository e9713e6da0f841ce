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

    def apply_service(self, name, namespace=TEAM, port=GRAFANA, ports=None, labels=None, **annotations):
        """What is behind it listens at the hub."""
        ports = ports or [{"name": "http", "port": 80, "targetPort": port}]
        meta = {"name": name, "namespace": namespace, "labels": {f"{GROUP}/expose": "true"} if labels is None else labels,
                "annotations": {f"{GROUP}/{k}": v for k, v in annotations.items()}}
        self.cluster.apply({"apiVersion": "v1", "kind": "Service", "metadata": meta, "spec": {"ports": ports}})
        slices = endpoint_slice(name, namespace, [self.network.HUB], port)
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
    stack.apply_service("hidden", port=SHOP, labels={})
    answer = stack.wait_for("grafana.corp.gateway.local", "/d/1?x=2", seconds=60, device="grafana")
    assert (answer.json()["path"], answer.json()["query"]) == ("/d/1", "x=2")
    assert list(stack.routes()) == ["grafana.corp.gateway.local/"]
    eventually(lambda: stack.says("Programmed", "True"), 20, "status says so")
    stack.says("Accepted", "True")
    assert stack.tsgw()["status"]["tailnets"][0]["hosts"] == 1
