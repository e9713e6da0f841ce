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
import yaml

from tests.lib import chart, kube_gateway
from tests.lib.cluster import condition, wall
from tests.lib.kube_home import GATEWAY, OPERATOR, TEAM, KubeHome
from tests.lib.process import eventually, holds
from tests.lib.stack import LISTENER_PORT
from tests.lib.web import EchoServer, Load

HOST, PATH = "api-server.tailscale.local", "/tailscale/api-server/"
LEASE_SECONDS = 15


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
    eventually(lambda: is_settled(stack), 20, "the TailscaleGateway is programmed")
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
    for r in stack.ours(stack.cluster.writes()):  # of a Binding a replica writes, too, but what it served
        if r.time > since and r.verb == "patch" and not r.subresource and r.user.endswith(OPERATOR) and r.resource not in written:
            written[r.resource] = datetime.datetime.fromisoformat(r.time).timestamp()
    found, bound = written["tailscaleendpoints"], written["tailscalegatewaybindings"]
    hook = next(t for t, _ in stack.service.requests if t > bound - 0.05)  # a watch may tell of a write before its writer is answered
    figure(f"listed -> first 200 in {answered - listed:.2f} s: {found - listed:.2f} s until TailscaleEndpoints were written (poll interval 1 s), "
           f"{(bound - found) * 1000:.0f} ms until the Binding was, {(hook - bound) * 1000:.0f} ms until Envoy Gateway asked, {known - hook:.2f} s "
           f"hooks, Envoy Gateway and Envoy, {answered - known:.2f} s the tailnet's first handshake with it")
    assert hook < known
    assert found <= bound
    assert known - listed < 4
    assert not load.failures(), load.failures()[:5]


@pytest.mark.parametrize("seconds", [12, pytest.param(120, marks=pytest.mark.soak)])
def test_steady_state_writes_nothing(stack, seconds):
    eventually(lambda: is_settled(stack), 60, "the TailscaleGateway is programmed")
    time.sleep(6)  # what follows a change (Events, the annotations of replicas) has been written
    mark = stack.cluster.audit_mark()
    with Load(stack.network.hub, LISTENER_PORT, HOST) as load:
        time.sleep(seconds)
    writes = stack.ours(stack.cluster.writes(mark))
    others = [r for r in writes if r.resource != "leases"]
    assert not others, others
    assert 3 <= len(writes) <= seconds  # one renewal each 2 s
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
    mark = stack.cluster.audit_mark()
    with Load(stack.network.hub, LISTENER_PORT, HOST) as load:
        start = time.monotonic()
        first.stop()
        stack.wait_leader(first, seconds=10)
        figure(f"SIGTERM -> another leads in {time.monotonic() - start:.1f} s")
        time.sleep(5)
        others = [r for r in stack.ours(stack.cluster.writes(mark)) if r.resource != "leases"]
        assert not others, others  # it found everything as it is wished
        edit(stack, 4)
        converges(stack, 4, 20)
        first.start()
        first.wait_ready()
    stack.check_writers(since)
    assert not load.failures(), load.failures()[:5]


def test_who_leads_anew_takes_nothing_back(stack):
    """Its watches have told nothing for a while, and nobody knows: before it writes it must have looked."""
    first, since = stack.wait_leader(), wall()
    other = next(o for o in stack.operators if o is not first)
    other.front.frozen = time.monotonic()
    edit(stack, 40)
    converges(stack, 40, 30)
    wanted, mark = stack.binding()["spec"]["revision"], stack.cluster.audit_mark()
    with Load(stack.network.hub, LISTENER_PORT, "dev-box.v40.tailscale.local") as load:
        first.stop()
        stack.wait_leader(first, seconds=10)
        time.sleep(5)
        written = [r.body["spec"]["revision"] for r in stack.cluster.writes(mark) if r.kind == "tailscalegatewaybindings" and "revision" in (r.body.get("spec") or {})]
        assert set(written) <= {wanted}, written
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


def test_extension_server_that_hangs(stack):
    """Envoy Gateway waits for it with no limit, until a kubelet has it killed by its liveness probe."""
    connected = next(e for e in stack.extensions if e.name == stack.service.connections[-1][0])
    with Load(stack.network.hub, LISTENER_PORT, HOST) as load:
        connected.process.signal(signal.SIGSTOP)
        edit(stack, 7)
        time.sleep(3)
        connected.kill()
        connected.start()
        converges(stack, 7, 30)
        connected.wait_ready()
    assert not load.failures(), load.failures()[:5]


