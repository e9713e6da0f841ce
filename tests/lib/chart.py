# SPDX-License-Identifier: Apache-2.0
"""What the chart installs, as tests/golden/helm has it, by component, so that tests run with its roles and no others."""

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


def rules(component, case="default"):
    """[(kind and name of the role, index, rule)]: each may be taken away to see whether somebody misses it."""
    return [(f"{d['kind']} {d['metadata'].get('namespace', '')}/{d['metadata']['name']}", i, rule)
            for d in roles(component, case) if d["kind"] in ("Role", "ClusterRole") for i, rule in enumerate(d["rules"])]


def without(documents, role, index):
    """The same documents, where the role (as `rules` names it) lacks one rule."""
    changed = []
    for d in documents:
        if f"{d['kind']} {d['metadata'].get('namespace', '')}/{d['metadata']['name']}" == role:
            d = {**d, "rules": [r for i, r in enumerate(d["rules"]) if i != index]}
        changed.append(d)
    return changed


def crds():
    """Paths of the definitions of our kinds."""
    return sorted(glob.glob(os.path.join(CRDS, "*.yaml")))
