# SPDX-License-Identifier: Apache-2.0
"""Envoy Gateway in Kubernetes mode, with the CRDs and roles of its own chart, and what a cluster would do for it."""

import glob
import os
import re
import subprocess

import yaml

from tools import peers

from .cluster import condition
from .envoy import CONTROLLER, XDS_PORT
from .process import Process, eventually
from .web import listening, request

NAMESPACE = "envoy-gateway-system"
ACCOUNT = "envoy-gateway"
HEALTH_PORT, METRICS_PORT = 8081, 19001
CONTROLLER_METRICS_PORT = 8080  # nothing else in its namespace may have it
POLICY_KIND = {"group": "gateway.tailscale.com", "version": "v1alpha1", "kind": "TailscaleGatewayBinding"}
# Parts of the chart that the values of a test would leave out.
UNUSED_RULES = re.compile(r"topologyinjector|controllernamespace|tokenreview|\.infra\.")
# A root directory that is the machine's but for /certs, where Envoy Gateway expects its certificates, and /etc/hosts.
OWN_ROOT = """set -e
root=$1 certs=$2 hosts=$3; shift 3
mount -t tmpfs tmpfs "$root"
for p in /*; do
  if [ -L "$p" ]; then cp -P "$p" "$root$p"; elif [ -d "$p" ]; then mkdir "$root$p"; mount --rbind "$p" "$root$p"; fi
done
mkdir -p "$root/certs"
mount --bind "$certs" "$root/certs"
mount --bind "$hosts" "$root/etc/hosts"
exec chroot "$root" "$@"
"""


def chart():
    return peers.get("envoy-gateway-chart")


def foreign_crds():
    """Those of Gateway API and Envoy Gateway, from its chart: files or directories."""
    folder = os.path.join(chart(), "charts", "crds", "crds")
    return [os.path.join(folder, "gatewayapi-crds.yaml"), os.path.join(folder, "generated")]


def install_crds(cluster, ours=(), foreign=True):
    """Those of Gateway API and Envoy Gateway, unless they are there, and `ours`: files or directories."""
    named = [a for f in (*(foreign_crds() if foreign else ()), *ours) for a in ("-f", f)]
    # Client-side apply keeps the object in an annotation, for which these are too large.
    cluster.kubectl("apply", "--server-side", *named, seconds=180)
    cluster.kubectl("wait", "--for=condition=established", "--timeout=120s", *named, seconds=150)


def chart_rules():
    """(cluster-wide, of its own namespace): the rules that the chart gives Envoy Gateway."""
    with open(os.path.join(chart(), "templates", "_rbac.tpl"), encoding="utf-8") as f:
        blocks = re.findall(r'{{-? define "([^"]+)" -?}}(.*?){{-? end }}', f.read(), re.S)
    found = {}
    for name, body in blocks:
        if body.strip() and "{{" not in body:
            rules = yaml.safe_load(body)
            found[name] = rules if isinstance(rules, list) else [rules]
    own = found["eg.rbac.infra.basic"]
    wide = [r for name, rules in sorted(found.items()) if not UNUSED_RULES.search(name) for r in rules]
    assert len(wide) >= 8, sorted(found)
    return wide, own