def test_extension_server_that_lags(stack):
    """It is cut off from the API server and asked for a revision that it does not hold: it answers what it has, and once it has more, says so."""
    with Load(stack.network.hub, LISTENER_PORT, HOST) as load:
        for e in stack.extensions:
            e.front.refuse = True
        edit(stack, 8)
        wanted = eventually(lambda: lagging(stack), 20, "what is wished is not served yet")
        assert condition(wanted, "Programmed").get("status") != "True"
        for e in stack.extensions:
            e.front.refuse = False
        converges(stack, 8, 60)
    assert not load.failures(), load.failures()[:5]


def lagging(stack):
    """The TailscaleGateway while its Binding names what no replica has served."""
    binding = stack.binding()
    served = {v for k, v in binding["metadata"].get("annotations", {}).items() if k.startswith("served.gateway.tailscale.com/")}
    gateway = stack.object("tailscalegateways", "corp-gateway")
    same = condition(gateway, "Programmed").get("observedGeneration") == gateway["metadata"]["generation"]
    return gateway if same and binding["spec"]["revision"] not in served else None


# The API server

def test_api_server_down(stack):
    since = wall()
    with Load(stack.network.hub, LISTENER_PORT, HOST) as load:
        stack.cluster.kill()
        time.sleep(8)
        stack.cluster.restart(compacted=False)
        edit(stack, 10)
        converges(stack, 10, 90)
    stack.check_writers(since)
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
    since = wall()
    stack.faults.delay, stack.faults.delayed = 1.5, 0
    with Load(stack.network.hub, LISTENER_PORT, HOST) as load:
        edit(stack, 12)
        converges(stack, 12, 60)
    assert stack.faults.count_delayed() >= 2  # what was found, and its Binding
    stack.check_writers(since)
    assert not load.failures(), load.failures()[:5]


@pytest.mark.parametrize("status", [409, 429, 500])
def test_writes_refused(stack, status):
    since = wall()
    stack.faults.fail(status, times=3, methods=("PATCH", "POST", "PUT", "DELETE"))  # of each replica
    with Load(stack.network.hub, LISTENER_PORT, HOST) as load:
        edit(stack, status)
        converges(stack, status, 60)
    assert stack.faults.count(status) >= 3
    stack.check_writers(since)
    assert not load.failures(), load.failures()[:5]


def test_watches_cut_and_expired(stack):
    with Load(stack.network.hub, LISTENER_PORT, HOST) as load:
        stack.faults.cut_watches = 2
        edit(stack, 20)
        converges(stack, 20, 60)
        stack.faults.expire_watches = True  # 410 as an event …
        edit(stack, 21)
        stack.wait_for("dev-box.v21.tailscale.local", seconds=60, device="dev-box")
        stack.faults.clear()
        stack.faults.cut_watches = 2
        stack.faults.fail(410, times=12, methods=("GET",), path="watch=")  # … and as a status
        edit(stack, 22)
        converges(stack, 22, 60)
        assert stack.faults.count(410) > 0
    assert not load.failures(), load.failures()[:5]


def test_nothing_was_forbidden_all_along(stack):
    test_nothing_was_forbidden(stack)


def test_no_write_took_a_device_away(stack):
    """Whatever happened: each TailscaleEndpoints that was written has the devices that were there all along."""
    for device in ("api-server", "dev-box"):
        tailnet = "corp" if device == "api-server" else "dev"
        bodies = [r.body for r in stack.ours(stack.cluster.writes()) if r.kind == "tailscaleendpoints" and r.verb == "patch" and r.body["spec"]["tailnet"] == tailnet]
        assert bodies and all(any(e["name"] == device for e in b["spec"]["endpoints"]) for b in bodies), device
    deleted = [r for r in stack.ours(stack.cluster.writes()) if r.verb == "delete"]
    assert not deleted, deleted


# One process for all

