# SPDX-License-Identifier: Apache-2.0
"""Every protocol that leads into a tailnet, through real peers: Envoy Gateway, Envoy, headscale and tailscaled."""

import json
import os
import ssl
import subprocess
import time

import pytest

from tests.lib import envoy as lib
from tests.lib.certificates import Certificates
from tests.lib.process import Process, eventually
from tests.lib.servers import Bytes, Datagrams, WebSocket, WebSocketClient, ask_udp, connect, read_line
from tests.lib.stack import GROUP, LISTENER_PORT, entry, find, gateway_resource, headscale_tailnet, secret, tailnet_resource
from tests.lib.web import EchoServer, Load
from tools import peers

TCP_PORT, TAKEN_PORT, PAIR_PORT, TLS_PORT, UDP_PORT = 15432, 15433, 15434, 10443, 10053
LISTENERS = [{"name": "http", "protocol": "HTTP", "port": LISTENER_PORT},
             {"name": "tcp", "protocol": "TCP", "port": TCP_PORT}, {"name": "taken", "protocol": "TCP", "port": TAKEN_PORT},
             {"name": "pair", "protocol": "TCP", "port": PAIR_PORT},
             {"name": "tls", "protocol": "TLS", "port": TLS_PORT, "tls": {"mode": "Passthrough"}},
             {"name": "udp", "protocol": "UDP", "port": UDP_PORT}]
UDP_ADDRESS, LOCAL_ADDRESS = "100.64.9.1", "10.96.7.7"


def endpoints(name, tailnet, *items):
    """(service, address, port, protocol, full name)"""
    return {"apiVersion": GROUP, "kind": "TailscaleEndpoints",
            "metadata": {"name": name, "namespace": "demo", "labels": {"gateway.tailscale.com/tailnet": tailnet}},
            "spec": {"tailnet": tailnet, "endpoints": [{"name": s, "tailscaleIP": a, "port": p, "protocol": k, **({"tailscaleFQDN": f} if f else {})}
                                                       for s, a, p, k, f in items]}}


def egress_only(name, ref, egress, **more):
    """An entry without discovery: its endpoints are static."""
    made = entry(name, ref, egress=egress, **more)
    made["serviceDiscovery"] = {"enabled": False}
    return made


