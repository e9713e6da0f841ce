# SPDX-License-Identifier: Apache-2.0
"""From a device in a real tailnet to an answer through Envoy: selection, joining, leaving.

The tests of this file tell one story and run in this order.
"""

import os
import time

import pytest

from tests.lib import envoy as lib
from tests.lib.faults import FaultyProxy
from tests.lib.process import eventually
from tests.lib.stack import LISTENER_PORT, entry, find, gateway_resource, headscale_tailnet, secret
from tests.lib.web import Load

CONFIRMATIONS = 3


@pytest.fixture(scope="module", autouse=True)
def story(stack):
    """Three devices of which one is selected, one excluded, one not asked for; a Gateway without a route."""
    tailnet = stack.start_tailnet(["api-server", "api-secret", "web"])
    stack.counter = FaultyProxy(stack.network.hub, 8180, stack.network.HUB, tailnet.headscale.port)
    stack.others.append(stack.counter)
    stack.write_gateway("base.yaml", lib.gateway_class(), lib.gateway())
    # One of three endpoints is more than 20 %: a device that leaves must be missed in three polls.
    guard = {"maxPercent": 20, "fromEndpoints": 2, "confirmations": CONFIRMATIONS}
    stack.write_resources("corp.yaml", secret("corp-key", api_key=tailnet.headscale.api_key),
                          headscale_tailnet(stack.counter.url, tailnet, removalGuard=guard),
                          gateway_resource(tailnets=[entry(exclude=["proxy-*", "*-secret"])]))
    stack.make_gateway().start()
    stack.make_eg().start()
    stack.start_envoy()


def is_known(stack, host):
    """Whether Envoy has the host. A device that does not answer (yet, or any more) is known all the same."""
    try:
        return stack.ask(host, timeout=0.5).status != 404
    except TimeoutError:
        return True


def test_selected_device_answers_by_host(stack):
    answer = stack.wait_for("api-server.tailscale.local")
    seen = answer.json()
    assert seen["device"] == "api-server"
    assert dict(seen["headers"])["host"] == "api-server.tn.test"  # hostHeader: Device


def test_selected_device_answers_by_path(stack):
    stack.wait_for("any.example", "/tailscale/api-server/")
    answer = stack.ask("any.example", "/tailscale/api-server/deep/er?x=1&y=%20z", method="POST", body=b"\x00body\xff",
                       headers={"X-Kept": "yes", "Content-Type": "application/octet-stream"})
    seen = answer.json()
    assert (answer.status, seen["device"], seen["method"]) == (200, "api-server", "POST")
    assert (seen["path"], seen["query"]) == ("/deep/er", "x=1&y=%20z")
    assert seen["body"].encode("latin-1") == b"\x00body\xff"
    assert dict(seen["headers"])["x-kept"] == "yes"
    assert answer.headers["x-device"] == "api-server"
    bare = stack.ask("any.example", "/tailscale/api-server?q=1").json()
    assert (bare["path"], bare["query"]) == ("/", "q=1")


@pytest.mark.parametrize("name,why", [("api-secret", "excludePatterns"), ("web", "patterns"), ("proxy-0", "excludePatterns")])
def test_others_do_not_answer_and_explain_says_why(stack, name, why):
    assert stack.ask(f"{name}.tailscale.local").status == 404
    assert stack.ask("any.example", f"/tailscale/{name}/").status == 404
    said = stack.gateway.explain(f"http://{name}.tailscale.local/")
    assert name in said and why in said, said


def test_what_is_shown_agrees(stack):
    state = stack.gateway.state()
    assert find(state, service="api-server"), state
    assert [o for o in find(state, reason="Excluded") if "api-secret" in str(o)], state
    assert stack.tailnet.headscale.api_key not in str(state)
    assert "api-server" in stack.gateway.status()
    said = stack.gateway.explain("http://api-server.tailscale.local/")
    assert "api-server" in said and "100.64." in said, said
    metrics = stack.gateway.get("/metrics").body.decode()
    assert stack.tailnet.headscale.api_key not in metrics
    assert stack.tailnet.headscale.api_key not in stack.gateway.process.text()
    files = os.listdir(os.path.join(stack.generated, "endpoints"))
    assert files and stack.bindings()


def test_device_that_joins_later(stack, figure):
    stack.wait_for("api-server.tailscale.local")
    before = stack.bindings()
    with Load(stack.network.hub, LISTENER_PORT, "api-server.tailscale.local") as load:
        stack.tailnet.begin_add("api-later")
        listed = eventually(lambda: "api-later" in stack.tailnet.headscale.nodes() and time.monotonic(), 60, "the API lists it", every=0.02)
        written = eventually(lambda: stack.bindings() != before and time.monotonic(), 10, "its Binding is written", every=0.005)
        eventually(lambda: is_known(stack, "api-later.tailscale.local"), 10, "Envoy has the host", every=0.01)
        known = time.monotonic()
        eventually(lambda: stack.ask("api-later.tailscale.local", timeout=1).status == 200, 20, "it answers")
        answered = time.monotonic()
        stack.tailnet.end_add("api-later")
    figure(f"listed by the API -> first 200 in {answered - listed:.2f} s: {written - listed:.2f} s until its Binding was written (poll interval 1 s), "
           f"{known - written:.2f} s Envoy Gateway and Envoy, {answered - known:.2f} s the tailnet's first handshake with it")
    assert known - listed < 3
    assert answered - listed < 10
    assert not load.failures(), load.failures()[:5]


def test_device_that_is_deleted(stack, figure):
    stack.tailnet.add_device("api-gone")
    stack.wait_for("api-gone.tailscale.local")
    with Load(stack.network.hub, LISTENER_PORT, "api-server.tailscale.local") as one, \
         Load(stack.network.hub, LISTENER_PORT, "any.example", "/tailscale/api-later/x") as two:
        stack.tailnet.headscale.delete("api-gone")
        start = time.monotonic()
        eventually(lambda: not is_known(stack, "api-gone.tailscale.local"), 30, "the deleted device is gone")
        missed = next(i for i, names in enumerate(reversed(stack.counter.lists)) if "api-gone" in names)
        figure(f"deleted -> 404 in {time.monotonic() - start:.2f} s, after {missed} polls (guard: {CONFIRMATIONS})")
        eventually(lambda: stack.ask("any.example", "/tailscale/api-gone/").status == 404, 5, "its path too")
    assert missed >= CONFIRMATIONS
    assert not one.failures() and not two.failures(), (one.failures() + two.failures())[:5]
    figure(one.report())


def test_envoy_refused_nothing(stack):
    assert stack.eg.metric("xds_nack_total") == 0
    assert stack.envoys[0].stat(r".*update_rejected") == 0
