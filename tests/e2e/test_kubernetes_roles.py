# SPDX-License-Identifier: Apache-2.0
"""The chart's roles are exact: an operator and an extension server do all that they do with them, and nothing is refused. Then each right is taken
away, by itself, from a program that starts anew: it is refused for the lack of that right and of no other, says so, and what users had of it
they have no more.

The tailnet is a file below --local-sources-dir, and what lies outside it is refused. The tests of this file tell one story and run in this order.
"""

import json
import os
import time

import pytest

from tests.lib import chart, hooks, kube_program
from tests.lib.cluster import condition
from tests.lib.envoy import gateway_class
from tests.lib.kube_faults import KubeFaults
from tests.lib.kube_program import Replica
from tests.lib.kube_rights import covering, is_for, lacked, user_of, without
from tests.lib.kube_stack import KubeStack
from tests.lib.process import eventually, holds

GROUP = "gateway.tailscale.com"
TEAM = "team-a"
OURS = f"/apis/{GROUP}/v1alpha1/namespaces/{TEAM}"
BINDING = f"{OURS}/tailscalegatewaybindings/gw"
GATEWAY = {"apiVersion": "gateway.networking.k8s.io/v1", "kind": "Gateway", "metadata": {"name": "gw", "namespace": TEAM},
           "spec": {"gatewayClassName": "eg", "listeners": [{"name": "http", "protocol": "HTTP", "port": 80}]}}
ROUTES = f"/apis/gateway.networking.k8s.io/v1/namespaces/{TEAM}"
SERVICES = f"/api/v1/namespaces/{TEAM}/services"
# Services that a tailnet sees, by the kind of route that they get: (name, name of the port).
SEEN = {"httproutes": ("shop", "http"), "grpcroutes": ("rpc", "grpc")}
GATEWAYS = f"/apis/gateway.networking.k8s.io/v1/namespaces/{TEAM}/gateways"
EVENTS = f"/apis/events.k8s.io/v1/namespaces/{TEAM}/events"
LEASES = f"/apis/coordination.k8s.io/v1/namespaces/{chart.NAMESPACE}/leases"
LEASE = "tailscale-gateway"
OWN, OF_GATEWAY = f"/api/v1/namespaces/{chart.NAMESPACE}/secrets", f"/api/v1/namespaces/{chart.GATEWAY_NAMESPACE}/secrets"
CA, SERVER_TLS, EG_CA, EG_CLIENT = f"{OWN}/tailscale-gateway-ca", f"{OWN}/{kube_program.SERVER_TLS}", f"{OF_GATEWAY}/{kube_program.EG_CA}", f"{OF_GATEWAY}/{kube_program.EG_CLIENT}"
CERTIFICATES = (CA, SERVER_TLS, EG_CA, EG_CLIENT)
MANAGED = {"deployments": f"/apis/apps/v1/namespaces/{chart.NAMESPACE}/deployments/{chart.account('extension')}",
           "services": f"/api/v1/namespaces/{chart.NAMESPACE}/services/{chart.account('extension')}",
           "poddisruptionbudgets": f"/apis/policy/v1/namespaces/{chart.NAMESPACE}/poddisruptionbudgets/{chart.account('extension')}"}


@pytest.fixture(scope="module")
def stack(workdir):
    made = KubeStack("kroles", workdir)
    yield made
    made.close()


@pytest.fixture(scope="module")
def sources(workdir):
    path = os.path.join(workdir, "sources")
    os.makedirs(path)
    return path


def device(i, name):
    return {"nodeId": f"n{i}", "name": f"{name}.corp.ts.net", "addresses": [f"100.64.0.{i}"], "authorized": True, "tags": ["tag:http-8080"]}


def write_devices(path, *names):
    hidden = path + ".part"
    with open(hidden, "w", encoding="utf-8") as f:
        json.dump({"devices": [device(i + 1, name) for i, name in enumerate(names)]}, f)
    os.rename(hidden, path)


def tailnet(name, path):
    return {"apiVersion": f"{GROUP}/v1alpha1", "kind": "TailscaleTailnet", "metadata": {"name": name, "namespace": TEAM},
            "spec": {"file": {"path": path}, "proxyAddresses": ["127.0.0.1:3128"], "pollInterval": "1s",
                     "removalGuard": {"maxPercent": 100, "fromEndpoints": 100, "confirmations": 1}}}