@pytest.fixture(scope="module", autouse=True)
def started(stack):
    tailnet = stack.start_tailnet(["box"], proxies=2)
    certificates = Certificates(os.path.join(stack.workdir, "certs"))
    ns, hub = tailnet.nodes["box"].ns, stack.network.hub
    hub.ip("addr", "add", f"{UDP_ADDRESS}/32", "dev", "lo")
    certificates.issue("box", names="subjectAltName=DNS:box.tn.test")
    certificates.contexts.pop("box", None)
    tls = {name: server_context(certificates, name) for name in ("box", "vault", "plain")}
    stack.servers = {"ws": WebSocket(ns, "ws", 8081), "back": WebSocket(ns, "back", 8083), "secure": WebSocket(ns, "secure", 8443, tls=tls["box"]),
                     "database": Bytes(ns, "database", 5432), "vault": Bytes(ns, "vault", 8200, tls=tls["vault"]),
                     "names": Datagrams(hub, "names", 53, UDP_ADDRESS)}
    stack.others += stack.servers.values()
    stack.certificates = certificates
    address = tailnet.nodes["box"].address()
    with open(certificates.ca_file, encoding="ascii") as f:
        ca = f.read()
    for name, port, files in (("rpc", 50051, ()), ("rpcs", 50052, certificates.issue("box"))):
        more = ["-cert", files[0], "-key", files[1]] if files else []
        process = Process(f"echo-{name}", [peers.get("judge"), "echo-serve", "-listen", f"127.0.0.1:{port}", "-name", name, *more], stack.log_dir, ns=ns).start()
        stack.others.append(Stopping(process))
    # For failover: a device that is not there, and a Service of the cluster with an address of the hub.
    hub.ip("addr", "add", f"{LOCAL_ADDRESS}/32", "dev", "lo")
    stack.servers["local"] = EchoServer(hub, "local", port=8080, address=LOCAL_ADDRESS)
    stack.others.append(stack.servers["local"])
    local = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "back", "namespace": "demo"},
             "spec": {"clusterIP": LOCAL_ADDRESS, "ports": [{"port": 8080}]}}
    own = lib.backend("own", UDP_ADDRESS, 9999)
    route = {"apiVersion": "gateway.networking.k8s.io/v1", "kind": "TCPRoute", "metadata": {"name": "own", "namespace": "demo"},
             "spec": {"parentRefs": [{"name": "gw", "sectionName": "taken"}],
                      "rules": [{"backendRefs": [{"group": "gateway.envoyproxy.io", "kind": "Backend", "name": "own"}]}]}}
    stack.write_gateway("base.yaml", lib.gateway_class(), lib.gateway(listeners=LISTENERS), own, route, local)
    port_map = [{"service": "database", "port": 5432, "listenerPort": TCP_PORT}, {"service": "database", "listenerPort": TAKEN_PORT},
                {"service": "pair", "port": 5432, "listenerPort": PAIR_PORT}]
    stack.gateways = [
        endpoints("of-corp", "corp", ("ws", address, 8081, "HTTP", "box.tn.test"), ("secure", address, 8443, "HTTPS", "box.tn.test"),
                  ("database", address, 5432, "TCP", None), ("pair", address, 5432, "TCP", None), ("pair", tailnet.nodes["proxy-0"].address(), 5432, "TCP", None),
                  ("rpc", address, 50051, "GRPC", "box.tn.test"),
                  ("rpcs", address, 50052, "GRPCS", "box.tn.test"), ("back", address, 8083, "HTTP", "box.tn.test")),
        *(endpoints(f"of-{t}", t, ("secure", address, 8443, "HTTPS", "box.tn.test")) for t in ("verified", "misnamed", "unverified")),
        endpoints("of-through", "through", ("vault", address, 8200, "TLS", None)),
        endpoints("of-near", "near", ("names", UDP_ADDRESS, 53, "UDP", None)),
        gateway_resource(tailnets=[
            entry("corp", patterns=["box"], egress={"portMap": port_map, "failover": [{"service": {"name": "back", "port": 8080}}]},
                  connectivity={"retry": "AtLeastOnce"}),
            entry("once", patterns=["box"], egress={"hostPattern": "{service}.once.local", "pathPrefix": "/"}),
            entry("safe", patterns=["box"], egress={"hostPattern": "{service}.safe.local", "pathPrefix": "/"}, connectivity={"retry": "AtLeastOnce"}),
            egress_only("verified", "corp-tailnet", {"hostPattern": "{service}.verified.local", "pathPrefix": "/", "tls": {"caSecretRef": {"name": "device-ca"}}}),
            egress_only("misnamed", "corp-tailnet", {"hostPattern": "{service}.misnamed.local", "pathPrefix": "/",
                                                     "tls": {"caSecretRef": {"name": "device-ca"}, "serverName": "other.tn.test"}}),
            egress_only("unverified", "corp-tailnet", {"hostPattern": "{service}.unverified.local", "pathPrefix": "/", "tls": {"caSecretRef": {"name": "gone"}}}),
            egress_only("through", "corp-tailnet", {"hostPattern": "{service}.tls.local", "protocol": "TLS"}),
            egress_only("near", "near-tailnet", {"hostPattern": "{service}.near.local", "protocol": "UDP", "pathPrefix": "/",
                                                 "portMap": [{"service": "names", "port": 53, "listenerPort": UDP_PORT}]},
                        connectivity={"mode": "Direct"})])]
    stack.write_resources("corp.yaml", secret("corp-key", api_key=tailnet.headscale.api_key), secret("device-ca", **{"ca.crt": ca}), headscale_tailnet(tailnet.headscale.url, tailnet),
                          tailnet_resource("near-tailnet", file={"path": "none.json"}), *stack.gateways)
    with open(os.path.join(stack.resources, "none.json"), "w", encoding="utf-8") as f:
        f.write('{"devices": []}')
    stack.make_gateway().start()
    stack.make_eg().start()
    stack.start_envoy()


class Stopping:
    """A process among what the stack closes."""

    def __init__(self, process):
        self.process = process

    def close(self):
        self.process.kill()


