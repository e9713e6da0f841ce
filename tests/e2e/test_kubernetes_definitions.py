# SPDX-License-Identifier: Apache-2.0
"""Definitions that are older or newer than the program: what cannot be written is told as what it is, all else goes on, and an update of the
definitions mends it. The tailnet is a file. The tests of this file tell one story and run in this order.
"""

import copy
import json
import os
import subprocess

import pytest
import yaml

from tests.lib import chart
from tests.lib.cluster import condition
from tests.lib.envoy import gateway_class
from tests.lib.kube_gateway import install_crds
from tests.lib.kube_program import Replica
from tests.lib.kube_stack import KubeStack
from tests.lib.process import eventually, holds
from tests.lib.stack import SANITIZER_ENV, program

GROUP, NS = "gateway.tailscale.com", "team"
DEFINITIONS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
ENDPOINTS = f"/apis/{GROUP}/v1alpha1/namespaces/{NS}/tailscaleendpoints"


def definitions():
    found = {}
    for path in chart.crds():
        with open(path, encoding="utf-8") as f:
            crd = yaml.safe_load(f)
        found[crd["spec"]["names"]["plural"]] = crd
    return found


def properties(crd, *path):
    at = crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    for name in path:
        at = at["items"] if name == "[]" else at["properties"][name]
    return at["properties"]


def of_version(crd, version):
    crd = copy.deepcopy(crd)
    crd["metadata"]["annotations"][f"{GROUP}/bundle-version"] = version
    return crd


def older():
    """As if two fields that the operator writes had come later: one of a spec, one of a status."""
    found = {plural: of_version(crd, "0.0.9") for plural, crd in definitions().items()}
    del properties(found["tailscaleendpoints"], "spec", "endpoints", "[]")["nodeID"]
    del properties(found["tailscaletailnets"], "status")["devices"]
    return found


def newer():
    found = {plural: of_version(crd, "9.0.0") for plural, crd in definitions().items()}
    properties(found["tailscalegateways"], "spec")["future"] = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    properties(found["tailscaleendpoints"], "status")["future"] = {"type": "string"}
    return found


def install(cluster, crds):
    cluster.apply(*crds.values())
    cluster.kubectl("wait", "--for=condition=established", "crd", "--all", "--timeout=60s")


@pytest.fixture(scope="module")
def stack(workdir):
    made = KubeStack("kdefs", workdir)
    yield made
    made.close()


@pytest.fixture(scope="module", autouse=True)
def story(stack):
    cluster = stack.start_cluster(gateway_api=False)
    install_crds(cluster)
    install(cluster, older())
    for name in (chart.NAMESPACE, chart.GATEWAY_NAMESPACE, NS):
        cluster.create_namespace(name)
    path = os.path.join(stack.workdir, "devices.json")
    with open(path, "w", encoding="utf-8") as f:
        json.dump({"devices": [{"nodeId": "n1", "name": "api.corp.ts.net", "addresses": ["100.64.0.1"], "authorized": True,
                                "tags": ["tag:http-8080"]}]}, f)
    cluster.apply(*chart.roles("operator"), gateway_class(),
                  {"apiVersion": "gateway.networking.k8s.io/v1", "kind": "Gateway", "metadata": {"name": "gw", "namespace": NS},
                   "spec": {"gatewayClassName": "eg", "listeners": [{"name": "http", "protocol": "HTTP", "port": 80}]}},
                  {"apiVersion": f"{GROUP}/v1alpha1", "kind": "TailscaleTailnet", "metadata": {"name": "corp", "namespace": NS},
                   "spec": {"file": {"path": path}, "pollInterval": "1s"}},
                  gateway("gw"))
    stack.since = cluster.audit_mark()
    stack.operator = Replica(stack, "operator", "op-1", chart.account("operator"), "--local-sources-dir", stack.workdir).start()


def gateway(name, **more):
    return {"apiVersion": f"{GROUP}/v1alpha1", "kind": "TailscaleGateway", "metadata": {"name": name, "namespace": NS},
            "spec": {"gatewayRef": {"name": "gw"}, "tailnets": [
                {"name": "corp", "tailscaleTailnetRef": {"name": "corp"}, "connectivity": {"mode": "Direct"}}], **more}}


