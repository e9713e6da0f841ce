# SPDX-License-Identifier: Apache-2.0
"""Two namespaces and nothing of the cluster: an operator and an extension server with the Roles that the chart makes for `watchNamespaces` and
`secretNames`. The tests of this file tell one story and run in this order."""

import json
import os

import pytest

from tests.lib import chart
from tests.lib.cluster import condition
from tests.lib.envoy import gateway_class
from tests.lib.kube_program import Replica
from tests.lib.kube_stack import KubeStack
from tests.lib.process import eventually

CASE, TEAM, OTHER = "namespaces", "team-a", "team-b"
GROUP = "gateway.tailscale.com"


@pytest.fixture(scope="module")
def stack(workdir):
    made = KubeStack("knames", workdir)
    yield made
    made.close()


def at(namespace, plural, name=""):
    return f"/apis/{GROUP}/v1alpha1/namespaces/{namespace}/{plural}" + (f"/{name}" if name else "")


def ours(kind, namespace, name, spec):
    return {"apiVersion": f"{GROUP}/v1alpha1", "kind": kind, "metadata": {"name": name, "namespace": namespace}, "spec": spec}


@pytest.fixture(scope="module", autouse=True)
def story(stack, workdir):
    stack.start_cluster()
    cluster = stack.cluster
    for name in (chart.NAMESPACE, chart.GATEWAY_NAMESPACE, TEAM, OTHER):
        cluster.create_namespace(name)
    cluster.apply(*chart.roles("operator", CASE), *chart.roles("extension", CASE))
    device = {"nodeId": "n1", "name": "api.corp.ts.net", "addresses": ["100.64.0.1"], "authorized": True, "tags": ["tag:http-8080"]}
    with open(os.path.join(workdir, "corp.json"), "w", encoding="utf-8") as f:
        json.dump({"devices": [device]}, f)
    cluster.apply(gateway_class())
    for namespace in (TEAM, OTHER):
        spec = {"gatewayClassName": "eg", "listeners": [{"name": "http", "protocol": "HTTP", "port": 80}]}
        cluster.apply(
            {"apiVersion": "gateway.networking.k8s.io/v1", "kind": "Gateway", "metadata": {"name": "gw", "namespace": namespace}, "spec": spec},
            ours("TailscaleTailnet", namespace, "corp", {"file": {"path": os.path.join(workdir, "corp.json")}, "proxyAddresses": ["127.0.0.1:3128"]}),
            ours("TailscaleGateway", namespace, "gateway", {"gatewayRef": {"name": "gw"}, "tailnets": [
                {"name": "corp", "tailscaleTailnetRef": {"name": "corp"}}]}))
    for name in ("corp-oauth", "another"):
        cluster.apply({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name, "namespace": TEAM}, "stringData": {"api_key": "k"}},
                      ours("TailscaleTailnet", TEAM, name, {"apiURL": "https://127.0.0.1:1", "credentials": {"secretRef": {"name": name}}}))
    args = [a for d in chart.manifests("operator", ["Deployment"], CASE) for a in d["spec"]["template"]["spec"]["containers"][0]["args"]]
    same = ["--local-sources-dir", workdir, *(a for a in args if a.startswith(("--watch-namespaces", "--allowed-proxies")))]
    stack.operator = Replica(stack, "operator", "op-1", chart.account("operator"), *same).start()
    stack.extension = Replica(stack, "extension", "ex-1", chart.account("extension"), *same).start()


def test_what_is_watched_is_served(stack):
    cluster = stack.cluster
    eventually(lambda: cluster.get(at(TEAM, "tailscaleendpoints"))["items"], 60, "endpoints are found")
    eventually(lambda: cluster.get(at(TEAM, "tailscalegatewaybindings", "gw")), 30, "there is a Binding")
    eventually(lambda: condition(cluster.get(at(TEAM, "tailscalegateways", "gateway")), "Accepted").get("status") == "True", 30, "it is accepted")
    eventually(stack.extension.is_ready, 60, "the extension server knows all")


def test_a_secret_of_another_name_is_not_read(stack):
    """And whoever wrote the TailscaleTailnet is told."""
    cluster = stack.cluster
    told = eventually(lambda: [c for c in (cluster.get(at(TEAM, "tailscaletailnets", "another")).get("status") or {}).get("conditions", [])
                               if c["status"] == "False"] or None, 30, "it is told")
    assert any("secret" in c["message"].lower() for c in told), told
    reached = [c for c in cluster.get(at(TEAM, "tailscaletailnets", "corp-oauth"))["status"]["conditions"] if c["status"] == "False"]
    assert all("secret" not in c["message"].lower() for c in reached), reached


def test_what_is_not_watched_is_left_alone(stack):
    cluster = stack.cluster
    assert cluster.get(at(OTHER, "tailscaleendpoints"))["items"] == [] and cluster.get(at(OTHER, "tailscalegatewaybindings"))["items"] == []
    assert not (cluster.get(at(OTHER, "tailscalegateways", "gateway")).get("status") or {}).get("conditions")


def test_nothing_else_is_refused(stack):
    """Namespaces are of the cluster: no Role gives them, and they are done without."""
    prefix = f"system:serviceaccount:{chart.NAMESPACE}:"
    refused = {(r.kind, r.name) for r in stack.cluster.audit(stage=None) if r.user.startswith(prefix) and r.code == 403}
    assert refused <= {("namespaces", ""), ("secrets", "another")}, refused


def test_both_end_well(stack):
    stack.operator.stop()
    stack.extension.stop()
