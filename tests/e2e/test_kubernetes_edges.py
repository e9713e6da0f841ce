# SPDX-License-Identifier: Apache-2.0
"""What comes, goes and comes again around an operator and an extension server: definitions, users' objects in any order, a namespace,
credentials. Tailnets are files; no Envoy Gateway asks. The tests of this file tell one story and run in this order.
"""

import json
import os
import time

import pytest

from tests.lib import chart
from tests.lib.cluster import condition
from tests.lib.envoy import gateway_class
from tests.lib.kube_faults import KubeFaults
from tests.lib.kube_gateway import install_crds, our_crds
from tests.lib.kube_program import Replica
from tests.lib.kube_stack import KubeStack
from tests.lib.process import eventually, holds
from tests.lib.stack import ROOT

GROUP = "gateway.tailscale.com"
OLD, YOUNG, INFRA = "team-old", "team-young", "infra"
EG_GATEWAY = {"apiVersion": "gateway.networking.k8s.io/v1", "kind": "Gateway", "metadata": {"name": "gw", "namespace": INFRA},
              "spec": {"gatewayClassName": "eg", "listeners": [{"name": "http", "protocol": "HTTP", "port": 80,
                                                                "allowedRoutes": {"namespaces": {"from": "All"}}}]}}
OWN_SECRETS = f"/api/v1/namespaces/{chart.NAMESPACE}/secrets"
LEASE = f"/apis/coordination.k8s.io/v1/namespaces/{chart.NAMESPACE}/leases/tailscale-gateway"
EG_PATH = f"/apis/gateway.networking.k8s.io/v1/namespaces/{INFRA}/gateways/gw"


@pytest.fixture(scope="module")
def stack(workdir):
    made = KubeStack("kedges", workdir)
    yield made
    made.close()


@pytest.fixture(scope="module", autouse=True)
def story(stack):
    cluster = stack.start_cluster(gateway_api=False, controllers=True)
    for name in (chart.NAMESPACE, chart.GATEWAY_NAMESPACE, OLD, YOUNG, INFRA):
        cluster.create_namespace(name)
    cluster.apply(*chart.roles("operator"), *chart.roles("extension"))
    with open(os.path.join(stack.workdir, "devices.json"), "w", encoding="utf-8") as f:
        json.dump({"devices": [{"nodeId": "n1", "name": "api.corp.ts.net", "addresses": ["100.64.0.1"], "authorized": True,
                                "tags": ["tag:http-8080"]}]}, f)
    stack.front = KubeFaults(cluster)
    stack.others.append(stack.front)
    stack.operator = Replica(stack, "operator", "op-1", chart.account("operator"), "--local-sources-dir", stack.workdir)
    stack.extension = Replica(stack, "extension", "ex-1", chart.account("extension"), server=stack.front.server)
    for r in stack.replicas:
        bind_token(cluster, r, "first")
        r.start()


def bind_token(cluster, replica, name):
    """In the replica's file is now a token that ends in ten minutes, or with the Secret of that name."""
    made = cluster.api(OWN_SECRETS, "POST", {"metadata": {"name": f"{replica.name}-{name}"}}).json()["metadata"]
    cluster.token_file(chart.account(replica.shape), chart.NAMESPACE, seconds=600, file=replica.name,
                       bound={"apiVersion": "v1", "kind": "Secret", "name": made["name"], "uid": made["uid"]})


def tailnet(stack, namespace):
    return {"apiVersion": f"{GROUP}/v1alpha1", "kind": "TailscaleTailnet", "metadata": {"name": "corp", "namespace": namespace},
            "spec": {"file": {"path": os.path.join(stack.workdir, "devices.json")}, "pollInterval": "1s"}}


def gateway(namespace, host="{service}.{tailnet}.tailscale.local"):
    return {"apiVersion": f"{GROUP}/v1alpha1", "kind": "TailscaleGateway", "metadata": {"name": "gw", "namespace": namespace},
            "spec": {"gatewayRef": {"name": "gw", "namespace": INFRA}, "tailnets": [
                {"name": "corp", "tailscaleTailnetRef": {"name": "corp"}, "routeGeneration": {"egress": {"hostPattern": host, "pathPrefix": "/"}},
                 "connectivity": {"mode": "Direct"}}]}}


