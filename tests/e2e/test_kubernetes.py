# SPDX-License-Identifier: Apache-2.0
"""At home in Kubernetes: the plan's manifests on a real API server, real Envoy Gateway and Envoy, real tailnets.

Two operators and two extension servers run with the roles of the chart and no others. The tests of this file tell one
story and run in this order.
"""

import datetime
import re
import signal
import time

import pytest

from tests.lib.cluster import condition, wall
from tests.lib.kube_home import GATEWAY, KubeHome, TEAM
from tests.lib.process import eventually, holds
from tests.lib.stack import LISTENER_PORT
from tests.lib.web import Load

HOST, PATH = "api-server.tailscale.local", "/tailscale/api-server/"
LEASE_SECONDS = 15
STEADY_SECONDS = 25


@pytest.fixture(scope="module")
def stack(workdir):
    made = KubeHome("kube", workdir)
    yield made
    made.close()


@pytest.fixture(scope="module", autouse=True)
def story(stack):
    stack.start([("api-server", ("tag:http-8080",)), ("web", ("tag:http-8080",))], dev=[("dev-box", ("tag:http-8080",))])
    stack.apply_tailnets()
    stack.apply_plan()


@pytest.fixture(autouse=True)
def mended(stack):
    yield
    stack.faults.clear()


def is_known(stack, host):
    try:
        return stack.ask(host, timeout=0.5).status != 404
    except TimeoutError:
        return True


def is_settled(stack, names=("corp-gateway",)):
    """What is wished is served, and status says so of this generation."""
    for name in names:
        obj = stack.object("tailscalegateways", name)
        c = condition(obj, "Programmed")
        if c.get("status") != "True" or c.get("observedGeneration") != obj["metadata"]["generation"]:
            return False
    return True


# The plan's manifests

def test_selected_devices_answer(stack):
    answer = stack.wait_for(HOST, seconds=60, device="api-server")
    assert dict(answer.json()["headers"])["host"] == "api-server.tn.test"
    answer = stack.ask("any.example", PATH + "deep/er?x=1")
    assert (answer.status, answer.json()["device"], answer.json()["path"], answer.json()["query"]) == (200, "api-server", "/deep/er", "x=1")
    stack.wait_for("dev-box.dev.tailscale.local", device="dev-box")
    assert stack.ask("web.tailscale.local").status == 404


def test_kubectl_shows_what_happened(stack):
    eventually(lambda: is_settled(stack), 20, "the TailscaleGateway is programmed")
    shown = stack.cluster.kubectl("-n", TEAM, "get", "tsgw,tse,tst", "-o", "wide")
    rows = {line.split()[0].split("/")[-1]: line for line in shown.splitlines() if "/" in line}
    assert re.search(rf"{GATEWAY}\s+True\s+True\s+False", rows["corp-gateway"]), shown
    assert re.search(r"True\s+\d", rows["corp-tailnet"]) and re.search(r"True\s+\d", rows["dev-tailnet"]), shown
    assert [name for name in rows if name.startswith("corp-gateway-corp-")], shown
    gateway = stack.object("tailscalegateways", "corp-gateway")
    assert all(condition(gateway, k).get("status") == "True" for k in ("Accepted", "ResolvedRefs", "Programmed")), gateway["status"]
    assert condition(stack.object("tailscaletailnets", "corp-tailnet"), "Synced")["status"] == "True"


def test_secrets_are_nowhere(stack):
    key = stack.tailnet.headscale.api_key
    for r in stack.replicas:
        assert key not in r.process.text()
    with open(stack.cluster.audit_log, encoding="utf-8") as f:
        assert key not in f.read()


def test_nothing_was_forbidden(stack):
    denied = stack.cluster.denied(user="system:serviceaccount:")
    assert not denied, denied[:5]


