# SPDX-License-Identifier: Apache-2.0
"""What the chart installs, as tests/golden/helm has it, by component, so that tests run with its roles and no others."""

import collections
import glob
import os

import yaml

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
GOLDEN = os.path.join(ROOT, "tests", "golden", "helm")
CRDS = os.path.join(ROOT, "deploy", "crds")
# What the golden files were rendered with.
RELEASE, NAMESPACE, GATEWAY_NAMESPACE = "tailscale-gateway", "tailscale-gateway-system", "envoy-gateway-system"
COMPONENTS = ("operator", "extension", "envoy-gateway", "users")
ROLE_KINDS = ("ServiceAccount", "Role", "ClusterRole", "RoleBinding", "ClusterRoleBinding")
RBAC = "rbac.authorization.k8s.io"
COMPONENT_LABEL = "app.kubernetes.io/component"


def cases():
    return sorted(os.path.basename(p).removesuffix(".yaml") for p in glob.glob(os.path.join(GOLDEN, "*.yaml")) if not p.endswith(".values.yaml"))


def golden_file(case="default"):
    return os.path.join(GOLDEN, case + ".yaml")


def manifests(component=None, kinds=None, case="default"):
    """All objects of a case, or those of a component, or of some kinds, in the chart's order. Definitions are in `crds`."""
    with open(golden_file(case), encoding="utf-8") as f:
        documents = [d for d in yaml.safe_load_all(f) if d]
    return [d for d in documents
            if (component is None or d["metadata"].get("labels", {}).get(COMPONENT_LABEL) == component) and (kinds is None or d["kind"] in kinds)]


def roles(component, case="default"):
    """ServiceAccounts, roles and their bindings of one component: `operator`, `extension`, `envoy-gateway`, `users`."""
    return manifests(component, ROLE_KINDS, case)


def account(component):
    return f"{RELEASE}-{component}"


class Right(collections.namedtuple("Right", "component kind namespace role group resource verb name")):
    """One verb for one resource (of one name, else None) that a role gives: what may be taken away to see who misses it."""

    def __str__(self):
        where = f"@{self.namespace}" if self.namespace else ""
        return f"{self.component}:{self.verb}-{self.resource}{f'/{self.name}' if self.name else ''}{where}"

    @property
    def path(self):
        """Of its role."""
        return f"/apis/{RBAC}/v1/{f'namespaces/{self.namespace}/' if self.namespace else ''}{self.kind.lower()}s/{self.role}"


def rights_of(document, component):
    """Each right that a role gives."""
    meta = document["metadata"]
    return [Right(component, document["kind"], meta.get("namespace", ""), meta["name"], group, resource, verb, name)
            for rule in document["rules"] for group in rule["apiGroups"] for resource in rule["resources"] for verb in rule["verbs"]
            for name in rule.get("resourceNames") or [None]]


def rights(component, case="default"):
    return [r for d in roles(component, case) if d["kind"] in ("Role", "ClusterRole") for r in rights_of(d, component)]


def rules_for(some):
    """The rules that give these rights and no more."""
    return [{"apiGroups": [r.group], "resources": [r.resource], "verbs": [r.verb], **({"resourceNames": [r.name]} if r.name else {})} for r in some]


def crds():
    """Paths of the definitions of our kinds."""
    return sorted(glob.glob(os.path.join(CRDS, "*.yaml")))
