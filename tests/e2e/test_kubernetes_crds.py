# SPDX-License-Identifier: Apache-2.0
"""The CustomResourceDefinitions on a real API server: accepted, read as documentation, and of one mind with `validate`.

Of every field a manifest is made for each of many values, most of them wrong. What the API server refuses, `validate` must refuse;
what `validate` alone refuses is in ONLY_VALIDATE, with what cannot be said in a definition.
"""

import copy
import functools
import json
import os
import re
import subprocess

import pytest
import yaml

from tests.lib.kube_gateway import our_crds
from tests.lib.kube_stack import KubeStack
from tests.lib.process import eventually
from tests.lib.stack import ROOT, program

GROUP, VERSION = "gateway.tailscale.com", "v1alpha1"
NS = "team"
PLURALS = {"TailscaleTailnet": "tailscaletailnets", "TailscaleGateway": "tailscalegateways", "TailscaleEndpoints": "tailscaleendpoints",
           "TailscaleGatewayBinding": "tailscalegatewaybindings"}
# The least that each object needs; of a list one item, which is taken where a field of it is tried.
LEAST = {
    "TailscaleTailnet": {"credentials": {"env": "KEY"}},
    "TailscaleGateway": {"gatewayRef": {"name": "gw"}, "tailnets": [{"name": "a", "tailscaleTailnetRef": {"name": "t"}}]},
    "TailscaleEndpoints": {"tailnet": "a"},
    "TailscaleGatewayBinding": {"targetRefs": [{"name": "gw"}], "revision": "r"},
}
REQUIRED = {"name": "a", "type": "SourceIP", "service": "db", "listenerPort": 5432, "port": 80, "ports": "80", "key": "k", "operator": "Exists", "tailscaleIP": "100.64.0.1", "socket": "/s", "path": "p",
            "tailscaleTailnetRef": {"name": "t"}}
BATCH = 64  # objects that one `validate` is given
LONG = ("a" * 64, "a" * 254, "a" * 1025)
TEXTS = ["", "a", "A", "-a", "a.b", "a..b", "a b", "a\u0007", "é", "*", "[", "[a-z]?", "[z-a]", "*.a", "{service}", "{service}.{tailnet}.x", "{x}", "x",
         "{service}..a", "/", "/{service}/", "/a//b", "/a/../b", "a/b", "tag:web", "tag:", "tag:a b", "10.0.0.0/8", "10.0.0.1/8", "10.0.0.0/33",
         "100.64.0.1", "256.1.1.1", "::1", "fd00::/8", "127.0.0.1:3128", "[::1]:80", "a:0", "/run/s", "https://a", "https://u@a", "http://a",
         "http://10.0.0.1", "30s", "1m30s", "0s", "1ms", "48h", "1d", "80", "80-90", "90-80", "tcp:80,tcp:90", "udp:53", "0", "KEY", "1A", "HTTP", "Auto",
         "In", "128Mi", "1x", *LONG]
NUMBERS = [-1, 0, 1, 2, 101, 65535, 65536, 1000001, 2**31, 2**63, 1.5]
OTHERS = [True, None, [], {}, ["a"], ["a", "a"], [None], [7], ["tag:web"], ["10.0.0.0/8"], ["127.0.0.1:3128"], [80], [80, 80], {"a": "b"}, {"a": 1}, {"cpu": "1x"},
          {"cpu": 1, "memory": "128Mi"}, [{}]]
# field: values that the definition lets through, since no expression of it can tell them, and the condition Accepted refuses.
DISCOVERY = "tailnets[].serviceDiscovery"
ONLY_VALIDATE = {
    "TailscaleGateway": {
        f"{DISCOVERY}.patterns": ['["[z-a]"]'], f"{DISCOVERY}.excludePatterns": ['["[z-a]"]'], f"{DISCOVERY}.groups[].pattern": ['"[z-a]"'],
        f"{DISCOVERY}.ports[].pattern": ['"[z-a]"'], f"{DISCOVERY}.ports[].port": ['"90-80"'],
        f"{DISCOVERY}.portProbing.ports": ['"*"', '"90-80"'], "tailnets[].connectivity.allowedCIDRs": ['["10.0.0.1/8"]'],
        "tailnets[].connectivity.ingress.trustedSources": ['["10.0.0.1/8"]']},
}


