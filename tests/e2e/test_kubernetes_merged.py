# SPDX-License-Identifier: Apache-2.0
"""Merged Gateways in Kubernetes: one Envoy for all Gateways of a class, two of them ours and one of somebody else.

The tests of this file tell one story and run in this order.
"""

import pytest

from tests.lib import envoy as lib
from tests.lib import kube_gateway as kube
from tests.lib.cluster import condition
from tests.lib.kube_home import GATEWAY, KubeHome, TEAM
from tests.lib.kube_program import EXTENSION_HOST, extension_service
from tests.lib.process import eventually
from tests.lib.stack import LISTENER_PORT, entry, gateway_resource
from tests.lib.web import EchoServer, Load

CLASS, SECOND, USERS = "eg", "second", "users"
SHARED = "api-server.second.test"


def gateway(name, hostname):
    admitted = {"namespaces": {"from": "All"}}
    return {"apiVersion": "gateway.networking.k8s.io/v1", "kind": "Gateway", "metadata": {"name": name, "namespace": kube.NAMESPACE},
            "spec": {"gatewayClassName": CLASS, "listeners": [
                {"name": "http", "protocol": "HTTP", "port": 80, "hostname": hostname, "allowedRoutes": admitted}]}}


def merged_class():
    proxy, made = lib.merged_class()
    proxy["metadata"]["namespace"] = made["spec"]["parametersRef"]["namespace"] = kube.NAMESPACE
    proxy["spec"] = {"mergeGateways": True}
    return proxy, made


class Merged(KubeHome):
    def start_peers(self):
        self.cluster.apply(*merged_class(), gateway(SECOND, "*.second.test"), gateway(USERS, "*.users.test"),
                           kube.service("web", kube.NAMESPACE, 3000), kube.endpoint_slice("web", kube.NAMESPACE, [self.network.HUB], 3000),
                           kube.service_route("web", kube.NAMESPACE, ["www.users.test"], "web", 3000, parent=USERS))
        self.others.append(EchoServer(self.network.hub, "pod", port=3000, address=self.network.HUB))
        for e in self.extensions:
            e.wait_ready()
        self.make_kube_eg(service=extension_service(), hosts={EXTENSION_HOST: [self.extensions[0].address]}).start()
        for name in (GATEWAY, SECOND, USERS):
            eventually(lambda n=name: self.eg.is_accepted(n, kube.NAMESPACE), 60, f"Gateway {name} is accepted")
            self.eg.provide_proxy(name, kube.NAMESPACE, self.network.HUB, merged=CLASS)
        self.start_envoy(cluster=CLASS)
        return self

    def apply_ours(self, one="{service}.first.test", **two):
        """TailscaleGateways one, of the plan's Gateway, and two, of the second; `one` is a hostPattern."""
        for name, of, pattern, more in (("one", GATEWAY, one, {}), ("two", SECOND, "{service}.second.test", two)):
            egress = {"hostPattern": pattern, "pathPrefix": "/"}
            self.cluster.apply(gateway_resource(name, TEAM, of, kube.NAMESPACE, [entry(egress=egress)], section="http", **more))


@pytest.fixture(scope="module")
def stack(workdir):
    made = Merged("kmerged", workdir)
    yield made
    made.close()


@pytest.fixture(scope="module", autouse=True)
def story(stack):
    stack.start([("api-server", ("tag:http-8080",))], operators=1, extensions=1)
    stack.apply_tailnets()
    stack.apply_ours()


def is_programmed(stack, name):
    obj = stack.object("tailscalegateways", name)
    c = condition(obj, "Programmed")
    return c.get("status") == "True" and c.get("observedGeneration") == obj["metadata"]["generation"]


def served(stack, name):
    """What the replica says that it served for a Gateway, and what was wished."""
    binding = stack.binding(name)
    told = [v for k, v in binding["metadata"].get("annotations", {}).items() if k.startswith("served.gateway.tailscale.com/")]
    return told, binding["spec"]["revision"]


def test_both_are_programmed_and_answer(stack):
    stack.wait_for("api-server.first.test", seconds=90, device="api-server")
    stack.wait_for(SHARED, seconds=60, device="api-server")
    assert stack.ask("www.users.test").json()["device"] == "pod"
    for name in ("one", "two"):
        eventually(lambda n=name: is_programmed(stack, n), 30, f"{name} is programmed")
    for name in (GATEWAY, SECOND):
        told, wanted = served(stack, name)
        assert told == [wanted], (told, wanted)
    assert served(stack, GATEWAY)[1] != served(stack, SECOND)[1]
    assert stack.binding(USERS) is None


def test_a_host_that_both_want(stack):
    """Of one namespace the older has it, whatever its name; who has the higher priority comes before it."""
    def losers():
        rows = stack.extensions[0].state()["routes"]
        return {r["gateway"] for r in rows if r["host"] == SHARED and r["reason"] == "Conflicted" and not r["programmed"]}
    with Load(stack.network.hub, LISTENER_PORT, SHARED) as load:
        stack.apply_ours("{service}.second.test")
        eventually(lambda: losers() == {"two"}, 30, "the younger is told")
        stack.apply_ours("{service}.second.test", priority=5)
        eventually(lambda: losers() == {"one"}, 30, "the one of lower priority is told")
    assert not load.failures(), load.failures()[:5]
    stack.apply_ours()
    eventually(lambda: not losers(), 30, "each has its own again")
    stack.wait_for("api-server.first.test", device="api-server")


def test_one_goes_and_the_other_goes_on(stack):
    with Load(stack.network.hub, LISTENER_PORT, "api-server.first.test") as ours, \
         Load(stack.network.hub, LISTENER_PORT, "www.users.test") as users:
        stack.cluster.kubectl("-n", TEAM, "delete", "tsgw", "two")
        eventually(lambda: stack.ask(SHARED).status == 404, 30, "its host is gone")
        eventually(lambda: stack.binding(SECOND) is None, 30, "its Binding is gone")
        stack.apply_ours()
        stack.wait_for(SHARED, device="api-server")
        stack.cluster.kubectl("-n", kube.NAMESPACE, "delete", "gateway", SECOND)
        eventually(lambda: stack.ask(SHARED).status == 404, 30, "its Gateway is gone, and its host")
    for load in (ours, users):
        assert not load.failures(), load.failures()[:5]


def test_a_listener_that_is_not_served(stack):
    """A younger Gateway with the port and hostname of an older one: Envoy Gateway says that its listener is in conflict."""
    rival = gateway("rival", None)
    del rival["spec"]["listeners"][0]["hostname"]
    egress = {"hostPattern": "{service}.rival.test", "pathPrefix": "/"}
    stack.cluster.apply(rival, gateway_resource("three", TEAM, "rival", kube.NAMESPACE, [entry(egress=egress)], section="http"))
    def told():
        conditions = (stack.object("tailscalegateways", "three").get("status") or {}).get("conditions") or []
        return next((c for c in conditions if c["reason"] == "NoMatchingListener"), None)
    said = eventually(told, 30, "it is told")
    assert said["status"] == "False" and "does not serve listener http (Conflicted)" in said["message"], said
    eventually(lambda: stack.ask("api-server.rival.test").status == 404, 10, "it has nothing in the other one's listener")
    assert stack.ask("api-server.first.test").status == 200


def test_nothing_was_refused(stack):
    assert stack.eg.metric("xds_nack_total") == 0
    assert stack.envoys[0].stat(r".*update_rejected") == 0
