# SPDX-License-Identifier: Apache-2.0
"""The peers without our program: what the other tests stand on is true on this machine."""

import http.client
import os

import pytest

from tests.lib import envoy as lib
from tests.lib.faults import FaultyProxy
from tests.lib.process import eventually
from tests.lib.web import EchoServer, Load, request


def static_envoy(stack, address):
    http = {"@type": "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
            "stat_prefix": "in", "route_config": {"virtual_hosts": [{"name": "all", "domains": ["*"], "routes": [
                {"match": {"prefix": "/"}, "route": {"cluster": "device"}}]}]},
            "http_filters": [{"name": "envoy.filters.http.router", "typed_config": {
                "@type": "type.googleapis.com/envoy.extensions.filters.http.router.v3.Router"}}]}
    proxied = {"name": "envoy.transport_sockets.http_11_proxy", "typed_config": {
        "@type": "type.googleapis.com/envoy.extensions.transport_sockets.http_11_proxy.v3.Http11ProxyUpstreamTransport"}}
    return lib.Envoy(stack.network.hub, os.path.join(stack.workdir, "static"), stack.log_dir, None, name="static", admin_port=9902, bootstrap={
        "admin": {"address": {"socket_address": {"address": "127.0.0.1", "port_value": 9902}}},
        "static_resources": {
            "listeners": [{"name": "in", "address": {"socket_address": {"address": "127.0.0.1", "port_value": 10081}},
                           "filter_chains": [{"filters": [{"name": "http", "typed_config": http}]}]}],
            "clusters": [{"name": "device", "type": "STATIC", "connect_timeout": "2s", "transport_socket": proxied,
                          "load_assignment": lib.endpoints("device", [(address, 8080, 3128)])}]}})


def test_device_answers_through_the_proxy(stack):
    tailnet = stack.start_tailnet(["api-server", "web"])
    nodes = tailnet.headscale.nodes()
    assert set(nodes) == {"api-server", "web", "proxy-0"}
    assert all(n["online"] for n in nodes.values())
    address = tailnet.nodes["api-server"].address()
    assert tailnet.via_proxy(address).json()["device"] == "api-server"
    assert tailnet.headscale.api(key="wrong").status == 401

    envoy = static_envoy(stack, address)
    stack.envoys.append(envoy)
    envoy.start()
    answer = eventually(lambda: stack.ask("anything", "/a/b?c=d", port=10081), 20, "Envoy answers")
    assert (answer.status, answer.json()["device"], answer.json()["path"], answer.json()["query"]) == (200, "api-server", "/a/b", "c=d")
    with Load(stack.network.hub, 10081, "anything", rate=50) as load:
        eventually(lambda: load.count() >= 50, 10, "fifty requests")
    assert not load.failures(), load.report()
    print(load.report())


def test_faults_are_what_they_say(stack):
    headscale = stack.tailnet.headscale
    proxy = FaultyProxy(stack.network.hub, 8180, stack.network.HUB, headscale.port)
    stack.others.append(proxy)

    def ask():
        return request(stack.network.hub, proxy.port, "/api/v1/node", headers={"Authorization": f"Bearer {headscale.api_key}"}, timeout=1)
    assert set(n["givenName"] for n in ask().json()["nodes"]) == set(stack.tailnet.nodes)
    for mode in ("401", "429", "500"):
        proxy.set(mode)
        answer = ask()
        assert (answer.status, answer.headers["retry-after"]) == (int(mode), "1" if mode == "429" else None)
    proxy.set("empty")
    assert ask().json() == {"nodes": []}
    proxy.set("half")
    with pytest.raises(ValueError):
        ask().json()
    for mode, error in (("cut", http.client.IncompleteRead), ("refuse", ConnectionError), ("hang", TimeoutError)):
        proxy.set(mode)
        with pytest.raises(error):
            ask()
    proxy.set("pass")
    assert ask().status == 200
    assert proxy.count("hang") == 1


def test_cut_cable(stack):
    """A silent device: connections hang and nobody is told; it comes back by itself."""
    device = stack.tailnet.nodes["api-server"]
    address = device.address()
    stack.network.cut(device.ns)
    with pytest.raises(TimeoutError):
        request(stack.network.hub, 3128, f"http://{address}:8080/", timeout=1)
    assert stack.tailnet.headscale.nodes()["api-server"]["online"]
    stack.network.mend(device.ns)
    eventually(lambda: stack.tailnet.via_proxy(address).status == 200, 30, "it answers again")


def test_plain_route_of_envoy_gateway(stack):
    stack.write_gateway("base.yaml", lib.gateway_class(), lib.gateway(), lib.backend("web", "127.0.0.1", 3000),
                        lib.http_route("web", ["www.example.com"], "web"))
    stack.others.append(EchoServer(stack.network.hub, "backend", port=3000, address="127.0.0.1"))
    stack.make_eg(extension=False).start()
    envoy = stack.start_envoy()
    assert stack.wait_for("www.example.com").json()["device"] == "backend"
    assert stack.ask("other.example.com").status == 404
    assert stack.eg.snapshots() >= 1
    first = envoy.config()
    assert envoy.config() == first