def check(stack):
    """{plural: (result, what was found)} of the definitions."""
    done = subprocess.run(["nsenter", f"--net={stack.cluster.ns.path}", program(), "check", "--kubeconfig", stack.cluster.at("admin.kubeconfig"),
                           "--namespace", chart.NAMESPACE, "-o", "json"], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60,
                          check=False, env=SANITIZER_ENV)
    rows = json.loads(done.stdout)["checks"]
    return {r["check"].split()[-1]: (r["result"], r["found"]) for r in rows if r["check"].startswith("CustomResourceDefinition")}


def outdated(stack):
    return stack.operator.metric("tailscale_gateway_kube_definitions_outdated")


def endpoints(stack):
    return stack.cluster.get(ENDPOINTS)["items"]


def log(stack):
    with open(stack.operator.process.log, encoding="utf-8") as f:
        return f.read()


def test_an_older_definition_is_told(stack):
    eventually(lambda: outdated(stack) == 2, 60, "two definitions are too old")
    said = log(stack)
    for definition, field in (("tailscaleendpoints", "spec.endpoints[].nodeID"), ("tailscaletailnets", "status.devices")):
        lines = [line for line in said.splitlines() if f"{definition}.{GROUP}" in line and field in line]
        assert len(lines) == 1 and "older than this program" in lines[0] and "deploy/crds" in lines[0], lines
    assert not endpoints(stack)


def test_check_says_what_lacks(stack):
    found = check(stack)
    assert found["tailscaleendpoints"][0] == "wrong" and "spec.endpoints[].nodeID" in found["tailscaleendpoints"][1], found
    assert found["tailscaletailnets"][0] == "wrong" and "status.devices" in found["tailscaletailnets"][1], found
    assert found["tailscalegateways"][0] == "warning" and "0.0.9" in found["tailscalegateways"][1], found


def test_all_else_goes_on(stack):
    """What the definitions know is written, and nothing of the rest is asked often."""
    path = f"/apis/{GROUP}/v1alpha1/namespaces/{NS}/tailscalegateways/gw"
    eventually(lambda: condition(stack.cluster.get(path), "Accepted").get("status") == "True", 30, "the gateway has its status")
    mark = stack.cluster.audit_mark()
    holds(lambda: stack.operator.process.check() and stack.operator.is_ready(), 20, "it runs", every=1)
    refused = [r for r in stack.cluster.audit(mark, chart.account("operator"), ("patch",)) if r.code == 500]
    assert len(refused) <= 4, refused  # two objects, each every 15 to 30 s
    lines = [line for line in log(stack).splitlines() if "older than this program" in line]
    assert len(lines) == 2, lines


def test_an_update_mends_it(stack):
    install(stack.cluster, definitions())
    eventually(lambda: endpoints(stack) and outdated(stack) == 0, 45, "what was owed is written")
    assert endpoints(stack)[0]["spec"]["endpoints"][0]["nodeID"] == "n1"
    tailnet = f"/apis/{GROUP}/v1alpha1/namespaces/{NS}/tailscaletailnets/corp"
    eventually(lambda: (stack.cluster.get(tailnet).get("status") or {}).get("devices") == 1, 45, "its status, too")
    assert {r for r, _ in check(stack).values()} == {"ok"}


def test_newer_definitions_are_welcome(stack):
    install(stack.cluster, newer())
    found = check(stack)
    assert {r for r, _ in found.values()} == {"ok"}, found
    stack.cluster.apply(gateway("future", priority=1, future={"anything": 1}))
    path = f"/apis/{GROUP}/v1alpha1/namespaces/{NS}/tailscalegateways/future"
    eventually(lambda: condition(stack.cluster.get(path), "Accepted"), 30, "it is looked at")
    said = condition(stack.cluster.get(path), "Accepted")
    # What is not known is told as a misspelt field is; nothing else suffers by it.
    assert (said["status"], said["reason"]) == ("False", "Invalid") and "unknown field future" in said["message"], said
    assert outdated(stack) == 0


def test_a_clean_end(stack):
    stack.operator.stop()
