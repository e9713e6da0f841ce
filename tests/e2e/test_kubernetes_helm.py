# SPDX-License-Identifier: Apache-2.0
"""The chart as helm installs, upgrades and uninstalls it. The tests of this file tell one story and run in this order."""

import os
import subprocess

import pytest

from tests.lib import chart
from tests.lib.kube_stack import KubeStack
from tests.lib.stack import ROOT
from tools import peers

CHART = os.path.join(ROOT, "deploy", "helm", "tailscale-gateway")
DEFINITIONS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"


@pytest.fixture(scope="module")
def stack(workdir):
    made = KubeStack("khelm", workdir)
    yield made
    made.close()


@pytest.fixture(scope="module", autouse=True)
def story(stack):
    stack.start_cluster(gateway_api=False)
    for name in (chart.NAMESPACE, chart.GATEWAY_NAMESPACE, "team-a"):
        stack.cluster.create_namespace(name)


def helm(stack, *args, code=0):
    home = {k: stack.cluster.at(f"helm-{k.lower()}") for k in ("HELM_CACHE_HOME", "HELM_CONFIG_HOME", "HELM_DATA_HOME")}
    done = subprocess.run(["nsenter", f"--net={stack.cluster.ns.path}", peers.get("helm"), "--kubeconfig", stack.cluster.at("admin.kubeconfig"),
                           "--namespace", chart.NAMESPACE, *args], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=120,
                          check=False, env={**os.environ, **home})
    assert done.returncode == code, done.stdout + done.stderr
    return done.stdout + done.stderr


def definitions(stack):
    return sorted(c["metadata"]["name"] for c in stack.cluster.get(DEFINITIONS)["items"])


def test_somebody_elses_definition_is_not_overwritten(stack):
    cluster = stack.cluster
    cluster.apply({"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
                   "metadata": {"name": "tailscalegateways.gateway.tailscale.com"},
                   "spec": {"group": "gateway.tailscale.com", "scope": "Namespaced", "names": {"plural": "tailscalegateways", "kind": "TailscaleGateway"},
                            "versions": [{"name": "v9", "served": True, "storage": True, "schema": {"openAPIV3Schema": {"type": "object"}}}]}})
    said = helm(stack, "install", chart.RELEASE, CHART, code=1)
    assert "tailscalegateways.gateway.tailscale.com" in said and "ownership" in said, said
    assert cluster.get(f"{DEFINITIONS}/tailscalegateways.gateway.tailscale.com")["spec"]["versions"][0]["name"] == "v9"
    cluster.api(f"{DEFINITIONS}/tailscalegateways.gateway.tailscale.com", "DELETE")
    helm(stack, "uninstall", chart.RELEASE, "--ignore-not-found")


def test_install(stack):
    said = helm(stack, "install", chart.RELEASE, CHART)
    assert "extensionManager:" in said and "Uninstalling, in this order" in said, said
    stack.cluster.kubectl("wait", "--for=condition=established", "crd", "--all", "--timeout=60s")
    assert len(definitions(stack)) == 4
    stack.cluster.apply({"apiVersion": "gateway.tailscale.com/v1alpha1", "kind": "TailscaleTailnet", "metadata": {"name": "corp", "namespace": "team-a"},
                         "spec": {"credentials": {"secretRef": {"name": "key"}}}})


def test_upgrade(stack):
    helm(stack, "upgrade", chart.RELEASE, CHART, "--set", "operator.replicas=3", "--set", "watchNamespaces={team-a}")
    cluster = stack.cluster
    assert cluster.get(f"/apis/apps/v1/namespaces/{chart.NAMESPACE}/deployments/tailscale-gateway-operator")["spec"]["replicas"] == 3
    roles = "/apis/rbac.authorization.k8s.io/v1"
    assert cluster.get(f"{roles}/namespaces/team-a/roles/tailscale-gateway-operator")
    assert cluster.get(f"{roles}/clusterroles/tailscale-gateway-operator") is None


def test_what_users_wrote_outlives_the_chart(stack):
    helm(stack, "uninstall", chart.RELEASE)
    cluster = stack.cluster
    assert cluster.get(f"/apis/apps/v1/namespaces/{chart.NAMESPACE}/deployments/tailscale-gateway-operator") is None
    assert len(definitions(stack)) == 4
    assert cluster.get("/apis/gateway.tailscale.com/v1alpha1/namespaces/team-a/tailscaletailnets/corp")


def test_installed_anew_it_takes_over_what_was_kept(stack):
    said = helm(stack, "install", chart.RELEASE, CHART)
    assert "STATUS: deployed" in said, said
    assert stack.cluster.get("/apis/gateway.tailscale.com/v1alpha1/namespaces/team-a/tailscaletailnets/corp")
    said = helm(stack, "install", "another", CHART, code=1)
    assert "ownership" in said, said


def test_rollback(stack):
    helm(stack, "upgrade", chart.RELEASE, CHART, "--set", "watchNamespaces={team-a}")
    helm(stack, "rollback", chart.RELEASE)
    roles = "/apis/rbac.authorization.k8s.io/v1"
    assert stack.cluster.get(f"{roles}/clusterroles/tailscale-gateway-operator")
    assert stack.cluster.get(f"{roles}/namespaces/team-a/roles/tailscale-gateway-operator") is None


def test_a_value_that_is_none_changes_nothing(stack):
    before = helm(stack, "history", chart.RELEASE)
    said = helm(stack, "upgrade", chart.RELEASE, CHART, "--set", "operator.replicas=0", code=1)
    assert "replicas" in said, said
    assert helm(stack, "history", chart.RELEASE) == before
