# SPDX-License-Identifier: Apache-2.0
"""The extension server that an operator keeps: three objects on a real API server, whose defaults fill them up.

Nothing runs pods here, and nobody calls. The tests of this file tell one story and run in this order.
"""

import json
import os
import re
import time

import pytest

from tests.lib import chart
from tests.lib.cluster import condition
from tests.lib.kube_program import Replica
from tests.lib.kube_stack import KubeStack
from tests.lib.process import eventually
from tests.lib.stack import ROOT

NAME, TEAM = "tailscale-gateway-extension", "team-a"
KINDS = {"Service": f"/api/v1/namespaces/{chart.NAMESPACE}/services/{NAME}",
         "PodDisruptionBudget": f"/apis/policy/v1/namespaces/{chart.NAMESPACE}/poddisruptionbudgets/{NAME}",
         "Deployment": f"/apis/apps/v1/namespaces/{chart.NAMESPACE}/deployments/{NAME}"}
RESOURCES = ("services", "poddisruptionbudgets", "deployments")
IMAGE, QUIET_SECONDS = "registry.example/tailscale-gateway:1", 8


@pytest.fixture(scope="module")
def stack(workdir):
    made = KubeStack("kext", workdir)
    yield made
    made.close()


@pytest.fixture(scope="module", autouse=True)
def story(stack):
    cluster = stack.start_cluster()
    for name in (chart.NAMESPACE, chart.GATEWAY_NAMESPACE, TEAM):
        cluster.create_namespace(name)
    cluster.apply(*chart.roles("operator"), *chart.roles("extension"))
    operator(stack, "operator-0")


def operator(stack, name):
    return Replica(stack, "operator", name, chart.account("operator"), "--extension-image", IMAGE,
                   "--allowed-images", "registry.example/*").start()


def standing(stack, kind):
    return stack.cluster.get(KINDS[kind])


def all_standing(stack):
    found = {kind: standing(stack, kind) for kind in KINDS}
    return found if all(found.values()) else None


def writes(stack, since):
    return [r for r in stack.cluster.writes(since) if r.resource in RESOURCES and r.name == NAME and "serviceaccount" in r.user]


def settled(stack):
    """Nothing is written for a while; where the audit log was before."""
    mark = stack.cluster.audit_mark()
    time.sleep(QUIET_SECONDS)
    assert not writes(stack, mark), writes(stack, mark)
    return mark


def test_it_is_there_before_the_first_tailscalegateway(stack):
    found = eventually(lambda: all_standing(stack), 60, "the operator made all three")
    spec = found["Deployment"]["spec"]
    pod = spec["template"]["spec"]
    assert spec["replicas"] == 2 and pod["containers"][0]["image"] == IMAGE
    assert pod["serviceAccountName"] == chart.account("extension")
    assert spec["selector"]["matchLabels"] == found["Service"]["spec"]["selector"]
    assert spec["selector"]["matchLabels"] == found["PodDisruptionBudget"]["spec"]["selector"]["matchLabels"]
    assert [p["port"] for p in found["Service"]["spec"]["ports"]] == [5005]


def test_what_the_api_server_fills_up_is_no_change(stack):
    settled(stack)
    assert sorted(r.resource for r in writes(stack, 0)) == sorted(RESOURCES), writes(stack, 0)


def test_its_pods_pass_the_restricted_level(stack):
    stack.cluster.create_namespace("strict", **{"pod-security.kubernetes.io/enforce": "restricted"})
    template = standing(stack, "Deployment")["spec"]["template"]
    stack.cluster.apply({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "one", "namespace": "strict"}, "spec": template["spec"]})


def test_what_an_operator_counts_is_documented(stack):
    """Each metric once, of the type and with the labels that the pages name."""
    documented = {}
    for page in ("metrics.md", "metrics-kubernetes.md"):
        with open(os.path.join(ROOT, "docs", page), encoding="utf-8") as f:
            for name, kind, labels in re.findall(r"^\| `(tailscale_gateway_\w+|process_\w+)` \| (\w+) \| ?([^|]*)\|", f.read(), re.M):
                documented[name] = (kind, sorted(re.findall(r"`(\w+)`", labels)))
    text = stack.replicas[0].get("/metrics").body.decode()
    kinds = re.findall(r"^# TYPE (\w+) (\w+)$", text, re.M)
    assert len(kinds) == len(dict(kinds))
    for name, kind in kinds:
        assert name in documented, f"{name} is on no page"
        assert kind == documented[name][0], name
        samples = re.findall(rf"^{name}(?:_bucket|_sum|_count)?(?:{{(.*)}})? ", text, re.M)
        for labels in samples:
            names = [n for n in re.findall(r'(\w+)="', labels) if n != "le"]
            assert sorted(names) == documented[name][1], f"{name}: {labels}"
        assert len(samples) == len(set(samples)) or kind == "histogram", name
    assert stack.replicas[0].metric("tailscale_gateway_kube_writes_total", verb="apply") >= 3
    assert stack.replicas[0].metric("tailscale_gateway_kube_watch_synced", kind="TailscaleGateway") == 1