def gateway(name, tailnet_name, **connectivity):
    return {"apiVersion": f"{GROUP}/v1alpha1", "kind": "TailscaleGateway", "metadata": {"name": name, "namespace": TEAM},
            "spec": {"gatewayRef": {"name": "gw"}, "tailnets": [{
                "name": tailnet_name, "tailscaleTailnetRef": {"name": tailnet_name}, **({"connectivity": connectivity} if connectivity else {})}]}}


@pytest.fixture(scope="module", autouse=True)
def story(stack, sources):
    stack.start_cluster()
    cluster = stack.cluster
    for name in (chart.NAMESPACE, chart.GATEWAY_NAMESPACE, TEAM):
        cluster.create_namespace(name)
    cluster.apply(*chart.roles("operator"), *chart.roles("extension"))
    write_devices(os.path.join(sources, "corp.json"), "api", "web")
    write_devices(os.path.join(os.path.dirname(sources), "outside.json"), "secret")
    os.symlink("../outside.json", os.path.join(sources, "link.json"))
    cluster.apply(
        gateway_class(), GATEWAY,
        {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "key", "namespace": TEAM}, "stringData": {"api_key": "k"}},
        tailnet("corp", os.path.join(sources, "corp.json")), gateway("corp-gateway", "corp"))
    same = ["--allowed-proxies", "127.0.0.1", "--local-sources-dir", sources]
    stack.operator = Replica(stack, "operator", "op-1", chart.account("operator"), "--extension-image", "tailscale-gateway:test", *same).start()
    stack.extension = Replica(stack, "extension", "ex-1", chart.account("extension"), *same).start()


def status(stack, plural, name):
    return stack.cluster.get(f"{OURS}/{plural}/{name}")


def names_of(stack):
    shards = stack.cluster.get(f"{OURS}/tailscaleendpoints")["items"]
    return sorted(e["name"] for s in shards if s["metadata"]["name"].startswith("corp-gateway-") for e in s["spec"].get("endpoints", []))


def test_all_is_done(stack, sources):
    cluster = stack.cluster
    eventually(lambda: names_of(stack) == ["api", "web"], 60, "what the file holds is found")
    eventually(lambda: stack.extension.is_ready(), 60, "the extension server knows all")
    eventually(lambda: cluster.get(f"{OURS}/tailscalegatewaybindings/gw"), 30, "there is a Binding")
    for path in ("apis/apps/v1/namespaces/{}/deployments/tailscale-gateway-extension", "api/v1/namespaces/{}/services/tailscale-gateway-extension",
                 "apis/policy/v1/namespaces/{}/poddisruptionbudgets/tailscale-gateway-extension", "api/v1/namespaces/{}/secrets/tailscale-gateway-ca"):
        eventually(lambda p=path: cluster.get("/" + p.format(chart.NAMESPACE)), 30, path)
    eventually(lambda: cluster.get(f"/api/v1/namespaces/{chart.GATEWAY_NAMESPACE}/secrets/tailscale-gateway-extension-client"), 30,
               "Envoy Gateway's certificate")
    write_devices(os.path.join(sources, "corp.json"), "api")
    eventually(lambda: names_of(stack) == ["api"], 60, "what left the file is gone")


def test_what_the_cluster_does_not_permit(stack, sources):
    """A path outside, a link that leads outside, an environment variable, plain http, an address of the cluster, a proxy of the cluster."""
    cluster = stack.cluster
    cases = {"outside": ({"file": {"path": os.path.join(os.path.dirname(sources), "outside.json")}}, "PathRefused"),
             "dots": ({"file": {"path": f"{sources}/../outside.json"}}, "PathRefused"),
             "link": ({"file": {"path": os.path.join(sources, "link.json")}}, "PathRefused"),
             "env": ({"credentials": {"env": "PATH"}}, "EnvRefused"),
             "plain": ({"apiURL": "http://127.0.0.1:1", "credentials": {"secretRef": {"name": "key"}}}, "InsecureAPI")}
    for name, (spec, _) in cases.items():
        cluster.apply({"apiVersion": f"{GROUP}/v1alpha1", "kind": "TailscaleTailnet", "metadata": {"name": name, "namespace": TEAM}, "spec": spec})
    for name, (_, reason) in cases.items():
        eventually(lambda n=name, r=reason: condition(status(stack, "tailscaletailnets", n), "Accepted").get("reason") == r, 30, f"{name}: {reason}")
    cluster.apply(gateway("cluster-proxy", "corp", proxyAddresses=["10.96.0.1:443"]),
                  gateway("wide", "corp", allowedCIDRs=["10.96.0.0/16"]),
                  {"apiVersion": f"{GROUP}/v1alpha1", "kind": "TailscaleEndpoints", "metadata": {"name": "static", "namespace": TEAM},
                   "spec": {"tailnet": "corp", "endpoints": [{"name": "kubernetes", "tailscaleIP": "10.96.0.1", "port": 443, "protocol": "HTTPS"}]}})
    refused = eventually(lambda: condition(status(stack, "tailscalegateways", "cluster-proxy"), "Accepted") or None, 30, "it was looked at")
    assert refused["reason"] == "ProxyRefused" and "proxy 10.96.0.1:443 is not within" in refused["message"], refused
    left_out = eventually(lambda: [x for e in stack.operator.state()["entries"] if e["gateway"] == "wide" for x in e["leftOut"]] or None, 30,
                          "the static endpoint is left out")
    assert [(x["name"], x["reason"]) for x in left_out] == [("kubernetes", "AddressRefused")], left_out
    assert "--allowed-cidrs" in left_out[0]["text"]
    assert not [r for r in stack.extension.state()["routes"] if r["service"] == "kubernetes"]


