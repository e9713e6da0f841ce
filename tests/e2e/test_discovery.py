# SPDX-License-Identifier: Apache-2.0
"""What happens to devices of two real tailnets, and what becomes of their hosts: join, rename, retag, log out, expire, die, leave.

Both tailnets own the same addresses and stand behind one Envoy. The guard is as strict as can be, so what leaves at once does
so because the list says so, not because it was let through. The tests of this file tell one story and run in this order: with
Headscale's API v1, and with API v2 and an OAuth client where HEADSCALE names a program that has it (0.30 or newer).
"""

import json
import os
import time

import pytest

from tests.lib import envoy as lib
from tests.lib.process import eventually, holds
from tests.lib.stack import ADMIN_PORT, LISTENER_PORT, Stack, entry, find, gateway_resource, headscale_tailnet, secret
from tests.lib.web import EchoServer, Load

CONFIRMATIONS = 6
AT_ONCE = 4.0  # a poll comes within 1.1 s; fewer polls than the guard wants take that long
DEVICES = ["api-one", "api-old", "api-expired", "api-leaves", "api-killed", "api-gone", ("api-tagged", ("tag:http-8080",))]
OTHERS = ["api-one", "api-two", "api-three"]


@pytest.fixture(scope="module", params=["v1", "v2"])
def api(request):
    if request.param == "v2" and not os.environ.get("HEADSCALE"):
        pytest.skip("HEADSCALE names no Headscale with API v2")
    return request.param


@pytest.fixture(scope="module")
def stack(workdir, api):
    made = Stack(f"disc{api}", f"{workdir}/{api}")
    yield made
    made.close()


def ask_as_a_client(tailnet):
    """By API v2: the Secret of an OAuth client, and what the TailscaleTailnet says then. That it is API v2 is found out."""
    made = json.loads(tailnet.headscale.cli("oauth-clients", "create", "-s", "devices:core:read", "-o", "json"))
    return {"client_id": made["id"], "client_secret": made["key"]}, {"type": "Auto"}


@pytest.fixture(scope="module", autouse=True)
def story(stack, api):
    one = stack.begin_tailnet(DEVICES, **({"program": os.environ["HEADSCALE"]} if api == "v2" else {}))
    two = stack.begin_tailnet(OTHERS)
    one.end_start()
    two.end_start()
    stack.others.append(EchoServer(one.nodes["api-tagged"].ns, "api-tagged:9090", 9090))
    guard = {"maxPercent": 0, "fromEndpoints": 1, "confirmations": CONFIRMATIONS}
    stack.write_gateway("base.yaml", lib.gateway_class(), lib.gateway())
    credentials, more = ask_as_a_client(one) if api == "v2" else ({"api_key": one.headscale.api_key}, {})
    stack.write_resources(
        "two.yaml", secret("corp-key", **credentials), secret("lab-key", api_key=two.headscale.api_key),
        headscale_tailnet(one.headscale.url, one, removalGuard=guard, **more),
        headscale_tailnet(two.headscale.url, two, name="lab-tailnet", removalGuard=guard, credentials={"secretRef": {"name": "lab-key"}}))
    stack.write_resources("gateway.yaml", gateway_resource(tailnets=[rules("corp", "corp-tailnet"), rules("lab", "lab-tailnet")]))
    stack.make_gateway().start()
    stack.make_eg().start()
    stack.start_envoy()
    one.nodes["api-killed"].process.kill()  # its control server takes some ten seconds to notice


def rules(name, ref):
    """One tailnet's entry; each has hosts of its own."""
    made = entry(name, ref, egress={"hostPattern": "{service}." + name + ".local", "pathPrefix": f"/{name}/{{service}}/"})
    made["serviceDiscovery"]["excludeTags"] = ["tag:private"]
    return made


def host(name, tailnet="corp"):
    return f"{name}.{tailnet}.local"


def of_entry(stack, tailnet="corp"):
    return find(stack.gateway.state()["entries"], tailnet=tailnet)[0]


