# SPDX-License-Identifier: Apache-2.0
"""Every protocol that leads into a tailnet, through real peers: Envoy Gateway, Envoy, headscale and tailscaled."""

import json
import os
import subprocess
import time

import pytest

from tests.lib import envoy as lib
from tests.lib.certificates import Certificates
from tests.lib.process import eventually
from tests.lib.servers import Bytes, Datagrams, WebSocket, WebSocketClient, ask_udp, connect, read_line
from tests.lib.stack import GROUP, LISTENER_PORT, entry, find, gateway_resource, headscale_tailnet, secret, tailnet_resource
from tools import peers

TCP_PORT, TAKEN_PORT, TLS_PORT, UDP_PORT = 15432, 15433, 10443, 10053
LISTENERS = [{"name": "http", "protocol": "HTTP", "port": LISTENER_PORT},
             {"name": "tcp", "protocol": "TCP", "port": TCP_PORT}, {"name": "taken", "protocol": "TCP", "port": TAKEN_PORT},
             {"name": "tls", "protocol": "TLS", "port": TLS_PORT, "tls": {"mode": "Passthrough"}},
             {"name": "udp", "protocol": "UDP", "port": UDP_PORT}]
UDP_ADDRESS = "100.64.9.1"


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
    tailnet = stack.start_tailnet(["box"])
    certificates = Certificates(os.path.join(stack.workdir, "certs"))
    ns, hub = tailnet.nodes["box"].ns, stack.network.hub
    hub.ip("addr", "add", f"{UDP_ADDRESS}/32", "dev", "lo")
    certificates.issue("box", names="subjectAltName=DNS:box.tn.test")
    certificates.contexts.pop("box", None)
    tls = {name: server_context(certificates, name) for name in ("box", "vault", "plain")}
    stack.servers = {"ws": WebSocket(ns, "ws", 8081), "secure": WebSocket(ns, "secure", 8443, tls=tls["box"]),
                     "database": Bytes(ns, "database", 5432), "vault": Bytes(ns, "vault", 8200, tls=tls["vault"]),
                     "names": Datagrams(hub, "names", 53, UDP_ADDRESS)}
    stack.others += stack.servers.values()
    stack.certificates = certificates
    address = tailnet.nodes["box"].address()
    own = lib.backend("own", UDP_ADDRESS, 9999)
    route = {"apiVersion": "gateway.networking.k8s.io/v1", "kind": "TCPRoute", "metadata": {"name": "own", "namespace": "demo"},
             "spec": {"parentRefs": [{"name": "gw", "sectionName": "taken"}],
                      "rules": [{"backendRefs": [{"group": "gateway.envoyproxy.io", "kind": "Backend", "name": "own"}]}]}}
    stack.write_gateway("base.yaml", lib.gateway_class(), lib.gateway(listeners=LISTENERS), own, route)
    port_map = [{"service": "database", "port": 5432, "listenerPort": TCP_PORT}, {"service": "database", "listenerPort": TAKEN_PORT}]
    stack.gateways = [
        endpoints("of-corp", "corp", ("ws", address, 8081, "HTTP", "box.tn.test"), ("secure", address, 8443, "HTTPS", "box.tn.test"),
                  ("database", address, 5432, "TCP", None), ("rpc", address, 50051, "GRPC", "box.tn.test")),
        endpoints("of-through", "through", ("vault", address, 8200, "TLS", None)),
        endpoints("of-near", "near", ("names", UDP_ADDRESS, 53, "UDP", None)),
        gateway_resource(tailnets=[
            entry("corp", patterns=["box"], egress={"portMap": port_map}),
            egress_only("through", "corp-tailnet", {"hostPattern": "{service}.tls.local", "protocol": "TLS"}),
            egress_only("near", "near-tailnet", {"hostPattern": "{service}.near.local", "protocol": "UDP", "pathPrefix": "/",
                                                 "portMap": [{"service": "names", "port": 53, "listenerPort": UDP_PORT}]},
                        connectivity={"mode": "Direct"})])]
    stack.write_resources("corp.yaml", secret("corp-key", api_key=tailnet.headscale.api_key), headscale_tailnet(tailnet.headscale.url, tailnet),
                          tailnet_resource("near-tailnet", file={"path": "none.json"}), *stack.gateways)
    with open(os.path.join(stack.resources, "none.json"), "w", encoding="utf-8") as f:
        f.write('{"devices": []}')
    stack.make_gateway().start()
    stack.make_eg().start()
    stack.start_envoy()


def server_context(certificates, name):
    """A context of its own for each server: it notes the server names that it was asked for."""
    import ssl
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
    assert set(stack.servers["secure"].server_names) == {"box.tn.test"}
    client = WebSocketClient(stack.network.hub, LISTENER_PORT, "secure.tailscale.local")
    assert "101" in client.line and client.ask("x") == "secure:x"
    client.close()


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