@pytest.fixture(scope="module")
def stack(workdir):
    made = KubeStack("kcrds", workdir)
    yield made
    made.close()


@pytest.fixture(scope="module")
def cluster(stack):
    made = stack.start_cluster(gateway_api=False)
    for path in our_crds(ROOT):
        made.kubectl("apply", "--server-side", "-f", path)
    made.kubectl("wait", "--for=condition=established", "crd", "--all", "--timeout=60s")
    made.create_namespace(NS)
    return made


@functools.cache
def definition(kind):
    with open(os.path.join(ROOT, "deploy", "crds", PLURALS[kind] + ".yaml"), encoding="utf-8") as f:
        return yaml.safe_load(f)


def schema_of(kind, part="spec"):
    return definition(kind)["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"][part]


def manifest(kind, spec, name="x"):
    return {"apiVersion": f"{GROUP}/{VERSION}", "kind": kind, "metadata": {"name": name, "namespace": NS}, "spec": spec}


def url(kind, name=""):
    return f"/apis/{GROUP}/{VERSION}/namespaces/{NS}/{PLURALS[kind]}" + (f"/{name}" if name else "")


def fields(schema, path=()):
    """(path, schema) of every field; "[]" is the item of a list."""
    for name, s in sorted(schema.get("properties", {}).items()):
        yield (*path, name), s
        yield from fields(s, (*path, name))
        items = s.get("items", {})
        if items.get("type") == "object":
            yield from fields(items, (*path, name, "[]"))


def least_of(schema):
    return {name: copy.deepcopy(REQUIRED[name]) for name in schema.get("required", [])}


def with_value(kind, path, value):
    """The least spec in which `path` can stand, with `value` there."""
    spec, schema = copy.deepcopy(LEAST[kind]), schema_of(kind)
    node, at, here = spec, path, schema
    while len(at) > 1:
        name, is_list = at[0], at[1] == "[]"
        here = here["properties"][name]
        if is_list:
            here = here["items"]
            node = node.setdefault(name, [least_of(here)])[0]
            at = at[2:]
        else:
            node = node.setdefault(name, least_of(here))
            at = at[1:]
    node[at[0]] = value
    settle(path, node, value)
    return spec


def settle(path, node, value):
    """What goes together, or excludes each other, besides the value that is tried."""
    if path[0] == "credentials" and len(path) > 1:
        if path[1] != "env":
            node.pop("env", None)
        if path[1] in ("clientID", "tokenFile"):
            node.setdefault("clientID", "c")
            node.setdefault("tokenFile", "/t")
    if {"pattern", "tag"} & set(path) == set() and path[-2:-1] == ("[]",) and path[-3] in ("ports", "groups"):
        node["pattern"] = "a"


def with_credentials(path, spec):
    """`env` of the least spec must not stand beside another credential."""
    if path[:1] == ("credentials",) and len(path) > 1 and path[1] != "env":
        spec["credentials"].pop("env", None)
    return spec


def values_for(schema):
    kind = schema.get("type")
    if kind in ("integer", "boolean"):
        return [*NUMBERS, *OTHERS, "7", ""]
    if kind == "array" and schema["items"].get("type") == "string":
        return [*OTHERS, "a", 7, *([t] for t in TEXTS)]
    if kind in ("array", "object"):
        return [*OTHERS, "a", 7]
    if "enum" in schema:
        return [*schema["enum"], "", "nosuch", 7, True, None, [], {}]
    return [*TEXTS, *NUMBERS, True, None, [], {}]