def test_time_of_a_device_by_stage(stack, figure):
    since = wall()
    with Load(stack.network.hub, LISTENER_PORT, HOST) as load:
        stack.tailnet.begin_add("api-later", ("tag:http-8080",))
        listed = eventually(lambda: "api-later" in stack.tailnet.headscale.nodes() and time.time(), 60, "the API lists it", every=0.02)
        eventually(lambda: is_known(stack, "api-later.tailscale.local"), 20, "Envoy has the host", every=0.01)
        known = time.time()
        eventually(lambda: stack.ask("api-later.tailscale.local", timeout=1).status == 200, 20, "it answers")
        answered = time.time()
        stack.tailnet.end_add("api-later")
    written = {}
    for r in stack.ours(stack.cluster.writes()):
        if r.time > since and r.verb == "patch" and not r.subresource and r.resource not in written:
            written[r.resource] = datetime.datetime.fromisoformat(r.time).timestamp()
    found, bound = written["tailscaleendpoints"], written["tailscalegatewaybindings"]
    figure(f"listed -> first 200 in {answered - listed:.2f} s: {found - listed:.2f} s until TailscaleEndpoints were written (poll interval 1 s), "
           f"{(bound - found) * 1000:.0f} ms until the Binding was, {known - bound:.2f} s Envoy Gateway, hooks and Envoy, "
           f"{answered - known:.2f} s the tailnet's first handshake with it")
    assert found <= bound
    assert known - listed < 4
    assert not load.failures(), load.failures()[:5]


def test_steady_state_writes_nothing(stack):
    eventually(lambda: is_settled(stack), 30, "the TailscaleGateway is programmed")
    time.sleep(6)  # what follows a change (Events, the annotations of replicas) has been written
    mark = stack.cluster.audit_mark()
    with Load(stack.network.hub, LISTENER_PORT, HOST) as load:
        time.sleep(STEADY_SECONDS)
    writes = stack.ours(stack.cluster.writes(mark))
    others = [r for r in writes if r.resource != "leases"]
    assert not others, others
    assert 3 <= len(writes) <= STEADY_SECONDS  # one renewal each 2 s
    reads = [r for r in stack.ours(stack.cluster.audit(mark)) if r.verb in ("get", "list")]
    assert len([r for r in reads if r.resource != "leases"]) == 0, reads[:5]
    assert not load.failures()


# Two operators, two extension servers

def edit(stack, n):
    """A change that only an operator can carry through: another host for the same device."""
    patch = {"spec": {"tailnets": [{"name": "corp", "tailscaleTailnetRef": {"name": "corp-tailnet"},
                                    "serviceDiscovery": {"patterns": ["api-*"], "excludePatterns": ["proxy-*"]},
                                    "routeGeneration": {"egress": {"hostPattern": "{service}.tailscale.local", "pathPrefix": "/tailscale/{service}/",
                                                                   "protocol": "HTTP"}}},
                                   {"name": "dev", "tailscaleTailnetRef": {"name": "dev-tailnet"}, "serviceDiscovery": {"patterns": ["dev-*"]},
                                    "routeGeneration": {"egress": {"hostPattern": f"{{service}}.v{n}.tailscale.local", "protocol": "HTTP"}}}]}}
    stack.cluster.merge(f"/apis/gateway.tailscale.com/v1alpha1/namespaces/{TEAM}/tailscalegateways/corp-gateway", patch)


def converges(stack, n, seconds):
    stack.wait_for(f"dev-box.v{n}.tailscale.local", seconds=seconds, device="dev-box")
    eventually(lambda: is_settled(stack), 30, "status has converged")


def test_leader_killed(stack, figure):
    first, since = stack.wait_leader(), wall()
    with Load(stack.network.hub, LISTENER_PORT, HOST) as load:
        start = time.monotonic()
        first.kill()
        edit(stack, 1)
        stack.wait_leader(first)
        figure(f"leader killed -> another leads in {time.monotonic() - start:.1f} s")
        converges(stack, 1, 30)
        first.start()
        first.wait_ready()
    stack.check_writers(since)
    assert not load.failures(), load.failures()[:5]


def test_leader_stopped_for_longer_than_the_lease(stack):
    first, since = stack.wait_leader(), wall()
    with Load(stack.network.hub, LISTENER_PORT, HOST) as load:
        first.process.signal(signal.SIGSTOP)
        edit(stack, 2)
        second = stack.wait_leader(first)
        first.process.signal(signal.SIGCONT)
        converges(stack, 2, 30)
        holds(lambda: stack.holder() is second, 3, "the second leads", every=0.5)
    stack.check_writers(since)
    assert not load.failures(), load.failures()[:5]


