# SPDX-License-Identifier: Apache-2.0
"""The chart's roles are exact: an operator and an extension server do all that they do with them, nothing is refused, and what a rule gives is
used. So the loss of any rule is a request that is refused, which the first of these tests, and those of test_kubernetes.py, would tell.

The tailnet is a file below --local-sources-dir, and what lies outside it is refused. The tests of this file tell one story and run in this order.
"""

import json
import os

import pytest

from tests.lib import chart
from tests.lib.cluster import condition
from tests.lib.envoy import gateway_class
from tests.lib.kube_program import Replica
from tests.lib.kube_stack import KubeStack
from tests.lib.process import eventually

GROUP = "gateway.tailscale.com"
TEAM = "team-a"
OURS = f"/apis/{GROUP}/v1alpha1/namespaces/{TEAM}"
# (verb, resource) that this story has no cause for, and who has.
ELSEWHERE = {
    ("list", "*"): "where a server does not stream lists, or the stream fails three times: kube_watch_test",
    ("patch", "events"): "an Event that happens again: kube_events_test",
    ("patch", "secrets"): "certificates that are renewed: test_kubernetes.py",
}
# By the hooks of Envoy Gateway, which this story does without: test_kubernetes.py.
BY_HOOKS = {("extension", "patch", "tailscalegatewaybindings"), ("operator", "delete", "tailscalegatewaybindings")}


@pytest.fixture(scope="module")
def stack(workdir):
    made = KubeStack("kroles", workdir)
    yield made
    made.close()


@pytest.fixture(scope="module")
def sources(workdir):
    path = os.path.join(workdir, "sources")
    os.makedirs(path)
    return path


def device(i, name):
    return {"nodeId": f"n{i}", "name": f"{name}.corp.ts.net", "addresses": [f"100.64.0.{i}"], "authorized": True, "tags": ["tag:http-8080"]}


def write_devices(path, *names):
    hidden = path + ".part"
    with open(hidden, "w", encoding="utf-8") as f:
        json.dump({"devices": [device(i + 1, name) for i, name in enumerate(names)]}, f)
    os.rename(hidden, path)


def tailnet(name, path):
    return {"apiVersion": f"{GROUP}/v1alpha1", "kind": "TailscaleTailnet", "metadata": {"name": name, "namespace": TEAM},
            "spec": {"file": {"path": path}, "proxyAddresses": ["127.0.0.1:3128"], "pollInterval": "1s",
                     "removalGuard": {"maxPercent": 100, "fromEndpoints": 100, "confirmations": 1}}}


def gateway(name, tailnet_name, **connectivity):
    return {"apiVersion": f"{GROUP}/v1alpha1", "kind": "TailscaleGateway", "metadata": {"name": name, "namespace": TEAM},
            "spec": {"gatewayRef": {"name": "gw"}, "tailnets": [{
                "name": tailnet_name, "tailscaleTailnetRef": {"name": tailnet_name}, **({"connectivity": connectivity} if connectivity else {})}]}}


@pytest.fixture(scope="module", autouse=True)
def story(stack, sources):
    stack.start_cluster()
    cluster = stack.cluster
    for name in (chart.NAMESPACE, chart.GATEWAY_NAMESPACE, TEAM):
        cluster.create_namespace(name)
    cluster.apply(*chart.roles("operator"), *chart.roles("extension"))
    write_devices(os.path.join(sources, "corp.json"), "api", "web")
    write_devices(os.path.join(os.path.dirname(sources), "outside.json"), "secret")
    os.symlink("../outside.json", os.path.join(sources, "link.json"))
    listener = {"name": "http", "protocol": "HTTP", "port": 80}
    cluster.apply(
        gateway_class(), {"apiVersion": "gateway.networking.k8s.io/v1", "kind": "Gateway", "metadata": {"name": "gw", "namespace": TEAM},
                          "spec": {"gatewayClassName": "eg", "listeners": [listener]}},
        {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "key", "namespace": TEAM}, "stringData": {"api_key": "k"}},
        tailnet("corp", os.path.join(sources, "corp.json")), gateway("corp-gateway", "corp"))
    same = ["--allowed-proxies", "127.0.0.1", "--local-sources-dir", sources]
    stack.operator = Replica(stack, "operator", "op-1", chart.account("operator"), "--extension-image", "tailscale-gateway:test", *same).start()
    stack.extension = Replica(stack, "extension", "ex-1", chart.account("extension"), *same).start()


def status(stack, plural, name):
    return stack.cluster.get(f"{OURS}/{plural}/{name}")


def names_of(stack):
    shards = stack.cluster.get(f"{OURS}/tailscaleendpoints")["items"]
    return sorted(e["name"] for s in shards if s["metadata"]["name"].startswith("corp-gateway-") for e in s["spec"].get("endpoints", []))