def test_run_does_both(stack):
    with Load(stack.network.hub, LISTENER_PORT, HOST) as load:
        stack.add_run().start().wait_ready()
        for r in stack.replicas[:-1]:
            r.end()
        edit(stack, 30)
        converges(stack, 30, 60)
        assert stack.holder() is stack.operators[-1]
    assert not load.failures(), load.failures()[:5]


# The end

def test_deletion_leaves_nothing_behind(stack):
    """Also where a control server is gone."""
    stack.tailnets[1].headscale.process.kill()
    stack.cluster.kubectl("-n", TEAM, "delete", "tsgw", "corp-gateway", "--wait=true", "--timeout=60s")
    eventually(lambda: stack.ask(HOST).status == 404, 30, "its hosts are gone")
    eventually(lambda: stack.binding() is None, 60, "its Binding is gone")
    eventually(lambda: not stack.cluster.get(f"/apis/gateway.tailscale.com/v1alpha1/namespaces/{TEAM}/tailscaleendpoints")["items"], 60,
               "its TailscaleEndpoints are gone")
    stack.cluster.kubectl("delete", "namespace", TEAM, "--timeout=60s")


def test_uninstall(stack):
    """In the order of docs/install.md, beside routes of Envoy Gateway's own: none of their requests fails, and it misses nothing."""
    cluster, eg, hub = stack.cluster, stack.eg, stack.network.hub
    cluster.create_namespace("team-b", tailnets="yes")
    stack.others.append(EchoServer(hub, "pod", port=3000, address=stack.network.HUB))
    cluster.apply(kube_gateway.service("web", "team-b", 3000), kube_gateway.endpoint_slice("web", "team-b", [stack.network.HUB], 3000),
                  own_route("www.example.com"))
    stack.wait_for("www.example.com", device="pod")
    eventually(lambda: TEAM not in namespaces(stack), 60, "the namespace has ended")
    cluster.create_namespace(TEAM, tailnets="yes")
    stack.apply_tailnets()
    stack.apply_plan()
    stack.wait_for(HOST, seconds=60, device="api-server")
    mark, selected = len(eg.process.text()), f"app.kubernetes.io/managed-by={chart.RELEASE}"
    with Load(hub, LISTENER_PORT, "www.example.com") as load:
        cluster.kubectl("delete", "tsgw", "--all", "--all-namespaces", "--timeout=60s")
        eventually(lambda: "No resources found" in cluster.kubectl("get", "tsgb", "-A", code=None), 60, "no Binding is left")
        assert stack.ask(HOST).status == 404
        eg.configure(None)
        eg.restart()
        cluster.kubectl("delete", "--wait=false", "-f", "-", data=yaml.safe_dump_all(chart.manifests()))
        for r in stack.replicas:
            r.end()
        cluster.kubectl("-n", chart.NAMESPACE, "delete", "deployment,service,poddisruptionbudget,secret", "-l", selected)
        cluster.kubectl("-n", kube_gateway.NAMESPACE, "delete", "secret", "-l", selected)
        cluster.kubectl("delete", "crd", "-l", "app.kubernetes.io/part-of=tailscale-gateway", "--timeout=60s")
        cluster.apply(own_route("www.example.com", "later.example.com"))
        stack.wait_for("later.example.com", device="pod")
        assert ours_left(stack) == []
    assert not load.failures(), load.failures()[:5]
    assert not eg.errors(mark), eg.errors(mark)[:5]


def own_route(*hosts):
    route = kube_gateway.service_route("web", "team-b", hosts, "web", 3000, parent=GATEWAY)
    route["spec"]["parentRefs"][0]["namespace"] = kube_gateway.NAMESPACE
    return route


def namespaces(stack):
    return [n["metadata"]["name"] for n in stack.cluster.get("/api/v1/namespaces")["items"]]


def ours_left(stack):
    """What is still there of the chart, or made by an operator."""
    left = []
    for kind in ("deployments.apps,services,poddisruptionbudgets.policy,secrets,serviceaccounts,roles,rolebindings,networkpolicies",
                 "clusterroles,clusterrolebindings,customresourcedefinitions"):
        for label in ("app.kubernetes.io/managed-by", "app.kubernetes.io/name", "app.kubernetes.io/part-of"):
            left += stack.cluster.kubectl("get", kind, "-A", "-l", f"{label}=tailscale-gateway", "-o", "name").split()
    return left
