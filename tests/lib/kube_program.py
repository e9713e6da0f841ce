# SPDX-License-Identifier: Apache-2.0
"""Our program in the shapes that talk with an API server: each replica on a machine of its own, as a pod is."""

import base64
import http.client
import json
import os
import socket
import struct
import threading
import time

from .chart import NAMESPACE, account
from .process import Process, eventually
from .stack import SANITIZER_ENV, program
from .web import listening, request

EXTENSION_PORT, ADMIN_PORT, METRICS_PORT = 5005, 19005, 19006
EXTENSION_HOST = f"{account('extension')}.{NAMESPACE}.svc"
BETWEEN_CALLS = 512  # bytes of PING, SETTINGS, WINDOW_UPDATE and of TLS around them; a hook call is more
# Envoy Gateway's side of mutual TLS, in its own namespace, and the replicas' side; the operator makes them.
EG_CA, EG_CLIENT, SERVER_TLS = "tailscale-gateway-extension-ca", "tailscale-gateway-extension-client", "tailscale-gateway-extension-tls"


def extension_service(tls=True):
    """Where Envoy Gateway is told that the extension server is."""
    return {"fqdn": {"hostname": EXTENSION_HOST, "port": EXTENSION_PORT},
            **({"tls": {"certificateRef": {"name": EG_CA}, "clientCertificateRef": {"name": EG_CLIENT}}} if tls else {})}


class Replica:
    """One process of a shape. `server`: an address for the API server other than its own."""

    def __init__(self, stack, shape, name, service_account, *args, machine=None, server=None):
        self.stack, self.shape, self.name = stack, shape, name
        self.ns, self.mounts = machine or stack.network.machine(name), []
        self.kubeconfig = stack.cluster.kubeconfig_of_account(service_account, NAMESPACE, server=server, file=name)
        self.credential = self.credential_in_file()
        self.process = Process(name, [
            program(), shape, "--kubeconfig", self.kubeconfig, "--namespace", NAMESPACE, "--identity", name,
            "--admin-address", f"tcp://127.0.0.1:{ADMIN_PORT}", "--metrics-address", f"tcp://127.0.0.1:{METRICS_PORT}",
            "--log-level", "debug", *args], stack.log_dir, ns=self.ns, env=SANITIZER_ENV)
        stack.replicas.append(self)

    @property
    def address(self):
        return self.ns.address

    def credential_in_file(self):
        """Which token it finds there. By it the audit log tells replicas of one account apart."""
        with open(self.stack.cluster.at(f"{self.name}.token"), encoding="ascii") as f:
            payload = f.read().split(".")[1]
        return json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))["jti"]

    def start(self):
        self.process.start()
        return self

    def get(self, path):
        return request(self.ns, METRICS_PORT, path, timeout=5)

    def is_ready(self):
        return self.process.check() and self.get("/readyz").status == 200

    def wait_ready(self, seconds=30):
        eventually(self.is_ready, seconds, f"{self.name} is ready")
        return self

    def state(self):
        answer = request(self.ns, ADMIN_PORT, "/state")
        assert answer.status == 200, answer
        return answer.json()

    def metric(self, metric, **labels):
        total = 0.0
        for line in self.get("/metrics").body.decode().splitlines():
            head, _, value = line.rpartition(" ")
            if (head == metric or head.startswith(metric + "{")) and all(f'{k}="{v}"' in head for k, v in labels.items()):
                total += float(value)
        return total

    def serves(self):
        return listening(self.stack.network.hub, EXTENSION_PORT, self.address)

    def kill(self):
        self.process.kill()

    def end(self):
        """Stopped if it runs; whatever it said must be no report of a sanitizer."""
        if self.process.running():
            self.stop()
        report = self.process.sanitizer_report()
        assert report is None, report

    def stop(self):
        """As a cluster does: SIGTERM, a clean end, no report of a sanitizer."""
        code = self.process.stop()
        report = self.process.sanitizer_report()
        assert report is None, report
        assert code == 0, f"exit code {code}\n{self.process.tail()}"


