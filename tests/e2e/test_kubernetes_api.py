# SPDX-License-Identifier: Apache-2.0
"""src/kube by itself on a real API server: lists and watches that forget nothing, a Lease that never has two holders.

The program is kube_probe; the tests of this file share one API server and stand alone otherwise.
"""

import os
import re
import signal
import time

import pytest

from tests.lib.kube_faults import KubeFaults
from tests.lib.kube_stack import KubeStack
from tests.lib.process import Process, eventually, holds
from tests.lib.stack import ROOT, SANITIZER_ENV

THINGS = "/apis/test.example/v1/things"
N_MANY = 620  # more than a page
LEASE_SECONDS, RETRY_SECONDS = 15, 2
SLACK = 3  # a loaded machine


def crd():
    schema = {"type": "object", "properties": {"spec": {"type": "object", "properties": {"count": {"type": "integer"}}}}}
    return {"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition", "metadata": {"name": "things.test.example"},
            "spec": {"group": "test.example", "scope": "Namespaced", "names": {"plural": "things", "singular": "thing", "kind": "Thing"},
                     "versions": [{"name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": schema}}]}}


def probe_path():
    folder = os.environ.get("TSGW_BUILD_DIR") or next(
        (p for p in (os.path.join(ROOT, f) for f in ("build-asan", "build")) if os.path.isdir(p)), "build")
    return os.path.join(folder, "tests", "system", "kube_probe")


class Probe:
    """One kube_probe and what it said."""

    def __init__(self, stack, name, kubeconfig, *args, ns=None):
        self.process = Process(name, [probe_path(), kubeconfig, *args], stack.log_dir, ns=ns or stack.network.hub, env=SANITIZER_ENV).start()
        stack.probes.append(self)

    def lines(self, word=None):
        return [line for line in self.process.text().splitlines() if word is None or line.split(" ")[0] == word]

    def wait(self, line, seconds=30, count=1):
        eventually(lambda: self.process.check() and self.lines().count(line) >= count, seconds, f"{self.process.name} says {line!r} ({count} times)")
        return time.monotonic()

    def told(self):
        """key -> version, as its owner knows it."""
        known = {}
        for line in self.lines():
            word, *rest = line.split(" ")
            if word == "put":
                known[rest[0]] = rest[1]
            elif word == "gone":
                assert rest[0] in known, f"gone before it came: {line}"
                del known[rest[0]]
        return known

    def end(self):
        """Stopped as a user would; its counts."""
        if self.process.running():
            code = self.process.stop()
            assert self.process.sanitizer_report() is None, self.process.sanitizer_report()
            assert code == 0, self.process.tail()
        line = next((line for line in reversed(self.lines()) if line.startswith("counts ")), "")
        return {k: int(v) for k, v in re.findall(r"(\w+)=(\d+)", line)}


@pytest.fixture(scope="module")
def stack(workdir):
    made = KubeStack("kapi", workdir)
    made.probes = []
    yield made
    for p in made.probes:
        p.process.kill()
    made.close()


@pytest.fixture(scope="module", autouse=True)
def cluster(stack):
    cluster = stack.start_cluster(gateway_api=False)
    cluster.apply(crd())
    cluster.kubectl("wait", "--for=condition=established", "crd/things.test.example")
    return cluster


@pytest.fixture
def faults(stack, cluster):
    made = KubeFaults(cluster)
    yield made
    made.close()


def admin(cluster, server=None):
    with open(cluster.at("admin.token"), "w", encoding="ascii") as f:
        f.write("admin-of-a-test\n")
    return cluster.kubeconfig("probe", {"tokenFile": cluster.at("admin.token")}, server)


def put(cluster, name, n=0, namespace="default"):
    body = {"apiVersion": "test.example/v1", "kind": "Thing", "metadata": {"name": name}, "spec": {"count": n}}
    answer = cluster.api(f"/apis/test.example/v1/namespaces/{namespace}/things/{name}?fieldManager=test", "PATCH", body, content="application/apply-patch+yaml")
    assert answer.status in (200, 201), answer
    return answer.json()["metadata"]["resourceVersion"]


def remove(cluster, name):
    assert cluster.api(f"/apis/test.example/v1/namespaces/default/things/{name}", "DELETE").status == 200


def versions(cluster):
    items = cluster.get(THINGS)["items"]
    return {f"{i['metadata']['namespace']}/{i['metadata']['name']}": i["metadata"]["resourceVersion"] for i in items}


