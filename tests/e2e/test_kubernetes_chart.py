# SPDX-License-Identifier: Apache-2.0
"""The chart's objects on a real API server, what its roles allow, and what `check` says of a cluster.

The tests of this file tell one story and run in this order.
"""

import json
import os
import subprocess

import pytest
import yaml

from tests.lib import chart
from tests.lib.cluster import ADMIN_TOKEN
from tests.lib.kube_gateway import POLICY_KIND
from tests.lib.kube_stack import KubeStack
from tests.lib.process import eventually
from tests.lib.stack import SANITIZER_ENV, program

# Of a definition that the cluster of the tests does not have.
FOREIGN = ("ServiceMonitor",)
GROUP = "gateway.tailscale.com"


@pytest.fixture(scope="module")
def stack(workdir):
    made = KubeStack("kchart", workdir)
    yield made
    made.close()


@pytest.fixture(scope="module", autouse=True)
def story(stack):
    stack.start_cluster()
    for name in (chart.NAMESPACE, chart.GATEWAY_NAMESPACE, "gateways", "team-a"):
        stack.cluster.create_namespace(name)


def dry_run(cluster, documents):
    return cluster.kubectl("apply", "--dry-run=server", "--validate=strict", "-f", "-", data=yaml.safe_dump_all(documents, sort_keys=False))


@pytest.mark.parametrize("case", chart.cases())
def test_the_api_server_takes_every_object(stack, case):
    documents = [d for d in chart.manifests(case=case) if d["kind"] not in FOREIGN]
    said = dry_run(stack.cluster, documents).splitlines()
    assert len(said) == len(documents) and all("(server dry run)" in line for line in said), said


@pytest.mark.parametrize("case", chart.cases())
def test_the_program_knows_every_flag(case):
    for d in chart.manifests("operator", ["Deployment"], case):
        args = d["spec"]["template"]["spec"]["containers"][0]["args"]
        done = subprocess.run([program(), *args, "--help"], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60, check=False,
                              env=SANITIZER_ENV)
        assert done.returncode == 0 and done.stdout.startswith("usage:"), done


def test_an_unknown_field_would_be_refused(stack):
    broken = [d for d in chart.manifests("operator") if d["kind"] == "Deployment"][0]
    broken["spec"]["template"]["spec"]["containers"][0]["readOnlyRoot"] = True
    with pytest.raises(AssertionError, match="readOnlyRoot"):
        dry_run(stack.cluster, [broken])


def test_pods_pass_the_restricted_level(stack):
    """The namespace enforces it, and admission refuses what does not pass."""
    cluster = stack.cluster
    cluster.create_namespace("strict", **{"pod-security.kubernetes.io/enforce": "restricted"})
    deployment = [d for d in chart.manifests("operator") if d["kind"] == "Deployment"][0]
    template = deployment["spec"]["template"]
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "operator", "namespace": "strict"}, "spec": dict(template["spec"])}
    pod["spec"].pop("serviceAccountName")
    dry_run(cluster, [pod])
    pod["spec"]["securityContext"] = {}
    with pytest.raises(AssertionError, match="violates PodSecurity"):
        dry_run(cluster, [pod])


def test_it_is_installed(stack):
    documents = chart.manifests()
    stack.cluster.apply(*documents)
    versions = {d["metadata"]["name"]: d for d in documents}
    assert {"tailscale-gateway-operator", "tailscale-gateway-extension", "tailscale-gateway-viewer", "tailscale-gateway-editor"} <= set(versions)


def can(stack, account, verb, resource, *more):
    """Whether a ServiceAccount of the chart may do that, in the namespace team-a unless `more` says another."""
    where = more or ("-n", "team-a")
    said = stack.cluster.kubectl("auth", "can-i", verb, resource, "--as", f"system:serviceaccount:{chart.NAMESPACE}:{account}", *where, code=None)
    answer = said.split("\n")[0].strip()
    assert answer in ("yes", "no"), said
    return answer == "yes"


