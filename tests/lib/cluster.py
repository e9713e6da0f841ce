# SPDX-License-Identifier: Apache-2.0
"""A Kubernetes API without a cluster: etcd and a kube-apiserver, and kube-controller-manager where objects must be collected.

Nothing runs pods. What a kubelet, kube-proxy or a load balancer would do is done by the test that needs it. Authorization is RBAC;
every request is on record (`audit`), so a test can say who did what and what nobody did.
"""

import base64
import datetime
import http.client
import json
import os
import signal
import subprocess
import time

import yaml

from tools import peers

from .certificates import Certificates
from .process import Process, eventually
from .web import Answer, Connection, request

API_PORT, ETCD_PORT, ETCD_PEER_PORT, CONTROLLERS_PORT = 6443, 2379, 2380, 10257
ADMIN = "admin"
ADMIN_TOKEN = "admin-of-a-test"
APPLY, MERGE = "application/apply-patch+yaml", "application/merge-patch+json"
CONTROLLERS = ("garbage-collector-controller", "namespace-controller")
START_SECONDS = 90  # a loaded machine that runs other builds; 5 s on a free one
KUBECTL_SECONDS = 60
# Reads of what belongs to nobody's test are left out, bodies are kept where a test may want to see what was written.
AUDIT_POLICY = {
    "apiVersion": "audit.k8s.io/v1", "kind": "Policy", "omitStages": ["RequestReceived"], "rules": [
        {"level": "None", "users": ["system:apiserver", "system:kube-controller-manager"]},
        {"level": "None", "nonResourceURLs": ["/readyz*", "/livez*", "/healthz*"]},
        {"level": "Request", "verbs": ["create", "update", "patch", "delete"], "omitManagedFields": True,
         "resources": [{"group": "gateway.tailscale.com"}, {"group": "apps"}, {"group": "coordination.k8s.io"}, {"group": "events.k8s.io"}]},
        {"level": "Metadata"}]}


def wall():
    """Now, as the audit log writes it."""
    return datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


class TlsConnection(Connection):
    def __init__(self, ns, host, port, timeout, context):
        super().__init__(ns, host, port, timeout)
        self.context = context

    def connect(self):
        super().connect()
        self.sock = self.context.wrap_socket(self.sock, server_hostname=self.host)


class Request:
    """One entry of the audit log."""

    def __init__(self, entry):
        ref = entry.get("objectRef") or {}
        self.entry, self.user, self.verb, self.uri = entry, entry["user"].get("username", ""), entry["verb"], entry["requestURI"]
        self.groups, self.stage, self.time = entry["user"].get("groups", []), entry["stage"], entry["stageTimestamp"]
        self.agent = entry.get("userAgent", "")
        self.group, self.resource, self.subresource = ref.get("apiGroup", ""), ref.get("resource", ""), ref.get("subresource", "")
        self.namespace, self.name = ref.get("namespace", ""), ref.get("name", "")
        # Of a ServiceAccount's token: which of them.
        self.credential = (entry["user"].get("extra", {}).get("authentication.kubernetes.io/credential-id") or [""])[0].removeprefix("JTI=")
        self.code = (entry.get("responseStatus") or {}).get("code", 0)
        self.body = entry.get("requestObject")

    @property
    def kind(self):
        """As RBAC names it: pods, or pods/status."""
        return f"{self.resource}/{self.subresource}" if self.subresource else self.resource

    def __repr__(self):
        return f"{self.user} {self.verb} {self.kind} {self.namespace}/{self.name} -> {self.code}"


