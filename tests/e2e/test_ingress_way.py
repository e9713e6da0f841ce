# SPDX-License-Identifier: Apache-2.0
"""The way in: a real tailscaled beside Envoy is made to lead its tailnet to a listener of the Gateway, with the PROXY protocol.
A laptop of the tailnet calls; who calls is known in Envoy; nobody else can say so; what others serve stays theirs."""

import json
import os
import socket
import struct
import threading
import time

import pytest

from tests.lib import envoy as lib
from tests.lib.process import eventually, holds
from tests.lib.stack import entry, find, gateway_resource, program, tailnet_resource
from tests.lib.tailnet import Node
from tests.lib.web import Answer, EchoServer, Load, Tunnel, listening, request

TAILNET_PORT = 10081  # of the listener that the tailnet comes in by
PUBLIC_PORT = 10080
TCP_PORT = 10082
LAPTOP_PROXY = 3200
LOOK_SECONDS = 15  # SERVE_LOOK_S
BACKEND = "10.98.0.1"


def way(**more):
    return {"ingress": {"socket": more.pop("socket"), **more}}


def listeners():
    return [{"name": "http", "protocol": "HTTP", "port": PUBLIC_PORT}, {"name": "tailnet", "protocol": "HTTP", "port": TAILNET_PORT},
            {"name": "tcp", "protocol": "TCP", "port": TCP_PORT}]


def tcp_route():
    return {"apiVersion": "gateway.networking.k8s.io/v1", "kind": "TCPRoute", "metadata": {"name": "tcp", "namespace": "demo"},
            "spec": {"parentRefs": [{"name": "gw", "sectionName": "tcp"}],
                     "rules": [{"backendRefs": [{"group": "gateway.envoyproxy.io", "kind": "Backend", "name": "backend"}]}]}}


def write_entry(stack, section="tailnet", gateway=True, tcp=False, **more):
    made = entry("corp", "corp-tailnet")
    made["routeGeneration"] = {"ingress": {"protocol": "HTTP", "sectionName": section}}
    made["connectivity"] = {"mode": "Direct", **way(**{"socket": stack.tailnet.nodes["proxy-0"].socket, "ports": [80], **more})}
    more_entries = []
    if tcp:
        more_entries = [{**made, "name": "tcp", "routeGeneration": {"ingress": {"protocol": "TCP", "sectionName": "tcp"}},
                         "connectivity": {"mode": "Direct", **way(socket=stack.tailnet.nodes["proxy-0"].socket, ports=[5432])}}]
    tailnet = tailnet_resource("corp-tailnet", localAPI={"socket": stack.tailnet.nodes["proxy-0"].socket}, magicDNSSuffix="tn.test")
    stack.write_resources("ours.yaml", tailnet, *([gateway_resource(tailnets=[made, *more_entries])] if gateway else []))


@pytest.fixture(scope="module", autouse=True)
def started(stack):
    stack.network.hub.ip("addr", "add", f"{BACKEND}/32", "dev", "lo")
    stack.others.append(EchoServer(stack.network.hub, "backend", 9090, address=BACKEND))
    stack.tailnet = None
    tailnet = stack.begin_tailnet([])
    laptop = tailnet.nodes["laptop"] = Node(tailnet, "laptop", stack.network.machine("laptop"), proxy_port=LAPTOP_PROXY).start()
    laptop.begin_join()
    tailnet.end_start()
    stack.write_gateway("base.yaml", lib.gateway_class(), lib.gateway(listeners=listeners()), lib.backend("backend", BACKEND, 9090),
                        lib.http_route("in", None, "backend", section="tailnet"), lib.http_route("public", None, "backend", section="http"), tcp_route())
    write_entry(stack)
    stack.make_gateway().start()
    stack.make_eg().start()
    stack.start_envoy()
    eventually(lambda: stack.ask("any.example").status == 200, 30, "Envoy answers")


def node(stack):
    return stack.tailnet.nodes["proxy-0"]


def served(stack):
    """What the real tailscaled serves."""
    return json.loads(node(stack).run("serve", "status", "--json") or "null") or {}