@pytest.mark.parametrize("component, verb, resource, allowed", [
    ("operator", "watch", f"tailscalegateways.{GROUP}", True),
    ("operator", "patch", f"tailscalegateways.{GROUP}", False),
    ("operator", "patch", f"tailscalegateways.{GROUP}/status", True),
    ("operator", "delete", f"tailscalegatewaybindings.{GROUP}", True),
    ("operator", "watch", "secrets", True),
    ("operator", "get", "secrets", False),
    ("operator", "create", "secrets", False),
    ("operator", "watch", "configmaps", False),
    ("operator", "create", "deployments.apps", False),
    ("operator", "create", "events.events.k8s.io", True),
    ("operator", "patch", "gateways.gateway.networking.k8s.io", False),
    ("operator", "create", "roles.rbac.authorization.k8s.io", False),
    ("extension", "watch", f"tailscaleendpoints.{GROUP}", True),
    ("extension", "patch", f"tailscalegatewaybindings.{GROUP}", True),
    ("extension", "create", f"tailscalegatewaybindings.{GROUP}", False),
    ("extension", "patch", f"tailscalegateways.{GROUP}/status", False),
    ("extension", "watch", "secrets", False),
    ("extension", "create", "events.events.k8s.io", False),
])
def test_roles_give_what_is_needed_and_no_more(stack, component, verb, resource, allowed):
    name, _, subresource = resource.partition("/")
    assert can(stack, chart.account(component), verb, name, "-n", "team-a", *(["--subresource", subresource] if subresource else [])) == allowed


def test_what_is_managed_stays_in_its_namespace(stack):
    operator = chart.account("operator")
    for resource in ("deployments.apps", "services", "secrets", "poddisruptionbudgets.policy"):
        assert can(stack, operator, "create", resource, "-n", chart.NAMESPACE)
        assert not can(stack, operator, "create", resource, "-n", "team-a")
    assert can(stack, operator, "update", "leases.coordination.k8s.io/tailscale-gateway", "-n", chart.NAMESPACE)
    assert not can(stack, operator, "update", "leases.coordination.k8s.io/another", "-n", chart.NAMESPACE)


def test_users_view_and_edit(stack):
    cluster = stack.cluster
    viewer = cluster.kubeconfig_for("vera")
    editor = cluster.kubeconfig_for("edda")
    for user, roles in (("vera", ["viewer"]), ("edda", ["viewer", "editor"])):
        for role in roles:
            cluster.kubectl("create", "rolebinding", f"{user}-{role}", "-n", "team-a", f"--clusterrole=tailscale-gateway-{role}", f"--user={user}")
    tailnet = yaml.safe_dump({"apiVersion": f"{GROUP}/v1alpha1", "kind": "TailscaleTailnet", "metadata": {"name": "corp", "namespace": "team-a"},
                              "spec": {"credentials": {"secretRef": {"name": "corp-oauth"}}}})
    assert "forbidden" in cluster.kubectl("create", "-f", "-", data=tailnet, kubeconfig=viewer, code=1).lower()
    cluster.kubectl("create", "-f", "-", data=tailnet, kubeconfig=editor)
    assert "corp" in cluster.kubectl("get", "tst", "-n", "team-a", kubeconfig=viewer)
    assert "forbidden" in cluster.kubectl("get", "tst", "-n", "default", kubeconfig=viewer, code=1).lower()
    cluster.kubectl("delete", "tst", "corp", "-n", "team-a", kubeconfig=editor)


# check


def check(stack, *args, code=None):
    done = subprocess.run(["nsenter", f"--net={stack.cluster.ns.path}", program(), "check", "--kubeconfig", stack.cluster.at("admin.kubeconfig"),
                           "--namespace", chart.NAMESPACE, "-o", "json", *args], stdin=subprocess.DEVNULL, capture_output=True, text=True,
                          timeout=60, check=False, env=SANITIZER_ENV)
    assert code is None or done.returncode == code, done.stdout + done.stderr
    found = json.loads(done.stdout)
    assert found["good"] == (done.returncode == 0), done
    return found["checks"]


def results(rows, name):
    return [(r["result"], r["found"]) for r in rows if r["check"].startswith(name)]


def deployment(name, namespace, account, image="docker.io/envoyproxy/gateway:v1.9.0", **labels):
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": name, "namespace": namespace, "labels": labels},
            "spec": {"replicas": 2, "selector": {"matchLabels": {"app": name}}, "template": {
                "metadata": {"labels": {"app": name}}, "spec": {"serviceAccountName": account, "containers": [{"name": name, "image": image}]}}}}