def test_what_is_deleted_goes(stack):
    for name in ("cluster-proxy", "wide", "corp-gateway"):
        stack.cluster.api(f"{OURS}/tailscalegateways/{name}", "DELETE")
    eventually(lambda: names_of(stack) == [], 60, "its endpoints went")


def of(request):
    """(component, verb, resource)"""
    return request.user.rsplit(":", 1)[-1].removeprefix(f"{chart.RELEASE}-"), request.verb, request.kind


def requests(stack):
    prefix = f"system:serviceaccount:{chart.NAMESPACE}:"
    return [r for r in stack.cluster.audit(stage=None) if r.user.startswith(prefix)]


def test_nothing_is_refused(stack):
    refused = {of(r) for r in requests(stack) if r.code in (401, 403)}
    assert not refused


# One right after the other is taken away


def user_objects(sources):
    """{plural: objects}"""
    return {"tailscaletailnets": [
                tailnet("corp", os.path.join(sources, "corp.json")),
                {**tailnet("remote", ""), "spec": {"apiURL": "https://127.0.0.1:1", "credentials": {"secretRef": {"name": "key"}}}}],
            "tailscalegateways": [gateway("corp-gateway", "corp"), way_in("corp-ways-in", "corp")]}


def way_in(name, tailnet_name):
    made = gateway(name, tailnet_name)
    made["spec"]["tailnets"][0]["routeGeneration"] = {"ingress": {"hostPattern": "{service}.gateway.local", "protocol": "HTTP"}}
    return made


def seen_service(name, port):
    return {"metadata": {"name": name, "labels": {f"{GROUP}/expose": "true"}}, "spec": {"ports": [{"name": port, "port": 80}]}}


def create(cluster, path, document):
    answer = cluster.api(path, "POST", document)
    assert answer.status == 201, answer


def anew(stack, sources):
    """Nothing of ours runs or is there, what users wrote has just come, and the Lease is free."""
    cluster = stack.cluster
    for r in stack.replicas:
        r.kill()  # of a test that failed
    for path in (*CERTIFICATES, *MANAGED.values(), EVENTS, f"{LEASES}/{LEASE}"):
        cluster.api(path, "DELETE")
    for plural in ("tailscalegateways", "tailscaletailnets", "tailscaleendpoints", "tailscalegatewaybindings"):
        cluster.api(f"{OURS}/{plural}", "DELETE")
    for plural, (name, port) in SEEN.items():
        cluster.api(f"{ROUTES}/{plural}", "DELETE")
        cluster.api(SERVICES, "POST", seen_service(name, port))  # where a test took it away
    cluster.api(GATEWAYS, "POST", GATEWAY)  # where a test took it away
    write_devices(os.path.join(sources, "corp.json"), "api", "web")
    for plural, documents in user_objects(sources).items():
        for d in documents:
            create(cluster, f"{OURS}/{plural}", d)
    create(cluster, LEASES, {"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": {"name": LEASE}, "spec": {"leaseTransitions": 1}})


def says(stack, plural, name, kind="Accepted"):
    return condition(status(stack, plural, name), kind)


def secret_is_read(stack):
    return says(stack, "tailscaletailnets", "remote", "Authenticated").get("reason") == "NeverSynced"


def leads(stack):
    return stack.operator.process.check() and stack.operator.metric("tailscale_gateway_lease_leader") == 1


