# SPDX-License-Identifier: Apache-2.0
"""Replicas that watch one API server answer the same requests of Envoy Gateway's with the same bytes, whatever they went through; and the credential
of a tailnet is replaced, taken away and given back while they run. The tailnet is a real one, the requests are recorded ones.

The tests of this file tell one story and run in this order.
"""

import re

import pytest

from tests.lib import chart, hooks
from tests.lib.cluster import condition
from tests.lib.envoy import gateway_class
from tests.lib.kube_program import Replica
from tests.lib.kube_stack import KubeStack
from tests.lib.process import eventually, holds
from tests.lib.stack import headscale_tailnet, secret

GROUP = "gateway.tailscale.com"
TEAM = "demo"  # where the recorded requests have their Gateway
OURS = f"/apis/{GROUP}/v1alpha1/namespaces/{TEAM}"
BINDING = f"{OURS}/tailscalegatewaybindings/gw"
SECRET = f"/api/v1/namespaces/{TEAM}/secrets/corp-key"


@pytest.fixture(scope="module")
def stack(workdir):
    made = KubeStack("kreplica", workdir)
    yield made
    made.close()


@pytest.fixture(scope="module", autouse=True)
def story(stack):
    stack.begin_cluster()
    stack.begin_tailnet([("api-server", ("tag:http-8080",))], proxies=0)
    cluster = stack.start_cluster()
    stack.tailnet.end_start()
    for name in (chart.NAMESPACE, chart.GATEWAY_NAMESPACE, TEAM):
        cluster.create_namespace(name)
    cluster.apply(*chart.roles("operator"), *chart.roles("extension"))
    headscale = stack.tailnet.headscale
    cluster.apply(
        gateway_class(), {"apiVersion": "gateway.networking.k8s.io/v1", "kind": "Gateway", "metadata": {"name": "gw", "namespace": TEAM},
                          "spec": {"gatewayClassName": "eg", "listeners": [{"name": "http", "protocol": "HTTP", "port": 10080}]}},
        secret("corp-key", TEAM, api_key=headscale.api_key),
        headscale_tailnet(headscale.url, stack.tailnet, name="corp", namespace=TEAM, proxyAddresses=["127.0.0.1:3128"]),
        gateway("{service}.tailscale.local"))
    stack.leader = Replica(stack, "run", "run-1", chart.account("operator"), "--allow-insecure-api", "--allowed-proxies", "127.0.0.1").start()
    stack.extensions = [Replica(stack, "extension", f"ex-{i}", chart.account("extension"), "--allowed-proxies", "127.0.0.1").start() for i in (1, 2)]


def gateway(host):
    return {"apiVersion": f"{GROUP}/v1alpha1", "kind": "TailscaleGateway", "metadata": {"name": "corp-gateway", "namespace": TEAM}, "spec": {
        "gatewayRef": {"name": "gw"}, "tailnets": [{"name": "corp", "tailscaleTailnetRef": {"name": "corp"}, "routeGeneration": {
            "egress": {"hostPattern": host, "pathPrefix": "/tailscale/{service}/", "protocol": "HTTP"}}}]}}


def static(name, *addresses):
    return {"apiVersion": f"{GROUP}/v1alpha1", "kind": "TailscaleEndpoints", "metadata": {"name": name, "namespace": TEAM}, "spec": {
        "tailnet": "corp", "endpoints": [{"name": name, "tailscaleIP": a, "port": 8080, "protocol": "HTTP"} for a in addresses]}}


def wanted(stack):
    return (stack.cluster.get(BINDING) or {}).get("spec", {}).get("revision")


def has_all(stack, replica):
    """It holds what the Binding names."""
    return replica.is_ready() and [g["revisionWanted"] for g in replica.state()["gateways"]] == [wanted(stack)]


def answers(stack, *hosts):
    """{recording: the answer}, the same of each replica; among them those hosts."""
    everybody = [stack.leader, *stack.extensions]
    for r in everybody:
        eventually(lambda r=r: has_all(stack, r), 30, f"{r.name} holds {wanted(stack)}")
    binding, found = stack.cluster.get(BINDING), {}
    for name, request in hooks.recorded().items():
        asked = hooks.with_context(request, binding)
        given = {r.name: hooks.call(r, asked) for r in everybody}
        assert len(set(given.values())) == 1, (name, {r: len(b) for r, b in given.items()})
        found[name] = given["run-1"]
    assert len(found) >= 24 and any(all(h.encode() in answer for h in hosts) for answer in found.values()), hosts
    return found


def devices(stack):
    return {e["name"] for s in stack.cluster.get(f"{OURS}/tailscaleendpoints")["items"] for e in s["spec"]["endpoints"]}


def authenticated(stack):
    return condition(stack.cluster.get(f"{OURS}/tailscaletailnets/corp"), "Authenticated")


def says(stack, reason):
    return authenticated(stack).get("reason") == reason


# The same bytes