def endpoint(stack, name, tailnet="corp"):
    found = [e for e in of_entry(stack, tailnet)["endpoints"] if e["name"] == name]
    return found[0] if found else None


def left_out(stack, name):
    found = [x for x in of_entry(stack)["leftOut"] if x["name"].partition(".")[0] == name]
    return found[0]["reason"] if found else None


def seen_at_once(figure, what, check, event=None):
    """Makes it happen and waits until what is decided follows, which is before the guard could have let anything go."""
    start = time.monotonic()
    if event:
        event()
    told = time.monotonic()
    eventually(check, AT_ONCE, what, every=0.01)
    figure(f"{what}: in the Snapshot {time.monotonic() - start:.2f} s after it began, of which {told - start:.2f} s until the control server said so (poll interval 1 s)")


def is_gone(stack, name, path="/"):
    """Whether Envoy has forgotten the host. A device that is there and answers nothing is not forgotten."""
    try:
        return stack.ask(name, path, timeout=0.5).status == 404
    except TimeoutError:
        return False


def until_gone(stack, name):
    eventually(lambda: is_gone(stack, host(name)), 10, f"{host(name)} is gone")
    eventually(lambda: is_gone(stack, "any.example", f"/corp/{name}/"), 5, f"the path of {name} is gone")


def nothing_is_held(stack):
    for name in ("corp", "lab"):
        assert of_entry(stack, name)["held"]["endpoints"] == 0, of_entry(stack, name)


@pytest.fixture
def load(stack):
    """The device that nothing happens to, in both tailnets; any answer but 200 fails the test."""
    loads = [Load(stack.network.hub, LISTENER_PORT, host("api-one", t), rate=20) for t in ("corp", "lab")]
    for t in ("corp", "lab"):
        stack.wait_for(host("api-one", t))
    with loads[0], loads[1]:
        yield loads
    for x in loads:
        assert not x.failures(), (x.report(), x.failures()[:5])


def test_two_tailnets_with_the_same_addresses(stack, figure):
    """Every device is asked by host and by path, those that share an address in turn."""
    addresses = {t: {n: node.address() for n, node in tailnet.nodes.items() if not node.proxy_port and n != "api-killed"}
                 for t, tailnet in zip(("corp", "lab"), stack.tailnets)}
    shared = set(addresses["corp"].values()) & set(addresses["lab"].values())
    assert len(shared) >= 1, addresses
    for tailnet, nodes in addresses.items():
        for name in nodes:
            stack.wait_for(host(name, tailnet), device=name)
    n = 0
    for _ in range(50):
        for address in shared:
            for tailnet, nodes in addresses.items():
                name = next(k for k, v in nodes.items() if v == address)
                answer = stack.ask(host(name, tailnet)) if n % 2 else stack.ask("any.example", f"/{tailnet}/{name}/x")
                seen = answer.json()
                domain = stack.tailnets[0 if tailnet == "corp" else 1].headscale.domain
                assert (answer.status, seen["device"], dict(seen["headers"])["host"]) == (200, name, f"{name}.{domain}")
                n += 1
    figure(f"{n} requests to {len(shared)} addresses that two tailnets share, none to the wrong device")
    # A name that both have is two hosts.
    assert {endpoint(stack, "api-one", t)["tailscaleFQDN"] for t in addresses} == {"api-one.tn.test", "api-one.tn1.test"}


def test_device_that_joins(stack, load, figure):
    stack.tailnet.begin_add("api-new")
    eventually(lambda: "api-new" in stack.tailnet.headscale.nodes(), 60, "the API lists it", every=0.02)
    seen_at_once(figure, "a device that joins", lambda: endpoint(stack, "api-new"))
    stack.tailnet.end_add("api-new")
    stack.wait_for(host("api-new"))