class Judges:
    """The API server and `validate`, asked about one object at a time. Each gives None, or why not."""

    def __init__(self, cluster, workdir):
        self.cluster, self.folder = cluster, os.path.join(workdir, "asked")
        os.makedirs(self.folder, exist_ok=True)

    def api(self, obj):
        answer = self.cluster.api(url(obj["kind"]) + "?dryRun=All&fieldValidation=Strict", "POST", obj)
        if answer.status == 201:
            return None
        assert answer.status in (400, 422), answer
        return answer.json()["message"]

    def validate(self, objects):
        """Of many at once, each in a file of its own, so that the output tells whose it is."""
        for i, obj in enumerate(objects):
            with open(os.path.join(self.folder, f"{i}.json"), "w", encoding="utf-8") as f:
                json.dump({**obj, "metadata": {**obj["metadata"], "name": f"x{i}"}}, f, ensure_ascii=False)
        found = {}
        for first in range(0, len(objects), BATCH):
            self._validate(range(first, min(first + BATCH, len(objects))), found)
        return [found.get(i) for i in range(len(objects))]

    def _validate(self, numbers, found):
        """`validate` tells so many faults and counts the rest: where it does, the halves are asked."""
        done = subprocess.run([program(), "validate", *(os.path.join(self.folder, f"{i}.json") for i in numbers)], capture_output=True, text=True,
                              check=False, timeout=60)
        assert done.returncode in (0, 1), done.stderr
        *told, summary = done.stdout.splitlines()
        count = re.search(r"(\d+) faults?$", summary)
        if count and int(count.group(1)) != len(told):
            assert len(numbers) > 1 or told, done.stdout
            if len(numbers) > 1:
                middle = len(numbers) // 2
                self._validate(numbers[:middle], found)
                self._validate(numbers[middle:], found)
                return
        for line in told:
            name, fault = re.fullmatch(r".*/(\d+)\.json:\d+:\d+: (.*)", line).groups()
            found.setdefault(int(name), fault)


@pytest.fixture(scope="module")
def judges(cluster, workdir):
    return Judges(cluster, workdir)


def show(value):
    return json.dumps(value, ensure_ascii=False)[:40]


@pytest.mark.parametrize("kind", sorted(PLURALS))
def test_of_one_mind(judges, kind):
    """Every field with every value: nobody refuses what the other takes, but for what only `validate` can see."""
    cases = [(path, value, manifest(kind, with_credentials(path, with_value(kind, path, value))))
             for path, schema in fields(schema_of(kind)) for value in values_for(schema)]
    assert len(cases) > 100
    said = judges.validate([obj for _, _, obj in cases])
    narrower, wider = [], {}
    for (path, value, obj), ours in zip(cases, said):
        theirs = judges.api(obj)
        name = ".".join(path).replace(".[]", "[]")
        if theirs and not ours:
            narrower.append(f"{name} = {show(value)}: {theirs[:300]}")
        elif ours and not theirs:
            wider.setdefault(name, []).append(show(value))
    assert not narrower, "\n".join(narrower)
    assert wider == ONLY_VALIDATE.get(kind, {})


