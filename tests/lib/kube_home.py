# SPDX-License-Identifier: Apache-2.0
"""A cluster with everything in it that a user of ours has: two operators, two extension servers, Envoy Gateway, a Gateway with an HTTP and
an HTTPS listener, an Envoy, and tailnets. Roles are those of the chart and no others."""

import base64
import os

from . import chart
from . import kube_gateway as kube
from .chart import NAMESPACE
from .envoy import gateway_class
from .kube_faults import FAULTS_PORT, KubeFaults
from .kube_program import EG_CA, EG_CLIENT, EXTENSION_HOST, EXTENSION_PORT, SERVER_TLS, ServiceAddress, extension_service, pod_of
from .kube_stack import KubeStack
from .process import eventually
from .stack import ROOT, headscale_tailnet, secret

TEAM = "team-a"
GATEWAY = "eg-gateway"
OURS = "/apis/gateway.tailscale.com/v1alpha1"
LEASE = f"/apis/coordination.k8s.io/v1/namespaces/{NAMESPACE}/leases/tailscale-gateway"
OPERATOR, EXTENSION = chart.account("operator"), chart.account("extension")


def listeners():
    admitted = {"namespaces": {"from": "Selector", "selector": {"matchLabels": {"tailnets": "yes"}}}}
    return [{"name": "http", "protocol": "HTTP", "port": 80, "allowedRoutes": admitted},
            {"name": "https", "protocol": "HTTPS", "port": 443, "allowedRoutes": admitted,
             "tls": {"mode": "Terminate", "certificateRefs": [{"name": "gateway-tls"}]}}]


def gateway(name=GATEWAY):
    return {"apiVersion": "gateway.networking.k8s.io/v1", "kind": "Gateway", "metadata": {"name": name, "namespace": kube.NAMESPACE},
            "spec": {"gatewayClassName": "eg", "listeners": listeners()}}


class Fronts:
    """The faults of all replicas at once; each one's own is its `front`."""

    def __init__(self, stack):
        object.__setattr__(self, "stack", stack)

    def __setattr__(self, name, value):
        for r in self.stack.replicas:
            setattr(r.front, name, value)

    def fail(self, *args, **more):
        for r in self.stack.replicas:
            r.front.fail(*args, **more)

    def clear(self):
        for r in self.stack.replicas:
            r.front.clear()

    def count(self, status):
        return sum(r.front.count(status) for r in self.stack.replicas)

    def count_delayed(self):
        return sum(r.front.delayed for r in self.stack.replicas)