def test_more_objects_than_a_page(stack, cluster):
    cluster.create_namespace("many")
    for i in range(N_MANY):
        cluster.api("/api/v1/namespaces/many/configmaps", "POST", {"metadata": {"name": f"c{i}"}})
    mark = cluster.audit_mark()
    probe = Probe(stack, "probe-many", admin(cluster), "watch", "/api/v1/namespaces/many/configmaps")
    probe.wait(f"synced {N_MANY}")
    assert len(probe.told()) == N_MANY
    asked = [r.uri for r in cluster.audit(mark, verbs=("list",)) if "/many/configmaps" in r.uri]
    assert all("limit=" in uri for uri in asked), asked
    cluster.api("/api/v1/namespaces/many/configmaps/c7", "DELETE")
    probe.wait("gone many/c7")
    assert not probe.lines("failed")
    probe.end()


def test_changes_are_told(stack, cluster):
    probe = Probe(stack, "probe-changes", admin(cluster), "watch", THINGS)
    probe.wait("synced 0")
    first = put(cluster, "a")
    probe.wait(f"put default/a {first}")
    second = put(cluster, "a", 1)
    probe.wait(f"put default/a {second}")
    remove(cluster, "a")
    probe.wait("gone default/a")
    assert probe.told() == {}
    probe.end()


def test_versions_that_are_gone(stack, cluster, faults):
    """It is away while objects change, and what happened meanwhile is compacted: the watch is answered with 410."""
    for name in ("stays", "goes", "changes"):
        put(cluster, name)
    probe = Probe(stack, "probe-410", admin(cluster, faults.server), "watch", THINGS)
    probe.wait("synced 3")
    faults.refuse = True
    eventually(lambda: probe.lines("failed"), 30, "it notices")
    remove(cluster, "goes")
    put(cluster, "changes", 1)
    put(cluster, "comes")
    cluster.restart(compacted=True)
    assert "gone default/goes" not in probe.lines()
    faults.refuse = False
    eventually(lambda: probe.told() == versions(cluster), 60, "it knows what is there")
    assert sum(1 for line in probe.lines() if line.startswith("put default/stays ")) == 1
    assert probe.end()["expired"] >= 1


def test_410_in_the_middle_of_a_watch(stack, cluster, faults):
    put(cluster, "x")
    probe = Probe(stack, "probe-410-event", admin(cluster, faults.server), "watch", THINGS)
    eventually(lambda: probe.told() == versions(cluster), 30, "it knows what is there")
    faults.expire_watches = True
    eventually(lambda: sum(1 for _, _, path, status in faults.calls if status == 200 and "watch" not in path) >= 2, 60, "it lists again")
    faults.expire_watches = False
    put(cluster, "y")
    eventually(lambda: probe.told() == versions(cluster), 60, "it knows what is there")
    assert len([line for line in probe.lines("put") if line.startswith("put default/x ")]) == 1
    assert probe.end()["expired"] >= 1


@pytest.mark.parametrize("status", [429, 500])
def test_a_server_that_is_not_ready_yet(stack, cluster, faults, status):
    faults.fail(status, times=3, path="/things")
    probe = Probe(stack, f"probe-{status}", admin(cluster, faults.server), "watch", THINGS)
    eventually(lambda: probe.lines("synced") and probe.told() == versions(cluster), 60, "it knows what is there")
    assert faults.count(status) == 3
    probe.end()


def test_watches_that_are_cut(stack, cluster, faults):
    faults.cut_watches = 1
    probe = Probe(stack, "probe-cut", admin(cluster, faults.server), "watch", THINGS)
    eventually(lambda: probe.lines("synced"), 30, "it is synced")
    for i in range(20):
        put(cluster, f"cut-{i % 4}", i)
        time.sleep(0.2)
    eventually(lambda: probe.told() == versions(cluster), 60, "it knows what is there")
    puts = [line for line in probe.lines("put") if " default/cut-" in line]
    assert len(puts) == len(set(puts)), "something was told twice"
    probe.end()


def test_a_restart_while_it_watches(stack, cluster):
    probe = Probe(stack, "probe-restart", admin(cluster), "watch", THINGS)
    eventually(lambda: probe.told() == versions(cluster), 30, "it knows what is there")
    for compacted in (False, True):
        cluster.restart(compacted=compacted)
        put(cluster, "after", int(compacted))
        eventually(lambda: probe.told() == versions(cluster), 60, "it knows what is there")
    assert not probe.lines("gone")
    probe.end()


# A Lease: who holds it writes. The audit log has both, in the order in which the API server answered.

