# SPDX-License-Identifier: Apache-2.0
"""Beside what Envoy Gateway makes itself: users' routes, other Gateways, listeners; under both naming schemes."""

import pytest

from tests.lib import envoy as lib
from tests.lib.process import eventually, holds
from tests.lib.stack import ADMIN_PORT, LISTENER_PORT, LocalDevices, Stack, entry, find, gateway_resource, tailnet_resource
from tests.lib.web import EchoServer, Load, listening

OTHER_PORT = 10090
PRIVATE_PORT = 10081
DIRECT = {"connectivity": {"mode": "Direct"}}
# allowedRoutes of a listener, and whether Envoy Gateway, which reads files, lets an HTTPRoute of ours in. Our Namespace
# has a label, but Envoy Gateway keeps none of it, nor what an API server would add.
ALLOWED = {
    "open": (10082, {}, True),
    "labelled": (10083, {"namespaces": {"from": "Selector", "selector": {"matchLabels": {"team": "a"}}}}, False),
    "named": (10084, {"namespaces": {"from": "Selector", "selector": {"matchLabels": {"kubernetes.io/metadata.name": "demo"}}}}, False),
    "unlike": (10085, {"namespaces": {"from": "Selector", "selector": {"matchExpressions": [
        {"key": "team", "operator": "NotIn", "values": ["a"]}, {"key": "old", "operator": "DoesNotExist"}]}}}, True),
    "grpc": (10086, {"kinds": [{"kind": "GRPCRoute"}]}, False),
}


def base(stack, *more, listeners=None):
    """A user's own configuration, and a second Gateway that is none of our business."""
    stack.write_gateway(
        "base.yaml", lib.gateway_class(), lib.gateway(listeners=listeners), lib.backend("web", "127.0.0.1", 3000),
        lib.gateway("other", listeners=[{"name": "http", "protocol": "HTTP", "port": OTHER_PORT}]),
        lib.http_route("other", ["www.example.com"], "web", parent="other"), *more)


def users_part(envoy):
    """All that Envoy has which is not ours, without version numbers: clusters, listeners and virtual hosts."""
    def strip(value):
        if isinstance(value, dict):
            return {k: strip(v) for k, v in value.items() if k not in ("version_info",)}
        return [strip(v) for v in value] if isinstance(value, list) else value
    parts = {}
    for config in strip(envoy.config()):
        for c in config.get("dynamic_active_clusters", []):
            parts[f"cluster {c['cluster']['name']}"] = c["cluster"]
        for li in config.get("dynamic_listeners", []):
            parts[f"listener {li['name']}"] = li["active_state"]["listener"]
        for r in config.get("dynamic_route_configs", []):
            for v in r["route_config"].get("virtual_hosts", []):
                parts[f"host {r['route_config']['name']} {v['name']}"] = v
    return {k: v for k, v in parts.items() if " tailscale/" not in k}


@pytest.fixture(scope="module", params=[(), ("XDSNameSchemeV2",)], ids=["names1", "names2"])
def scheme(request):
    return request.param


@pytest.fixture(scope="module")
def stack(request, workdir, scheme):
    made = Stack("co" + ("2" if scheme else "1"), f"{workdir}/{'2' if scheme else '1'}")
    yield made
    made.close()


@pytest.fixture(scope="module")
def running(stack, scheme):
    """Everything runs, with a tailnet of no devices and no TailscaleGateway yet; what Envoy had before we
    existed is in `before`."""
    stack.others.append(EchoServer(stack.network.hub, "backend", port=3000, address="127.0.0.1"))
    stack.devices = LocalDevices(stack)
    stack.devices.serve("api-one", "api-two", "taken")
    base(stack, lib.http_route("web", ["www.example.com"], "web"), lib.http_route("taken", ["taken.tailscale.local"], "web"),
         lib.http_route("rest", None, "web"))
    stack.make_eg(extension=False, runtime_flags=scheme).start()
    mine, other = stack.start_envoy(), stack.start_envoy(name="other", admin_port=9911)
    stack.wait_for("www.example.com")
    stack.wait_for("www.example.com", port=OTHER_PORT)
    stack.before = users_part(mine), users_part(other)
    stack.eg.process.stop()
    stack.write_resources("corp.yaml", tailnet_resource(file={"path": "devices.json"}, pollInterval="1s"))
    stack.make_gateway().start()
    stack.make_eg(runtime_flags=scheme).start()
    stack.devices.write(["api-one", "taken"])
    stack.write_resources("gateway.yaml", gateway_resource(tailnets=[entry(patterns=["api-*", "taken"], **DIRECT)]))
    stack.wait_for("api-one.tailscale.local", device="api-one")
    return stack