# What goes together: the spec, what the API server says, and where `validate` sees it.
TOGETHER = [
    ("TailscaleTailnet", {}, "nothing to ask: must have credentials, localAPI or file", "spec"),
    ("TailscaleTailnet", {"credentials": {}}, "must be exactly one of secretRef, env, or clientID with tokenFile", "spec.credentials"),
    ("TailscaleTailnet", {"credentials": {"env": "A", "secretRef": {"name": "a"}}}, "must be exactly one of", "spec.credentials"),
    ("TailscaleTailnet", {"credentials": {"clientID": "a"}}, "clientID and tokenFile go together", "spec.credentials"),
    ("TailscaleTailnet", {"credentials": {"env": "A"}, "pollInterval": "5s"}, "spec.pollInterval: Invalid value: must be at least 15s", "spec.pollInterval"),
    ("TailscaleTailnet", {"credentials": {"env": "A"}, "pollInterval": "25h"}, "must be a duration from 1s to 24h", "spec.pollInterval"),
    ("TailscaleTailnet", {"credentials": {"env": "A"}, "apiURL": "http://example.com"}, "http:// is for loopback and private addresses", "spec.apiURL"),
    ("TailscaleTailnet", {"credentials": {"env": "A"}, "proxyAddresses": ["a:1", "a:1"]}, "spec.proxyAddresses[1]: Duplicate value", "spec.proxyAddresses[1]"),
    ("TailscaleTailnet", {"credentials": {"env": "A"}, "proxyAddress": []}, "unknown field \"spec.proxyAddress\"", "spec"),
    ("TailscaleGateway", {"tailnets": [{"name": "a", "tailscaleTailnetRef": {"name": "t"}}] * 2}, "spec.tailnets[1]: Duplicate value", "spec.tailnets[1]"),
    ("TailscaleGateway", {"tailnets": []}, "spec.tailnets in body should have at least 1 items", "spec.tailnets"),
    ("TailscaleGateway", {"serviceDiscovery": {"ports": [{"port": 80}]}}, "must have exactly one of pattern and tag", "spec.tailnets[0].serviceDiscovery.ports[0]"),
    ("TailscaleGateway", {"serviceDiscovery": {"groups": [{"name": "g", "pattern": "a", "tag": "tag:b"}]}}, "must have exactly one of pattern and tag",
     "spec.tailnets[0].serviceDiscovery.groups[0]"),
    ("TailscaleGateway", {"serviceDiscovery": {"probes": {"type": "TCP", "interval": "1s"}}}, "must be at most the interval", "spec.tailnets[0].serviceDiscovery.probes"),
    ("TailscaleGateway", {"routeGeneration": {"egress": {"hostPattern": "a.example.com"}}}, "must hold {service}", "spec.tailnets[0].routeGeneration.egress.hostPattern"),
    ("TailscaleEndpoints", {"endpoints": [{"name": "a", "tailscaleIP": "100.64.0.1", "port": 80}] * 2}, "spec.endpoints[1]: Duplicate value", "spec.endpoints[1]"),
    ("TailscaleEndpoints", {"endpoints": [{"name": "a", "tailscaleIP": "example.com", "port": 80}]}, "spec.endpoints[0].tailscaleIP", "spec.endpoints[0].tailscaleIP"),
]
ENTRY = ("serviceDiscovery", "routeGeneration", "connectivity")


def together(kind, spec):
    whole = copy.deepcopy(LEAST[kind]) if kind != "TailscaleTailnet" else {}
    if set(spec) & set(ENTRY):
        whole["tailnets"][0].update(spec)
    else:
        whole.update(spec)
    return manifest(kind, whole)


def test_what_goes_together(judges):
    """Each is refused with a message that says what would be right, at a path that `validate` names, too."""
    objects = [together(kind, spec) for kind, spec, _, _ in TOGETHER]
    for (_, spec, message, path), obj, ours in zip(TOGETHER, objects, judges.validate(objects)):
        theirs = judges.api(obj)
        assert theirs and message in theirs, (spec, theirs)
        assert ours and ours.startswith(path), (spec, ours)


def test_examples(cluster):
    """The manifests of the plan and all others that we show: as users apply them, by both ways."""
    for folder, _, names in sorted(os.walk(os.path.join(ROOT, "examples"))):
        for path in (os.path.join(folder, n) for n in sorted(names) if n.endswith(".yaml")):
            for way in ([], ["--server-side"]):
                printed = cluster.kubectl("apply", "-n", NS, "--dry-run=server", "--validate=strict", *way, "-f", path, code=None)
                unknown = [line for line in printed.splitlines() if "no matches for kind" in line or "ensure CRDs are installed first" in line]
                others = [line for line in printed.splitlines() if line not in unknown]
                assert all(re.search(r"(created|configured|unchanged|serverside-applied) \(server dry run\)$", line) for line in others), printed
                assert others or unknown, path