def leader_roles(cluster, users):
    group = "rbac.authorization.k8s.io"
    cluster.apply({"apiVersion": f"{group}/v1", "kind": "ClusterRole", "metadata": {"name": "leaders"}, "rules": [
                      {"apiGroups": ["coordination.k8s.io"], "resources": ["leases"], "verbs": ["get", "create", "update"]},
                      {"apiGroups": [""], "resources": ["configmaps"], "verbs": ["get", "create", "patch"]}]},
                  {"apiVersion": f"{group}/v1", "kind": "ClusterRoleBinding", "metadata": {"name": "leaders"},
                   "roleRef": {"apiGroup": group, "kind": "ClusterRole", "name": "leaders"},
                   "subjects": [{"kind": "User", "name": u, "apiGroup": group} for u in users]})


class Election:
    """Three that want to lead, each with a name of its own at the API server and a machine of its own."""

    def __init__(self, stack, label):
        self.stack, self.label, self.cluster = stack, label, stack.cluster
        self.mark = self.cluster.audit_mark()
        self.probes, self.machines = {}, {}
        names = [f"{label}-{i}" for i in range(3)]
        leader_roles(self.cluster, [f"{name}" for name in names])
        for name in names:
            self.machines[name] = stack.network.machine(name)
            self.begin(name)

    def begin(self, name):
        self.probes[name] = Probe(self.stack, name, self.cluster.kubeconfig_for(name), "lead", "default", self.label, name, ns=self.machines[name])

    def holder(self):
        lease = self.cluster.get(f"/apis/coordination.k8s.io/v1/namespaces/default/leases/{self.label}")
        return (lease or {}).get("spec", {}).get("holderIdentity") or None

    def writer(self):
        found = self.cluster.get(f"/api/v1/namespaces/default/configmaps/{self.label}")
        return (found or {}).get("data", {}).get("holder")

    def wait_leader(self, other_than=None, seconds=LEASE_SECONDS + 2 * RETRY_SECONDS + SLACK):
        def check():
            now = self.holder()
            return now if now not in (None, "", other_than) and self.writer() == now else None
        return eventually(check, seconds, "there is a leader that writes")

    def check(self):
        """Each write is by the one who held the Lease then; returns how many changes of holder there were."""
        holder, changes, writes = None, 0, 0
        for r in sorted(self.cluster.audit(self.mark), key=lambda r: r.time):
            if r.name != self.label and not (r.resource == "leases" and r.verb == "create"):
                continue
            if r.resource == "leases" and r.verb in ("create", "update") and r.code in (200, 201) and r.body["metadata"]["name"] == self.label:
                now = r.body["spec"].get("holderIdentity") or None
                changes += now is not None and now != holder
                holder = now
            elif r.resource == "configmaps" and r.verb in ("patch", "create"):
                assert r.user == holder, f"{r} while {holder} holds the Lease"
                writes += 1
        assert writes > 2
        return changes

    def end(self):
        for p in self.probes.values():
            p.end()


@pytest.fixture
def election(stack, request):
    made = Election(stack, request.node.name.replace("test_", "").replace("_", "-")[:30])
    yield made
    for p in made.probes.values():
        p.process.signal(signal.SIGCONT)
        p.process.kill()


def test_leader_that_ends_gives_the_lease_back(election, figure):
    first = election.wait_leader()
    start = time.monotonic()
    election.probes[first].end()
    election.wait_leader(first, seconds=RETRY_SECONDS + 2 * SLACK)
    figure(f"SIGTERM -> another leader wrote in {time.monotonic() - start:.2f} s")
    assert election.check() == 2
    election.end()


@pytest.mark.soak
def test_leader_that_is_killed(election, figure):
    first = election.wait_leader()
    start = time.monotonic()
    election.probes[first].process.kill()
    election.wait_leader(first)
    figure(f"SIGKILL -> another leader wrote in {time.monotonic() - start:.2f} s")
    assert election.check() == 2


def test_leader_that_is_stopped_for_longer_than_the_lease(election):
    first = election.wait_leader()
    stopped = election.probes[first]
    stopped.process.signal(signal.SIGSTOP)
    second = election.wait_leader(first)
    stopped.process.signal(signal.SIGCONT)
    stopped.wait("lost")
    holds(lambda: election.holder() == second, 3, f"{second} leads", every=0.5)
    assert election.check() == 2
    election.end()


@pytest.mark.soak
def test_leader_that_is_cut_off(stack, election):
    first = election.wait_leader()
    stack.network.cut(election.machines[first])
    lost = election.probes[first].wait("lost", seconds=LEASE_SECONDS)
    second = election.wait_leader(first)
    assert time.monotonic() >= lost
    stack.network.mend(election.machines[first])
    holds(lambda: election.holder() == second, 3, f"{second} leads", every=0.5)
    assert election.check() == 2
    election.end()


def test_api_server_that_restarts_keeps_the_leader(cluster, election):
    first = election.wait_leader()
    cluster.restart()
    holds(lambda: election.holder() == first, 5, f"{first} leads", every=0.5)
    election.check()
    election.end()