def set_ready(stack, name, namespace, n):
    stack.cluster.merge(f"/apis/apps/v1/namespaces/{namespace}/deployments/{name}/status", {"status": {"replicas": n, "readyReplicas": n}})


def test_check_tells_what_lacks(stack):
    rows = check(stack, code=1)
    assert results(rows, "API server")[0][0] == "ok"
    assert [r for r, _ in results(rows, "CustomResourceDefinition")] == ["ok"] * 4, rows
    assert results(rows, "Deployment of the operator") == [("wrong", f"{chart.NAMESPACE}/tailscale-gateway-operator: 0 of 2 replicas are ready")]
    assert results(rows, "Rights of the operator") == [
        ("ok", f"system:serviceaccount:{chart.NAMESPACE}:tailscale-gateway-operator may all that is needed")]
    assert results(rows, "Deployment of the extension")[0][0] == "wrong"
    assert results(rows, "Leader") == [("wrong", "there is no Lease")]
    assert ("wrong", "there is no Deployment envoy-gateway") in results(rows, "Envoy Gateway")
    assert ("wrong", "there is no ConfigMap envoy-gateway-config") in results(rows, "Envoy Gateway's configuration")
    assert results(rows, "Rights of Envoy Gateway")[0][0] == "ok"
    assert results(rows, "Hooks") == [("warning", "there is no TailscaleGatewayBinding")]
    assert all(r["change"] for r in rows if r["result"] == "wrong"), rows


def gateway_config():
    """As the chart prints it."""
    return [d for d in chart.manifests("envoy-gateway") if d["kind"] == "ConfigMap"][0]["data"]["envoy-gateway.yaml"]


def test_the_program_prints_the_same_configuration():
    done = subprocess.run([program(), "render", "--envoy-gateway-config"], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60,
                          check=True, env=SANITIZER_ENV)
    assert yaml.safe_load(done.stdout)["extensionManager"] == yaml.safe_load(gateway_config())["extensionManager"]


def test_check_is_content(stack):
    cluster = stack.cluster
    labels = {"app.kubernetes.io/name": "tailscale-gateway", "app.kubernetes.io/component": "extension"}
    cluster.apply(
        deployment("tailscale-gateway-extension", chart.NAMESPACE, chart.account("extension"), **labels),
        deployment("envoy-gateway", chart.GATEWAY_NAMESPACE, "envoy-gateway"),
        {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "envoy-gateway-config", "namespace": chart.GATEWAY_NAMESPACE},
         "data": {"envoy-gateway.yaml": "provider: {type: Kubernetes}\n" + gateway_config()}},
        {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "tailscale-gateway-extension", "namespace": chart.NAMESPACE},
         "spec": {"ports": [{"port": 5005}]}},
        *({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": f"tailscale-gateway-extension-{part}", "namespace": chart.GATEWAY_NAMESPACE}}
          for part in ("ca", "client")),
        {"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": {"name": "tailscale-gateway", "namespace": chart.NAMESPACE},
         "spec": {"holderIdentity": "op-1"}},
        {"apiVersion": f"{GROUP}/v1alpha1", "kind": POLICY_KIND["kind"], "metadata": {
            "name": "gw", "namespace": "team-a", "annotations": {"served.gateway.tailscale.com/e-1": "aa"}},
         "spec": {"targetRefs": [{"group": "gateway.networking.k8s.io", "kind": "Gateway", "name": "gw"}], "revision": "aa", "attempt": 0}})
    accepted = {"type": "Accepted", "status": "True", "reason": "Accepted", "message": "", "lastTransitionTime": "2026-11-23T04:00:00Z"}
    cluster.merge(f"/apis/{GROUP}/v1alpha1/namespaces/team-a/tailscalegatewaybindings/gw/status", {"status": {"ancestors": [{
        "ancestorRef": {"name": "gw"}, "controllerName": "gateway.envoyproxy.io/gatewayclass-controller", "conditions": [accepted]}]}})
    for name, namespace in (("tailscale-gateway-operator", chart.NAMESPACE), ("tailscale-gateway-extension", chart.NAMESPACE),
                            ("envoy-gateway", chart.GATEWAY_NAMESPACE)):
        set_ready(stack, name, namespace, 2)
    rows = check(stack, code=0)
    assert {r["result"] for r in rows} == {"ok"}, rows
    assert results(rows, "Hooks") == [("ok", "team-a/gw: revision aa was served")]
    assert results(rows, "Envoy Gateway's version") == [("ok", "1.9")]