def server_context(certificates, name):
    """A context of its own for each server: it notes the server names that it was asked for."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*certificates.issue(name, names=f"subjectAltName=DNS:{'box.tn.test' if name == 'box' else name + '.tls.local'}"))
    return context


def test_http(stack):
    assert stack.wait_for("box.tailscale.local").json()["device"] == "box"


def test_websocket(stack):
    stack.wait_for("ws.tailscale.local")
    client = WebSocketClient(stack.network.hub, LISTENER_PORT, "ws.tailscale.local")
    assert "101" in client.line, client.line
    assert client.ask("hello") == "ws:hello"
    client.close()
    by_path = WebSocketClient(stack.network.hub, LISTENER_PORT, "any.example", "/tailscale/ws/chat")
    assert "101" in by_path.line and by_path.ask("again") == "ws:again"
    by_path.close()


def test_https_sends_the_full_name(stack):
    assert stack.wait_for("secure.tailscale.local").body == b"secure"
    assert "box.tn.test" in stack.servers["secure"].server_names
    client = WebSocketClient(stack.network.hub, LISTENER_PORT, "secure.tailscale.local")
    assert "101" in client.line and client.ask("x") == "secure:x"
    client.close()


def test_https_is_verified_where_a_ca_is_named(stack):
    assert stack.wait_for("secure.verified.local").body == b"secure"
    stack.wait_for("secure.misnamed.local", status=503)  # the certificate has another name
    row = next(r for r in find(stack.gateway.state(), tailnet="unverified", service="secure") if "host" in r)
    assert not row["programmed"] and row["reason"] == "CASecretNotFound", row
    assert stack.ask("secure.unverified.local").status == 404


def test_a_ca_that_changes(stack):
    """Another authority: the device is no longer believed; and is again with the first."""
    before = stack.bindings()
    other = Certificates(os.path.join(stack.workdir, "other"))
    with open(other.ca_file, encoding="ascii") as f:
        stack.write_resources("other-ca.yaml", secret("gone", **{"ca.crt": f.read()}))
    eventually(lambda: stack.bindings() != before, 10, "a CA is part of the revision")
    stack.wait_for("secure.unverified.local", status=503)
    with open(stack.certificates.ca_file, encoding="ascii") as f:
        stack.write_resources("other-ca.yaml", secret("gone", **{"ca.crt": f.read()}))
    assert stack.wait_for("secure.unverified.local").body == b"secure"


def call(stack, authority, *more):
    """A gRPC call through Envoy, as the library of Go makes it."""
    done = subprocess.run(["nsenter", f"--net={stack.network.hub.path}", peers.get("judge"), "echo-call", "-target", f"127.0.0.1:{LISTENER_PORT}",
                           "-authority", authority, *more], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return json.loads(done.stdout)


@pytest.mark.parametrize("name", ["rpc", "rpcs"])
def test_grpc(stack, name):
    host = f"{name}.tailscale.local"
    eventually(lambda: call(stack, host)["code"] == "OK", 30, f"{name} answers")
    said = call(stack, host, "-messages", "a,b,c", "-every", "300ms")
    assert said["messages"] == [f"{name}:a", f"{name}:b", f"{name}:c"], said
    assert said["trailer"]["x-device"] == [name] and said["trailer"]["x-messages"] == ["3"], said
    refused = call(stack, host, "-method", "/test.Echo/Refuse")
    assert (refused["code"], refused["message"]) == ("FailedPrecondition", "as asked"), refused


def test_grpc_deadlines_and_long_streams(stack):
    """The caller's deadline reaches the device and ends the call; a stream may be longer than any request of HTTP."""
    said = call(stack, "rpc.tailscale.local", "-method", "/test.Echo/Deadline", "-timeout", "2s")
    # The library of the device resets the stream at the same moment.
    assert said["code"] in ("DeadlineExceeded", "Internal") and 1.5 < said["seconds"] < 6, said
    assert 0 < int(said["messages"][0].split(":")[-1]) <= 2000, said
    long = call(stack, "rpc.tailscale.local", "-messages", "a,b", "-every", "16s", "-timeout", "60s")
    assert long["code"] == "OK" and long["seconds"] > 30, long


