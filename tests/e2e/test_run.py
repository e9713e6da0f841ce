# SPDX-License-Identifier: Apache-2.0
"""`make run` as a user meets it: it answers, shows what to try, and leaves nothing behind."""

import glob
import json
import os
import re
import signal
import subprocess
import sys
import time

import pytest

from tests.lib.envoy import write
from tests.lib.process import Process, eventually
from tests.lib.stack import ROOT, SANITIZER_ENV, program
from tests.lib.web import request

WARM_SECONDS = 15


def left_behind(stack):
    pids = subprocess.run(["ip", "netns", "pids", stack.network.hub.name], capture_output=True, text=True, check=True).stdout.split()
    return pids + glob.glob(f"{stack.workdir}/tmp/*")


def run(stack, name, **env):
    """tools/run.py inside the hub, whose loopback stands for the user's machine."""
    os.makedirs(f"{stack.workdir}/tmp", exist_ok=True)
    return Process(name, [sys.executable, "-u", os.path.join(ROOT, "tools/run.py")], stack.log_dir, ns=stack.network.hub, cwd=ROOT,
                   env={**SANITIZER_ENV, "TSGW_PROGRAM": program(), "TMPDIR": f"{stack.workdir}/tmp", **env})


@pytest.mark.parametrize("tailnet", ["file", "headscale"])
def test_run_once(stack, tailnet, figure):
    made = run(stack, f"run-{tailnet}", TAILNET=tailnet, RUN_ONCE="1")
    start = time.monotonic()
    made.start()
    code = made.proc.wait(120)
    text = made.text()
    assert code == 0, text
    assert re.search(r'"device": "api-server"', text), text
    ready = float(re.search(r"Ready after ([\d.]+) s", text).group(1))
    figure(f"ready after {ready:.1f} s, ended after {time.monotonic() - start:.1f} s")
    assert ready <= WARM_SECONDS
    assert not left_behind(stack)


def test_interrupted(stack):
    made = run(stack, "run-interrupted").start()
    eventually(lambda: made.check() and "Try next" in made.text(), 60, "it is ready")
    text = made.text()
    # What it tells to try does what it says, also the edit of the device file.
    path, line = re.search(r"^  \$EDITOR (\S+)\n +(\{.*\})$", text, re.M).groups()
    with open(path, encoding="utf-8") as f:
        known = json.load(f)
    write(path, json.dumps({"devices": known["devices"] + [json.loads(line)]}))
    eventually(lambda: request(stack.network.hub, 10080, host="api-new.tailscale.local").json()["device"] == "api-new", 10, "the new device answers")
    for command in re.findall(r"^  (curl .*|build/tailscale-gateway .*)$", text, re.M):
        command = command.replace("build/tailscale-gateway", program())
        done = subprocess.run(["nsenter", f"--net={stack.network.hub.path}", "sh", "-c", command], capture_output=True, text=True, check=False, cwd=ROOT,
                              env={**os.environ, **SANITIZER_ENV}, timeout=30)
        assert done.returncode in (0, 1) and done.stdout, f"{command}: {done.returncode} {done.stdout}{done.stderr}"
    assert len(left_behind(stack)) > 3
    made.signal(signal.SIGINT)
    assert made.proc.wait(30) == 0, made.text()
    assert not left_behind(stack)