def test_defaults(cluster):
    """What a user left out comes back as the decoder takes it; an object that is not there gets none."""
    spec = copy.deepcopy(LEAST["TailscaleGateway"])
    spec["tailnets"][0].update({"serviceDiscovery": {"probes": {}}, "routeGeneration": {"egress": {}}})
    cluster.apply(manifest("TailscaleGateway", spec, "defaults"), manifest("TailscaleTailnet", {**LEAST["TailscaleTailnet"], "removalGuard": {}}, "defaults"))
    gateway = cluster.get(url("TailscaleGateway", "defaults"))["spec"]
    entry = gateway["tailnets"][0]
    assert gateway["priority"] == 0 and "connectivity" not in entry and "ingress" not in entry["routeGeneration"] and "extensionServer" not in gateway
    assert entry["serviceDiscovery"] == {"enabled": True, "probes": {"type": "None", "interval": "30s", "timeout": "2s", "failures": 3, "successes": 1}}
    assert entry["routeGeneration"]["egress"] == {"hostPattern": "{service}.tailscale.local", "pathPrefix": "/tailscale/{service}/", "protocol": "HTTP",
                                                  "pathHosts": ["*"], "hostHeader": "Device", "overrideHosts": False}
    tailnet = cluster.get(url("TailscaleTailnet", "defaults"))["spec"]
    assert tailnet == {"apiURL": "https://api.tailscale.com", "type": "Auto", "tailnet": "-", "pollInterval": "30s", "credentials": {"env": "KEY"},
                       "removalGuard": {"maxPercent": 50, "fromEndpoints": 5, "confirmations": 3}}


# As model/render.c writes them: nothing may be added, or it would be written again for ever.
OURS = {"tailnet": "corp", "endpoints": [
    {"name": "web", "tailscaleIP": "100.64.0.1", "tailscaleFQDN": "web.corp.ts.net", "port": 80, "protocol": "HTTP", "tags": ["tag:web", "tag:web"], "nodeID": "n1",
     "portSource": "ports[0]", "rule": "pattern web", "health": "Healthy", "weight": 1}]}
OUR_STATUS = {
    "discoveredEndpoints": 1, "lastSync": "2026-01-01T00:00:00Z", "nextKeyExpiry": "2026-02-01T00:00:00Z",
    "held": {"count": 1, "confirmations": 2, "digest": "abc", "reason": "TooManyRemoved"},
    "conditions": [{"type": "Synced", "status": "True", "reason": "DiscoverySuccessful", "message": "", "observedGeneration": 1,
                    "lastTransitionTime": "2026-01-01T00:00:00Z"}]}
ACCEPTED = {"type": "Accepted", "status": "True", "reason": "Accepted", "message": "ok", "observedGeneration": 1, "lastTransitionTime": "2026-01-01T00:00:00Z"}
STATUSES = {
    "TailscaleTailnet": {"observedGeneration": 1, "lastSync": "2026-01-01T00:00:00Z", "devices": 3, "services": 1, "magicDNSSuffix": "corp.ts.net",
                         "scopes": ["devices:core:read"], "nextKeyExpiry": "2026-02-01T00:00:00Z", "conditions": [{**ACCEPTED, "type": "Synced"}]},
    "TailscaleGateway": {"observedGeneration": 1, "conditions": [{**ACCEPTED, "type": "Programmed"}],
                         "tailnets": [{"name": "a", "selected": 3, "excluded": 1, "hosts": 3, "paths": 0, "conflicts": 1}],
                         "conflicts": [{"tailnet": "a", "service": "web", "host": "web.tailscale.local", "reason": "Conflicted", "message": "m" * 8000}]},
    "TailscaleEndpoints": OUR_STATUS,
    # What Envoy Gateway 1.9 writes.
    "TailscaleGatewayBinding": {"ancestors": [{
        "ancestorRef": {"group": "gateway.networking.k8s.io", "kind": "Gateway", "name": "gw", "namespace": NS, "sectionName": "http"},
        "controllerName": "gateway.envoyproxy.io/gatewayclass-controller", "conditions": [ACCEPTED]}]},
}


SPECS = {**LEAST, "TailscaleEndpoints": OURS}


def apply_ours(cluster, kind, part):
    """Server-side apply of spec or status (`part` "/status"), as this program does; gives the object's version."""
    body = {"status": STATUSES[kind]} if part else {"spec": SPECS[kind]}
    obj = {"apiVersion": f"{GROUP}/{VERSION}", "kind": kind, "metadata": {"name": "ours", "namespace": NS}, **body}
    answer = cluster.api(f"{url(kind, 'ours')}{part}?fieldManager=us&force=true&fieldValidation=Strict", "PATCH", obj, content="application/apply-patch+yaml")
    assert answer.status in (200, 201), answer
    return answer.json()["metadata"]["resourceVersion"]