def test_device_that_is_renamed(stack, load, figure):
    """It keeps its node id, so nothing was removed and no guard is asked: the host moves."""
    stack.wait_for(host("api-old"))
    node = endpoint(stack, "api-old")["nodeID"]
    seen_at_once(figure, "a device that is renamed", lambda: endpoint(stack, "api-renamed") and not endpoint(stack, "api-old"),
                 lambda: stack.tailnet.headscale.node("rename", "api-old", "api-renamed"))
    assert endpoint(stack, "api-renamed")["nodeID"] == node
    nothing_is_held(stack)
    stack.wait_for(host("api-renamed"), device="api-old", seconds=10)
    until_gone(stack, "api-old")


def test_device_with_other_tags(stack, load, figure):
    """A tag gives a port, and another one takes the device out of the selection."""
    stack.wait_for(host("api-tagged"), device="api-tagged")
    assert endpoint(stack, "api-tagged")["portSource"].startswith("tag"), endpoint(stack, "api-tagged")
    headscale = stack.tailnet.headscale
    seen_at_once(figure, "a device whose tag gives another port", lambda: (endpoint(stack, "api-tagged") or {}).get("port") == 9090,
                 lambda: headscale.node("tag", "api-tagged", "--tags", "tag:http-9090"))
    stack.wait_for(host("api-tagged"), device="api-tagged:9090", seconds=10)
    seen_at_once(figure, "a device that its tag excludes", lambda: left_out(stack, "api-tagged") == "Excluded",
                 lambda: headscale.node("tag", "api-tagged", "--tags", "tag:private,tag:http-9090"))
    until_gone(stack, "api-tagged")
    headscale.node("tag", "api-tagged", "--tags", "tag:http-8080")
    stack.wait_for(host("api-tagged"), device="api-tagged", seconds=10)
    nothing_is_held(stack)


def test_device_that_expires(stack, load, figure):
    stack.wait_for(host("api-expired"))
    seen_at_once(figure, "a device whose key expires", lambda: left_out(stack, "api-expired") == "Expired",
                 lambda: stack.tailnet.headscale.node("expire", "api-expired"))
    until_gone(stack, "api-expired")
    said = stack.gateway.explain(f"http://{host('api-expired')}/")
    assert "Expired" in said, said
    assert "reason=Expired" in stack.gateway.process.text()
    nothing_is_held(stack)


def test_device_that_logs_out(stack, load, figure):
    stack.wait_for(host("api-leaves"))
    seen_at_once(figure, "a device that logs out", lambda: not endpoint(stack, "api-leaves"), lambda: stack.tailnet.nodes["api-leaves"].run("logout"))
    assert left_out(stack, "api-leaves") == "Expired"
    until_gone(stack, "api-leaves")
    nothing_is_held(stack)


def test_device_that_is_killed_stays(stack, load, api):
    """Its control server says offline. That is a condition, not a removal: it comes back under the same host."""
    eventually(lambda: not stack.tailnet.headscale.nodes()["api-killed"]["online"], 40, "its control server has noticed")
    # API v2 says only when it was last seen, and of that a few minutes mean nothing.
    eventually(lambda: endpoint(stack, "api-killed")["health"] == ("Offline" if api == "v1" else "Healthy"), AT_ONCE, "its health says so")
    assert find(stack.gateway.state()["routes"], host=host("api-killed"))[0]["programmed"]
    assert stack.ask(host("api-killed"), timeout=20).status in (503, 504)
    assert endpoint(stack, "api-one")["health"] == "Healthy"
    assert ("Offline" in stack.gateway.command("status", "--admin-address", f"tcp://127.0.0.1:{ADMIN_PORT}")) == (api == "v1")
    stack.tailnet.nodes["api-killed"].process.start()
    eventually(lambda: stack.tailnet.headscale.nodes()["api-killed"]["online"], 30, "it is back")
    eventually(lambda: endpoint(stack, "api-killed")["health"] == "Healthy", AT_ONCE, "its health says so")
    nothing_is_held(stack)