def test_replicas_answer_alike(stack):
    eventually(lambda: "api-server" in devices(stack), 60, "the device is found")
    first = answers(stack, "api-server.tailscale.local")
    assert answers(stack) == first


def test_they_answer_alike_after_changes(stack):
    """Some of which only one of them was there for."""
    before = answers(stack)
    stack.extensions[1].kill()
    cluster = stack.cluster
    revision = wanted(stack)
    cluster.apply(static("zeta", "100.64.0.77", "100.64.0.76"), static("alpha", "100.64.0.78"))
    cluster.apply(gateway("{service}.other.local"))
    cluster.api(f"{OURS}/tailscaleendpoints/alpha", "DELETE")
    eventually(lambda: wanted(stack) != revision, 30, "another revision is wished")
    stack.extensions[0].wait_ready()
    stack.extensions[1].start()
    eventually(lambda: any(r["host"] == "zeta.other.local" for r in stack.extensions[1].state()["routes"]), 30, "it knows the change")
    after = answers(stack, "api-server.other.local", "zeta.other.local")
    assert after != before


def test_one_that_was_started_again_answers_alike(stack):
    before = answers(stack)
    stack.extensions[0].stop()
    stack.extensions[0].start()
    assert answers(stack) == before
    stack.leader.stop()
    stack.leader.start()
    assert answers(stack) == before


# Secrets

@pytest.fixture(scope="module")
def lives(stack):
    """None of them was started anew while Secrets changed."""
    before = [r.process.pid for r in stack.replicas]
    yield
    assert [r.process.pid for r in stack.replicas] == before and all(r.process.running() for r in stack.replicas)


def new_key(stack):
    return stack.tailnet.headscale.cli("apikeys", "create").strip().splitlines()[-1]


def expire(stack, key):
    """Headscale takes it no more."""
    headscale = stack.tailnet.headscale
    found = re.match(r"hskey-api-(.{12})-|([^.]+)\.", key)  # the prefix may hold dashes
    prefix = found.group(1) or found.group(2)
    headscale.cli("apikeys", "expire", "--prefix", prefix)
    eventually(lambda: headscale.api(key=key).status in (401, 403), 10, "the key is expired")


def write_key(stack, key):
    stack.cluster.apply(secret("corp-key", TEAM, api_key=key))


def failures(stack):
    return stack.leader.metric("tailscale_gateway_tailnet_poll_failures_total")


def is_polled_well(stack):
    """From now on."""
    polls, failed = stack.leader.metric("tailscale_gateway_tailnet_polls_total"), failures(stack)
    eventually(lambda: stack.leader.metric("tailscale_gateway_tailnet_polls_total") > polls + 1, 20, "the tailnet is asked")
    assert failures(stack) == failed


def test_a_key_that_is_replaced_before_it_ends(stack, lives):
    """Nothing fails, nobody starts anew, and a device that joins afterwards is found."""
    headscale, old = stack.tailnet.headscale, stack.tailnet.headscale.api_key
    failed = failures(stack)
    headscale.api_key = new_key(stack)
    write_key(stack, headscale.api_key)
    is_polled_well(stack)
    expire(stack, old)
    stack.tailnet.add_device("api-later", ("tag:http-8080",))
    eventually(lambda: "api-later" in devices(stack), 30, "the new device is found")
    assert says(stack, "Accepted")
    assert failures(stack) == failed
    answers(stack, "api-later.other.local")


def test_a_key_that_ends_first(stack, lives):
    """It is told, what is known stays, and the next key is taken when it comes, not when the next attempt is due."""
    headscale, before = stack.tailnet.headscale, answers(stack)
    expire(stack, headscale.api_key)
    eventually(lambda: says(stack, "Unauthorized"), 30, "it is told")
    holds(lambda: {"api-server", "api-later"} <= devices(stack), 2, "the devices stay", every=0.2)
    headscale.api_key = new_key(stack)
    write_key(stack, headscale.api_key)
    eventually(lambda: says(stack, "Accepted"), 5, "the new key is used")
    assert answers(stack) == before


@pytest.mark.parametrize("gone", ["deleted", "without the key"])
def test_a_secret_that_goes_and_comes_again(stack, lives, gone):
    before = answers(stack)
    if gone == "deleted":
        stack.cluster.api(SECRET, "DELETE")
    else:
        stack.cluster.merge(SECRET, {"data": {"api_key": None, "another": "eA=="}})
    eventually(lambda: says(stack, "CredentialMissing"), 20, "it is told")
    assert "Secret demo/corp-key" in condition(stack.cluster.get(f"{OURS}/tailscaletailnets/corp"), "Synced")["message"]
    holds(lambda: {"api-server", "api-later"} <= devices(stack), 2, "the devices stay", every=0.2)
    write_key(stack, stack.tailnet.headscale.api_key)
    eventually(lambda: says(stack, "Accepted"), 5, "it is used again")
    is_polled_well(stack)
    assert answers(stack) == before


def test_no_key_is_shown(stack):
    for r in stack.replicas:
        assert stack.tailnet.headscale.api_key not in r.process.text()