class Mount:
    """A Secret's keys as files, as a kubelet mounts them: a change is seen whole, through a link that moves."""

    def __init__(self, cluster, secret, namespace, folder):
        self.cluster, self.secret, self.namespace, self.folder, self.n = cluster, secret, namespace, folder, 0
        os.makedirs(folder)

    def at(self, key):
        return os.path.join(self.folder, key)

    def write(self):
        self.n += 1
        data = os.path.join(self.folder, f"..data-{self.n}")
        os.makedirs(data)
        values = self.cluster.secret(self.secret, self.namespace)
        for key, value in values.items():
            with open(os.open(os.path.join(data, key), os.O_WRONLY | os.O_CREAT, 0o600), "wb") as f:
                f.write(value)
        hidden = os.path.join(self.folder, "..next")
        os.symlink(os.path.basename(data), hidden)
        os.rename(hidden, os.path.join(self.folder, "..data"))
        for key in values:
            if not os.path.lexists(self.at(key)):
                os.symlink(os.path.join("..data", key), self.at(key))
        return self


def pod_of(stack, name, deployment, *more, machine=None, server=None, shape=None, service_account=None):
    """A replica of a Deployment as it stands at the API server: its arguments (and `more`), its account, its Secret as files.
    Another `shape` than its own takes the same flags."""
    pod = deployment["spec"]["template"]["spec"]
    container = pod["containers"][0]
    args, mounts = container["args"][1:], []
    for mount in container.get("volumeMounts", []):
        volume = next(v for v in pod["volumes"] if v["name"] == mount["name"])
        folder = Mount(stack.cluster, volume["secret"]["secretName"], NAMESPACE, os.path.join(stack.workdir, f"{name}-{mount['name']}")).write()
        mounts.append(folder)
        args = [a.replace(mount["mountPath"], folder.folder) for a in args]
    # A flag of ours wins where it was given before; the addresses for a person's look are the harness's own.
    kept = [a for a in args if not a.startswith(("--metrics-address", "--log-"))]
    kept += [a for a in more if a not in kept]
    replica = Replica(stack, shape or container["args"][0], name, service_account or pod["serviceAccountName"], *kept, machine=machine, server=server)
    replica.mounts = mounts
    return replica


class ServiceAddress:
    """What kube-proxy does for a Service: a new connection goes to one of the replicas that are ready, in turn; what is open stays."""

    def __init__(self, ns, address, port, replicas):
        self.ns, self.replicas, self.n = ns, replicas, 0
        self.connections = []  # (name of the replica, our socket, its socket)
        self.requests = []  # (time, bytes) that came for a replica at once, where it is more than HTTP/2 says between calls
        with ns.inside():
            self.listener = socket.create_server((address, port), backlog=64)
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _ready(self):
        found = []
        for r in list(self.replicas):
            try:
                if r.process.running() and r.get("/readyz").status == 200:
                    found.append(r)
            except (OSError, http.client.HTTPException):
                pass
        return found

    def _serve(self, client):
        ready = self._ready()
        self.n += 1
        for i in range(len(ready)):
            replica = ready[(self.n + i) % len(ready)]
            try:
                with self.ns.inside():
                    server = socket.create_connection((replica.address, EXTENSION_PORT), 2)
            except OSError:
                continue
            server.settimeout(None)
            self.connections.append((replica.name, client, server))
            threading.Thread(target=pump, args=(server, client), daemon=True).start()
            pump(client, server, self._note)
            return
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        client.close()

    def _note(self, n):
        if n > BETWEEN_CALLS:
            self.requests.append((time.time(), n))

    def close(self):
        self.listener.close()
        for _, a, b in self.connections:
            a.close()
            b.close()


def pump(source, sink, note=lambda n: None):
    """All of one direction, then that direction is at its end. A connection that is reset is reset on both sides. `note`: how much came."""
    try:
        while data := source.recv(65536):
            note(len(data))
            sink.sendall(data)
        sink.shutdown(socket.SHUT_WR)
    except OSError:
        for s in (source, sink):
            try:
                s.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