def shards(stack):
    return [x for x in stack.cluster.get(f"{OURS}/tailscaleendpoints")["items"] if x["metadata"]["name"].startswith("corp-gateway-")]


def routes(stack, kind):
    return stack.cluster.get(f"{ROUTES}/{kind}")["items"]


def event_counts(stack):
    return [(e.get("series") or {}).get("count", 1) for e in stack.cluster.get(EVENTS)["items"]]


def key_of(stack, path, key):
    return ((stack.cluster.get(path) or {}).get("data") or {}).get(key)


def is_complete(stack):
    """All that an operator makes by itself."""
    return names_of(stack) == ["api", "web"] and all(routes(stack, kind) for kind in SEEN) and all(
        stack.cluster.get(p) for p in (BINDING, EG_CLIENT, SERVER_TLS, *MANAGED.values()))


def delete(stack, path):
    stack.cluster.api(path, "DELETE")


def lose(stack, path, key):
    """All certificates are there, as they were made before, but what is in that Secret is of no use."""
    for secret in CERTIFICATES:
        stack.cluster.api(os.path.dirname(secret), "POST", stack.certificates[secret])
    stack.cluster.merge(path, {"data": {key: ""}})


def certificates(cluster):
    """{path: the Secret, as it may be made again}"""
    found = {path: cluster.get(path) for path in CERTIFICATES}
    for secret in found.values():
        for name in ("uid", "resourceVersion", "creationTimestamp", "managedFields"):
            secret["metadata"].pop(name)
    return found


def tell_again(stack):
    """What went well fails and goes well again, each twice."""
    path = stack.devices
    for _ in range(2):
        eventually(lambda: says(stack, "tailscaletailnets", "corp", "Synced").get("reason") == "Synced", 20, "the file is read")
        with open(path, "w", encoding="utf-8") as f:
            f.write("no list")
        eventually(lambda: says(stack, "tailscaletailnets", "corp", "Synced").get("reason") == "Failing", 20, "and is none")
        write_devices(path, "api", "web")


class Case:
    """What shows whether a right is there. `seen`: what users have of it. `before` is done before the program starts, `drive` when it runs.
    `until`: where it is not the refusal itself that keeps it from users, what takes as long with all rights ("ready", "complete")."""

    def __init__(self, seen, before=lambda stack: None, drive=lambda stack: None, until=None):
        self.seen, self.before, self.drive, self.until = seen, before, drive, until

    def patience(self, stack):
        """Seconds after which it would long have been seen."""
        return 2 * stack.took[self.until] if self.until else 0.1


def loses(path, key):
    return Case(lambda s: key_of(s, path, key), lambda s: lose(s, path, key))