@pytest.mark.parametrize("kind", sorted(PLURALS))
def test_what_we_write_comes_back(cluster, kind):
    """Spec and status as they were applied, by the same field manager twice: the second time nothing changes."""
    for part in ("", "/status"):
        assert apply_ours(cluster, kind, part) == apply_ours(cluster, kind, part)
    found = cluster.get(url(kind, "ours"))
    assert found["status"] == STATUSES[kind]
    if kind in ("TailscaleEndpoints", "TailscaleGatewayBinding"):
        assert found["spec"] == SPECS[kind]


def test_columns(cluster):
    """kubectl get, by short names and by category."""
    for kind in PLURALS:
        for part in ("", "/status"):
            apply_ours(cluster, kind, part)

    def rows(*arguments):
        head, *lines = cluster.kubectl("get", "-n", NS, *arguments, "ours").splitlines()
        return re.split(r" {2,}", head.strip()), lines[0]

    assert rows("tst")[0] == ["NAME", "SYNCED", "DEVICES", "LAST SYNC", "AGE"]
    assert rows("tsgw")[0] == ["NAME", "GATEWAY", "ACCEPTED", "PROGRAMMED", "CONFLICTED", "AGE"]
    assert rows("tse")[0] == ["NAME", "GATEWAY", "TAILNET", "ENDPOINTS", "SYNCED", "AGE"]
    assert rows("tsgb")[0] == ["NAME", "REVISION", "ATTEMPT", "AGE"]
    assert rows("tst", "-o", "wide")[0][5:] == ["SERVICES", "SUFFIX", "NEXT KEY EXPIRY", "REASON"]
    assert re.match(r"ours +True +3 +", rows("tst")[1])
    assert re.match(r"ours +gw +True +", rows("tsgw")[1])
    cluster.kubectl("label", "-n", NS, "tse", "ours", f"{GROUP}/gateway=corp-gateway")
    assert re.match(r"ours +corp-gateway +corp +1 +True ", rows("tse")[1])
    everything = cluster.kubectl("get", "-n", NS, "tailscale-gateway", "-o", "name")
    assert {line.split(".")[0] for line in everything.split()} == {"tailscaletailnet", "tailscalegateway", "tailscaleendpoints", "tailscalegatewaybinding"}


def test_explain_reads_as_documentation(cluster):
    """Every field has prose, types are there, and what a user would look up is found."""
    for kind in PLURALS:
        for part in ("spec", "status"):
            for path, schema in fields(schema_of(kind, part)):
                assert schema.get("description", "").endswith("."), path
    eventually(lambda: "serviceDiscovery" in cluster.kubectl("explain", "tsgw.spec.tailnets", code=None), 30, "kubectl knows the schema", every=0.5)
    assert "only when it has been confirmed" in " ".join(cluster.kubectl("explain", "tst.spec.removalGuard").split())
    assert "<no description>" not in cluster.kubectl("explain", "tsgw.spec.tailnets.routeGeneration.egress")
    for kind, short in (("TailscaleTailnet", "tst"), ("TailscaleGateway", "tsgw"), ("TailscaleEndpoints", "tse"), ("TailscaleGatewayBinding", "tsgb")):
        assert kind in cluster.kubectl("explain", short)


def test_names(cluster):
    """What tells ours from a foreign definition, and keeps it when a chart goes."""
    for kind, plural in PLURALS.items():
        crd = cluster.get(f"/apis/apiextensions.k8s.io/v1/customresourcedefinitions/{plural}.{GROUP}")
        assert {(c["type"], c["status"]) for c in crd["status"]["conditions"]} == {("NamesAccepted", "True"), ("Established", "True")}, kind
        meta = crd["metadata"]
        assert meta["annotations"]["helm.sh/resource-policy"] == "keep", kind
        assert meta["annotations"][f"{GROUP}/bundle-version"] and meta["labels"]["app.kubernetes.io/part-of"] == "tailscale-gateway"