def forward():
    return {"TCPForward": f"127.0.0.1:{TAILNET_PORT}", "ProxyProtocol": 2}


def call(stack, port=80, path="/", headers=None, timeout=10):
    """The laptop calls the tailnet address of Envoy's tailscaled, through its own."""
    conn = Tunnel(stack.tailnet.nodes["laptop"].ns, LAPTOP_PROXY, node(stack).address(), port, timeout)
    try:
        conn.request("GET", path, headers={"Host": "any.example", **(headers or {})})
        r = conn.getresponse()
        return Answer(r.status, r.headers, r.read(), 0.0)
    finally:
        conn.close()


def seen(answer):
    return dict(answer.json()["headers"])


def fact(stack):
    found = find(stack.gateway.state()["ingress"], tailnet="corp")
    return found[0] if found else None


def eventually_reason(stack, reason, seconds=LOOK_SECONDS + 10):
    return eventually(lambda: (fact(stack) or {}).get("reason") == reason, seconds, f"the way in says {reason}")


def condition(stack, kind="IngressServing"):
    gateways = stack.gateway.state()["tailscaleGateways"]
    return next((c for c in gateways[0]["conditions"] if c["type"] == kind), None)


def v2_header(source, port=4711):
    """PROXY protocol 2, TCP over IPv4."""
    return (b"\r\n\r\n\0\r\nQUIT\n" + bytes([0x21, 0x11]) + struct.pack(">H", 12) + socket.inet_aton(source) + socket.inet_aton("127.0.0.1") +
            struct.pack(">HH", port, TAILNET_PORT))


def raw(stack, to, header, source=None, ns=None, port=TAILNET_PORT):
    """What comes back for a request with these bytes before it; None: the connection was ended."""
    with (ns or stack.network.hub).inside():
        s = socket.create_connection((to, port), 5, source_address=(source, 0) if source else None)
    try:
        s.sendall(header + b"GET / HTTP/1.1\r\nHost: any.example\r\nConnection: close\r\n\r\n")
        got = b""
        while chunk := s.recv(65536):
            got += chunk
    except ConnectionError:
        got = b""
    finally:
        s.close()
    return got or None


def test_a_caller_of_the_tailnet_is_known(stack):
    eventually_reason(stack, "Serving", 30)
    assert served(stack)["TCP"] == {"80": forward()}
    eventually(lambda: call(stack).status == 200, 30, "the laptop's request is answered")
    answer = call(stack, path="/who")
    laptop = stack.tailnet.nodes["laptop"].address()
    assert answer.headers["x-device"] == "backend"
    assert seen(answer)["x-forwarded-for"] == laptop, answer
    assert condition(stack)["status"] == "True" and condition(stack)["reason"] == "Serving"
    assert stack.gateway.metric("tailscale_gateway_serve_ports", state="serving") == 1


def test_nobody_else_can_say_who_calls(stack):
    laptop = stack.tailnet.nodes["laptop"]
    # Who is trusted: as tailscaled.
    got = raw(stack, "127.0.0.1", v2_header("100.64.7.7"))
    assert got and b" 200 OK" in got and b'["x-forwarded-for", "100.64.7.7"]' in got, got
    # Who is not: with a header, with a forged address of the tailnet, with that of the trusted one.
    for forged in (laptop.address(), "100.64.7.7", "127.0.0.1"):
        assert raw(stack, "10.99.0.1", v2_header(forged), ns=laptop.ns) is None
        assert raw(stack, "10.99.0.1", v2_header(forged), source="10.99.0.1") is None
    assert stack.envoys[0].stat(r".*rbac.*denied") >= 6
    # Without a header nobody comes in, from wherever.
    assert raw(stack, "127.0.0.1", b"") is None
    assert raw(stack, "10.99.0.1", b"", ns=laptop.ns) is None
    # A header of its own in the request, behind the true one, is one that a client made up: Envoy appends the truth.
    assert seen(call(stack, headers={"X-Forwarded-For": "1.2.3.4"}))["x-forwarded-for"] == f"1.2.3.4,{laptop.address()}"
    # The other listener is what it was.
    assert stack.ask("any.example").status == 200
    assert request(laptop.ns, PUBLIC_PORT, "/", address="10.99.0.1").status == 200