def test_path_wins_over_the_users_catch_all(running):
    answer = running.wait_for("whatever.example", "/tailscale/api-one/x?y=z").json()
    assert (answer["device"], answer["path"], answer["query"]) == ("api-one", "/x", "y=z")
    assert running.ask("whatever.example", "/tailscale/nobody/x").json()["device"] == "backend"
    assert running.ask("whatever.example", "/x").json()["device"] == "backend"


def test_path_stays_out_of_the_users_other_hosts(running):
    answer = running.ask("www.example.com", "/tailscale/api-one/x").json()
    assert (answer["device"], answer["path"]) == ("backend", "/tailscale/api-one/x")


def test_host_that_a_user_names_stays_the_users(running):
    assert running.ask("taken.tailscale.local").json()["device"] == "backend"
    conflicts = [o for o in find(running.gateway.state(), reason="Conflicted") if "taken" in str(o)]
    assert conflicts, running.gateway.state()
    assert "Conflicted" in running.gateway.explain("http://taken.tailscale.local/")
    # Only the host is the user's: the path is still the device's.
    assert running.ask("whatever.example", "/tailscale/taken/").json()["device"] == "taken"


def test_users_routes_while_ours_come_and_go(running, figure):
    with Load(running.network.hub, LISTENER_PORT, "www.example.com") as theirs, \
         Load(running.network.hub, LISTENER_PORT, "api-one.tailscale.local") as ours, \
         Load(running.network.hub, OTHER_PORT, "www.example.com", rate=20) as others:
        for names in (["api-one", "api-two", "taken"], ["taken", "api-one"]) * 3:
            running.devices.write(names)
            # Without the device its host is again the business of the user's catch-all route.
            answers = "api-two" if "api-two" in names else "backend"
            eventually(lambda w=answers: running.ask("api-two.tailscale.local").json()["device"] == w, 20, f"{answers} answers")
    for load in (theirs, ours, others):
        figure(load.report())
        assert not load.failures(), load.failures()[:5]


def test_users_part_is_what_it_was_without_us(running):
    before_mine, before_other = running.before
    mine, other = users_part(running.envoys[0]), users_part(running.envoys[1])
    assert other == before_other
    # The catch-all host carries our paths in front; behind them it is what it was.
    for name, was in before_mine.items():
        now = mine[name]
        if name.startswith("host ") and was["domains"] == ["*"]:
            n = len(was["routes"])
            assert now["routes"][-n:] == was["routes"] and len(now["routes"]) > n
            now, was = {**now, "routes": []}, {**was, "routes": []}
        assert now == was, name
    assert set(mine) == set(before_mine)


def test_everything_of_ours_goes_with_its_object(running):
    running.write_resources("gateway.yaml")
    eventually(lambda: running.ask("api-one.tailscale.local").json()["device"] == "backend", 20, "our host is gone")
    before_mine, before_other = running.before
    eventually(lambda: users_part(running.envoys[0]) == before_mine, 10, "Envoy has what it had before us")
    assert users_part(running.envoys[1]) == before_other


def test_listener_without_any_route(running):
    base(running)
    running.write_resources("gateway.yaml", gateway_resource(tailnets=[entry(**DIRECT)]))
    running.wait_for("api-one.tailscale.local", device="api-one")
    running.wait_for("whatever.example", "/tailscale/api-one/", device="api-one")
    running.wait_for("www.example.com", status=404)


