# SPDX-License-Identifier: Apache-2.0
"""Rights of the chart's roles taken away one at a time from a running API server, and who was refused for the lack of which."""

import contextlib

from . import chart
from .process import eventually

SECRETS = ("list", "watch")


def user_of(component):
    return f"system:serviceaccount:{chart.NAMESPACE}:{chart.account(component)}"


def is_allowed(cluster, right, namespace):
    """By the API server itself. `namespace`: one to ask about, of a right for all."""
    resource, _, subresource = right.resource.partition("/")
    answer = cluster.api("/apis/authorization.k8s.io/v1/subjectaccessreviews", "POST", {
        "apiVersion": "authorization.k8s.io/v1", "kind": "SubjectAccessReview", "spec": {"user": user_of(right.component), "resourceAttributes": {
            "verb": right.verb, "group": right.group, "resource": resource, "subresource": subresource,
            "namespace": right.namespace or namespace, "name": right.name or ""}}})
    assert answer.status == 201, answer
    return answer.json()["status"]["allowed"]


def covering(right):
    """Rights for all namespaces that hold this one of a single namespace, too: it is missed where they lack as well, which is where a chart for
    some namespaces has it. Of Secrets there are those of certain names, then (`without`)."""
    return [r for r in chart.rights(right.component)
            if right.namespace and not r.namespace and r.resource != "secrets" and (r.verb, r.group, r.resource) == (right.verb, right.group, right.resource)]


def rules_without(missing, secret_names):
    """{path of a role: its rules} of a component that lacks those rights. All Secrets of a cluster hold those of one namespace, too: there they are
    named, as the chart's value secretNames does."""
    is_covered = any(r.resource == "secrets" and r.namespace and r.verb in SECRETS for r in missing)
    roles = {}
    for r in chart.rights(missing[0].component):
        kept = roles.setdefault(r.path, [])
        if r in missing:
            continue
        is_wide = r.resource == "secrets" and not r.namespace
        kept.extend(r._replace(name=name) for name in (secret_names if is_covered and is_wide else [r.name]))
    return {path: chart.rules_for(kept) for path, kept in roles.items()}


@contextlib.contextmanager
def without(cluster, missing, namespace, secret_names):
    """The component has all but those rights; afterwards it has them again."""
    whole = rules_without([missing[0]._replace(verb="")], secret_names)
    changed = {path: rules for path, rules in rules_without(missing, secret_names).items() if rules != whole[path]}
    for path, rules in changed.items():
        cluster.merge(path, {"rules": rules})
    eventually(lambda: not any(is_allowed(cluster, r, namespace) for r in missing), 10, "the API server knows the role", every=0.02)
    try:
        yield
    finally:
        for path in changed:
            cluster.merge(path, {"rules": whole[path]})
        eventually(lambda: all(is_allowed(cluster, r, namespace) for r in missing), 10, "the API server knows the role", every=0.02)


def lacked(right):
    """How an API server says what is missing; a log line has it with its quotes escaped."""
    return f'cannot {right.verb} resource "{right.resource}"'


def is_for(request, right):
    """Whether it was refused for the lack of that right. Server-side apply asks for "patch", and of what is not there for "create"."""
    said = (request.entry.get("responseStatus") or {}).get("message", "")
    same = (request.user, request.group, request.kind) == (user_of(right.component), right.group, right.resource)
    return same and request.code == 403 and right.namespace in ("", request.namespace) and right.name in (None, request.name) and (
        request.verb == right.verb or (right.verb == "create" and request.verb == "patch" and lacked(right) in said))