class Cluster:
    """Lives in one namespace (`ns`, reached by others at `address`). Data and logs outlive a restart of each part."""

    def __init__(self, ns, workdir, log_dir, address="127.0.0.1"):
        self.ns, self.address, self.home = ns, address, os.path.join(workdir, "k8s")
        os.makedirs(self.home)
        self.certificates = Certificates(self.at("pki"))
        self.ca_file = self.certificates.ca_file
        self.server = f"https://{address}:{API_PORT}"
        self.audit_log = self.at("audit.log")
        addresses = ",".join(f"IP:{a}" for a in dict.fromkeys(["127.0.0.1", address, "10.96.0.1"]))
        self.pair = self.certificates.issue("apiserver", names=f"subjectAltName=DNS:localhost,DNS:kubernetes.default.svc,{addresses}")
        etcd = f"http://127.0.0.1:{ETCD_PORT}"
        peer = f"http://127.0.0.1:{ETCD_PEER_PORT}"
        self.etcd = Process("etcd", [
            peers.get("etcd"), "--data-dir", self.at("etcd"), "--unsafe-no-fsync", "--log-level", "warn", "--listen-client-urls", etcd,
            "--advertise-client-urls", etcd, "--listen-peer-urls", peer, "--initial-advertise-peer-urls", peer,
            "--initial-cluster", f"default={peer}"], log_dir, ns=ns)
        self.apiserver = Process("kube-apiserver", self._apiserver(etcd, address), log_dir, ns=ns)
        self.controllers = Process("kube-controller-manager", [
            peers.get("kube-controller-manager"), "--kubeconfig", self.at("controllers.kubeconfig"), "--leader-elect=false",
            "--use-service-account-credentials=false", f"--controllers={','.join(CONTROLLERS)}", "--bind-address=127.0.0.1",
            f"--secure-port={CONTROLLERS_PORT}"], log_dir, ns=ns)
        self.context = self.certificates.client()
        self.starts = []  # [(from, until it was ready)]: until then it refuses whom it does not know yet

    def at(self, *names):
        return os.path.join(self.home, *names)

    def _apiserver(self, etcd, address):
        public, private = self.certificates.signing_pair("service-accounts")
        with open(self.at("tokens.csv"), "w", encoding="ascii") as f:
            f.write(f'{ADMIN_TOKEN},{ADMIN},{ADMIN},"system:masters"\n')
        with open(self.at("audit.yaml"), "w", encoding="ascii") as f:
            yaml.safe_dump(AUDIT_POLICY, f)
        # An advertised address may not be a loopback one; nothing connects to it.
        return [peers.get("kube-apiserver"), f"--etcd-servers={etcd}", f"--bind-address={'0.0.0.0' if address != '127.0.0.1' else address}",
                f"--secure-port={API_PORT}", f"--advertise-address={address if address != '127.0.0.1' else '10.99.0.1'}",
                "--endpoint-reconciler-type=none", f"--tls-cert-file={self.pair[0]}", f"--tls-private-key-file={self.pair[1]}",
                f"--client-ca-file={self.ca_file}", f"--token-auth-file={self.at('tokens.csv')}", "--authorization-mode=RBAC",
                "--service-cluster-ip-range=10.96.0.0/16", "--service-account-issuer=https://kubernetes.default.svc",
                f"--service-account-key-file={public}", f"--service-account-signing-key-file={private}",
                "--disable-admission-plugins=ServiceAccount", "--profiling=false",
                f"--audit-policy-file={self.at('audit.yaml')}", f"--audit-log-path={self.audit_log}", "--audit-log-maxsize=1000"]

    # Life

    def begin_start(self):
        self.etcd.start()
        self._start()
        return self

    def _start(self):
        self.starts.append([wall(), ""])
        self.apiserver.start()

    def end_start(self):
        self.wait_ready()
        self.kubeconfig(ADMIN, {"token": ADMIN_TOKEN})
        return self

    def start(self):
        return self.begin_start().end_start()

    def start_controllers(self):
        """Garbage collection of what is owned, and the end of namespaces. Users: the audit log leaves it out."""
        self.kubeconfig_for("system:kube-controller-manager", ["system:masters"], file="controllers")
        self.controllers.start()
        return self

    def ready(self):
        return self.api("/readyz", timeout=5).status == 200

    def wait_ready(self, seconds=START_SECONDS):
        eventually(lambda: self.etcd.check() and self.apiserver.check() and self.ready(), seconds, "the API server is ready", every=0.1)
        if self.starts and not self.starts[-1][1]:
            self.starts[-1][1] = wall()

    def kill(self):
        """The API server alone; etcd and what is in it stay. SIGTERM would wait a minute for open watches."""
        self.apiserver.kill()

    def restart(self, compacted=False, wait=True):
        """Killed and started on the same data; `compacted`: and no version of before is to be had any more."""
        self.kill()
        if compacted:
            self.compact()
        self._start()
        if wait:
            self.wait_ready()

    def pause(self):
        """Its connections stay open and nothing answers."""
        self.apiserver.signal(signal.SIGSTOP)

    def resume(self):
        self.apiserver.signal(signal.SIGCONT)

    def _etcd(self, path, body):
        answer = request(self.ns, ETCD_PORT, path, method="POST", body=json.dumps(body), headers={"Content-Type": "application/json"})
        assert answer.status == 200, answer
        return answer.json()

    def revision(self):
        """Where etcd is: the newest resourceVersion."""
        return int(self._etcd("/v3/kv/range", {"key": "AA==", "limit": "1"})["header"]["revision"])

    def compact(self):
        revision = self.revision()
        self._etcd("/v3/kv/compaction", {"revision": str(revision), "physical": True})
        return revision

    def processes(self):
        return [self.apiserver, self.etcd, self.controllers]

    def close(self):
        for p in (self.controllers, self.apiserver, self.etcd):
            p.kill()

    # Identities

    def kubeconfig(self, file, user, server=None):
        """Writes FILE.kubeconfig with that user entry; returns its path."""
        path = self.at(f"{file}.kubeconfig")
        with open(path, "w", encoding="utf-8") as f:
            yaml.safe_dump({
                "apiVersion": "v1", "kind": "Config", "current-context": "test",
                "clusters": [{"name": "test", "cluster": {"server": server or self.server, "certificate-authority": self.ca_file}}],
                "users": [{"name": "me", "user": user}], "contexts": [{"name": "test", "context": {"cluster": "test", "user": "me"}}]}, f)
        os.chmod(path, 0o600)
        return path

    def kubeconfig_for(self, user, groups=(), file=None, server=None):
        """Of a user that a client certificate names."""
        file = file or user.replace(":", "-")
        certificate, key = self.certificates.issue(f"user-{file}", "".join(f"/O={g}" for g in groups) + f"/CN={user}")
        return self.kubeconfig(file, {"client-certificate": certificate, "client-key": key}, server)

    def token_for(self, name, namespace="default", seconds=3600, bound=None):
        """A ServiceAccount's token, as a pod gets it; the account must exist. `bound`: the object that it ends with."""
        spec = {"expirationSeconds": seconds, **({"boundObjectRef": bound} if bound else {})}
        answer = self.api(f"/api/v1/namespaces/{namespace}/serviceaccounts/{name}/token", "POST",
                          {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": spec})
        assert answer.status == 201, answer
        return answer.json()["status"]["token"]

    def token_file(self, name, namespace="default", seconds=3600, file=None, bound=None):
        path = self.at(f"{file or f'{namespace}-{name}'}.token")
        hidden = path + ".part"
        with open(os.open(hidden, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="ascii") as f:
            f.write(self.token_for(name, namespace, seconds, bound))
        os.rename(hidden, path)
        return path

    def kubeconfig_of_account(self, name, namespace="default", server=None, file=None):
        """Of a ServiceAccount, with its token in a file; the account is made where it is absent."""
        self.apply({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": name, "namespace": namespace}})
        return self.kubeconfig(file or f"{namespace}-{name}", {"tokenFile": self.token_file(name, namespace, file=file)}, server)

    # Calls

    def kubectl(self, *args, data=None, code=0, kubeconfig=None, seconds=KUBECTL_SECONDS):
        """What it printed. `data` is its standard input; another `code` than 0 is one that must come."""
        done = subprocess.run(["nsenter", f"--net={self.ns.path}", peers.get("kubectl"), "--kubeconfig", kubeconfig or self.at(f"{ADMIN}.kubeconfig"),
                               "--cache-dir", self.at("kubectl-cache"), *args], input=data or "", capture_output=True, text=True,
                              timeout=seconds, check=False)
        assert code is None or done.returncode == code, f"kubectl {' '.join(args)}: exit code {done.returncode}\n{done.stdout}{done.stderr}"
        return done.stdout + (done.stderr if code != 0 else "")

    def apply(self, *documents, kubeconfig=None):
        """As a user does: server-side, every unknown field an error."""
        return self.kubectl("apply", "--server-side", "--validate=strict", "-f", "-", data=yaml.safe_dump_all(documents, sort_keys=False),
                            kubeconfig=kubeconfig)

    def create_namespace(self, name, **labels):
        self.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": labels}})

    def api(self, path, method="GET", body=None, token=ADMIN_TOKEN, content="application/json", timeout=20):
        """One call without kubectl."""
        conn = TlsConnection(self.ns, "127.0.0.1", API_PORT, timeout, self.context)
        start = time.monotonic()
        try:
            conn.request(method, path, body=None if body is None else json.dumps(body),
                         headers={"Authorization": f"Bearer {token}", "Content-Type": content, "Accept": "application/json"})
            r = conn.getresponse()
            data = r.read()
            return Answer(r.status, r.headers, data, time.monotonic() - start)
        except http.client.HTTPException as e:
            raise OSError(f"{method} {path}: {e!r}") from e
        finally:
            conn.close()

    def get(self, path):
        """The object or list there, or None."""
        answer = self.api(path)
        if answer.status == 404:
            return None
        assert answer.status == 200, answer
        return answer.json()

    def merge(self, path, change):
        """What kubectl patch --type=merge does."""
        answer = self.api(path, "PATCH", change, content=MERGE)
        assert answer.status == 200, answer
        return answer.json()

    def secret(self, name, namespace):
        """The Secret's values: key -> bytes."""
        found = self.get(f"/api/v1/namespaces/{namespace}/secrets/{name}")
        assert found, f"no Secret {namespace}/{name}"
        return {k: base64.b64decode(v) for k, v in found["data"].items()}

    # What was asked

    def audit_mark(self):
        """A place in the audit log, for `audit(since)`."""
        return os.path.getsize(self.audit_log)

    def audit(self, since=0, user=None, verbs=None, stage="ResponseComplete"):
        """Requests in their order: of users whose name holds `user`. A watch that still runs has the stage ResponseStarted only; stage None: all."""
        found = []
        with open(self.audit_log, "rb") as f:
            f.seek(since)
            for line in f:
                if not line.endswith(b"\n"):
                    break
                r = Request(json.loads(line))
                if (user is None or user in r.user) and (verbs is None or r.verb in verbs) and (stage is None or r.stage == stage):
                    found.append(r)
        return found

    def denied(self, since=0, user=None):
        """What was refused for who asked; not while the API server started, when it had not read its roles yet."""
        return [r for r in self.audit(since, user, stage=None) if r.code in (401, 403)
                and not any(begun <= r.time and (not ready or r.time <= ready) for begun, ready in self.starts)]

    def writes(self, since=0, user=None):
        return self.audit(since, user, ("create", "update", "patch", "delete", "deletecollection"))


def condition(obj, kind, conditions=None):
    """status.conditions[type=kind], or {}."""
    found = conditions if conditions is not None else ((obj or {}).get("status") or {}).get("conditions") or []
    return next((c for c in found if c["type"] == kind), {})