def test_what_others_serve_stays_theirs(stack):
    node(stack).run("serve", "--bg", "--tcp=2222", "tcp://127.0.0.1:22")
    before = served(stack)
    assert set(before["TCP"]) == {"80", "2222"}
    write_entry(stack, ports=[80, 8000])
    eventually(lambda: set(served(stack)["TCP"]) == {"80", "2222", "8000"}, 10, "another port is set")
    assert call(stack, port=8000).status == 200
    # A port of somebody else is not ours, and stays with him; the others are served.
    write_entry(stack, ports=[80, 2222])
    eventually(lambda: set(served(stack)["TCP"]) == {"80", "2222"}, 10, "ours are taken back")
    assert served(stack)["TCP"]["2222"] == before["TCP"]["2222"]
    eventually(lambda: find(stack.gateway.state()["ingress"], port=2222, reason="PortTaken"), 10, "it is told")
    assert condition(stack)["status"] == "False" and condition(stack)["reason"] == "PortTaken"
    assert "127.0.0.1:22" in condition(stack)["message"], condition(stack)
    assert call(stack).status == 200
    write_entry(stack)
    eventually(lambda: condition(stack)["reason"] == "Serving", 10, "all is well again")


def test_a_tcp_listener_is_guarded_as_well(stack):
    """There the filter of connections is all that stands in the way."""
    write_entry(stack, tcp=True)
    eventually(lambda: served(stack)["TCP"].get("5432") == {"TCPForward": f"127.0.0.1:{TCP_PORT}", "ProxyProtocol": 2}, 10, "its port is set")
    eventually(lambda: raw(stack, "127.0.0.1", b"", port=TCP_PORT) is None, 20, "it demands a header")
    answer = call(stack, port=5432)
    assert answer.headers["x-device"] == "backend" and "x-forwarded-for" not in seen(answer), answer
    assert b" 200 OK" in raw(stack, "127.0.0.1", v2_header("100.64.7.7"), port=TCP_PORT)
    assert raw(stack, "10.99.0.1", v2_header("100.64.7.7"), ns=stack.tailnet.nodes["laptop"].ns, port=TCP_PORT) is None
    assert call(stack).status == 200
    write_entry(stack)
    eventually(lambda: "5432" not in served(stack)["TCP"], 10, "its port goes")
    eventually(lambda: raw(stack, "127.0.0.1", b"", port=TCP_PORT), 20, "and its guard")


def test_another_hand_is_seen(stack, figure):
    start = time.monotonic()
    node(stack).run("serve", "reset")
    assert "TCP" not in served(stack)
    eventually(lambda: served(stack).get("TCP") == {"80": forward()}, LOOK_SECONDS + 5, "it is set again")
    figure(f"a forward that was taken away stands again after {time.monotonic() - start:.1f} s")
    assert call(stack).status == 200
    node(stack).run("serve", "--bg", "--tcp=2222", "tcp://127.0.0.1:22")


def test_two_hands_at_once(stack, figure):
    """Both write the same document at the same time; what each wanted last is there in the end."""
    over, failed, theirs = threading.Event(), [], set(served(stack)["TCP"]) - {"80"}

    def other_hand():
        n = 0
        while not over.is_set():
            n += 1
            try:
                node(stack).run("serve", "--bg", f"--tcp={3000 + n % 3}", f"tcp://127.0.0.1:{n}")
                theirs.add(str(3000 + n % 3))
            except AssertionError as e:
                failed.append(str(e))  # tailscale itself gives up where it was not the last to read
    thread = threading.Thread(target=other_hand, daemon=True)
    thread.start()
    try:
        for n in range(8):
            write_entry(stack, ports=[80, 7000 + n])
            eventually(lambda: served(stack)["TCP"].get(str(7000 + n)) == forward(), 20, "ours is set")
    finally:
        over.set()
        thread.join(30)
    write_entry(stack)
    eventually(lambda: set(served(stack)["TCP"]) == {"80"} | theirs, 10, "both have what they wanted last")
    figure(f"{stack.gateway.metric('tailscale_gateway_serve_conflicts_total'):.0f} writes of ours and {len(failed)} of the other hand met a change in between")
    for port in theirs & {"3000", "3001", "3002"}:
        node(stack).run("serve", f"--tcp={port}", "off")


