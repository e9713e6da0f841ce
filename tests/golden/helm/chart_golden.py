#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What the chart renders to, compared with what it rendered to when somebody last looked.

    chart_golden.py [--update] [--helm PATH]

A case is `<case>.values.yaml`, and `<case>.yaml` is all that comes of it but the CustomResourceDefinitions, which must be those of
deploy/crds byte for byte. Where helm is there (on PATH, or built by tools/peers.py before) it renders; a value that the schema should
refuse is tried, too. Where it is not, the first line of each golden file still tells whether it was made of the chart as it is now.
"""

import difflib
import glob
import hashlib
import os
import re
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(os.path.dirname(HERE)))
sys.path.insert(0, ROOT)
from tools import peers  # noqa: E402

CHART = os.path.join(ROOT, "deploy", "helm", "tailscale-gateway")
CRDS = os.path.join(ROOT, "deploy", "crds")
RELEASE, NAMESPACE = "tailscale-gateway", "tailscale-gateway-system"
# Of the oldest that the chart admits: what is rendered must not depend on the machine.
KUBE_VERSION = "1.29.0"
REFUSED = {"watchNamespace={a}": "watchNamespace", "operator.replicas=0": "replicas", "policy.allowedProxies={127.0.0.1:3128}": "allowedProxies",
           "policy.allowedCIDRs={any}": "allowedCIDRs", "image.digest=latest": "digest", "operator.logLevel=loud": "logLevel"}


def read(path):
    with open(path, encoding="utf-8") as f:
        return f.read()


def digest(values):
    """Of all that goes into a golden file."""
    h = hashlib.sha256()
    for folder, dirs, names in os.walk(CHART):
        dirs.sort()
        for name in sorted(names):
            path = os.path.join(folder, name)
            h.update(f"{os.path.relpath(path, CHART)}\n{read(path)}\n".encode())
    h.update(read(values).encode())
    return h.hexdigest()


def head(values):
    return f"# Rendered of the chart and {os.path.basename(values)}: sha256 {digest(values)}\n"


def helm(program, *args):
    return subprocess.run([program, *args], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=120, check=False)


def render(program, values):
    """(everything but the definitions, the definitions)."""
    done = helm(program, "template", RELEASE, CHART, "--namespace", NAMESPACE, "--kube-version", KUBE_VERSION, "--values", values)
    if done.returncode != 0:
        raise SystemExit(f"{os.path.basename(values)}: {done.stderr}")
    documents = re.split(r"^---\n", done.stdout, flags=re.M)
    crds = [d for d in documents if re.search(r"^kind: CustomResourceDefinition$", d, re.M)]
    rest = [re.sub(r"\n{2,}", "\n", d).strip("\n") for d in documents if d not in crds]
    return "".join(f"---\n{d}\n" for d in rest if re.sub(r"(?m)^#.*$", "", d).strip()), crds


def without_comments(text):
    return "\n".join(line for line in text.splitlines() if line.strip() and line != "---" and not line.startswith("#"))


def check_crds(crds, problems):
    rendered = sorted(without_comments(d) for d in crds)
    ours = sorted(without_comments(read(p)) for p in glob.glob(os.path.join(CRDS, "*.yaml")))
    if rendered != ours:
        problems.append("the chart's CustomResourceDefinitions are not those of deploy/crds")


def check_refused(program, problems):
    for given, names in REFUSED.items():
        done = helm(program, "template", RELEASE, CHART, "--set", given)
        if done.returncode == 0 or names not in done.stderr:
            problems.append(f"--set {given} is not refused by values.schema.json: {done.stderr}")


def compare(path, wanted, problems):
    found = read(path) if os.path.exists(path) else ""
    if found != wanted:
        diff = difflib.unified_diff(found.splitlines(), wanted.splitlines(), os.path.basename(path), "rendered now", lineterm="")
        problems.append("\n".join(list(diff)[:80]) + "\nwhere it is meant: chart_golden.py --update")


def main(argv):
    update = "--update" in argv
    program = argv[argv.index("--helm") + 1] if "--helm" in argv else peers.there("helm")
    if update and not program:
        raise SystemExit("helm is needed: tools/peers.py get helm, or --helm PATH")
    problems = []
    cases = sorted(glob.glob(os.path.join(HERE, "*.values.yaml")))
    for values in cases:
        path = values.removesuffix(".values.yaml") + ".yaml"
        if not program:
            if not os.path.exists(path) or not read(path).startswith(head(values)):
                problems.append(f"{os.path.basename(path)} was made of another chart: chart_golden.py --update, where helm is")
            continue
        text, crds = render(program, values)
        check_crds(crds, problems)
        if update:
            with open(path, "w", encoding="utf-8") as f:
                f.write(head(values) + text)
        else:
            compare(path, head(values) + text, problems)
    if program:
        done = helm(program, "lint", "--strict", CHART)
        if done.returncode != 0:
            problems.append(done.stdout + done.stderr)
        check_refused(program, problems)
    print("\n".join(problems) if problems else f"{len(cases)} cases, {'rendered' if program else 'by their digests: helm is not there'}")
    return 1 if problems or not cases else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
