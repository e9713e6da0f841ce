# SPDX-License-Identifier: Apache-2.0
"""What answered keeps answering: our death, every order of starts, and a control server that misbehaves."""

import os
import re
import signal
import time

import pytest

from tests.lib import envoy as lib
from tests.lib.faults import FaultyProxy
from tests.lib.process import eventually, holds
from tests.lib.stack import LISTENER_PORT, entry, find, gateway_resource, headscale_tailnet, secret
from tests.lib.web import Load

DEVICES = ["api-one", "api-two"]
CONFIRMATIONS = 3
FAULT_SECONDS = 4
SOAK_SECONDS = 60
HANG_SECONDS = 60  # the deadline of one poll
FAULTS = ["401", "429", "500", "half", "cut", "hang", "refuse", "empty-short"]


@pytest.fixture(scope="module", autouse=True)
def story(stack):
    """The program comes last: Envoy Gateway has no extension server for the first seconds of its life."""
    tailnet = stack.start_tailnet(DEVICES)
    stack.control = FaultyProxy(stack.network.hub, 8180, stack.network.HUB, tailnet.headscale.port)
    stack.others.append(stack.control)
    stack.write_gateway("base.yaml", lib.gateway_class(), lib.gateway())
    stack.write_resources("corp.yaml", secret("corp-key", api_key=tailnet.headscale.api_key),
                          headscale_tailnet(stack.control.url, tailnet), gateway_resource(tailnets=[entry()]))
    stack.make_eg().start()
    stack.start_envoy()


@pytest.fixture
def load(stack):
    """A constant load on both devices by host and by path; any answer but 200 fails the test."""
    loads = [Load(stack.network.hub, LISTENER_PORT, "api-one.tailscale.local"),
             Load(stack.network.hub, LISTENER_PORT, "any.example", "/tailscale/api-two/x", rate=20)]
    if stack.gateway is None:  # the story's first test was not among those asked for
        stack.make_gateway().start()
    stack.wait_for("api-one.tailscale.local")
    stack.wait_for("any.example", "/tailscale/api-two/x")
    with loads[0], loads[1]:
        eventually(lambda: min(x.count() for x in loads) > 5, 10, "the load runs")
        yield loads
    for x in loads:
        assert not x.failures(), (x.report(), x.failures()[:5])


def poll_soon(stack):
    """Brings the next poll forward, as an administrator would, and waits for one that is answered well."""
    before = stack.control.count("pass")
    last = [0.0]

    def asked():
        if time.monotonic() - last[0] > 6:
            last[0] = time.monotonic()
            stack.gateway.process.signal(signal.SIGHUP)
        return stack.control.count("pass") > before
    eventually(asked, 60, "the control server is asked again")


def test_program_started_after_envoy_gateway(stack, figure):
    time.sleep(1)
    assert not stack.envoys[0].live()  # nothing is published without the extension server
    start = time.monotonic()
    stack.make_gateway().start()
    stack.wait_for("api-one.tailscale.local", seconds=60)
    figure(f"started after Envoy Gateway: first answer {time.monotonic() - start:.1f} s after our start")


def test_killed_under_load(stack, load, figure):
    bindings = stack.bindings()
    time.sleep(1.5)  # a translation under way, if there is one, ends
    snapshots, config = stack.eg.snapshots(), stack.envoys[0].config()
    stack.gateway.process.kill()
    holds(lambda: not any(x.failures() for x in load), 2, "no request fails while the program is dead")
    start = time.monotonic()
    stack.gateway.start()
    figure(f"killed and started again: ready after {time.monotonic() - start:.2f} s")
    holds(lambda: stack.bindings() == bindings, 4, "the same Bindings, byte for byte")
    assert stack.gateway.metric("tailscale_gateway_hook_calls_total") == 0
    assert stack.eg.snapshots() == snapshots
    assert stack.envoys[0].config() == config


def test_started_again_without_its_control_server(stack, load):
    """The last good list was written, and serves until the control server is back."""
    bindings = stack.bindings()
    stack.gateway.process.kill()
    stack.control.set("refuse")
    try:
        stack.gateway.start()
        holds(lambda: stack.bindings() == bindings, 2, "the same Bindings from the written list")
        stack.eg.process.kill()  # it must learn everything from us anew
        stack.eg.start()
        stack.wait_for("api-one.tailscale.local", seconds=60)
    finally:
        stack.control.set("pass")
    poll_soon(stack)
    assert stack.bindings() == bindings


def test_envoy_gateway_restarted(stack, load):
    stack.eg.process.stop()
    stack.eg.start()
    stack.tailnet.add_device("api-three")
    stack.wait_for("api-three.tailscale.local", seconds=60)


