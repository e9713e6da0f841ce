# SPDX-License-Identifier: Apache-2.0
"""From a laptop of the tailnet to a Service of the cluster: the operator that leads keeps the way in, by the socket of a tailscaled beside
it, to the address that Envoy Gateway has given the Gateway. The tests of this file tell one story and run in this order."""

import json
import os

import pytest

from tests.lib import chart, kube_gateway as kube
from tests.lib.cluster import condition
from tests.lib.kube_gateway import endpoint_slice
from tests.lib.kube_home import GATEWAY, KubeHome, TEAM, gateway
from tests.lib.process import eventually, holds
from tests.lib.tailnet import Node
from tests.lib.web import EchoServer, Tunnel

GROUP = "gateway.tailscale.com"
GRAFANA = 9001
TAILNET_PORT = 10081  # of the listener, of the Gateway's address, and of Envoy
LAPTOP_PROXY = 3200
HOST = "grafana.corp.gateway.local"
RECORD = "tailscale-gateway-serve.json"


class Home(KubeHome):
    def start(self):
        self.begin_cluster()
        self.begin_tailnet([])
        tailnet = self.tailnet
        tailnet.nodes["laptop"] = Node(tailnet, "laptop", self.network.machine("laptop"), proxy_port=LAPTOP_PROXY).start()
        tailnet.nodes["laptop"].begin_join()
        self.start_cluster(controllers=True)
        tailnet.end_start()
        self.prepare()
        wider = gateway()
        wider["spec"]["listeners"].append({"name": "tailnet", "protocol": "HTTP", "port": TAILNET_PORT,
                                           "allowedRoutes": {"namespaces": {"from": "All"}}})
        self.cluster.apply(wider)
        for _ in range(2):
            self._add(self.operators, "operator", self.deployment(chart.account("operator")), "--allow-insecure-api", "--local-sources-dir", self.workdir).start()
        deployment = eventually(lambda: self.deployment(chart.account("extension")) if self.has_certificates() else None, 60, "it made an extension server")
        self.add_extension(deployment).start()
        return self.start_peers()

    @property
    def node(self):
        return self.tailnet.nodes["proxy-0"]

    def served(self):
        return json.loads(self.node.run("serve", "status", "--json") or "null") or {}

    def way(self):
        return condition(self.object("tailscalegateways", "corp-gateway"), "IngressServing")


@pytest.fixture(scope="module")
def stack(workdir):
    made = Home("kway", workdir)
    yield made
    made.close()


def tailscale_gateway(stack, **way):
    way = {"socket": stack.node.socket, "ports": [80], "trustedSources": [f"{stack.network.HUB}/32"], **way}
    return {"apiVersion": f"{GROUP}/v1alpha1", "kind": "TailscaleGateway", "metadata": {"name": "corp-gateway", "namespace": TEAM},
            "spec": {"gatewayRef": {"name": GATEWAY, "namespace": kube.NAMESPACE}, "tailnets": [
                {"name": "corp", "tailscaleTailnetRef": {"name": "corp-tailnet"},
                 "routeGeneration": {"ingress": {"hostPattern": "{service}.{tailnet}.gateway.local", "protocol": "HTTP", "sectionName": "tailnet"}},
                 "connectivity": {"ingress": way}}]}}


def forward(stack):
    return {"TCPForward": f"{stack.network.HUB}:{TAILNET_PORT}", "ProxyProtocol": 2}


@pytest.fixture(scope="module", autouse=True)
def story(stack):
    stack.start()
    stack.others.append(EchoServer(stack.network.hub, "grafana", GRAFANA))
    stack.apply_tailnets()
    stack.cluster.apply({"apiVersion": "v1", "kind": "Service",
                         "metadata": {"name": "grafana", "namespace": TEAM, "labels": {f"{GROUP}/expose": "true"}},
                         "spec": {"ports": [{"name": "http", "port": 80, "targetPort": GRAFANA}]}},
                        endpoint_slice("grafana", TEAM, [stack.network.HUB], GRAFANA), tailscale_gateway(stack))


def call(stack, timeout=10):
    """The laptop calls the tailnet address of the tailscaled beside the operator: status, and what the Service saw."""
    conn = Tunnel(stack.tailnet.nodes["laptop"].ns, LAPTOP_PROXY, stack.node.address(), 80, timeout)
    try:
        conn.request("GET", "/", headers={"Host": HOST})
        r = conn.getresponse()
        body = r.read()
        return r.status, json.loads(body) if r.status == 200 else None
    except OSError as e:
        return repr(e), None
    finally:
        conn.close()


def test_from_a_laptop_to_a_service(stack):
    eventually(lambda: stack.served().get("TCP") == {"80": forward(stack)}, 60, "the way in is set")
    status, seen = eventually(lambda: (lambda a: a if a[0] == 200 else None)(call(stack)), 60, "the Service answers the laptop")
    assert seen["device"] == "grafana"
    assert dict(seen["headers"])["x-forwarded-for"] == stack.tailnet.nodes["laptop"].address(), seen
    eventually(lambda: stack.way().get("status") == "True" and stack.way()["reason"] == "Serving", 20, "status says so")
    assert os.path.exists(os.path.join(stack.workdir, RECORD))
    assert not stack.cluster.denied(user="system:serviceaccount:"), stack.cluster.denied(user="system:serviceaccount:")[:5]


def test_another_leader_goes_on(stack):
    stack.node.run("serve", "--bg", "--tcp=2222", "tcp://127.0.0.1:22")
    leader = stack.wait_leader()
    leader.process.kill()
    stack.wait_leader(other_than=leader)
    holds(lambda: stack.served()["TCP"].get("80") == forward(stack), 5, "what was set stays")
    assert call(stack)[0] == 200
    stack.node.run("serve", "--tcp=80", "off")
    eventually(lambda: stack.served()["TCP"].get("80") == forward(stack), 40, "and the other one sets it again")
    eventually(lambda: call(stack)[0] == 200, 20, "the Service answers")
    leader.start()
    leader.wait_ready()
    holds(lambda: set(stack.served()["TCP"]) == {"80", "2222"}, 3, "who comes back and does not lead leaves it alone")


def test_a_socket_elsewhere_is_refused(stack):
    stack.cluster.apply(tailscale_gateway(stack, socket="/var/run/tailscaled.sock"))
    eventually(lambda: stack.way().get("reason") == "PathRefused", 20, "it is told")
    eventually(lambda: set(stack.served()["TCP"]) == {"2222"}, 20, "what was asked for before goes")
    stack.cluster.apply(tailscale_gateway(stack))
    eventually(lambda: stack.way().get("reason") == "Serving", 20, "and comes again")


def test_what_is_deleted_goes(stack):
    stack.cluster.kubectl("-n", TEAM, "delete", "tsgw", "corp-gateway")
    eventually(lambda: set(stack.served()["TCP"]) == {"2222"}, 30, "ours goes, the other one stays")
    stack.cluster.apply(tailscale_gateway(stack))
    eventually(lambda: "80" in stack.served()["TCP"], 30, "it comes again")


def test_what_is_deleted_while_nobody_leads_goes(stack):
    """There is no finalizer: who leads next knows it by what is written down beside the sockets."""
    for o in stack.operators:
        o.kill()
    stack.cluster.kubectl("-n", TEAM, "delete", "tsgw", "corp-gateway")
    assert "80" in stack.served()["TCP"]
    for o in stack.operators:
        o.start()
    eventually(lambda: set(stack.served()["TCP"]) == {"2222"}, 60, "ours goes, the other one stays")
