# SPDX-License-Identifier: Apache-2.0
"""Objects with a field that is not valid, each kind and each field: the condition Accepted says which, and nobody else is affected.

First what the definitions let through; then, since a definition may be older than the program, everything. The tailnet is a file. The tests
of this file tell one story and run in this order.
"""

import json
import os

import pytest

from tests.e2e.test_kubernetes_crds import GROUP, ONLY_VALIDATE, PLURALS, VERSION, Judges, fields, manifest, schema_of, with_credentials, with_value
from tests.lib import chart
from tests.lib.cluster import condition
from tests.lib.envoy import gateway_class
from tests.lib.kube_program import Replica
from tests.lib.kube_stack import KubeStack
from tests.lib.process import eventually, holds

NS, GOOD = "team", "good"  # the namespace is that of `manifest`
USERS = ("TailscaleTailnet", "TailscaleGateway", "TailscaleEndpoints")
VALUES = [7, {}, ["a"], "", "a b", "[", "10.0.0.1/8", -1, "nosuch", True, ["a", "a"], "a" * 1025, {"a": 1}]
OF_A_FIELD = 2  # values of VALUES that are refused


@pytest.fixture(scope="module")
def stack(workdir):
    made = KubeStack("kinvalid", workdir)
    yield made
    made.close()


@pytest.fixture(scope="module")
def judges(stack, workdir):
    return Judges(stack.cluster, workdir)


def write_devices(stack, *names):
    path = os.path.join(stack.workdir, "devices.json")
    devices = [{"nodeId": f"n{i}", "name": f"{name}.corp.ts.net", "addresses": [f"100.64.0.{i + 1}"], "authorized": True, "tags": ["tag:http-8080"]}
               for i, name in enumerate(names)]
    with open(path + ".part", "w", encoding="utf-8") as f:
        json.dump({"devices": devices}, f)
    os.rename(path + ".part", path)
    return path


def good_gateway(name=GOOD, **discovery):
    return manifest("TailscaleGateway", {"gatewayRef": {"name": "gw"}, "tailnets": [
        {"name": "corp", "tailscaleTailnetRef": {"name": GOOD}, "serviceDiscovery": discovery, "connectivity": {"mode": "Direct"}}]}, name)


@pytest.fixture(scope="module", autouse=True)
def story(stack):
    cluster = stack.start_cluster()
    for name in (chart.NAMESPACE, chart.GATEWAY_NAMESPACE, NS):
        cluster.create_namespace(name)
    path = write_devices(stack, "api")
    cluster.apply(*chart.roles("operator"), *chart.roles("extension"), gateway_class(), manifest(
        "TailscaleTailnet", {"file": {"path": path}, "pollInterval": "1s"}, GOOD), good_gateway(),
        {"apiVersion": "gateway.networking.k8s.io/v1", "kind": "Gateway", "metadata": {"name": "gw", "namespace": NS},
         "spec": {"gatewayClassName": "eg", "listeners": [{"name": "http", "protocol": "HTTP", "port": 80}]}})
    stack.operator = Replica(stack, "operator", "op-1", chart.account("operator"), "--local-sources-dir", stack.workdir).start()
    stack.extension = Replica(stack, "extension", "ex-1", chart.account("extension")).start()
    eventually(lambda: services(stack) == ["api"], 60, "what is good is served")


def services(stack):
    """What the extension server would give Envoy Gateway."""
    try:
        return sorted(r["service"] for r in stack.extension.state()["routes"])
    except OSError:
        return None


def path_of(kind, name):
    return f"/apis/{GROUP}/{VERSION}/namespaces/{NS}/{PLURALS[kind]}/{name}"


def accepted(stack, kind, name):
    return condition(stack.cluster.get(path_of(kind, name)), "Accepted")


def put(stack, obj):
    answer = stack.cluster.api(path_of(obj["kind"], obj["metadata"]["name"]) + "?fieldManager=user&force=true", "PATCH", obj,
                               content="application/apply-patch+yaml")
    assert answer.status in (200, 201), answer
    return answer.json()["metadata"]["generation"]


def told(stack, kinds):
    """{(kind, name): condition Accepted} of all that stands there."""
    found = {}
    for kind in kinds:
        for obj in stack.cluster.get(f"/apis/{GROUP}/{VERSION}/namespaces/{NS}/{PLURALS[kind]}")["items"]:
            found[kind, obj["metadata"]["name"]] = condition(obj, "Accepted")
    return found


def refused(stack, expected):
    """Whether each of `expected`, {(kind, name): (path, generation)}, says so; what does not is kept for the report."""
    seen = told(stack, USERS)
    stack.missing = {k: (want, seen.get(k)) for k, want in expected.items()
                     if (seen[k].get("status"), seen[k].get("reason")) != ("False", "Invalid") or seen[k].get("observedGeneration") != want[1]
                     or not any(line.startswith(want[0] + ":") for line in seen[k]["message"].splitlines())}
    return not stack.missing


