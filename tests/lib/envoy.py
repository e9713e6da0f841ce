# SPDX-License-Identifier: Apache-2.0
"""Envoy Gateway without Kubernetes, and an Envoy that takes its configuration from it."""

import json
import os
import re
import subprocess

import yaml

from tools import peers

from .process import Process, eventually
from .web import listening, request

CONTROLLER = "gateway.envoyproxy.io/gatewayclass-controller"
DEFAULT_ENVOY = "1.39.0"  # what Envoy Gateway 1.9.0 asks for; 1.40.0 under that name serves as well
XDS_PORT, METRICS_PORT, HEALTH_PORT = 18000, 19001, 8081


def write(path, text):
    """Whole or not at all, as a careful user would: under a dotted name, then renamed."""
    os.makedirs(os.path.dirname(path), exist_ok=True)
    hidden = os.path.join(os.path.dirname(path), "." + os.path.basename(path) + ".part")
    with open(hidden, "w", encoding="utf-8") as f:
        f.write(text)
    os.rename(hidden, path)


def write_yaml(path, *documents):
    write(path, yaml.safe_dump_all(documents, sort_keys=False))


class EnvoyGateway:
    """One Envoy Gateway in the hub; its ports are fixed, so there is one for a namespace.
    `paths` are the directories that it watches, `extension` a unix socket of ours or None."""

    def __init__(self, ns, home, log_dir, paths, extension=None, runtime_flags=()):
        self.ns, self.home = ns, home
        self.program = peers.get("envoy-gateway")
        os.makedirs(home, exist_ok=True)
        for p in paths:
            os.makedirs(p, exist_ok=True)
        config = {
            "apiVersion": "gateway.envoyproxy.io/v1alpha1", "kind": "EnvoyGateway",
            "gateway": {"controllerName": CONTROLLER}, "logging": {"level": {"default": "info"}},
            "provider": {"type": "Custom", "custom": {
                "resource": {"type": "File", "file": {"paths": list(paths)}},
                "infrastructure": {"type": "Host", "host": {"configHome": f"{home}/config", "dataHome": f"{home}/data",
                                                            "stateHome": f"{home}/state", "runtimeDir": f"{home}/run"}}}},
            "extensionApis": {"enableBackend": True}}
        if runtime_flags:
            config["runtimeFlags"] = {"enabled": list(runtime_flags)}
        if extension:
            config["extensionManager"] = {
                "policyResources": [{"group": "gateway.tailscale.com", "version": "v1alpha1", "kind": "TailscaleGatewayBinding"}],
                "hooks": {"xdsTranslator": {"post": ["VirtualHost", "Translation"], "translation": {
                    "route": {"includeAll": True}, "listener": {"includeAll": True},
                    "cluster": {"includeAll": True}, "secret": {"includeAll": False}}}},
                "failOpen": False, "maxMessageSize": "64Mi", "service": {"unix": {"path": extension}}}
        self.config = f"{home}/eg.yaml"
        with open(self.config, "w", encoding="utf-8") as f:
            yaml.safe_dump(config, f, sort_keys=False)
        self.process = Process("envoy-gateway", [self.program, "server", "--config-path", self.config], log_dir, ns=ns)

    def start(self, wait=True):
        if not os.path.exists(f"{self.home}/config/certs"):
            done = subprocess.run([self.program, "certgen", "--local", "--config-home", f"{self.home}/config"],
                                  stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
            assert done.returncode == 0, done.stdout + done.stderr
        self.process.start()
        if wait:
            self.wait()
        return self

    def wait(self):
        eventually(lambda: self.process.check() and listening(self.ns, XDS_PORT), 60, "Envoy Gateway listens for Envoys")
        return self

    def provide_envoy(self):
        """Puts our Envoy where Envoy Gateway keeps the one that it would download, so that it starts ours."""
        folder = f"{self.home}/data/envoy-versions/{DEFAULT_ENVOY}/bin"
        os.makedirs(folder)
        os.symlink(peers.get("envoy"), f"{folder}/envoy")

    def certificate(self, name):
        return f"{self.home}/config/certs/envoy/{name}"

    def metric(self, name, **labels):
        """The sum of the samples of that name that carry these labels."""
        text = request(self.ns, METRICS_PORT, "/metrics").body.decode()
        total = 0.0
        for m in re.finditer(rf"^{name}(?:\{{([^}}]*)\}})? (\S+)$", text, re.M):
            if all(f'{k}="{v}"' in (m.group(1) or "") for k, v in labels.items()):
                total += float(m.group(2))
        return total

    def snapshots(self):
        """How many times it has published; a translation that published nothing new counts too."""
        return self.metric("xds_snapshot_update_total", status="success")


class Envoy:
    """A hand-started Envoy for one Gateway, or with the name of a GatewayClass as `cluster` for all that it merges: it
    outlives restarts of Envoy Gateway."""

    def __init__(self, ns, home, log_dir, gateway, namespace="demo", name="gw", admin_port=9901, eg=None, bootstrap=None, cluster=None):
        self.ns, self.admin_port = ns, admin_port
        os.makedirs(home, exist_ok=True)
        self.bootstrap = f"{home}/envoy-{name}.yaml"
        with open(self.bootstrap, "w", encoding="utf-8") as f:
            yaml.safe_dump(bootstrap or self._xds(gateway, cluster or f"{namespace}/{name}", f"envoy-{name}"), f, sort_keys=False)
        self.process = Process(f"envoy-{name}", [peers.get("envoy"), "-c", self.bootstrap, "--use-dynamic-base-id", "--concurrency", "1",
                                                 "-l", "warning"], log_dir, ns=ns)

    def _xds(self, gateway, cluster, node):
        tls = {"@type": "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext", "sni": "envoy-gateway",
               "common_tls_context": {
                   "tls_params": {"tls_maximum_protocol_version": "TLSv1_3"},
                   "tls_certificates": [{"certificate_chain": {"filename": gateway.certificate("tls.crt")},
                                         "private_key": {"filename": gateway.certificate("tls.key")}}],
                   "validation_context": {"trusted_ca": {"filename": gateway.certificate("ca.crt")}}}}
        h2 = {"@type": "type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions",
              "explicit_http_config": {"http2_protocol_options": {}}}
        return {
            "node": {"id": node, "cluster": cluster},
            "admin": {"address": {"socket_address": {"address": "127.0.0.1", "port_value": self.admin_port}}},
            "dynamic_resources": {
                "ads_config": {"api_type": "DELTA_GRPC", "transport_api_version": "V3", "set_node_on_first_message_only": True,
                               "grpc_services": [{"envoy_grpc": {"cluster_name": "xds_cluster"}}]},
                "lds_config": {"ads": {}, "resource_api_version": "V3"}, "cds_config": {"ads": {}, "resource_api_version": "V3"}},
            "static_resources": {"clusters": [{
                "name": "xds_cluster", "type": "STATIC",
                "load_assignment": endpoints("xds_cluster", [("127.0.0.1", XDS_PORT)]),
                "typed_extension_protocol_options": {"envoy.extensions.upstreams.http.v3.HttpProtocolOptions": h2},
                "transport_socket": {"name": "envoy.transport_sockets.tls", "typed_config": tls}}]}}

    def start(self):
        self.process.start()
        eventually(lambda: self.process.check() and listening(self.ns, self.admin_port), 20, "Envoy's admin port")
        return self

    def admin(self, path, method="GET"):
        return request(self.ns, self.admin_port, path, method=method)

    def live(self):
        return self.admin("/ready").status == 200

    def config(self):
        """What it runs now, without times: two equal answers mean that nothing was changed in between."""
        dump = json.loads(self.admin("/config_dump").body)

        def strip(value):
            if isinstance(value, dict):
                return {k: strip(v) for k, v in value.items() if k != "last_updated"}
            return [strip(v) for v in value] if isinstance(value, list) else value
        return strip([c for c in dump["configs"] if re.search(r"(Clusters|Listeners|Routes)ConfigDump$", c["@type"])])

    def stat(self, name):
        """The value of one statistic, or the sum where the name is a pattern that fits several."""
        lines = self.admin("/stats").body.decode().splitlines()
        return sum(int(line.split(": ")[1]) for line in lines if re.fullmatch(name, line.split(": ")[0]) and line.split(": ")[1].isdigit())


def endpoints(cluster, addresses):
    """A load assignment; with (address, port, proxy port) the address is reached through that CONNECT proxy."""
    made = []
    for address, port, *proxy in addresses:
        one = {"endpoint": {"address": {"socket_address": {"address": address, "port_value": port}}}}
        if proxy:
            one["metadata"] = {"typed_filter_metadata": {"envoy.http11_proxy_transport_socket.proxy_address": {
                "@type": "type.googleapis.com/envoy.config.core.v3.Address",
                "socket_address": {"address": "127.0.0.1", "port_value": proxy[0]}}}}
        made.append(one)
    return {"cluster_name": cluster, "endpoints": [{"lb_endpoints": made}]}


def gateway_class():
    return {"apiVersion": "gateway.networking.k8s.io/v1", "kind": "GatewayClass", "metadata": {"name": "eg"},
            "spec": {"controllerName": CONTROLLER}}


def merged_class():
    """The class whose Gateways are merged into one Envoy, whose cluster has the class's name."""
    proxy = {"apiVersion": "gateway.envoyproxy.io/v1alpha1", "kind": "EnvoyProxy", "metadata": {"name": "merged", "namespace": "demo"},
             "spec": {"mergeGateways": True, "provider": {"type": "Host", "host": {}}}}
    made = gateway_class()
    made["spec"]["parametersRef"] = {"group": "gateway.envoyproxy.io", "kind": "EnvoyProxy", "name": "merged", "namespace": "demo"}
    return proxy, made


def gateway(name="gw", namespace="demo", listeners=None):
    return {"apiVersion": "gateway.networking.k8s.io/v1", "kind": "Gateway", "metadata": {"name": name, "namespace": namespace},
            "spec": {"gatewayClassName": "eg", "listeners": listeners or [{"name": "http", "protocol": "HTTP", "port": 10080}]}}


def backend(name, address, port, namespace="demo"):
    return {"apiVersion": "gateway.envoyproxy.io/v1alpha1", "kind": "Backend", "metadata": {"name": name, "namespace": namespace},
            "spec": {"endpoints": [{"ip": {"address": address, "port": port}}]}}


def http_route(name, hostnames, backend_name, namespace="demo", parent="gw", section=None):
    ref = {"name": parent, **({"sectionName": section} if section else {})}
    spec = {"parentRefs": [ref], "rules": [{"backendRefs": [{"group": "gateway.envoyproxy.io", "kind": "Backend", "name": backend_name}]}]}
    if hostnames:
        spec["hostnames"] = list(hostnames)
    return {"apiVersion": "gateway.networking.k8s.io/v1", "kind": "HTTPRoute", "metadata": {"name": name, "namespace": namespace}, "spec": spec}
