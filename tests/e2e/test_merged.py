# SPDX-License-Identifier: Apache-2.0
"""Several Gateways in one Envoy (EnvoyProxy mergeGateways): two of ours and one that is none of our business share a port,
and with it a RouteConfiguration; under both naming schemes."""

import pytest

from tests.lib import envoy as lib
from tests.lib.process import eventually, holds
from tests.lib.stack import LISTENER_PORT, LocalDevices, Stack, entry, find, gateway_resource, static_endpoints, tailnet_resource
from tests.lib.web import EchoServer, Load

DIRECT = {"connectivity": {"mode": "Direct"}}
EGRESS = {"pathPrefix": "/tailscale/{service}/"}
SHARED = "api-one.second.test"  # a host that both of ours may have
LISTENERS = {"first": None, "second": "*.second.test", "users": "*.users.test"}


def gateway(name, hostname):
    listener = {"name": "http", "protocol": "HTTP", "port": LISTENER_PORT, **({"hostname": hostname} if hostname else {})}
    return lib.gateway(name, listeners=[listener])


def gateways(stack, *names):
    # In the order of names Envoy Gateway's first is not ours: the RouteConfiguration has a name of its.
    stack.write_gateway(
        "base.yaml", *lib.merged_class(), *[gateway("aaa-users" if n == "users" else n, LISTENERS[n]) for n in names],
        lib.backend("web", "127.0.0.1", 3000), lib.http_route("web", ["www.users.test"], "web", parent="aaa-users"))


def ours(stack, one=None, two=None):
    """Both TailscaleGateways; a hostPattern of `one` other than its own, the priority of `two` (False: it is not there)."""
    first = entry(egress={"hostPattern": one or "{service}.first.test", **EGRESS}, **DIRECT)
    second = entry("static", patterns=["nothing"], egress={"hostPattern": "{service}.second.test", "pathPrefix": "/"}, **DIRECT)
    documents = [gateway_resource("one", gateway="first", tailnets=[first])]
    if two is not False:
        documents.append(gateway_resource("two", gateway="second", tailnets=[second], priority=two))
    # What it has under that name is another device.
    address = stack.devices.servers["api-two"].address
    stack.write_resources("ours.yaml", *documents, static_endpoints("static", "api-one", [address], tailnet="static"))


def hosts_of(envoy, suffix):
    """Virtual hosts that Envoy has below a domain, without version numbers."""
    found = {}
    for config in envoy.config():
        for r in config.get("dynamic_route_configs", []):
            for v in r["route_config"].get("virtual_hosts", []):
                if any(d.endswith(suffix) for d in v["domains"]):
                    found[v["name"]] = v
    return found


def losers(stack):
    """TailscaleGateways that are told that another one has the host."""
    return {r["gateway"] for r in find(stack.gateway.state(), reason="Conflicted", programmed=False, host=SHARED)}


@pytest.fixture(scope="module", params=[(), ("XDSNameSchemeV2",)], ids=["names1", "names2"])
def scheme(request):
    return request.param


@pytest.fixture(scope="module")
def stack(request, workdir, scheme):
    made = Stack("mg" + ("2" if scheme else "1"), f"{workdir}/{'2' if scheme else '1'}")
    yield made
    made.close()


@pytest.fixture(scope="module")
def running(stack, scheme):
    """All runs; what Envoy had before us is in `before`."""
    stack.others.append(EchoServer(stack.network.hub, "backend", port=3000, address="127.0.0.1"))
    stack.devices = LocalDevices(stack)
    stack.devices.serve("api-one", "api-two")
    gateways(stack, "first", "second", "users")
    stack.make_eg(extension=False, runtime_flags=scheme).start()
    envoy = stack.start_envoy(cluster="eg")
    stack.wait_for("www.users.test", device="backend")
    stack.before = hosts_of(envoy, "")
    stack.eg.process.stop()
    stack.write_resources("corp.yaml", tailnet_resource(file={"path": "devices.json"}, pollInterval="1s"))
    stack.make_gateway().start()
    stack.make_eg(runtime_flags=scheme).start()
    stack.devices.write(["api-one"])
    ours(stack)
    return stack


def test_hosts_of_both_answer(running):
    running.wait_for("api-one.first.test", device="api-one")
    running.wait_for(SHARED, device="api-two")
    assert running.wait_for("whatever.example", "/tailscale/api-one/x").json()["path"] == "/x"
    assert running.ask("www.users.test").json()["device"] == "backend"
    # One call told both, each with its own revision.
    state = eventually(lambda: (s := running.gateway.state()) and not find(s["entries"], reason="Pending") and s, 20, "both are served")
    served = {g["name"]: g["revisionServed"] for g in state["gateways"]}
    assert set(served) == {"first", "second"} and len(set(served.values())) == 2
    assert all(e["programmed"] for e in state["entries"]), state["entries"]


def test_the_third_has_what_it_had(running):
    now = hosts_of(running.envoys[0], ".users.test")
    assert now and now == running.before
    assert running.ask("www.users.test", "/tailscale/api-one/x").json()["path"] == "/tailscale/api-one/x"


def test_a_host_that_both_want(running):
    # No ages without Kubernetes, one namespace: the name decides, so the newcomer has it.
    ours(running, one="{service}.second.test")
    running.wait_for(SHARED, device="api-one")
    eventually(lambda: losers(running) == {"two"}, 10, "the loser is told")
    assert "of TailscaleGateway demo/one" in running.gateway.explain(f"http://{SHARED}/")
    assert "TailscaleGateway demo/one, tailnet corp, service api-one has host" in running.gateway.status()
    # Priority comes before names.
    ours(running, one="{service}.second.test", two=10)
    running.wait_for(SHARED, device="api-two")
    eventually(lambda: losers(running) == {"one"}, 10, "the other is told")
    assert "of TailscaleGateway demo/two" in running.gateway.explain(f"http://{SHARED}/")
    holds(lambda: running.ask(SHARED).headers["x-device"] == "api-two", 1, "it stays so")


def test_one_goes_and_the_other_goes_on(running, figure):
    ours(running)
    running.wait_for("api-one.first.test", device="api-one")
    running.wait_for(SHARED, device="api-two")
    with Load(running.network.hub, LISTENER_PORT, "api-one.first.test") as first, \
         Load(running.network.hub, LISTENER_PORT, "www.users.test") as users:
        ours(running, two=False)
        eventually(lambda: running.ask(SHARED).status == 404, 20, "the host of the second is gone")
        eventually(lambda: "second" not in str(list(running.bindings())), 10, "so is its Binding")
        ours(running)
        running.wait_for(SHARED, device="api-two")
        gateways(running, "first", "users")
        eventually(lambda: running.ask(SHARED).status == 404, 20, "the Gateway is gone, and its host")
        gateways(running, "first", "second", "users")
        running.wait_for(SHARED, device="api-two")
    for load in (first, users):
        figure(load.report())
        assert not load.failures(), load.failures()[:5]


def test_nothing_was_refused(running):
    assert running.eg.metric("xds_nack_total") == 0
    assert running.envoys[0].stat(r".*update_rejected") == 0
