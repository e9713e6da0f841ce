#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The figures of a large cluster, as lines of Markdown; `bench/run.py kubernetes` runs it in a process (and network) of its own.

A real API server with etcd, a real Envoy Gateway, an operator and an extension server with the roles of the chart, five control
servers. How it is measured stands in bench/README.md.
"""

import base64
import collections
import contextlib
import json
import os
import random
import re
import shutil
import sys
import tempfile
import time
import uuid

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path.insert(0, ROOT)
from tests.lib import chart, netns  # noqa: E402
from tests.lib import kube_gateway as kube  # noqa: E402
from tests.lib.certificates import Certificates  # noqa: E402
from tests.lib.cluster import ETCD_PORT, condition  # noqa: E402
from tests.lib.envoy import gateway_class  # noqa: E402
from tests.lib.kube_program import (EG_CA, EG_CLIENT, EXTENSION_HOST, EXTENSION_PORT, SERVER_TLS, ServiceAddress, extension_service,  # noqa: E402
                                    pod_of)
from tests.lib.kube_stack import KubeStack  # noqa: E402
from tests.lib.process import eventually  # noqa: E402
from tests.lib.stack import gateway_resource, secret, tailnet_resource  # noqa: E402
from tests.lib.tailscale_api import TailscaleAPI  # noqa: E402
from tests.lib.tailscale_data import device  # noqa: E402
from tests.lib.web import Connection  # noqa: E402
from tools import peers  # noqa: E402

PEERS = ("etcd", "kube-apiserver", "kube-controller-manager", "kubectl", "envoy-gateway", "envoy-gateway-chart")
TAILNETS, DEVICES, SMALL = 5, 1000, 9  # of each tailnet: devices, and TailscaleGateways that take one device, beside one that takes all
# Random changes: those that do not count, in which every revision that is kept has come to be another; those after which memory must
# still be what it was; how many at once, and after how many it is looked at.
WARMUP_CHANGES, CHANGES, ROUND, LOOK = 500, 2000, 50, 500
# What is held: RssAnon in MiB by shape; how much of the smallest the largest of the looks may be above it; calls of an operator of which
# a device that joins or leaves is worth; other calls of a minute in which nothing happens.
GOAL_MIB, GOAL_FLAT, GOAL_CALLS, GOAL_STEADY = {"operator": 32, "extension": 24}, 0.05, 10, 0
FOREIGN = 10000
EVENTS = "tailscale_gateway_kube_watch_events_total"
STEADY_SECONDS = 30  # the poll interval: each tailnet is asked about once
QUIET_SECONDS = 2.5
SETTLE_LOOKS, SETTLE_SECONDS_MAX = 8, 15
WAIT_SECONDS = 120
TICKS = os.sysconf("SC_CLK_TCK")
OURS = "/apis/gateway.tailscale.com/v1alpha1"
FAST, DEFAULT = "1s", "30s"


def progress(text):
    print(f"bench: kubernetes: {text}", file=sys.stderr, flush=True)


def memory(pid):
    """MiB: RssAnon now, the most that it was (the peak of RSS, less pages of files), RSS."""
    with open(f"/proc/{pid}/status", encoding="utf-8") as f:
        kib = {k: int(v) for k, v in re.findall(r"^(RssAnon|RssFile|VmRSS|VmHWM):\s+(\d+) kB", f.read(), re.M)}
    return kib["RssAnon"] / 1024, (kib["VmHWM"] - kib["RssFile"]) / 1024, kib["VmRSS"] / 1024


def cpu_ms(pid):
    with open(f"/proc/{pid}/stat", encoding="utf-8") as f:
        fields = f.read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) * 1000 / TICKS


class Tailnet:
    """A control server over TLS, its devices, and the resources that take them."""

    def __init__(self, number, ns, certificates):
        self.number, self.namespace = number, f"team-{number}"
        self.api = TailscaleAPI(certificates, ns=ns)
        self.next = number * 10000
        self.api.devices = [self.new_device() for _ in range(DEVICES)]

    def new_device(self):
        self.next += 1
        return device(f"api-{self.next:06}", self.next, expires="2099-01-02T03:04:05Z")

    def moved(self, found):
        self.next += 1
        return {**found, "addresses": device("x", self.next)["addresses"]}

    def change(self, choice):
        """One device moves, leaves or joins; the list that is answered is always a whole one."""
        devices, what = list(self.api.devices), choice.random()
        if what < 0.5:
            n = choice.randrange(SMALL, len(devices))
            devices[n] = self.moved(devices[n])
        elif what < 0.75:
            devices.pop(choice.randrange(SMALL, len(devices)))
        else:
            devices.append(self.new_device())
        self.api.devices = devices

    def key(self):
        return secret("tailnet-key", self.namespace, api_key=self.api.add_key())

    def resource(self, interval):
        return tailnet_resource("corp-tailnet", self.namespace, apiURL=self.api.url, type="Tailscale", pollInterval=interval,
                                credentials={"secretRef": {"name": "tailnet-key"}}, proxyAddresses=[f"127.0.0.1:{3128 + self.number}"])

    def gateways(self):
        """One that takes all devices, and others that take one each."""
        made = [self.gateway("all", ["api-*"])]
        return made + [self.gateway(f"one-{k}", [self.api.devices[k]["hostname"]]) for k in range(SMALL)]

    def gateway(self, name, patterns):
        entry = {"name": name, "tailscaleTailnetRef": {"name": "corp-tailnet"},
                 "serviceDiscovery": {"patterns": patterns, "defaultPort": {"port": 80, "protocol": "HTTP"}}}
        return gateway_resource(name, self.namespace, f"gw-{self.number}", kube.NAMESPACE, [entry])

    def wanted(self):
        return sorted((d["hostname"], d["addresses"][0]) for d in self.api.devices)


class Bench(KubeStack):
    def __init__(self, workdir):
        super().__init__("bench", workdir)
        self.operator = self.extension = None
        self.tails = []

    # Making it

    def start(self):
        self.begin_cluster()
        self.start_cluster(controllers=True)
        progress("the API server is there")
        cluster, machine = self.cluster, self.network.machine("operator")
        self.certificates = Certificates(os.path.join(self.workdir, "control"))
        self.tails = [Tailnet(t, machine, self.certificates) for t in range(TAILNETS)]
        self.others += [t.api for t in self.tails]
        namespace = {"apiVersion": "v1", "kind": "Namespace"}
        cluster.apply({**namespace, "metadata": {"name": chart.NAMESPACE}}, {**namespace, "metadata": {"name": kube.NAMESPACE}},
                      *[{**namespace, "metadata": {"name": t.namespace, "labels": {"tailnets": "yes"}}} for t in self.tails])
        admitted = {"namespaces": {"from": "Selector", "selector": {"matchLabels": {"tailnets": "yes"}}}}
        cluster.apply(*chart.manifests(), gateway_class(), *[
            {"apiVersion": "gateway.networking.k8s.io/v1", "kind": "Gateway", "metadata": {"name": f"gw-{t.number}", "namespace": kube.NAMESPACE},
             "spec": {"gatewayClassName": "eg", "listeners": [{"name": "http", "protocol": "HTTP", "port": 80, "allowedRoutes": admitted}]}}
            for t in self.tails])
        self.start_operator(machine)
        self.start_extension()
        service = ServiceAddress(self.network.hub, self.network.HUB, EXTENSION_PORT, [self.extension])
        self.others.append(service)
        self.make_kube_eg(service=extension_service(), hosts={EXTENSION_HOST: [self.network.HUB]}).start()
        self.wait_settled()

    def replica(self, name, component, machine=None, **env):
        deployment = self.cluster.get(f"/apis/apps/v1/namespaces/{chart.NAMESPACE}/deployments/{chart.account(component)}")
        made = pod_of(self, name, deployment, machine=machine)
        made.process.argv = ["info" if a == "debug" else a for a in made.process.argv]  # the harness's; nobody runs with it
        made.process.env.update(env)
        return made

    def start_operator(self, machine):
        self.operator = self.replica("operator", "operator", machine, SSL_CERT_FILE=self.certificates.ca_file)
        self.operator.process.start()
        eventually(lambda: all(self.cluster.get(f"/api/v1/namespaces/{ns}/secrets/{name}") for name, ns in (
            (SERVER_TLS, chart.NAMESPACE), (EG_CA, kube.NAMESPACE), (EG_CLIENT, kube.NAMESPACE))) and self.cluster.get(
            f"/apis/apps/v1/namespaces/{chart.NAMESPACE}/deployments/{chart.account('extension')}"), 60, "the operator made Deployment and certificates")

    def start_extension(self):
        self.extension = self.replica("extension", "extension").start().wait_ready(60)

    def both(self):
        return (self.operator, self.extension)

    def apply_resources(self):
        self.cluster.apply(*[d for t in self.tails for d in (t.key(), t.resource(FAST), *t.gateways())])

    # What is seen

    def calls(self, since):
        """Calls of ours that ended or that run on (watches), but those for the Lease."""
        names = {chart.account("operator"): "operator", chart.account("extension"): "extension"}
        found = collections.defaultdict(collections.Counter)
        for r in self.cluster.audit(since, f"system:serviceaccount:{chart.NAMESPACE}:", stage=None):
            if r.stage == ("ResponseStarted" if r.verb == "watch" else "ResponseComplete"):
                found[names[r.user.rsplit(":", 1)[1]]][f"{r.verb} {r.kind}"] += 1
        return found

    def wait_settled(self, seconds=WAIT_SECONDS):
        """Until nothing but the Lease is written for a while; returns when the last call was seen."""
        mark, at, end = self.cluster.audit_mark(), time.monotonic(), time.monotonic() + seconds
        while time.monotonic() - at < QUIET_SECONDS:
            assert time.monotonic() < end, f"not settled: {dict(self.calls(mark))}"
            time.sleep(0.25)
            if any(without_lease(c) for c in self.calls(mark).values()):
                mark, at = self.cluster.audit_mark(), time.monotonic()
        return at

    def written(self, tailnet):
        items = self.cluster.get(f"{OURS}/namespaces/{tailnet.namespace}/tailscaleendpoints")["items"]
        return sorted((e["name"], e["tailscaleIP"]) for i in items if i["spec"]["tailnet"] == "all" for e in i["spec"]["endpoints"])

    def wait_all(self):
        """Until every device is written as its control server has it, and every TailscaleGateway is Programmed."""
        def check():
            for t in self.tails:
                if self.written(t) != t.wanted():
                    return False
                for g in self.cluster.get(f"{OURS}/namespaces/{t.namespace}/tailscalegateways")["items"]:
                    if condition(g, "Programmed").get("status") != "True" or condition(g, "Programmed")["observedGeneration"] != g["metadata"]["generation"]:
                        return False
            return True
        eventually(check, WAIT_SECONDS, "all is written, and served", every=0.5)
        self.wait_settled()

    def settled_memory(self):
        """Once nothing has moved for a while: both give back what is free some seconds after a change."""
        seen, end = [], time.monotonic() + SETTLE_SECONDS_MAX
        while time.monotonic() < end and (len(seen) < SETTLE_LOOKS or len(set(seen[-SETTLE_LOOKS:])) > 1):
            seen.append(tuple(memory(r.process.pid)[0] for r in self.both()))
            time.sleep(0.5)
        return {r.shape: memory(r.process.pid) for r in self.both()}

    def memory_row(self, what):
        cells = []
        for shape, (anon, peak, rss) in self.settled_memory().items():
            cells.append(f"{anon:.1f} MiB: {verdict(anon < GOAL_MIB[shape])} | {peak:.1f} MiB | {rss:.1f} MiB")
        return f"| {what} | {' | '.join(cells)} |"

    def shards(self):
        return sum(1 for t in self.tails for i in self.cluster.get(f"{OURS}/namespaces/{t.namespace}/tailscaleendpoints")["items"]
                   if i["spec"]["tailnet"] == "all")

    def close(self):
        for r in self.both():
            if r:
                r.process.kill()
        super().close()


def verdict(is_kept):
    return "ok" if is_kept else "**above goal**"


def without_lease(counter):
    return {k: n for k, n in counter.items() if not k.endswith(" leases")}


def calls_text(counter, goal=None, may_be=" "):
    """`may_be`: what a kind ends in that the goal is not about; nor is it about watches, which begin anew when they are minutes old."""
    kept = without_lease(counter)
    counted = sum(n for k, n in kept.items() if not k.endswith(may_be) and not k.startswith("watch "))
    judged = "" if goal is None else f" ({verdict(counted <= goal)})"
    return f"{sum(kept.values())}{judged}" + (": " + ", ".join(f"{k}" + (f" × {n}" if n > 1 else "") for k, n in sorted(kept.items())) if kept else "")


# The parts


def random_changes(bench, choice, n):
    for _ in range(n // ROUND):
        for _ in range(ROUND):
            choice.choice(bench.tails).change(choice)
        time.sleep(1.2)
    bench.wait_all()


def churn(bench):
    """Rows of what is there before and after, and what was seen between, as a sentence."""
    choice, looks = random.Random(1), []
    random_changes(bench, choice, WARMUP_CHANGES)
    rows = [bench.memory_row(f"after {WARMUP_CHANGES:,} random changes")]
    looks.append(bench.settled_memory())
    for _ in range(CHANGES // LOOK):
        random_changes(bench, choice, LOOK)
        looks.append(bench.settled_memory())
        progress(f"RssAnon: {looks[-1]}")
    rows.append(bench.memory_row(f"after {CHANGES:,} more"))
    told = []
    for shape in looks[0]:
        anon = [look[shape][0] for look in looks]
        above = (max(anon) - min(anon)) / min(anon)
        told.append(f"{shape} {', '.join(f'{a:.1f}' for a in anon)} MiB, the largest {100 * above:.1f} % above the smallest: {verdict(above <= GOAL_FLAT)}")
    return rows, f"RssAnon each {LOOK:,} of these {CHANGES:,} changes (goal: flat within {100 * GOAL_FLAT:.0f} %): {'; '.join(told)}."


def one_device(bench, joins):
    api = bench.tails[0].api
    api.devices = api.devices + [bench.tails[0].new_device()] if joins else api.devices[:-1]


def edit_nothing(bench):
    """Of a generation that Envoy need not hear of."""
    made = bench.tails[1].gateway("all", ["api-*"])
    made["spec"]["tailnets"][0]["serviceDiscovery"]["excludePatterns"] = ["nobody-*"]
    bench.cluster.merge(f"{OURS}/namespaces/team-1/tailscalegateways/all", {"spec": made["spec"]})


def edit(bench):
    bench.cluster.merge(f"{OURS}/namespaces/team-1/tailscalegateways/all", {"spec": {"priority": 7}})


def edit_host(bench):
    made = bench.tails[1].gateway("one-3", [bench.tails[1].api.devices[3]["hostname"]])
    made["spec"]["tailnets"][0]["routeGeneration"] = {"egress": {"hostPattern": "{service}.edited.tailscale.local"}}
    bench.cluster.merge(f"{OURS}/namespaces/team-1/tailscalegateways/one-3", {"spec": made["spec"]})


def rotate(bench):
    old = {t for t in bench.tails[2].api.tokens}
    bench.cluster.apply(bench.tails[2].key())
    time.sleep(2)
    for token in old:
        bench.tails[2].api.revoke(token)


CHANGE_ROWS = (("one device joins", lambda b: one_device(b, True), GOAL_CALLS), ("it leaves", lambda b: one_device(b, False), GOAL_CALLS),
               ("an `excludePatterns` of a TailscaleGateway is added that matches nothing", edit_nothing, 1),
               ("its `priority` is edited, which is in the revision for the sake of merged Gateways", edit, None),
               ("the `hostPattern` of one with one device is edited", edit_host, None),
               ("a Secret is rotated, the old key revoked", rotate, None))


def calls_per_change(bench):
    rows = ["| change | calls of the operator | calls of the extension server |", "|---|---|---|"]
    for what, change, goal in CHANGE_ROWS:
        bench.wait_settled()
        mark = bench.cluster.audit_mark()
        change(bench)
        time.sleep(2.5)  # two polls
        bench.wait_all()
        found = bench.calls(mark)
        rows.append(f"| {what} | {calls_text(found['operator'], goal)} | {calls_text(found['extension'])} |")
        progress(rows[-1])
    return rows


def steady(bench, what):
    """A row: calls and CPU time of a minute in which nothing happens."""
    mark, before = bench.cluster.audit_mark(), [cpu_ms(r.process.pid) for r in bench.both()]
    time.sleep(STEADY_SECONDS)
    cells, found, factor = [], bench.calls(mark), 60 / STEADY_SECONDS
    for r, was in zip(bench.both(), before):
        counter = found[r.shape]
        leases = sum(n for k, n in counter.items() if k.endswith(" leases"))
        cells += [f"{leases * factor:.0f}", calls_text(counter, GOAL_STEADY, may_be="/status"), f"{(cpu_ms(r.process.pid) - was) * factor:,.0f} ms"]
    return f"| {what} | {' | '.join(cells)} |"


def start_to_ready(bench, what):
    """A row: the process is ended and started again, with all that is there."""
    cells = []
    for r in bench.both():
        r.stop()
        mark, begun = bench.cluster.audit_mark(), time.monotonic()
        r.process.start()
        eventually(lambda r=r: r.get("/healthz").status == 200, WAIT_SECONDS, "it is alive", every=0.005)
        alive = time.monotonic() - begun
        eventually(r.is_ready, WAIT_SECONDS, "it is ready", every=0.005)
        ready, cpu = time.monotonic() - begun, cpu_ms(r.process.pid)
        bench.wait_settled()
        found = bench.calls(mark)[r.shape]
        reads, writes = (sum(n for k, n in without_lease(found).items() if (k.split()[0] in ("get", "list", "watch")) == is_read) for is_read in (True, False))
        cells.append(f"{alive * 1000:.0f} / {ready * 1000:,.0f} ms | {cpu:,.0f} ms | {reads} / {writes}")
    return f"| {what} | {' | '.join(cells)} |"


def foreign_documents():
    meta = {"name": f"foreign-{0:06}", "namespace": "foreign", "labels": {"app": "theirs"}}
    return [("/registry/gateway.networking.k8s.io/httproutes/foreign/", FOREIGN, {
                "apiVersion": "gateway.networking.k8s.io/v1", "kind": "HTTPRoute", "metadata": meta,
                "spec": {"parentRefs": [{"name": "theirs"}], "hostnames": ["foreign-000000.example.com"],
                         "rules": [{"matches": [{"path": {"type": "PathPrefix", "value": "/foreign-000000"}}], "backendRefs": [{"name": "foreign-000000", "port": 80}]}]}}),
            ("/registry/secrets/foreign/", FOREIGN // 2, {"apiVersion": "v1", "kind": "Secret", "metadata": meta, "stringData": {"password": "x" * 500}}),
            ("/registry/configmaps/foreign/", FOREIGN // 2, {"apiVersion": "v1", "kind": "ConfigMap", "metadata": meta, "data": {"settings": "x" * 500}})]


class Etcd:
    """Its JSON gateway, on one connection."""

    def __init__(self, cluster):
        self.connection = Connection(cluster.ns, "127.0.0.1", ETCD_PORT, 20)

    def call(self, path, body):
        self.connection.request("POST", path, body=json.dumps(body), headers={"Content-Type": "application/json"})
        answer = self.connection.getresponse()
        data = answer.read()
        assert answer.status == 200, data
        return json.loads(data)

    def get(self, key):
        return base64.b64decode(self.call("/v3/kv/range", {"key": b64(key)})["kvs"][0]["value"])

    def put(self, pairs):
        self.call("/v3/kv/txn", {"success": [{"requestPut": {"key": b64(k), "value": b64(v)}} for k, v in pairs]})


def b64(data):
    return base64.b64encode(data.encode() if isinstance(data, str) else data).decode()


def add_foreign(bench):
    """One of each kind through the API server; the others as copies, in etcd, of what the API server stored: names of one length, other
    uids. Of HTTPRoutes, which are watched, each has a version of its own, as where the API server writes: watches go on from one."""
    cluster, etcd = bench.cluster, Etcd(bench.cluster)
    seen = bench.operator.metric(EVENTS, kind="HTTPRoute")
    cluster.create_namespace("foreign")
    for folder, count, document in foreign_documents():
        cluster.apply(document)
        first = f"foreign-{0:06}"
        stored = etcd.get(folder + first)
        old_uid = re.search(rb"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", stored).group()
        names = [f"foreign-{i:06}" for i in range(1, count)]
        values = [stored.replace(first.encode(), n.encode()).replace(old_uid, str(uuid.UUID(int=i)).encode()) for i, n in enumerate(names)]
        pairs, at_once = [(folder + n, v) for n, v in zip(names, values)], 1 if "httproutes" in folder else 100
        for i in range(0, len(pairs), at_once):
            etcd.put(pairs[i:i + at_once])
    listed = cluster.get("/apis/gateway.networking.k8s.io/v1/httproutes?limit=1")
    assert 1 + listed["metadata"].get("remainingItemCount", 0) >= FOREIGN, listed["metadata"]
    eventually(lambda: bench.operator.metric(EVENTS, kind="HTTPRoute") - seen >= FOREIGN, WAIT_SECONDS, "they have been told of")


def measure(bench):
    memory_rows = ["| state | operator: RssAnon | at most | RSS | extension server: RssAnon | at most | RSS |", "|---|---|---|---|---|---|---|"]
    memory_rows.append(bench.memory_row("nothing there yet but five Gateways"))
    begun = time.monotonic()
    bench.apply_resources()
    bench.wait_all()
    progress(f"all is served after {time.monotonic() - begun:.1f} s")
    memory_rows.append(bench.memory_row("all is polled, written and served"))
    progress(memory_rows[-1])
    rows, flat = churn(bench)
    memory_rows += rows
    progress(flat)
    shards = bench.shards()
    change_rows = calls_per_change(bench)
    for t in bench.tails:
        bench.cluster.apply(t.resource(DEFAULT))
    bench.eg.process.kill()
    bench.wait_settled()
    steady_rows = ["| | operator: Lease | other calls | CPU time | extension server: Lease | other calls | CPU time |", "|---|---|---|---|---|---|---|",
                   steady(bench, "as above")]
    start_rows = ["| | operator: alive / ready | CPU time | reads / writes | extension server: alive / ready | CPU time | reads / writes |",
                  "|---|---|---|---|---|---|---|", start_to_ready(bench, "as above")]
    memory_rows.append(bench.memory_row("both started anew"))
    progress(memory_rows[-1])
    before = [cpu_ms(r.process.pid) for r in bench.both()]
    begun = time.monotonic()
    add_foreign(bench)
    bench.wait_settled()
    told = [cpu_ms(r.process.pid) - was for r, was in zip(bench.both(), before)]
    progress(f"foreign objects: {time.monotonic() - begun:.1f} s, {told} ms of CPU")
    memory_rows.append(bench.memory_row(f"and {2 * FOREIGN:,} foreign objects"))
    steady_rows.append(steady(bench, f"and {2 * FOREIGN:,} foreign objects"))
    start_rows.append(start_to_ready(bench, f"and {2 * FOREIGN:,} foreign objects"))
    memory_rows.append(bench.memory_row("both started anew among them"))
    return memory_rows, start_rows, change_rows, steady_rows, (flat, shards, told)


def report(memory_rows, start_rows, change_rows, steady_rows, others):
    flat, shards, told = others
    return ["### In Kubernetes", "",
            f"{TAILNETS} tailnets of {DEVICES:,} devices, {TAILNETS * (1 + SMALL)} TailscaleGateways in {TAILNETS} namespaces on {TAILNETS} Gateways: "
            f"{TAILNETS} take all devices of a tailnet (some {TAILNETS * DEVICES:,} endpoints in {shards} TailscaleEndpoints), the others one each. "
            f"Goals for RssAnon: below {GOAL_MIB['operator']} MiB operator, {GOAL_MIB['extension']} MiB extension server.", "", *memory_rows, "", flat, "",
            "From `exec` until `/healthz` answers, until `/readyz` does (all lists are read: the World is complete), the CPU time until then, and calls of the "
            "API until all is settled:", "", *start_rows, "",
            f"Calls of the API server for a change, by its audit log, without those for the Lease (goal: at most {GOAL_CALLS} of the operator for a device). "
            "Each TailscaleGateway of the tailnet that excludes the device has one more status written within ten minutes, however many devices come "
            "until then:", "", *change_rows, "",
            f"A minute in which nothing happens (from {STEADY_SECONDS} s), with tailnets polled every {DEFAULT} "
            "(goal: no calls but for the Lease, and statuses that are due every ten minutes):", "", *steady_rows, "",
            f"The {FOREIGN:,} foreign HTTPRoutes (of another Gateway) and {FOREIGN:,} foreign Secrets and ConfigMaps cost, when they came, {told[0]:,.0f} ms of CPU "
            f"time in the operator and {told[1]:,.0f} ms in the extension server."]


def main():
    for name in PEERS:
        peers.get(name)
    netns.isolate()
    workdir, done = tempfile.mkdtemp(prefix="tsgw-", dir="/tmp"), False
    try:
        with contextlib.closing(Bench(workdir)) as bench:
            try:
                bench.start()
                lines = report(*measure(bench))
            except AssertionError:
                progress("\n".join(r.process.tail() for r in bench.replicas))
                raise
        print("\n".join(lines))
        done = True
    finally:
        if done and not os.environ.get("TSGW_KEEP"):
            shutil.rmtree(workdir, ignore_errors=True)
        else:
            progress(f"logs and state are kept in {workdir}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