def test_two_fitting_listeners_are_not_guessed(running):
    two = [{"name": "public", "protocol": "HTTP", "port": LISTENER_PORT}, {"name": "internal", "protocol": "HTTP", "port": PRIVATE_PORT}]
    base(running, listeners=two)
    eventually(lambda: listening(running.network.hub, PRIVATE_PORT), 20, "the second listener is there")
    running.wait_for("api-one.tailscale.local", status=404)
    said = eventually(lambda: find(running.gateway.state(), reason="ListenerAmbiguous"), 10, "ListenerAmbiguous is shown")
    assert "public" in str(said) and "internal" in str(said)
    assert "ListenerAmbiguous" in running.gateway.explain("http://api-one.tailscale.local/")
    holds(lambda: running.ask("api-one.tailscale.local").status == 404 and
          running.ask("api-one.tailscale.local", port=PRIVATE_PORT).status == 404, 1, "neither listener has it")
    running.write_resources("gateway.yaml", gateway_resource(section="internal", tailnets=[entry(**DIRECT)]))
    assert running.wait_for("api-one.tailscale.local", port=PRIVATE_PORT).json()["device"] == "api-one"
    assert running.ask("api-one.tailscale.local").status == 404


def test_listeners_admit_as_they_do_for_routes(running):
    """On each listener a user's HTTPRoute says what Envoy Gateway does with it; ours must fare the same."""
    base(running, {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "demo", "labels": {"team": "a"}}},
         *[lib.http_route(f"web-{name}", ["www.example.com"], "web", section=name) for name in ALLOWED],
         listeners=[{"name": name, "protocol": "HTTP", "port": port, "allowedRoutes": allowed} for name, (port, allowed, _) in ALLOWED.items()])
    running.write_resources("gateway.yaml", *[gateway_resource(f"corp-{name}", section=name, tailnets=[entry(**DIRECT)]) for name in ALLOWED])
    for name, (port, _, admits) in ALLOWED.items():
        running.wait_for("www.example.com", status=200 if admits else 404, port=port)
        running.wait_for("api-one.tailscale.local", status=200 if admits else 404, port=port)
    # While Envoy Gateway is about to ask anew, those that it admits are Pending.
    eventually(lambda: not find(running.gateway.state()["entries"], reason="Pending"), 20, "what is wanted has been served")
    said = {e["gateway"]: e["text"] for e in running.gateway.state()["entries"] if not e["programmed"]}
    assert set(said) == {f"corp-{name}" for name, (_, _, admits) in ALLOWED.items() if not admits}
    assert "team=a; the Namespace demo is one of them" in said["corp-labelled"] and "knows no labels" in said["corp-labelled"]
    assert {r["listener"] for r in find(running.gateway.state(), reason="NotAllowedByListeners", gateway="corp-grpc")} == {"grpc"}


def test_what_the_answer_is_without_is_told(running):
    base(running, lib.http_route("web", ["www.example.com"], "web"))
    hosts = ["www.example.com", "absent.example.com"]
    running.write_resources("gateway.yaml", gateway_resource(tailnets=[entry(egress={"pathHosts": hosts}, **DIRECT)]))
    eventually(lambda: find(running.gateway.state(), host="absent.example.com", reason="NoPathHost", programmed=False), 20, "it is told")
    assert running.wait_for("www.example.com", "/tailscale/api-one/", device="api-one")
    # Envoy Gateway may have read its files in two steps: it is the last answer that counts.
    eventually(lambda: find(running.gateway.state(), host="www.example.com", programmed=True), 10, "the host that is there has the path")
    eventually(lambda: running.gateway.metric("tailscale_gateway_left_out_routes", reason="NoPathHost") == 1, 10, "one path is without its host")
    assert "NoPathHost" in running.gateway.explain("http://absent.example.com/tailscale/api-one/")
    table = running.gateway.command("status", "--admin-address", f"tcp://127.0.0.1:{ADMIN_PORT}")
    assert "Left out of the answer" in table and "no host that pathHosts absent.example.com names" in table


def test_nothing_was_refused(running):
    assert running.eg.metric("xds_nack_total") == 0
    assert all(e.stat(r".*update_rejected") == 0 for e in running.envoys)