def path_of(namespace, plural="tailscalegateways", name="gw"):
    return f"/apis/{GROUP}/v1alpha1/namespaces/{namespace}/{plural}/{name}"


def says(stack, namespace, kind, status, reason=None):
    c = condition(stack.cluster.get(path_of(namespace)), kind)
    return c.get("status") == status and reason in (None, c.get("reason"))


def served(stack):
    """{host: namespace of the TailscaleGateway} in what the extension server would give."""
    try:
        return {r["host"]: r["namespace"] for r in stack.extension.state()["routes"] if r.get("host") and r["reason"] != "Conflicted"}
    except OSError:
        return None


def wait_served(stack, expected, seconds):
    def check():
        found = served(stack)
        assert found == expected, found
        return True
    eventually(check, seconds, f"{expected} is served")


def binding(stack):
    return stack.cluster.get(path_of(INFRA, "tailscalegatewaybindings"))


def test_they_wait_for_the_definitions(stack):
    for r in stack.replicas:
        eventually(lambda r=r: r.get("/healthz").status == 200, 30, f"{r.name} lives")
    holds(lambda: stack.operator.process.check() and not stack.extension.is_ready(), 4, "nobody ends, the extension server is not ready", every=0.5)
    install_crds(stack.cluster, our_crds(ROOT))
    # They look every 5 s, and a loaded machine takes its time to list.
    eventually(lambda: stack.extension.is_ready() and stack.operator.is_ready(), 15, "both are ready")


def test_two_namespaces_on_one_gateway(stack):
    stack.cluster.apply(gateway_class(), EG_GATEWAY, tailnet(stack, OLD), gateway(OLD))
    wait_served(stack, {"api.corp.tailscale.local": OLD}, 60)
    eventually(lambda: stack.cluster.get(path_of(OLD))["metadata"]["creationTimestamp"] < now(stack), 5, "the second is younger")
    stack.cluster.apply(tailnet(stack, YOUNG), gateway(YOUNG))
    eventually(lambda: says(stack, YOUNG, "Conflicted", "True"), 30, "the second is told")
    assert served(stack) == {"api.corp.tailscale.local": OLD} and says(stack, OLD, "Conflicted", "False")


def now(stack):
    """By the API server's clock."""
    answer = stack.cluster.api(f"/api/v1/namespaces/{INFRA}/configmaps?dryRun=All", "POST", {"metadata": {"name": "now"}})
    return answer.json()["metadata"]["creationTimestamp"]


def test_the_gateway_goes_and_comes_again(stack):
    first = binding(stack)["metadata"]["uid"]
    stack.cluster.api(EG_PATH, "DELETE")
    eventually(lambda: binding(stack) is None, 30, "its Binding is gone")
    eventually(lambda: all(says(stack, ns, "ResolvedRefs", "False", "GatewayNotFound") for ns in (OLD, YOUNG)), 30, "both are told")
    stack.cluster.apply(EG_GATEWAY)
    eventually(lambda: binding(stack) and binding(stack)["metadata"]["uid"] != first, 30, "it has a Binding again")
    eventually(lambda: says(stack, OLD, "ResolvedRefs", "True") and served(stack) == {"api.corp.tailscale.local": OLD}, 30, "all is as before")


def test_a_tailnet_goes_and_comes_again(stack):
    stack.cluster.api(path_of(OLD, "tailscaletailnets", "corp"), "DELETE")
    eventually(lambda: says(stack, OLD, "ResolvedRefs", "False", "TailnetNotFound"), 30, "it is told")
    stack.cluster.apply(tailnet(stack, OLD))
    eventually(lambda: says(stack, OLD, "ResolvedRefs", "True") and served(stack) == {"api.corp.tailscale.local": OLD}, 30, "all is as before")