def role_documents(wide, own):
    group = "rbac.authorization.k8s.io"
    subject = [{"kind": "ServiceAccount", "name": ACCOUNT, "namespace": NAMESPACE}]
    return [
        {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": ACCOUNT, "namespace": NAMESPACE}},
        {"apiVersion": f"{group}/v1", "kind": "ClusterRole", "metadata": {"name": ACCOUNT}, "rules": wide},
        {"apiVersion": f"{group}/v1", "kind": "ClusterRoleBinding", "metadata": {"name": ACCOUNT},
         "roleRef": {"apiGroup": group, "kind": "ClusterRole", "name": ACCOUNT}, "subjects": subject},
        {"apiVersion": f"{group}/v1", "kind": "Role", "metadata": {"name": ACCOUNT, "namespace": NAMESPACE}, "rules": own},
        {"apiVersion": f"{group}/v1", "kind": "RoleBinding", "metadata": {"name": ACCOUNT, "namespace": NAMESPACE},
         "roleRef": {"apiGroup": group, "kind": "Role", "name": ACCOUNT}, "subjects": subject}]


class KubeEnvoyGateway:
    """One for a namespace of the network, since its ports are fixed. `service` is where the extension server is
    (`{"fqdn": {"hostname": …, "port": …}, "tls": {…}}`) or None; the roles for our policy kind are our chart's.
    `hosts`: name -> addresses, for such host names."""

    def __init__(self, cluster, workdir, log_dir, service=None, hosts=None):
        self.cluster, self.ns, self.home = cluster, cluster.ns, os.path.join(workdir, "eg")
        for d in ("certs", "envoy", "root"):
            os.makedirs(self.at(d))
        with open(self.at("hosts"), "w", encoding="ascii") as f:
            f.write("127.0.0.1 localhost\n" + "".join(f"{a} {name}\n" for name, addresses in (hosts or {}).items() for a in addresses))
        self.configure(service)
        self.kubeconfig = cluster.at(f"{NAMESPACE}-{ACCOUNT}.kubeconfig")
        self.process = Process("envoy-gateway", [
            "unshare", "-m", "sh", "-c", OWN_ROOT, "own-root", self.at("root"), self.at("certs"), self.at("hosts"),
            peers.get("envoy-gateway"), "server", "--config-path", self.at("eg.yaml")], log_dir, ns=self.ns,
            env={"KUBECONFIG": self.kubeconfig, "ENVOY_GATEWAY_NAMESPACE": NAMESPACE})

    def configure(self, service):
        """Where the extension server is, for the next start."""
        config = {
            "apiVersion": "gateway.envoyproxy.io/v1alpha1", "kind": "EnvoyGateway", "gateway": {"controllerName": CONTROLLER},
            "logging": {"level": {"default": "info"}},
            "provider": {"type": "Kubernetes", "kubernetes": {"leaderElection": {"disable": True}, "proxyTopologyInjector": {"disabled": True}}},
            "extensionApis": {"enableBackend": True}}
        if service:
            config["extensionManager"] = {
                "policyResources": [POLICY_KIND],
                "hooks": {"xdsTranslator": {"post": ["VirtualHost", "Translation"], "translation": {
                    "route": {"includeAll": True}, "listener": {"includeAll": True},
                    "cluster": {"includeAll": True}, "secret": {"includeAll": False}}}},
                "failOpen": False, "maxMessageSize": "64Mi", "service": service}
        with open(self.at("eg.yaml"), "w", encoding="utf-8") as f:
            yaml.safe_dump(config, f, sort_keys=False)

    def at(self, *names):
        return os.path.join(self.home, *names)

    def certificate(self, name):
        return self.at("envoy", name)

    def prepare(self):
        """Namespace, account, roles, and the certificates, which Envoy Gateway's own command makes."""
        wide, own = chart_rules()
        namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}}
        self.cluster.apply(namespace, *role_documents(wide, own))
        self.cluster.kubeconfig_of_account(ACCOUNT, NAMESPACE)
        done = subprocess.run(["nsenter", f"--net={self.ns.path}", peers.get("envoy-gateway"), "certgen", "--disable-topology-injector"],
                              stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60, check=False,
                              env={**os.environ, "KUBECONFIG": self.cluster.at("admin.kubeconfig"), "ENVOY_GATEWAY_NAMESPACE": NAMESPACE})
        assert done.returncode == 0, done.stdout + done.stderr
        for secret, folder in (("envoy-gateway", "certs"), ("envoy", "envoy")):
            for name, value in self.cluster.secret(secret, NAMESPACE).items():
                with open(self.at(folder, name), "wb") as f:
                    f.write(value)
        return self

    def start(self, wait=True):
        if not os.path.exists(self.kubeconfig):
            self.prepare()
        self.process.start()
        if wait:
            self.wait()
        return self

    def restart(self):
        """At once: of its own accord it takes half a minute to end."""
        self.process.kill()
        return self.start()

    def errors(self, since=0):
        """What it logged as an error after that many characters of its log."""
        return [line for line in self.process.text()[since:].splitlines() if "\terror\t" in line]

    def wait(self):
        """It serves Envoys; what it knows by then is shown by the Gateway's status."""
        eventually(lambda: self.process.check() and listening(self.ns, XDS_PORT), 120, "Envoy Gateway listens for Envoys")
        return self

    def metric(self, name, **labels):
        text = request(self.ns, METRICS_PORT, "/metrics").body.decode()
        total = 0.0
        for m in re.finditer(rf"^{name}(?:\{{([^}}]*)\}})? (\S+)$", text, re.M):
            if all(f'{k}="{v}"' in (m.group(1) or "") for k, v in labels.items()):
                total += float(m.group(2))
        return total

    def gateway(self, name, namespace):
        return self.cluster.get(f"/apis/gateway.networking.k8s.io/v1/namespaces/{namespace}/gateways/{name}")

    def is_accepted(self, name, namespace):
        return condition(self.gateway(name, namespace), "Accepted").get("status") == "True"

    def owned(self, kind, name, namespace, merged=None):
        """The Deployment or Service that it made for a Gateway, or for all of a class that it merges, or None."""
        group = "/apis/apps/v1" if kind == "deployments" else "/api/v1"
        labels = f"gateway.envoyproxy.io/owning-gateway-name%3D{name},gateway.envoyproxy.io/owning-gateway-namespace%3D{namespace}"
        if merged:
            labels = f"gateway.envoyproxy.io/owning-gatewayclass%3D{merged}"
        items = self.cluster.get(f"{group}/namespaces/{NAMESPACE}/{kind}?labelSelector={labels}")["items"]
        return items[0] if items else None

    def provide_proxy(self, name, namespace, address, merged=None):
        """What a load balancer and a kubelet would say of the proxy, so that the Gateway becomes Programmed."""
        service = eventually(lambda: self.owned("services", name, namespace, merged), 60, "Envoy Gateway made the proxy's Service")
        deployment = eventually(lambda: self.owned("deployments", name, namespace, merged), 60, "Envoy Gateway made the proxy's Deployment")
        self.cluster.merge(f"/api/v1/namespaces/{NAMESPACE}/services/{service['metadata']['name']}/status",
                           {"status": {"loadBalancer": {"ingress": [{"ip": address}]}}})
        ones = {k: 1 for k in ("replicas", "updatedReplicas", "readyReplicas", "availableReplicas")}
        self.cluster.merge(f"/apis/apps/v1/namespaces/{NAMESPACE}/deployments/{deployment['metadata']['name']}/status", {"status": ones})
        eventually(lambda: condition(self.gateway(name, namespace), "Programmed").get("status") == "True", 30, f"Gateway {namespace}/{name} is programmed")


def service(name, namespace, port=80, **labels):
    """Without a selector: what is behind it is said by `endpoint_slice`."""
    return {"apiVersion": "v1", "kind": "Service", "metadata": {"name": name, "namespace": namespace, "labels": labels},
            "spec": {"ports": [{"name": "http", "port": port, "targetPort": port}]}}


def endpoint_slice(name, namespace, addresses, port):
    return {"apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice",
            "metadata": {"name": f"{name}-1", "namespace": namespace, "labels": {"kubernetes.io/service-name": name}},
            "addressType": "IPv4", "endpoints": [{"addresses": [a], "conditions": {"ready": True}} for a in addresses],
            "ports": [{"name": "http", "port": port, "protocol": "TCP"}]}


def service_route(name, namespace, hostnames, backend, port=80, parent="gw"):
    return {"apiVersion": "gateway.networking.k8s.io/v1", "kind": "HTTPRoute", "metadata": {"name": name, "namespace": namespace},
            "spec": {"parentRefs": [{"name": parent}], "hostnames": list(hostnames),
                     "rules": [{"backendRefs": [{"name": backend, "port": port}]}]}}


def our_crds(root):
    return sorted(glob.glob(os.path.join(root, "deploy", "crds", "*.yaml")))
