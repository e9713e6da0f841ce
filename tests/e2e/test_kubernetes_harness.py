# SPDX-License-Identifier: Apache-2.0
"""The cluster of the tests without our program: the API server, Envoy Gateway on it, and an Envoy that answers.

The tests of this file tell one story and run in this order.
"""

import pytest

from tests.lib import envoy as lib
from tests.lib import kube_gateway as kube
from tests.lib.cluster import condition
from tests.lib.kube_stack import KubeStack
from tests.lib.process import eventually
from tests.lib.web import EchoServer


@pytest.fixture(scope="module")
def stack(workdir):
    made = KubeStack("kharness", workdir)
    yield made
    made.close()


@pytest.fixture(scope="module", autouse=True)
def story(stack):
    stack.start_cluster(controllers=True)


def crds(stack):
    return {c["metadata"]["name"]: c for c in stack.cluster.get("/apis/apiextensions.k8s.io/v1/customresourcedefinitions")["items"]}


def test_crds_are_established(stack):
    found = crds(stack)
    assert {"gateways.gateway.networking.k8s.io", "httproutes.gateway.networking.k8s.io", "backends.gateway.envoyproxy.io"} <= set(found)
    assert all(condition(c, "Established").get("status") == "True" for c in found.values())


def test_identities(stack):
    """Who has no role may do nothing, and the audit log says who asked what."""
    cluster = stack.cluster
    mark = cluster.audit_mark()
    nobody = cluster.kubeconfig_for("nobody", ["guests"])
    assert "forbidden" in cluster.kubectl("get", "secrets", kubeconfig=nobody, code=1).lower()
    account = cluster.kubeconfig_of_account("reader")
    group = "rbac.authorization.k8s.io"
    cluster.apply({"apiVersion": f"{group}/v1", "kind": "Role", "metadata": {"name": "reader", "namespace": "default"},
                   "rules": [{"apiGroups": [""], "resources": ["services"], "verbs": ["list"]}]},
                  {"apiVersion": f"{group}/v1", "kind": "RoleBinding", "metadata": {"name": "reader", "namespace": "default"},
                   "roleRef": {"apiGroup": group, "kind": "Role", "name": "reader"},
                   "subjects": [{"kind": "ServiceAccount", "name": "reader", "namespace": "default"}]})
    assert "kubernetes" in cluster.kubectl("get", "services", kubeconfig=account)
    assert "forbidden" in cluster.kubectl("get", "secrets", kubeconfig=account, code=1).lower()
    assert cluster.api("/api/v1/services", token="wrong").status == 401
    seen = {(r.user, r.verb, r.kind, r.code) for r in cluster.audit(mark)}
    assert {("nobody", "list", "secrets", 403), ("system:serviceaccount:default:reader", "list", "services", 200),
            ("system:serviceaccount:default:reader", "list", "secrets", 403)} <= seen, seen


def test_what_is_owned_goes_with_its_owner(stack):
    cluster = stack.cluster
    cluster.create_namespace("passing")
    owner = cluster.api("/api/v1/namespaces/passing/configmaps", "POST", {"metadata": {"name": "owner"}}).json()
    ref = {"apiVersion": "v1", "kind": "ConfigMap", "name": "owner", "uid": owner["metadata"]["uid"]}
    assert cluster.api("/api/v1/namespaces/passing/configmaps", "POST", {"metadata": {"name": "owned", "ownerReferences": [ref]}}).status == 201
    cluster.api("/api/v1/namespaces/passing/configmaps/owner", "DELETE")
    eventually(lambda: cluster.get("/api/v1/namespaces/passing/configmaps/owned") is None, 60, "what is owned is collected")
    cluster.api("/api/v1/namespaces/passing", "DELETE")
    eventually(lambda: cluster.get("/api/v1/namespaces/passing") is None, 60, "the namespace ends")


def test_envoy_gateway_translates(stack):
    cluster, hub = stack.cluster, stack.network.hub
    stack.make_kube_eg().start()
    cluster.create_namespace("demo")
    stack.others.append(EchoServer(hub, "pod", port=3000, address=stack.network.HUB))
    cluster.apply(lib.gateway_class(), lib.gateway(listeners=[{"name": "http", "protocol": "HTTP", "port": 80}]),
                  kube.service("web", "demo", 3000), kube.endpoint_slice("web", "demo", [stack.network.HUB], 3000),
                  kube.service_route("web", "demo", ["www.example.com"], "web", 3000))
    eventually(lambda: stack.eg.is_accepted("gw", "demo"), 60, "the Gateway is accepted")
    stack.eg.provide_proxy("gw", "demo", stack.network.HUB)


def test_envoy_answers_by_an_endpoint_slice(stack, figure):
    stack.start_envoy()
    answer = stack.wait_for("www.example.com", "/a?b=c")
    assert (answer.json()["device"], answer.json()["path"], answer.json()["query"]) == ("pod", "/a", "b=c")
    assert stack.ask("other.example.com").status == 404
    route = stack.cluster.get("/apis/gateway.networking.k8s.io/v1/namespaces/demo/httproutes/web")
    assert condition(None, "Accepted", route["status"]["parents"][0]["conditions"])["status"] == "True"


def test_envoy_gateway_needs_nothing_beyond_its_chart(stack):
    denied = stack.cluster.denied(user=kube.ACCOUNT)
    assert not denied, denied[:5]


def test_traffic_goes_on_while_the_api_server_is_away(stack):
    cluster = stack.cluster
    revision = cluster.revision()
    cluster.kill()
    assert stack.ask("www.example.com").status == 200
    cluster.restart(compacted=True)
    assert cluster.revision() >= revision and cluster.get("/api/v1/namespaces/demo")
    assert stack.ask("www.example.com").status == 200
    cluster.pause()
    with pytest.raises(OSError):
        cluster.api("/api/v1/namespaces/demo", timeout=1)
    cluster.resume()
    cluster.wait_ready()
    # Envoy Gateway comes back to its watches by itself.
    cluster.apply(kube.service_route("later", "demo", ["later.example.com"], "web", 3000))
    stack.wait_for("later.example.com", seconds=60)