def test_failover_to_a_service_of_the_cluster_and_back(stack, figure):
    stack.wait_for("back.tailscale.local", device="back")
    with Load(stack.network.hub, LISTENER_PORT, "back.tailscale.local", rate=20) as load:
        time.sleep(1)
        stack.servers["back"].close()
        gone = time.monotonic()
        stack.wait_for("back.tailscale.local", device="local", seconds=20)
        figure(f"device gone -> the Service answers in {time.monotonic() - gone:.2f} s")
        time.sleep(3)
    assert not load.failures(), load.failures()[:5]
    again = WebSocket(stack.tailnet.nodes["box"].ns, "back", 8083)
    stack.others.append(again)
    back = time.monotonic()
    stack.wait_for("back.tailscale.local", device="back", seconds=90)
    figure(f"device back -> it answers again in {time.monotonic() - back:.2f} s")


def test_one_of_two_proxies_is_killed(stack, figure):
    """With AtLeastOnce no request fails; without, only those that were on their way through it at that moment."""
    stack.wait_for("box.once.local")
    stack.wait_for("box.safe.local")
    hub = stack.network.hub
    with Load(hub, LISTENER_PORT, "box.safe.local", "/?sleep=0.02", rate=100, workers=8) as safe:
        with Load(hub, LISTENER_PORT, "box.once.local", "/?sleep=0.02", rate=100, workers=8) as plain:
            time.sleep(2)
            stack.tailnet.nodes["proxy-1"].process.kill()
            killed = time.monotonic()
            time.sleep(4)
        stack.tailnet.nodes["proxy-1"].start()
        time.sleep(8)
    lost = [round(start - killed, 3) for start, _, _ in plain.failures()]
    figure(f"AtLeastOnce: {safe.report()}; AtMostOnce: {plain.report()}, {lost} s after the kill")
    assert not safe.failures(), safe.failures()[:5]
    assert len(lost) <= 8 and all(after < 0.1 for after in lost), lost


def test_tcp_through_proxies_to_a_port_that_is_closed(stack, figure):
    """What Envoy makes of one of two endpoints that refuses connections, where a proxy stands between."""
    eventually(lambda: greeted(stack, PAIR_PORT) == "database", 30, "the good endpoint answers")
    answers = [greeted(stack, PAIR_PORT) == "database" for _ in range(30)]
    figure(f"{answers.count(True)} of {len(answers)} connections reached the endpoint that answers")
    assert answers.count(True) >= 5, answers


def greeted(stack, port, **tls):
    try:
        with connect(stack.network.hub, port, timeout=5, **tls) as sock:
            return read_line(sock)
    except (OSError, EOFError):
        return None


def test_tcp_by_port_map(stack):
    eventually(lambda: greeted(stack, TCP_PORT) == "database", 30, "the TCP listener leads to the device")
    with connect(stack.network.hub, TCP_PORT) as sock:
        assert read_line(sock) == "database"
        sock.sendall(b"abc\n")
        assert read_line(sock) == "abc"
    found = find(stack.gateway.state(), listenerPort=TCP_PORT)
    assert found and found[0]["programmed"], found
    said = stack.gateway.explain(f"tcp://gateway:{TCP_PORT}")
    assert "answered by service database" in said and f"port {TCP_PORT} of TCP is programmed" in said, said


def test_a_users_tcp_route_keeps_its_listener(stack):
    assert greeted(stack, TAKEN_PORT) != "database"
    row = eventually(lambda: next((r for r in find(stack.gateway.state(), listenerPort=TAKEN_PORT) if not r["programmed"]), None), 10, "told")
    assert row["reason"] == "Conflicted", row


def test_tls_is_passed_through_by_its_name(stack):
    client = stack.certificates.client()
    eventually(lambda: greeted(stack, TLS_PORT, tls=client, server_name="vault.tls.local") == "vault", 30, "the TLS listener leads to the device")
    assert "vault.tls.local" in stack.servers["vault"].server_names
    assert greeted(stack, TLS_PORT, tls=stack.certificates.client(), server_name="other.tls.local") is None


def test_udp_where_the_host_has_a_route(stack):
    def answer():
        try:
            return ask_udp(stack.network.hub, UDP_PORT, b"who") == b"names:who"
        except OSError:
            return False
    eventually(answer, 30, "the UDP listener leads to the device")


def test_envoy_refused_nothing(stack):
    assert stack.eg.metric("xds_nack_total") == 0
    assert stack.envoys[0].stat(r".*update_rejected") == 0