def test_check_names_each_fault(stack):
    """One fault after the other, each told and then mended."""
    cluster = stack.cluster
    binding = f"/apis/{GROUP}/v1alpha1/namespaces/team-a/tailscalegatewaybindings/gw"
    cluster.merge(binding, {"spec": {"revision": "bb"}})
    assert results(check(stack, code=1), "Hooks") == [("wrong", "team-a/gw: no replica has been asked for revision bb")]
    cluster.merge(binding, {"spec": {"revision": "aa"}})
    secret = f"/api/v1/namespaces/{chart.GATEWAY_NAMESPACE}/secrets/tailscale-gateway-extension-client"
    kept = cluster.get(secret)
    cluster.api(secret, "DELETE")
    assert ("wrong", f"Secret {chart.GATEWAY_NAMESPACE}/tailscale-gateway-extension-client is not there") in results(
        check(stack, code=1), "Envoy Gateway's way to us")
    cluster.apply({"apiVersion": "v1", "kind": "Secret", "metadata": {k: kept["metadata"][k] for k in ("name", "namespace")}})
    config = f"/api/v1/namespaces/{chart.GATEWAY_NAMESPACE}/configmaps/envoy-gateway-config"
    cluster.merge(config, {"data": {"envoy-gateway.yaml": gateway_config().replace("failOpen: false", "failOpen: true")}})
    rows = check(stack, code=1)
    assert ("wrong", "failOpen is true: an error takes every host of ours from Envoy") in results(rows, "Envoy Gateway's configuration")
    cluster.merge(config, {"data": {"envoy-gateway.yaml": gateway_config()}})
    role = "/apis/rbac.authorization.k8s.io/v1/clusterroles/tailscale-gateway-envoy-gateway"
    rules = cluster.get(role)["rules"]
    cluster.merge(role, {"rules": rules[:1]})
    assert results(check(stack, code=1), "Rights of Envoy Gateway")[0] == (
        "wrong", f"system:serviceaccount:{chart.GATEWAY_NAMESPACE}:envoy-gateway may not update tailscalegatewaybindings/status of {GROUP}")
    cluster.merge(role, {"rules": rules})
    crd = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions/tailscaleendpoints.gateway.tailscale.com"
    cluster.merge(crd, {"metadata": {"labels": {"app.kubernetes.io/part-of": None}}})
    assert ("wrong", "it is somebody else's, of the same name") in results(check(stack, code=1), "CustomResourceDefinition tailscaleendpoints")
    cluster.merge(crd, {"metadata": {"labels": {"app.kubernetes.io/part-of": "tailscale-gateway"}}})
    check(stack, code=0)


def lacking(right):
    """As `check` says it."""
    places = {"": "", chart.NAMESPACE: " in its own namespace", chart.GATEWAY_NAMESPACE: " in the namespace of Envoy Gateway"}
    return (f"system:serviceaccount:{chart.NAMESPACE}:{chart.account(right.component)} may not {right.verb} {right.resource}"
            f"{f' {right.name}' if right.name else ''}{f' of {right.group}' if right.group else ''}{places[right.namespace]}")


@pytest.mark.parametrize("component, called", [("operator", "operator"), ("extension", "extension server")])
def test_check_names_each_right_that_lacks(stack, component, called):
    """As many as the chart gives; but which Secrets are read is up to TailscaleTailnets, whose status says what lacks."""
    cluster, rights = stack.cluster, chart.rights(component)
    expected = sorted(("wrong", lacking(r)) for r in rights if r.namespace or r.resource != "secrets")
    whole = {r.path: cluster.get(r.path)["rules"] for r in rights}
    for path in whole:
        cluster.merge(path, {"rules": []})
    eventually(lambda: sorted(results(check(stack, code=1), f"Rights of the {called}")) == expected, 10, "each is named", every=0.2)
    for path, rules in whole.items():
        cluster.merge(path, {"rules": rules})
    eventually(lambda: [r for r, _ in results(check(stack), f"Rights of the {called}")] == ["ok"], 10, "none lacks", every=0.2)


# What says who we are