def test_leader_cut_off(stack):
    first, since = stack.wait_leader(), wall()
    with Load(stack.network.hub, LISTENER_PORT, HOST) as load:
        stack.network.cut(first.ns)
        edit(stack, 3)
        second = stack.wait_leader(first)
        converges(stack, 3, 30)
        stack.network.mend(first.ns)
        eventually(lambda: first.is_ready(), 60, "who was cut off is back")
        holds(lambda: stack.holder() is second, 3, "the second leads", every=0.5)
    stack.check_writers(since)
    assert not load.failures(), load.failures()[:5]


def test_leader_that_ends_hands_over(stack, figure):
    first, since = stack.wait_leader(), wall()
    with Load(stack.network.hub, LISTENER_PORT, HOST) as load:
        start = time.monotonic()
        first.stop()
        stack.wait_leader(first, seconds=10)
        figure(f"SIGTERM -> another leads in {time.monotonic() - start:.1f} s")
        edit(stack, 4)
        converges(stack, 4, 20)
        first.start()
        first.wait_ready()
    stack.check_writers(since)
    assert not load.failures(), load.failures()[:5]


def test_extension_server_killed(stack):
    """The one that Envoy Gateway is connected to; a change is served by the other."""
    with Load(stack.network.hub, LISTENER_PORT, HOST) as load:
        for n, victim in enumerate(stack.extensions):
            victim.kill()
            edit(stack, 5 + n)
            converges(stack, 5 + n, 30)
            victim.start()
            victim.wait_ready()
    assert not load.failures(), load.failures()[:5]


# The API server

def test_api_server_down(stack):
    with Load(stack.network.hub, LISTENER_PORT, HOST) as load:
        stack.cluster.kill()
        time.sleep(8)
        stack.cluster.restart(compacted=False)
        edit(stack, 10)
        converges(stack, 10, 90)
    assert not load.failures(), load.failures()[:5]


def test_api_server_restarted_and_compacted(stack):
    since = wall()
    with Load(stack.network.hub, LISTENER_PORT, HOST) as load:
        stack.cluster.restart(compacted=True)
        edit(stack, 11)
        converges(stack, 11, 90)
    stack.check_writers(since)
    assert not load.failures(), load.failures()[:5]


def test_api_server_slow(stack):
    stack.faults.delay = 1.5
    with Load(stack.network.hub, LISTENER_PORT, HOST) as load:
        edit(stack, 12)
        converges(stack, 12, 60)
    assert not load.failures(), load.failures()[:5]


@pytest.mark.parametrize("status", [409, 429, 500])
def test_writes_refused(stack, status):
    stack.faults.fail(status, times=6, methods=("PATCH", "POST", "PUT", "DELETE"))
    with Load(stack.network.hub, LISTENER_PORT, HOST) as load:
        edit(stack, status)
        converges(stack, status, 60)
    assert stack.faults.count(status) >= 6
    assert not load.failures(), load.failures()[:5]


def test_watches_cut_and_expired(stack):
    with Load(stack.network.hub, LISTENER_PORT, HOST) as load:
        stack.faults.cut_watches = 2
        edit(stack, 20)
        converges(stack, 20, 60)
        stack.faults.expire_watches = True
        edit(stack, 21)
        stack.wait_for("dev-box.v21.tailscale.local", seconds=60, device="dev-box")
        stack.faults.clear()
        converges(stack, 21, 60)
    assert not load.failures(), load.failures()[:5]


def test_nothing_was_forbidden_all_along(stack):
    test_nothing_was_forbidden(stack)


# The end

def test_deletion_leaves_nothing_behind(stack):
    stack.cluster.kubectl("-n", TEAM, "delete", "tsgw", "corp-gateway", "--wait=true", "--timeout=60s")
    eventually(lambda: stack.ask(HOST).status == 404, 30, "its hosts are gone")
    eventually(lambda: stack.binding() is None, 60, "its Binding is gone")
    eventually(lambda: not stack.cluster.get(f"/apis/gateway.tailscale.com/v1alpha1/namespaces/{TEAM}/tailscaleendpoints")["items"], 60,
               "its TailscaleEndpoints are gone")
    stack.cluster.kubectl("delete", "namespace", TEAM, "--timeout=60s")