def test_all_is_done(stack, sources):
    cluster = stack.cluster
    eventually(lambda: names_of(stack) == ["api", "web"], 60, "what the file holds is found")
    eventually(lambda: stack.extension.is_ready(), 60, "the extension server knows all")
    eventually(lambda: cluster.get(f"{OURS}/tailscalegatewaybindings/gw"), 30, "there is a Binding")
    for path in ("apis/apps/v1/namespaces/{}/deployments/tailscale-gateway-extension", "api/v1/namespaces/{}/services/tailscale-gateway-extension",
                 "apis/policy/v1/namespaces/{}/poddisruptionbudgets/tailscale-gateway-extension", "api/v1/namespaces/{}/secrets/tailscale-gateway-ca"):
        eventually(lambda p=path: cluster.get("/" + p.format(chart.NAMESPACE)), 30, path)
    eventually(lambda: cluster.get(f"/api/v1/namespaces/{chart.GATEWAY_NAMESPACE}/secrets/tailscale-gateway-extension-client"), 30,
               "Envoy Gateway's certificate")
    write_devices(os.path.join(sources, "corp.json"), "api")
    eventually(lambda: names_of(stack) == ["api"], 60, "what left the file is gone")


def test_what_the_cluster_does_not_permit(stack, sources):
    """A path outside, a link that leads outside, an environment variable, plain http, an address of the cluster, a proxy of the cluster."""
    cluster = stack.cluster
    cases = {"outside": ({"file": {"path": os.path.join(os.path.dirname(sources), "outside.json")}}, "PathRefused"),
             "dots": ({"file": {"path": f"{sources}/../outside.json"}}, "PathRefused"),
             "link": ({"file": {"path": os.path.join(sources, "link.json")}}, "PathRefused"),
             "env": ({"credentials": {"env": "PATH"}}, "EnvRefused"),
             "plain": ({"apiURL": "http://127.0.0.1:1", "credentials": {"secretRef": {"name": "key"}}}, "InsecureAPI")}
    for name, (spec, _) in cases.items():
        cluster.apply({"apiVersion": f"{GROUP}/v1alpha1", "kind": "TailscaleTailnet", "metadata": {"name": name, "namespace": TEAM}, "spec": spec})
    for name, (_, reason) in cases.items():
        eventually(lambda n=name, r=reason: condition(status(stack, "tailscaletailnets", n), "Accepted").get("reason") == r, 30, f"{name}: {reason}")
    cluster.apply(gateway("cluster-proxy", "corp", proxyAddresses=["10.96.0.1:443"]),
                  gateway("wide", "corp", allowedCIDRs=["10.96.0.0/16"]),
                  {"apiVersion": f"{GROUP}/v1alpha1", "kind": "TailscaleEndpoints", "metadata": {"name": "static", "namespace": TEAM},
                   "spec": {"tailnet": "corp", "endpoints": [{"name": "kubernetes", "tailscaleIP": "10.96.0.1", "port": 443, "protocol": "HTTPS"}]}})
    refused = eventually(lambda: condition(status(stack, "tailscalegateways", "cluster-proxy"), "Accepted") or None, 30, "it was looked at")
    assert refused["reason"] == "ProxyRefused" and "proxy 10.96.0.1:443 is not within" in refused["message"], refused
    left_out = eventually(lambda: [x for e in stack.operator.state()["entries"] if e["gateway"] == "wide" for x in e["leftOut"]] or None, 30,
                          "the static endpoint is left out")
    assert [(x["name"], x["reason"]) for x in left_out] == [("kubernetes", "AddressRefused")], left_out
    assert "--allowed-cidrs" in left_out[0]["text"]
    assert not [r for r in stack.extension.state()["routes"] if r["service"] == "kubernetes"]


def test_what_is_deleted_goes(stack):
    for name in ("cluster-proxy", "wide", "corp-gateway"):
        stack.cluster.api(f"{OURS}/tailscalegateways/{name}", "DELETE")
    eventually(lambda: names_of(stack) == [], 60, "its endpoints went")


def of(request):
    """(component, verb, resource)"""
    return request.user.rsplit(":", 1)[-1].removeprefix(f"{chart.RELEASE}-"), request.verb, request.kind


def requests(stack):
    prefix = f"system:serviceaccount:{chart.NAMESPACE}:"
    return [r for r in stack.cluster.audit(stage=None) if r.user.startswith(prefix)]


def test_nothing_is_refused(stack):
    refused = {of(r) for r in requests(stack) if r.code in (401, 403)}
    assert not refused


def test_each_rule_is_used(stack):
    used = {of(r) for r in requests(stack) if 0 < r.code < 300 or r.code == 404}
    # Server-side apply of what is not there asks for both.
    used |= {(who, "create", kind) for who, verb, kind in (of(r) for r in requests(stack) if r.code == 201) if verb == "patch"}
    idle = []
    for component in ("operator", "extension"):
        for role, _, rule in chart.rules(component):
            for kind in rule["resources"]:
                for verb in rule["verbs"]:
                    if not ({(verb, kind), (verb, "*")} & set(ELSEWHERE) or (component, verb, kind) in BY_HOOKS or (component, verb, kind) in used):
                        idle.append(f"{role}: {verb} {kind}")
    assert not idle, "\n".join(idle)


def test_both_end_well(stack):
    stack.operator.stop()
    stack.extension.stop()