class KubeHome(KubeStack):
    """Each replica talks with the API server through a front of its own, Envoy Gateway directly."""

    def __init__(self, label, workdir):
        super().__init__(label, workdir)
        self.faults, self.service = Fronts(self), None
        self.operators, self.extensions = [], []

    def start(self, devices, dev=(), operators=2, extensions=2):
        """`devices` are of the tailnet corp, `dev` of another one."""
        self.begin_cluster()
        self.begin_tailnet(devices)
        if dev:
            self.begin_tailnet(dev)
        self.start_cluster(controllers=True)
        for t in self.tailnets:
            t.end_start()
        self.prepare()
        for _ in range(operators):
            self.add_operator().start()
        deployment = eventually(lambda: self.deployment(EXTENSION) if self.has_certificates() else None, 60, "the operator made Deployment and certificates")
        for _ in range(extensions):
            self.add_extension(deployment).start()
        return self.start_peers()

    def start_peers(self):
        """Envoy Gateway, once the extension servers run, and an Envoy."""
        self.service = ServiceAddress(self.network.hub, self.network.HUB, EXTENSION_PORT, self.extensions)
        self.others.append(self.service)
        for e in self.extensions:
            e.wait_ready()
        self.make_kube_eg(service=extension_service(), hosts={EXTENSION_HOST: [self.network.HUB]}).start()
        eventually(lambda: self.eg.is_accepted(GATEWAY, kube.NAMESPACE), 60, "the Gateway is accepted")
        self.eg.provide_proxy(GATEWAY, kube.NAMESPACE, self.network.HUB)
        self.start_envoy(kube.NAMESPACE, GATEWAY)
        return self

    def prepare(self):
        """Namespaces, roles, the Gateway."""
        cluster = self.cluster
        cluster.create_namespace(NAMESPACE, **{"pod-security.kubernetes.io/enforce": "restricted"})
        cluster.create_namespace(kube.NAMESPACE)
        cluster.create_namespace(TEAM, tailnets="yes")
        certificate, key = cluster.certificates.issue("gateway", names="subjectAltName=DNS:*.gateway.local")
        tls = {}
        for name, path in (("tls.crt", certificate), ("tls.key", key)):
            with open(path, "rb") as f:
                tls[name] = base64.b64encode(f.read()).decode()
        cluster.apply(*chart.manifests())
        cluster.apply(gateway_class(), gateway(),
                      {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "gateway-tls", "namespace": kube.NAMESPACE},
                       "type": "kubernetes.io/tls", "data": tls})

    def add_operator(self):
        # The lab's headscale speaks plain http.
        return self._add(self.operators, "operator", self.deployment(OPERATOR), "--allow-insecure-api")

    def add_extension(self, deployment=None):
        return self._add(self.extensions, "extension", deployment or self.deployment(EXTENSION))

    def add_run(self):
        """Both in one process, with an operator's account."""
        made = self._add(self.operators, "run", self.deployment(EXTENSION), "--allow-insecure-api", shape="run", service_account=OPERATOR)
        self.extensions.append(made)
        return made

    def _add(self, to, kind, deployment, *args, **more):
        front = KubeFaults(self.cluster, FAULTS_PORT + len(self.replicas))
        self.others.append(front)
        made = pod_of(self, f"{kind}-{len(to)}", deployment, *args, server=front.server, **more)
        made.front = front
        to.append(made)
        return made

    def has_certificates(self):
        return all(self.cluster.get(f"/api/v1/namespaces/{ns}/secrets/{name}")
                   for name, ns in ((SERVER_TLS, NAMESPACE), (EG_CA, kube.NAMESPACE), (EG_CLIENT, kube.NAMESPACE)))

    def deployment(self, name):
        return self.cluster.get(f"/apis/apps/v1/namespaces/{NAMESPACE}/deployments/{name}")

    # What a user writes

    def apply_tailnets(self, **more):
        """corp-tailnet and, where there is a second one, dev-tailnet, each with its Secret."""
        for name, tailnet in zip(("corp", "dev"), self.tailnets):
            key = {"name": f"{name}-key"}
            self.cluster.apply(secret(f"{name}-key", TEAM, api_key=tailnet.headscale.api_key),
                               headscale_tailnet(tailnet.headscale.url, tailnet, name=f"{name}-tailnet", namespace=TEAM,
                                                 credentials={"secretRef": key}, **more))

    def apply_plan(self):
        """The plan's manifest as a user has it."""
        return self.cluster.kubectl("apply", "-n", TEAM, "--validate=strict", "-f", os.path.join(ROOT, "examples", "gateway.yaml"))

    # What is seen

    def object(self, kind, name, namespace=TEAM):
        return self.cluster.get(f"{OURS}/namespaces/{namespace}/{kind}/{name}")

    def binding(self, name=GATEWAY, namespace=kube.NAMESPACE):
        return self.object("tailscalegatewaybindings", name, namespace)

    def holder(self):
        """The operator that holds the Lease, or None."""
        lease = self.cluster.get(LEASE)
        identity = (lease or {}).get("spec", {}).get("holderIdentity") or ""
        return next((o for o in self.operators if identity.startswith(o.name)), None)

    def wait_leader(self, other_than=None, seconds=30):
        def check():
            now = self.holder()
            return now if now is not None and now is not other_than else None
        return eventually(check, seconds, "an operator leads")

    def ours(self, requests):
        return [r for r in requests if r.user.startswith(f"system:serviceaccount:{NAMESPACE}:")]

    def check_writers(self, since):
        """Every write of an operator was made by the one that held the Lease then; returns the writes."""
        names = {r.credential: r.name for r in self.operators}
        holder, writes = None, []
        for r in sorted(self.ours(self.cluster.writes(0)), key=lambda r: r.time):
            if r.resource == "leases":
                if r.code in (200, 201):
                    holder = r.body["spec"].get("holderIdentity") or None
            elif r.user.endswith(OPERATOR) and r.resource != "events" and r.code < 300:
                who = names[r.credential]
                assert holder is not None and holder.startswith(who), f"{who}: {r} while {holder} holds the Lease"
                if r.time >= since:
                    writes.append(r)
        return writes