def test_control_server_stopped_and_started(stack, load, figure):
    headscale = stack.tailnet.headscale
    before, failures = stack.bindings(), find(stack.gateway.state()["tailnets"], name="corp-tailnet")[0]["failures"]
    other = find(stack.gateway.state()["tailnets"], name="lab-tailnet")[0]["polls"]
    headscale.process.stop()
    eventually(lambda: find(stack.gateway.state()["tailnets"], name="corp-tailnet")[0]["failures"] > failures, 10, "a poll fails")
    holds(lambda: stack.bindings() == before, 3, "nothing is removed")
    assert find(stack.gateway.state()["tailnets"], name="corp-tailnet")[0]["sync"] == "Failing"
    now = find(stack.gateway.state()["tailnets"], name="lab-tailnet")[0]
    assert now["sync"] == "Synced" and now["polls"] > other, "the other tailnet is asked all the while"
    start = time.monotonic()
    headscale.start()
    eventually(lambda: find(stack.gateway.state()["tailnets"], name="corp-tailnet")[0]["sync"] == "Synced", 30, "it is asked again")
    figure(f"control server started again: asked {time.monotonic() - start:.2f} s later (backoff of up to a few seconds)")
    assert stack.bindings() == before
    nothing_is_held(stack)


def test_device_that_is_deleted_is_missed(stack, load, figure):
    """Absence may be the server's mistake, so this alone waits for the guard."""
    stack.wait_for(host("api-gone"))
    start = time.monotonic()
    stack.tailnet.headscale.delete("api-gone")
    eventually(lambda: of_entry(stack)["held"]["endpoints"] == 1, AT_ONCE, "it is held")
    assert endpoint(stack, "api-gone")["held"]
    eventually(lambda: not endpoint(stack, "api-gone"), 3 * CONFIRMATIONS, "it leaves")
    took = time.monotonic() - start
    figure(f"deleted: left after {took:.2f} s, {CONFIRMATIONS} polls of the guard")
    assert took >= (CONFIRMATIONS - 1) * 0.9
    until_gone(stack, "api-gone")


def look_at_ports(made):
    """The same entry without a port rule: what is open is found out, what answers is looked at."""
    rule = rules("lab", "lab-tailnet")
    del rule["serviceDiscovery"]["defaultPort"]
    rule["serviceDiscovery"].update(portProbing={"ports": "22,8080", "interval": "10s", "timeout": "2s"},
                                    probes={"type": "HTTP", "interval": "1s", "timeout": "1s", "failures": 2})
    made.write_resources("gateway.yaml", gateway_resource(tailnets=[rules("corp", "corp-tailnet"), rule]))


def test_ports_are_found_by_looking(stack, figure):
    """With no rule that names a port: through the real proxy, at real devices, of which the open port answers."""
    start = time.monotonic()
    look_at_ports(stack)
    eventually(lambda: [(e["port"], e["portSource"]) for n in OTHERS if (e := endpoint(stack, n, "lab"))] == 3 * [(8080, "portProbing")], 30,
               "the open ports are found, and no other")
    figure(f"open ports of 3 devices found {time.monotonic() - start:.2f} s after they were asked for")
    for name in OTHERS:
        stack.wait_for(host(name, "lab"))


def test_probes_tell_a_dead_device(stack, figure):
    """Through the same proxy; what was looked up and then falls silent keeps its host, and its probe says so."""
    def verdict(name):
        return endpoint(stack, name, "lab").get("probe", {}).get("verdict")

    eventually(lambda: [verdict(n) for n in OTHERS] == 3 * ["Healthy"], 20, "all answer")
    start = time.monotonic()
    stack.tailnets[1].nodes["api-three"].process.kill()
    eventually(lambda: verdict("api-three") == "Unhealthy", 20, "the dead one is told")
    figure(f"killed: its probe says so after {time.monotonic() - start:.2f} s (interval 1 s, timeout 1 s, 2 failures)")
    assert [verdict(n) for n in OTHERS[:2]] == ["Healthy", "Healthy"]
    assert "healthy by our own probes" in stack.gateway.command("explain", host("api-three", "lab"), "--admin-address", f"tcp://127.0.0.1:{ADMIN_PORT}")
    assert endpoint(stack, "api-three", "lab")["portSource"] == "portProbing"