TALK = """#!/bin/sh
echo "$SAYS" >>{home}/asked
case $KUBERNETES_EXEC_INFO in *'"server":"{server}"'*) ;; *) echo "no cluster in $KUBERNETES_EXEC_INFO" >&2; exit 3;; esac
case $SAYS in
token) credential='"token":"{token}"';;
certificate) credential='"clientCertificateData":"{certificate}","clientKeyData":"{key}"';;
stranger) credential='"token":"somebody-else"';;
*) echo "sign in first: my-secret" >&2; exit 1;;
esac
printf '%s\\n' '{{"apiVersion":"client.authentication.k8s.io/v1","kind":"ExecCredential","status":{{'"$credential"'}}}}'
"""


def in_one_line(path):
    with open(path, encoding="ascii") as f:
        return f.read().strip().replace("\n", "\\n")


def plugin(stack, says, command="./say-who", **more):
    """A kubeconfig whose credential a program beside it says."""
    return stack.cluster.kubeconfig("plugin", {"exec": {
        "apiVersion": "client.authentication.k8s.io/v1", "command": command, "interactiveMode": "Never", "provideClusterInfo": True,
        "env": [{"name": "SAYS", "value": says}], **more}})


@pytest.fixture(scope="module")
def say_who(stack):
    """Where it writes that it was asked."""
    cluster = stack.cluster
    certificate, key = cluster.certificates.issue("plugin", "/O=system:masters/CN=patricia")
    with open(os.open(cluster.at("say-who"), os.O_WRONLY | os.O_CREAT, 0o700), "w", encoding="ascii") as f:
        f.write(TALK.format(home=cluster.home, server=cluster.server, token=ADMIN_TOKEN, certificate=in_one_line(certificate), key=in_one_line(key)))
    return cluster.at("asked")


@pytest.mark.parametrize("says, user", [("token", "admin"), ("certificate", "patricia")])
def test_check_asks_a_plugin_who_we_are(stack, say_who, says, user):
    mark = stack.cluster.audit_mark()
    assert {r["result"] for r in check(stack, "--kubeconfig", plugin(stack, says), code=0)} == {"ok"}
    asked = stack.cluster.audit(mark)
    assert {r.user for r in asked if "tailscale-gateway" in r.agent} == {user}, asked


@pytest.mark.parametrize("says, more, found", [
    ("nothing", {}, "ended with exit code 1"),
    ("token", {"command": "./nobody", "installHint": "get it from the team"}, "get it from the team"),
    ("stranger", {}, "Unauthorized"),
])
def test_a_plugin_that_does_not_help(stack, say_who, says, more, found):
    """What it says to people is theirs; what it says to us is shown to nobody."""
    path = plugin(stack, says, **more)
    done = subprocess.run(["nsenter", f"--net={stack.cluster.ns.path}", program(), "check", "--kubeconfig", path, "--namespace", chart.NAMESPACE],
                          stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60, check=False, env=SANITIZER_ENV)
    said = done.stdout + done.stderr
    assert done.returncode == 1 and found in said, done
    assert "somebody-else" not in said


@pytest.mark.parametrize("shape", ["operator", "extension", "run"])
def test_what_runs_for_long_starts_no_plugin(stack, say_who, shape):
    asked = os.path.getsize(say_who)
    done = subprocess.run(["nsenter", f"--net={stack.cluster.ns.path}", program(), shape, "--kubeconfig", plugin(stack, "token"), "--namespace",
                           chart.NAMESPACE], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60, check=False, env=SANITIZER_ENV)
    assert done.returncode == 1, done
    assert "plugin.kubeconfig:" in done.stderr and "users[0].user.exec: a credential plugin is not started by what runs for long" in done.stderr, done
    assert os.path.getsize(say_who) == asked


def test_check_with_too_few_rights(stack):
    """What may not be looked at is not said to be good."""
    nobody = stack.cluster.kubeconfig_for("nobody")
    rows = check(stack, "--kubeconfig", nobody, code=1)
    assert results(rows, "API server")[0][0] == "ok"
    assert {r["result"] for r in rows if r["check"] != "API server"} == {"unknown"}, rows


def test_check_without_an_api_server(stack):
    stack.cluster.kill()
    rows = check(stack, code=1)
    assert [r["result"] for r in rows] == ["unknown"], rows