def test_a_namespace_goes(stack):
    """Nothing of it holds up its end, and what it had falls to who asked, too."""
    before = binding(stack)["spec"]["revision"]
    stack.cluster.kubectl("delete", "namespace", OLD, "--timeout=60s")
    wait_served(stack, {"api.corp.tailscale.local": YOUNG}, 30)
    eventually(lambda: says(stack, YOUNG, "Conflicted", "False"), 30, "and is told")
    eventually(lambda: binding(stack)["spec"]["revision"] != before, 10, "the Binding names it")


def test_tokens_that_are_replaced(stack):
    """A token has just ended when the next one comes: it is found, and nobody starts anew, stops leading or forgets."""
    cluster = stack.cluster
    lease = cluster.get(LEASE)["spec"]
    pids = [r.process.pid for r in stack.replicas]
    for r in stack.replicas:
        mark = cluster.audit_mark()
        with open(cluster.at(f"{r.name}.token"), encoding="ascii") as f:
            old = f.read()
        cluster.api(f"{OWN_SECRETS}/{r.name}-first", "DELETE")
        # An API server believes for ten seconds what it found good.
        eventually(lambda t=old: cluster.api("/version", token=t).status == 401, 30, f"the token of {r.name} is refused", every=0.2)
        bind_token(cluster, r, "second")
        stack.front.refuse = r is stack.extension  # it calls only where a watch ends
        if r is stack.extension:
            time.sleep(0.3)  # each of its watches is cut
            stack.front.clear()
        user, token = f"serviceaccount:{chart.NAMESPACE}:{chart.account(r.shape)}", r.credential_in_file()
        eventually(lambda u=user, t=token: any(q.credential == t for q in cluster.audit(mark, u, stage=None)), 60, f"{r.name} found its new token")
    cluster.apply(gateway(YOUNG, "{service}.third.local"))
    wait_served(stack, {"api.third.local": YOUNG}, 60)
    now_held = cluster.get(LEASE)["spec"]
    assert [now_held[k] for k in ("holderIdentity", "leaseTransitions")] == [lease[k] for k in ("holderIdentity", "leaseTransitions")]
    assert [r.process.pid for r in stack.replicas] == pids
    cluster.apply(gateway(YOUNG))
    wait_served(stack, {"api.corp.tailscale.local": YOUNG}, 30)


def test_credentials_that_end(stack):
    """No token is good any more; new ones in the same files are found without a restart."""
    cluster = stack.cluster
    for r, component in ((stack.operator, "operator"), (stack.extension, "extension")):
        path = f"/api/v1/namespaces/{chart.NAMESPACE}/serviceaccounts/{chart.account(component)}"
        account = cluster.get(path)
        cluster.api(path, "DELETE")
        cluster.apply({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {k: account["metadata"][k] for k in ("name", "namespace")}})
    cluster.restart()  # which also forgets whom it knew
    eventually(lambda: stack.operator.metric("tailscale_gateway_lease_leader") == 0, 30, "it holds nothing by a token that ended")
    assert served(stack) == {"api.corp.tailscale.local": YOUNG}
    for r, component in ((stack.operator, "operator"), (stack.extension, "extension")):
        cluster.token_file(chart.account(component), chart.NAMESPACE, file=r.name)
    cluster.apply(gateway(YOUNG, "{service}.other.local"))
    wait_served(stack, {"api.other.local": YOUNG}, 120)
    eventually(lambda: binding(stack) is not None and says(stack, YOUNG, "Accepted", "True"), 30, "and the operator writes again")


def test_all_that_is_left_goes(stack):
    for path in (path_of(YOUNG, "tailscaletailnets", "corp"), EG_PATH, path_of(YOUNG)):
        stack.cluster.api(path, "DELETE")
    eventually(lambda: binding(stack) is None, 30, "its Binding is gone")
    eventually(lambda: not stack.cluster.get(f"/apis/{GROUP}/v1alpha1/tailscaleendpoints")["items"], 60, "its TailscaleEndpoints are gone")
    assert served(stack) == {}