def case_of(right):
    """Of an operator's; a right that is not here is one to read a kind without which it is not ready."""
    exists = {kind: Case(lambda s, p=path: s.cluster.get(p)) for kind, path in MANAGED.items()}
    cases = {
        ("create", "tailscaleendpoints"): Case(lambda s: names_of(s) == ["api", "web"]),
        ("patch", "tailscaleendpoints"): Case(lambda s: names_of(s) == ["api", "web"]),
        ("delete", "tailscaleendpoints"): Case(lambda s: not shards(s), drive=lambda s: eventually(lambda: shards(s), 20, "there are endpoints") and
                                               delete(s, f"{OURS}/tailscalegateways/corp-gateway")),
        ("create", "tailscalegatewaybindings"): Case(lambda s: s.cluster.get(BINDING)),
        ("patch", "tailscalegatewaybindings"): Case(lambda s: s.cluster.get(BINDING)),
        ("delete", "tailscalegatewaybindings"): Case(lambda s: not s.cluster.get(BINDING), drive=lambda s: eventually(
            lambda: s.cluster.get(BINDING), 20, "there is a Binding") and delete(s, f"{GATEWAYS}/gw")),
        ("patch", "tailscaletailnets/status"): Case(lambda s: says(s, "tailscaletailnets", "corp")),
        ("patch", "tailscalegateways/status"): Case(lambda s: says(s, "tailscalegateways", "corp-gateway")),
        ("patch", "tailscaleendpoints/status"): Case(lambda s: any(x.get("status") for x in shards(s))),
        ("create", "events"): Case(event_counts),
        ("patch", "events"): Case(lambda s: max(event_counts(s), default=0) > 1, drive=tell_again),
        ("create", "leases"): Case(leads, lambda s: delete(s, f"{LEASES}/{LEASE}")),
        ("get", "leases"): Case(leads),
        ("update", "leases"): Case(leads),
        **{(verb, kind): case for kind, case in exists.items() for verb in ("create", "patch")},
        **{(verb, kind): Case(lambda s, k=kind: routes(s, k)) for kind in SEEN for verb in ("create", "patch")},
        **{("delete", kind): Case(lambda s, k=kind: not routes(s, k), drive=lambda s, k=kind, n=name: eventually(
            lambda: routes(s, k), 20, "there is a route") and delete(s, f"{SERVICES}/{n}")) for kind, (name, _) in SEEN.items()},
        ("create", "secrets", chart.NAMESPACE): Case(lambda s: s.cluster.get(CA)),
        ("patch", "secrets", chart.NAMESPACE): loses(SERVER_TLS, "tls.crt"),
        ("create", "secrets", chart.GATEWAY_NAMESPACE): Case(lambda s: s.cluster.get(EG_CA)),
        ("patch", "secrets", chart.GATEWAY_NAMESPACE): loses(EG_CA, "tls.crt") if right.name == kube_program.EG_CA else loses(EG_CLIENT, "tls.crt"),
        ("watch", "secrets", ""): Case(lambda s: says(s, "tailscaletailnets", "remote", "Authenticated").get("reason") not in (None, "SecretDenied"),
                                       until="ready"),
        ("watch", "secrets", chart.NAMESPACE): Case(lambda s: s.cluster.get(CA), until="complete"),
        ("watch", "secrets", chart.GATEWAY_NAMESPACE): Case(lambda s: s.cluster.get(EG_CLIENT), until="complete"),
    }
    return cases.get((right.verb, right.resource)) or cases.get((right.verb, right.resource, right.namespace)) or Case(
        lambda s: s.operator.get("/readyz").status == 200, until="ready")


def refusals(stack, mark, component):
    return [r for r in stack.cluster.audit(mark, user_of(component), stage=None) if r.code in (401, 403)]


def missed(stack, mark, replica, rights, seen, patience=0.1, beside=()):
    """They are refused and no other is, but for those `beside` them that lack, too; the log names each, and what users had of it they have not."""
    component = rights[0].component

    def check():
        told = replica.process.text().rpartition("\n--- ")[2].replace("\\", "")  # since it was started
        refused = refusals(stack, mark, component)
        silent = [str(r) for r in rights if not any(is_for(x, r) for x in refused) or lacked(r) not in told]
        assert not silent, silent
        return True
    eventually(check, 20, f"{len(rights)} are missed", every=0.05)
    holds(lambda: not seen(), patience, "nobody sees it", every=0.1)
    others = [r for r in refusals(stack, mark, component) if not any(is_for(r, right) for right in (*rights, *beside))]
    assert not others, others


def test_both_end_well(stack):
    stack.operator.stop()
    stack.extension.stop()


def test_an_operator_with_all_rights(stack, sources):
    """All that somebody would miss is there."""
    cluster = stack.cluster
    stack.devices = os.path.join(sources, "corp.json")
    anew(stack, sources)
    delete(stack, f"{LEASES}/{LEASE}")
    mark = cluster.audit_mark()
    began = time.monotonic()
    stack.operator.start().wait_ready()
    stack.took = {"ready": time.monotonic() - began}
    eventually(lambda: is_complete(stack), 30, "all is made")
    stack.took["complete"] = time.monotonic() - began
    stack.certificates = certificates(cluster)
    # What goes with the Gateway goes last.
    for right in sorted(chart.rights("operator"), key=lambda r: (r.verb == "delete") + (r.resource == "tailscalegatewaybindings" and r.verb == "delete")):
        case = case_of(right)
        if right.resource == "secrets":
            case.before(stack)
        case.drive(stack)
        eventually(lambda c=case: c.seen(stack), 20, str(right))
    stack.operator.stop()
    assert not refusals(stack, mark, "operator")


def lists_beside(rights):
    """Who may not watch lists, if it may: so the right to list is taken away beside the one to watch."""
    return [r._replace(verb="list") for r in rights if r.verb == "watch"]


@pytest.mark.parametrize("right", [r for r in chart.rights("operator") if r.verb != "list"], ids=str)
def test_an_operator_without(stack, sources, right):
    cluster, case, missing = stack.cluster, case_of(right), [right, *covering(right)]
    beside = lists_beside(missing)
    anew(stack, sources)
    case.before(stack)
    with without(cluster, [*missing, *beside], TEAM, ["key"]):
        mark = cluster.audit_mark()
        stack.operator.start()
        case.drive(stack)
        missed(stack, mark, stack.operator, missing, lambda: case.seen(stack), case.patience(stack), beside)
        stack.operator.stop()


