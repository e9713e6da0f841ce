# SPDX-License-Identifier: Apache-2.0
"""Everything that one test module runs where resources are objects of an API server."""

import os

from . import kube_template
from .cluster import Cluster
from .kube_gateway import KubeEnvoyGateway, install_crds, our_crds
from .process import eventually
from .stack import ROOT, Stack

# Envoy Gateway takes 8080 and 8081 in the hub, on all addresses.
HEADSCALE_PORT = 8085
GROUPS = ("gateway.networking.k8s.io/v1", "gateway.envoyproxy.io/v1alpha1", "gateway.tailscale.com/v1alpha1")


class KubeStack(Stack):
    """As Stack, with a cluster instead of directories."""

    def __init__(self, label, workdir):
        super().__init__(label, workdir)
        self.cluster = None
        self.replicas = []  # of our program, in the order of their making

    def begin_cluster(self, gateway_api=True):
        """With the definitions of Gateway API and Envoy Gateway, or empty."""
        self.cluster = Cluster(self.network.hub, self.workdir, self.log_dir, address=self.network.HUB)
        if gateway_api:
            kube_template.copy(kube_template.get(), self.cluster.at("etcd"))
        return self.cluster.begin_start()

    def start_cluster(self, gateway_api=True, controllers=False):
        """The API server, and the CRDs of Gateway API, Envoy Gateway and ours; or none of them."""
        if self.cluster is None:
            self.begin_cluster(gateway_api)
        self.cluster.end_start()
        if gateway_api:
            install_crds(self.cluster, our_crds(ROOT), foreign=False)
            for group in GROUPS:
                eventually(lambda g=group: self.cluster.get(f"/apis/{g}"), 60, f"{group} is served")
        if controllers:
            self.cluster.start_controllers()
        return self.cluster

    def begin_tailnet(self, devices, proxies=1, **more):
        return super().begin_tailnet(devices, proxies, **{"port": HEADSCALE_PORT + len(self.tailnets), **more})

    def make_kube_eg(self, **more):
        self.eg = KubeEnvoyGateway(self.cluster, self.workdir, self.log_dir, **more)
        return self.eg

    def processes(self):
        return [r.process for r in self.replicas] + super().processes() + (self.cluster.processes() if self.cluster else [])

    def logs(self):
        audit = ""
        if self.cluster and os.path.exists(self.cluster.audit_log):
            audit = "\n--- writes\n" + "\n".join(str(r) for r in self.cluster.writes()[-60:])
        return super().logs() + audit

    def close(self):
        """A replica of ours that ends badly is an error of the module, as is a report of a sanitizer of one that was killed."""
        problems = []
        for r in self.replicas:
            try:
                r.end()
            except AssertionError as e:
                problems.append(e)
        try:
            super().close()
        finally:
            if self.cluster:
                self.cluster.close()
        if problems:
            raise problems[0]