def test_our_death_costs_nothing(stack):
    laptop = stack.tailnet.nodes["laptop"]
    with Load(laptop.ns, LAPTOP_PROXY, f"{node(stack).address()}:80", path=f"http://{node(stack).address()}:80/", rate=40) as load:
        eventually(lambda: load.count() > 40, 10, "requests run")
        stack.gateway.process.kill()
        count = load.count()
        eventually(lambda: load.count() > count + 120, 20, "requests run on")
        stack.make_gateway().start()
        eventually_reason(stack, "Serving", 30)
        count = load.count()
        eventually(lambda: load.count() > count + 40, 10, "and on")
    assert not load.failures(), load.report()


def test_what_changes_while_nobody_runs(stack):
    """The port of the listener, and what is asked for: what was set is known to be ours all the same."""
    stack.gateway.stop()
    write_entry(stack, ports=[8000])
    stack.make_gateway().start()
    eventually(lambda: set(served(stack)["TCP"]) == {"2222", "8000"}, 20, "the old port goes, the new one comes")
    assert call(stack, port=8000).status == 200


def test_a_daemon_that_is_away(stack):
    write_entry(stack)
    eventually_reason(stack, "Serving")
    node(stack).process.kill()
    eventually(lambda: fact(stack)["reason"] in ("NotListening", "NoSocket"), LOOK_SECONDS + 5, "it is told")
    assert condition(stack)["status"] == "False"
    node(stack).start()
    eventually_reason(stack, "Serving", 90)
    eventually(lambda: call(stack, timeout=5).status == 200, 30, "the laptop is answered again")


@pytest.mark.parametrize("section, reason", [("http", "ListenerShared"), ("other", "NoMatchingListener")])
def test_listeners_that_are_refused(stack, section, reason):
    """A listener with egress of ours is not cut off from its callers; and ours goes from the daemon meanwhile."""
    made = entry("lab", "corp-tailnet", egress={"sectionName": "http"}, connectivity={"mode": "Direct"})
    write_entry(stack, section=section)
    stack.write_resources("egress.yaml", gateway_resource("egress", tailnets=[made]))
    try:
        eventually(lambda: (condition(stack) or {}).get("reason") == reason, 10, f"it says {reason}")
        eventually(lambda: set(served(stack)["TCP"]) == {"2222"}, 10, "nothing of ours is served")
        assert stack.ask("any.example").status == 200
    finally:
        os.remove(os.path.join(stack.resources, "egress.yaml"))
        write_entry(stack)
    eventually_reason(stack, "Serving")
    eventually(lambda: call(stack).status == 200, 20, "the laptop is answered again")


def test_what_goes_takes_ours_and_nothing_else(stack):
    write_entry(stack, gateway=False)
    eventually(lambda: set(served(stack).get("TCP", {})) == {"2222"}, 20, "ours goes, the other one stays")
    eventually(lambda: raw(stack, "127.0.0.1", b"") is not None, 20, "the listener asks for no header any more")
    holds(lambda: set(served(stack)["TCP"]) == {"2222"}, 2, "it stays so")
    assert not stack.gateway.state()["ingress"]


def test_nothing_of_it_is_done_by_the_commands(stack):
    """`validate` reads the same manifests, and touches no daemon."""
    write_entry(stack)
    eventually(lambda: "80" in served(stack)["TCP"], 20, "it is set")
    stack.gateway.stop()
    write_entry(stack, ports=[9000])
    before = served(stack)
    stack.gateway.command("validate", stack.resources, code=0)
    assert served(stack) == before
    assert listening(stack.network.hub, TAILNET_PORT) and program()
