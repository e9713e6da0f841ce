# SPDX-License-Identifier: Apache-2.0
"""Certificates of the extension server are replaced, their CA as well, while a real Envoy Gateway calls hooks and a real Envoy
serves: no call fails. The tests of this file tell one story and run in this order.

What takes a day (nobody is asked to believe a CA before all have seen it) is shortened by hand: the time since when it is
trusted is set back.
"""

import itertools
import re

import pytest

from tests.lib import kube_gateway as kube
from tests.lib.chart import NAMESPACE
from tests.lib.kube_home import TEAM, KubeHome
from tests.lib.kube_program import EG_CA, EG_CLIENT, SERVER_TLS
from tests.lib.process import eventually
from tests.lib.stack import LISTENER_PORT
from tests.lib.web import Load

HOST = "api-server.tailscale.local"
CA = "tailscale-gateway-ca"
SINCE = "gateway.tailscale.com/ca-trusted-since"
LONG_AGO = "2026-01-01T00:00:00Z"
versions = itertools.count(1)


@pytest.fixture(scope="module")
def stack(workdir):
    made = KubeHome("certs", workdir)
    yield made
    made.close()


@pytest.fixture(scope="module", autouse=True)
def story(stack):
    stack.start([("api-server", ("tag:http-8080",))], operators=1)
    stack.apply_tailnets()
    stack.apply_plan()
    stack.wait_for(HOST, seconds=60)
    with Load(stack.network.hub, LISTENER_PORT, HOST) as load:
        yield
    assert not load.failures(), load.failures()[:5]


def path(name, namespace):
    return f"/api/v1/namespaces/{namespace}/secrets/{name}"


def certificates(stack, name, namespace, key="tls.crt"):
    """The PEM certificates in that key, or None where it is not there."""
    if not stack.cluster.get(path(name, namespace)):
        return None
    text = stack.cluster.secret(name, namespace).get(key, b"").decode()
    return re.findall(r"-----BEGIN CERTIFICATE-----.*?-----END CERTIFICATE-----", text, re.S)


def bundles(stack):
    return [certificates(stack, EG_CA, kube.NAMESPACE), certificates(stack, SERVER_TLS, NAMESPACE, "ca.crt")]


def leaves(stack):
    return [certificates(stack, SERVER_TLS, NAMESPACE), certificates(stack, EG_CLIENT, kube.NAMESPACE)]


def renewals(replica):
    return replica.metric("tailscale_gateway_grpc_certificates_renewed_total")


def mount(*replicas):
    """As their kubelets do, some time later: they take what stands there now, and let go what was open before."""
    before = [renewals(r) for r in replicas]
    for r in replicas:
        for m in r.mounts:
            m.write()
    eventually(lambda: all(renewals(r) > n for r, n in zip(replicas, before)), 10, "the replicas took their files")


def hooks_arrive(stack):
    """A change that takes a hook to be seen."""
    n = next(versions)
    patch = {"spec": {"tailnets": [{
        "name": "corp", "tailscaleTailnetRef": {"name": "corp-tailnet"}, "serviceDiscovery": {"patterns": ["api-*"]},
        "routeGeneration": {"egress": {"hostPattern": "{service}.tailscale.local", "pathPrefix": f"/v{n}/{{service}}/", "protocol": "HTTP"}}}]}}
    stack.cluster.merge(f"/apis/gateway.tailscale.com/v1alpha1/namespaces/{TEAM}/tailscalegateways/corp-gateway", patch)
    stack.wait_for("any.example", f"/v{n}/api-server/", seconds=20)


def assert_nobody_was_refused(stack):
    for e in stack.extensions:
        assert e.metric("tailscale_gateway_grpc_tls_handshakes_failed_total") == 0, e.process.tail()
        assert e.metric("tailscale_gateway_grpc_calls_cancelled_total") == 0
    said = stack.eg.process.text()
    assert "x509:" not in said and "rpc error" not in said, [x for x in said.splitlines() if "x509" in x or "rpc error" in x][:5]


def test_what_stands_there_is_known(stack):
    """The numbers, and that a replica shows what the Secret holds."""
    operator = stack.wait_leader()
    ends = [operator.metric("tailscale_gateway_certificate_expiry_timestamp_seconds", certificate=c) for c in ("ca", "server", "client")]
    assert ends[0] > ends[1] > 0 and ends[2] > 0
    for e in stack.extensions:
        assert e.metric("tailscale_gateway_grpc_certificate_expiry_timestamp_seconds") == ends[1]
    hooks_arrive(stack)
    assert_nobody_was_refused(stack)


def test_a_lost_ca_is_trusted_on(stack):
    first, shown = bundles(stack)[0], leaves(stack)
    stack.cluster.kubectl("-n", NAMESPACE, "delete", "secret", CA)
    eventually(lambda: all(b and len(b) == 2 for b in bundles(stack)), 30, "a new CA is trusted beside the one before")
    assert all(first[0] in b for b in bundles(stack))
    assert leaves(stack) == shown
    hooks_arrive(stack)
    mount(stack.extensions[0])
    hooks_arrive(stack)
    mount(stack.extensions[1])
    hooks_arrive(stack)
    assert_nobody_was_refused(stack)


def test_the_new_ca_signs_when_it_is_known(stack):
    shown = leaves(stack)
    for name, namespace in ((EG_CA, kube.NAMESPACE), (SERVER_TLS, NAMESPACE)):
        stack.cluster.merge(path(name, namespace), {"metadata": {"annotations": {SINCE: LONG_AGO}}})
    eventually(lambda: all(now and now != was for now, was in zip(leaves(stack), shown)), 30, "both leaves are new")
    assert all(len(b) == 2 for b in bundles(stack))
    # Envoy Gateway shows the new one at its next handshake; the replicas learn of theirs one after the other.
    hooks_arrive(stack)
    mount(stack.extensions[0])
    hooks_arrive(stack)
    mount(stack.extensions[1])
    hooks_arrive(stack)
    assert_nobody_was_refused(stack)


def test_what_is_deleted_comes_back(stack):
    for name, namespace in ((SERVER_TLS, NAMESPACE), (EG_CA, kube.NAMESPACE), (EG_CLIENT, kube.NAMESPACE)):
        stack.cluster.kubectl("-n", namespace, "delete", "secret", name)
        eventually(lambda n=name, ns=namespace: certificates(stack, n, ns), 20, f"{name} is there again")
    assert all(len(b) == 2 for b in bundles(stack))
    mount(*stack.extensions)
    hooks_arrive(stack)
    for e in stack.extensions:
        assert e.metric("tailscale_gateway_grpc_tls_handshakes_failed_total") == 0