def wait_refused(stack, expected):
    try:
        eventually(lambda: refused(stack, expected), 60, "each says what is not valid", every=1)
    except AssertionError as e:
        raise AssertionError(f"{len(stack.missing)}: {list(stack.missing.items())[:5]}") from e


def others_go_on(stack, *names):
    """A change of what is good is still carried through."""
    write_devices(stack, *names)
    eventually(lambda: services(stack) == sorted(names), 30, "what is good is served")
    assert accepted(stack, "TailscaleGateway", GOOD)["status"] == "True"
    assert accepted(stack, "TailscaleTailnet", GOOD)["status"] == "True"


def test_what_no_definition_can_say(stack, judges):
    objects = [manifest("TailscaleGateway", with_value("TailscaleGateway", tuple(field.replace("[]", ".[]").split(".")), json.loads(value)), "x")
               for field, values in ONLY_VALIDATE["TailscaleGateway"].items() for value in values]
    faults = judges.validate(objects)
    assert all(faults), [o for o, f in zip(objects, faults) if not f]
    expected = {}
    for i, (obj, fault) in enumerate(zip(objects, faults)):
        obj["metadata"]["name"] = f"bad-{i}"
        expected["TailscaleGateway", f"bad-{i}"] = (fault.split(":")[0], put(stack, obj))
    wait_refused(stack, expected)
    others_go_on(stack, "api", "web")
    for kind, name in expected:
        stack.cluster.api(path_of(kind, name), "DELETE")


def test_what_was_in_force_stays(stack):
    """An edit that is not valid takes nothing away; the next one that is takes effect."""
    generation = put(stack, good_gateway(patterns=["[z-a]"]))
    wait_refused(stack, {("TailscaleGateway", GOOD): ("spec.tailnets[0].serviceDiscovery.patterns[0]", generation)})
    holds(lambda: services(stack) == ["api", "web"], 3, "what was good is served", every=0.5)
    write_devices(stack, "api", "web", "db")
    eventually(lambda: services(stack) == ["api", "db", "web"], 30, "it is kept up to date")
    put(stack, good_gateway(patterns=["a*"]))
    eventually(lambda: services(stack) == ["api"], 30, "the edit takes effect")
    eventually(lambda: accepted(stack, "TailscaleGateway", GOOD)["status"] == "True", 10, "and is accepted")
    put(stack, good_gateway())
    eventually(lambda: services(stack) == ["api", "db", "web"], 30, "all are back")


def relax(stack):
    """Definitions that let everything through, as those of another version might."""
    for kind in USERS:
        name = f"{PLURALS[kind]}.{GROUP}"
        path = f"/apis/apiextensions.k8s.io/v1/customresourcedefinitions/{name}"
        versions = stack.cluster.get(path)["spec"]["versions"]
        versions[0]["schema"] = {"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": True}}
        stack.cluster.merge(path, {"spec": {"versions": versions}})

    def is_relaxed(kind):
        obj = manifest(kind, {"nonsense": 7}, "relaxed")
        return stack.cluster.api(path_of(kind, "").rstrip("/") + "?dryRun=All", "POST", obj).status == 201
    for kind in USERS:
        eventually(lambda k=kind: is_relaxed(k), 30, f"{kind} takes everything")


def invalid_objects(judges, kind):
    """[(object, path of its fault)]: of each field some values."""
    tried = []
    for path, _ in fields(schema_of(kind)):
        for value in VALUES:
            tried.append((path, manifest(kind, with_credentials(path, with_value(kind, path, value)))))
    found, n = [], {}
    for (path, obj), fault in zip(tried, judges.validate([obj for _, obj in tried])):
        if fault and n.get(path, 0) < OF_A_FIELD:
            n[path] = n.get(path, 0) + 1
            found.append((obj, fault.split(": ")[0]))
    never = {path for path, _ in tried} - set(n)
    assert not never, f"no value of theirs is refused: {never}"
    return found


def test_every_field_of_every_kind(stack, judges, figure):
    objects = [x for kind in USERS for x in invalid_objects(judges, kind)]
    relax(stack)
    expected = {}
    for i, (obj, path) in enumerate(objects):
        obj["metadata"]["name"] = f"all-{i}"
        expected[obj["kind"], f"all-{i}"] = (path, put(stack, obj))
    wait_refused(stack, expected)
    figure(f"{len(expected)} objects with a field that is not valid")
    others_go_on(stack, "api", "web")


def test_nothing_was_made_of_them(stack):
    shards = stack.cluster.get(f"/apis/{GROUP}/{VERSION}/namespaces/{NS}/tailscaleendpoints")["items"]
    ours = [s["metadata"]["name"] for s in shards if s["metadata"].get("ownerReferences")]
    assert len(ours) == 1 and ours[0].startswith(f"{GOOD}-"), ours
    assert services(stack) == ["api", "web"]