def test_what_another_hand_changes_is_put_back(stack):
    stack.cluster.kubectl("scale", "deployment", NAME, "-n", chart.NAMESPACE, "--replicas=0")
    eventually(lambda: standing(stack, "Deployment")["spec"]["replicas"] == 2, 20, "the replicas are two again")
    stack.cluster.merge(KINDS["Service"], {"spec": {"selector": {"app.kubernetes.io/component": "nobody"}}})
    eventually(lambda: standing(stack, "Service")["spec"]["selector"]["app.kubernetes.io/component"] == "extension", 20, "the Service leads there again")
    stack.cluster.kubectl("delete", "poddisruptionbudget", NAME, "-n", chart.NAMESPACE)
    eventually(lambda: standing(stack, "PodDisruptionBudget"), 20, "the PodDisruptionBudget is there again")
    settled(stack)


def test_what_others_add_is_theirs(stack):
    stack.cluster.kubectl("annotate", "deployment", NAME, "-n", chart.NAMESPACE, "example.com/theirs=1")
    patch = [{"op": "add", "path": "/spec/template/spec/containers/-", "value": {"name": "mesh", "image": "registry.example/mesh"}}]
    stack.cluster.kubectl("patch", "deployment", NAME, "-n", chart.NAMESPACE, "--type=json", "-p", json.dumps(patch))
    settled(stack)
    found = standing(stack, "Deployment")
    assert found["metadata"]["annotations"]["example.com/theirs"] == "1"
    assert [c["name"] for c in found["spec"]["template"]["spec"]["containers"]] == ["extension", "mesh"]


def tailscale_gateway(name, **asked):
    return {"apiVersion": "gateway.tailscale.com/v1alpha1", "kind": "TailscaleGateway", "metadata": {"name": name, "namespace": TEAM},
            "spec": {"gatewayRef": {"name": "eg", "namespace": chart.GATEWAY_NAMESPACE}, "extensionServer": asked,
                     "tailnets": [{"name": "corp", "tailscaleTailnetRef": {"name": "corp"}}]}}


def accepted(stack, name):
    return condition(stack.cluster.get(f"/apis/gateway.tailscale.com/v1alpha1/namespaces/{TEAM}/tailscalegateways/{name}"), "Accepted")


def test_the_largest_wish_counts_and_what_is_ignored_is_told(stack):
    stack.cluster.apply(tailscale_gateway("small", replicas=3, resources={"requests": {"memory": "128Mi"}, "limits": {"memory": "64Mi"}}),
                        tailscale_gateway("large", replicas=4, resources={"requests": {"cpu": "0.25"}}, image="evil.example/x"))
    eventually(lambda: standing(stack, "Deployment")["spec"]["replicas"] == 4, 20, "four replicas are wished")
    container = standing(stack, "Deployment")["spec"]["template"]["spec"]["containers"][0]
    assert container["image"] == IMAGE
    assert container["resources"] == {"requests": {"cpu": "250m", "memory": "128Mi"}, "limits": {"memory": "128Mi"}}
    eventually(lambda: accepted(stack, "large").get("reason") == "ExtensionServerIgnored", 20, "the image is told to be ignored")
    assert accepted(stack, "large")["status"] == "True" and "evil.example/x" in accepted(stack, "large")["message"]
    assert accepted(stack, "small")["reason"] != "ExtensionServerIgnored"


def test_an_admitted_image_is_taken(stack):
    stack.cluster.apply(tailscale_gateway("large", image="registry.example/other:2"))
    eventually(lambda: standing(stack, "Deployment")["spec"]["template"]["spec"]["containers"][0]["image"] == "registry.example/other:2", 20,
               "the image is another")
    eventually(lambda: accepted(stack, "large").get("reason") != "ExtensionServerIgnored", 20, "nothing is ignored any more")


def test_another_operator_finds_all_as_it_should_be(stack):
    mark = settled(stack)
    stack.replicas[0].stop()
    operator(stack, "operator-1").wait_ready(60)
    time.sleep(QUIET_SECONDS)
    assert not writes(stack, mark), writes(stack, mark)


def test_it_stays_when_nobody_asks_for_anything(stack):
    for name in ("small", "large"):
        stack.cluster.kubectl("delete", "tailscalegateway", name, "-n", TEAM)
    eventually(lambda: standing(stack, "Deployment")["spec"]["replicas"] == 2, 20, "it is as the operator is set to")
    assert all_standing(stack)