def test_change_while_envoy_gateway_starts(stack, load, figure):
    """It reads its files for seconds and watches them only then: what is written in between must reach it all the same."""
    if "api-three" not in stack.tailnet.nodes:
        stack.tailnet.add_device("api-three")
    stack.wait_for("api-three.tailscale.local")
    stack.eg.process.stop()
    said = len(stack.eg.process.text())
    stack.control.hidden = {"api-three"}
    stack.eg.start(wait=False)
    try:
        eventually(lambda: "start reconciling" in stack.eg.process.text()[said:], 60, "Envoy Gateway reads its files", every=0.01)
        before = stack.bindings()
        time.sleep(0.3)
        stack.eg.process.signal(signal.SIGSTOP)  # what it has read by now, it has read
        stack.control.set("without")
        eventually(lambda: stack.bindings() != before, 10, "the change is written")
        stack.eg.process.signal(signal.SIGCONT)
        start = time.monotonic()
        stack.wait_for("api-three.tailscale.local", status=404, seconds=60)
        figure(f"change made while it read its files: in force after {time.monotonic() - start:.1f} s")
    finally:
        stack.eg.process.signal(signal.SIGCONT)
        stack.control.set("pass")
    stack.wait_for("api-three.tailscale.local")


def misbehave(stack, load, fault, seconds):
    control, bindings = stack.control, stack.bindings()
    before = control.count(fault.split("-")[0])
    if fault == "empty-short":
        control.set("empty")
        eventually(lambda: control.count("empty") - before >= CONFIRMATIONS - 1, 30, "empty lists, one fewer than it takes")
        control.set("pass")
        assert find(stack.gateway.state(), held=True), "/state shows what is held"
    else:
        control.set(fault)
        eventually(lambda: control.count(fault) > before, 30, "the fault is met")
        time.sleep(seconds)
        if fault != "hang":  # shows only when its deadline has passed
            eventually(lambda: stack.gateway.state()["tailnets"][0]["reason"], 10, "/state says what is wrong")
        control.set("pass")
    assert stack.bindings() == bindings
    poll_soon(stack)
    assert stack.bindings() == bindings


@pytest.mark.parametrize("fault", FAULTS)
def test_control_server_misbehaves(stack, load, fault):
    misbehave(stack, load, fault, FAULT_SECONDS)


def test_control_server_never_answers(stack, load):
    """For longer than the deadline of a poll, which is a minute: only then it shows."""
    stack.control.set("hang")
    eventually(lambda: stack.gateway.state()["tailnets"][0]["reason"] == "Timeout", HANG_SECONDS + 10, "/state says that nothing answered")
    stack.control.set("pass")
    poll_soon(stack)


@pytest.mark.soak
@pytest.mark.parametrize("fault", FAULTS)
def test_control_server_misbehaves_for_long(stack, load, fault):
    misbehave(stack, load, fault, SOAK_SECONDS)


def test_retry_after_is_obeyed(stack, load):
    stack.control.retry_after = 4
    before = stack.control.count("429")
    stack.control.set("429")
    eventually(lambda: stack.control.count("429") > before, 30, "one 429")
    holds(lambda: stack.control.count("429") == before + 1, 3.5, "no further call within Retry-After")
    stack.control.set("pass")
    poll_soon(stack)


def test_control_server_killed(stack, load):
    headscale = stack.tailnet.headscale
    headscale.process.kill()
    time.sleep(FAULT_SECONDS)
    headscale.start()
    poll_soon(stack)


def test_empty_list_that_is_confirmed_removes(stack, figure):
    stack.wait_for("api-one.tailscale.local")
    polls = stack.control.count("empty")
    stack.control.set("empty")
    eventually(lambda: stack.ask("api-one.tailscale.local").status == 404, 60, "the confirmed removal takes effect")
    taken = stack.control.count("empty") - polls
    figure(f"empty list took effect after {taken} polls (guard: {CONFIRMATIONS})")
    assert taken >= CONFIRMATIONS
    assert stack.ask("any.example", "/tailscale/api-two/").status == 404
    log = stack.gateway.process.text()
    assert re.search(r"removal held back .* confirmations=2 reason=EmptyAnswer", log)
    assert re.search(r"removal took effect .* reason=EmptyAnswer", log)
    assert re.search(r"api-one \(\S+\) left at \S+: Missing: the tailnet's list lacked it for \d+ polls in a row",
                     stack.gateway.explain("http://api-one.tailscale.local/"))
    stack.control.set("pass")
    poll_soon(stack)
    stack.wait_for("api-one.tailscale.local")


def test_terminated_cleanly(stack, load):
    stack.gateway.stop()
    assert not os.path.exists(stack.extension)
    stack.gateway.start()
    assert find(stack.gateway.state(), service="api-one")