def hook(stack, replica):
    """Envoy Gateway asks for what its Binding names."""
    return hooks.call(replica, hooks.context(stack.cluster.get(BINDING)))


def served(stack):
    return [k for k in stack.cluster.get(BINDING)["metadata"].get("annotations", {}) if k.startswith("served.")]


def test_an_extension_server_with_all_rights(stack, sources):
    cluster = stack.cluster
    anew(stack, sources)
    stack.operator.start()
    eventually(lambda: is_complete(stack), 30, "all is made")
    stack.operator.stop()
    mark = cluster.audit_mark()
    stack.extension.start()
    stack.extension.wait_ready()
    hook(stack, stack.extension)
    eventually(lambda: served(stack), 20, "it says what it served")
    stack.extension.stop()
    cluster.merge(BINDING, {"metadata": {"annotations": None}})
    assert not refusals(stack, mark, "extension")


@pytest.mark.parametrize("right", [r for r in chart.rights("extension") if r.verb != "list"], ids=str)
def test_an_extension_server_without(stack, right):
    reads, beside = right.verb == "watch", lists_beside([right])
    with without(stack.cluster, [right, *beside], TEAM, ["key"]):
        mark = stack.cluster.audit_mark()
        stack.extension.start()
        if not reads:
            stack.extension.wait_ready()
            hook(stack, stack.extension)
        missed(stack, mark, stack.extension, [right],
               lambda: stack.extension.get("/readyz").status == 200 if reads else served(stack), 2 * stack.took["ready"] if reads else 0.1, beside)
        stack.extension.stop()


@pytest.mark.parametrize("component", ["operator", "extension"])
def test_watches_are_needed(stack, sources, component):
    """Where lists are left, it goes on by them, and each watch that is refused is told."""
    rights = [r for r in chart.rights(component) if r.verb == "watch"]
    replica = {"operator": stack.operator, "extension": stack.extension}[component]
    anew(stack, sources)
    with without(stack.cluster, rights, TEAM, ["key"]):
        mark = stack.cluster.audit_mark()
        replica.start()
        missed(stack, mark, replica, rights, lambda: False)
        replica.stop()


@pytest.fixture(scope="module")
def older(stack):
    """An API server that is older than streamed lists: it says 422."""
    front = KubeFaults(stack.cluster)
    stack.others.append(front)
    front.fail(422, path="sendInitialEvents")
    for r in stack.replicas:
        with open(r.kubeconfig, encoding="utf-8") as f:
            direct = f.read()
        with open(r.kubeconfig, "w", encoding="utf-8") as f:
            f.write(direct.replace(stack.cluster.server, front.server))


def test_lists_of_an_older_server(stack, sources, older):
    anew(stack, sources)
    mark = stack.cluster.audit_mark()
    stack.operator.start().wait_ready()
    stack.extension.start().wait_ready()
    eventually(lambda: is_complete(stack) and secret_is_read(stack), 30, "all is made")
    test_both_end_well(stack)
    for component in ("operator", "extension"):
        assert not refusals(stack, mark, component)
        listed = {r.kind for r in stack.cluster.audit(mark, user_of(component), ("list",))}
        assert listed == {r.resource for r in chart.rights(component) if r.verb == "list"}


def part_of(right):
    return "ours" if right.group == GROUP else "secrets" if right.resource == "secrets" else "others"


@pytest.mark.parametrize("component, part", [("operator", "ours"), ("operator", "others"), ("operator", "secrets"), ("extension", "ours"),
                                             ("extension", "others")])
def test_lists_are_needed_of_an_older_server(stack, sources, older, component, part):
    """Each by itself is refused and told. Others are read when ours are known, and so are Secrets."""
    cluster, replica = stack.cluster, {"operator": stack.operator, "extension": stack.extension}[component]
    rights = [r for r in chart.rights(component) if r.verb == "list" and part_of(r) == part]
    anew(stack, sources)
    with without(cluster, rights, TEAM, ["key"]):
        mark = cluster.audit_mark()
        replica.start()
        missed(stack, mark, replica, rights,
               lambda: cluster.get(CA) or secret_is_read(stack) if part == "secrets" else replica.get("/readyz").status == 200,
               2 * stack.took["ready"])
        replica.stop()
