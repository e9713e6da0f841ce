# SPDX-License-Identifier: Apache-2.0
"""Dead devices cost little: the first request 15 s at most, later ones nothing, and a second endpoint takes over.

Envoy checks a service that had traffic every 5 s, one that had none every 60 s. A check that is set for a minute hence
is not brought forward by the first request, so the traffic here begins a minute before the deaths.
"""

import json
import time

import pytest

from tests.lib import envoy as lib
from tests.lib.process import eventually
from tests.lib.stack import LISTENER_PORT, entry, gateway_resource, headscale_tailnet, secret, static_endpoints
from tests.lib.web import Load

FIRST_SECONDS = 15
SEEN_WITH_TRAFFIC = 12
SEEN_WITHOUT_TRAFFIC = 70
AT_ONCE = 1.0
DEVICES = ["api-killed", "api-silent", "api-idle", "pair-a", "pair-b", "api-fine"]


@pytest.fixture(scope="module", autouse=True)
def story(stack):
    tailnet = stack.start_tailnet(DEVICES)
    pair = [tailnet.nodes[n].address() for n in ("pair-a", "pair-b")]
    stack.write_gateway("base.yaml", lib.gateway_class(), lib.gateway())
    stack.write_resources("corp.yaml", secret("corp-key", api_key=tailnet.headscale.api_key),
                          headscale_tailnet(tailnet.headscale.url, tailnet), gateway_resource(tailnets=[entry()]),
                          static_endpoints("static", "pair", pair))
    stack.make_gateway().start()
    stack.make_eg().start()
    stack.start_envoy()
    for name in ["api-killed", "api-silent", "api-fine", "pair"]:
        stack.wait_for(f"{name}.tailscale.local")
    eventually(lambda: {stack.ask("pair.tailscale.local").json()["device"] for _ in range(8)} == {"pair-a", "pair-b"}, 20,
               "both devices of the pair answer")


@pytest.fixture(scope="module")
def deaths(stack):
    """Under traffic one device is killed, one falls silent, and one of a pair falls silent; one that nobody ever
    asked is killed a minute before. Returns the loads, the time of the deaths, and the late first request."""
    nodes, envoy = stack.tailnet.nodes, stack.envoys[0]
    loads = {n: Load(stack.network.hub, LISTENER_PORT, f"{n}.tailscale.local", rate=4, workers=40) for n in ("api-killed", "api-silent", "pair", "api-fine")}
    for load in loads.values():
        load.__enter__()
    try:
        idle_death = time.monotonic()
        nodes["api-idle"].process.kill()
        eventually(lambda: all(envoy.stat(rf"cluster\.tailscale/.*/{n}/.*health_check\.attempt") >= (4 if n == "pair" else 2) for n in loads), 80,
                   "the checks go at the pace of services with traffic", every=0.5)
        assert not any(x.failures() for x in loads.values())
        death = time.monotonic()
        nodes["api-killed"].process.kill()
        stack.network.cut(nodes["api-silent"].ns)
        stack.network.cut(nodes["pair-a"].ns)
        time.sleep(max(0.0, idle_death + SEEN_WITHOUT_TRAFFIC - time.monotonic()))
        first = time.monotonic() - idle_death, stack.ask("api-idle.tailscale.local")
        time.sleep(max(0.0, death + SEEN_WITH_TRAFFIC + 10 - time.monotonic()))
    finally:
        for load in loads.values():
            load.__exit__()
    return loads, death, first


def timed_out(envoy, service):
    """What Envoy itself says of the requests to a service that it gave up: seconds of each."""
    lines = [json.loads(line) for line in envoy.process.text().splitlines() if line.startswith("{") and '"response_code":504' in line]
    return [entry["duration"] / 1000 for entry in lines if f"/{service}/" in entry["upstream_cluster"]]


@pytest.mark.parametrize("name", ["api-killed", "api-silent"])
def test_dead_device_under_traffic(stack, deaths, figure, name):
    loads, death, _ = deaths
    after = [r for r in loads[name].results if r[0] >= death + 0.5]
    failed = [r for r in after if r[2] != 200]
    assert failed and max(r[1] for r in failed) <= FIRST_SECONDS + 1, max(failed, key=lambda r: r[1])
    last = max((r[0] for r in after if r[1] > AT_ONCE), default=death)
    figure(f"worst {max(r[1] for r in after):.1f} s, the last slow request began {last - death:.1f} s after the death")
    given_up = timed_out(stack.envoys[0], name)
    if given_up:
        figure(f"by Envoy's access log {len(given_up)} requests were given up after {min(given_up):.3f} to {max(given_up):.3f} s")
    late = [r for r in after if r[0] >= death + SEEN_WITH_TRAFFIC]
    assert late and all(r[1] <= AT_ONCE and r[2] == 503 for r in late), [r for r in late if r[1] > AT_ONCE or r[2] != 503][:5]


def test_second_endpoint_takes_over(deaths, figure):
    loads, death, _ = deaths
    pair = loads["pair"]
    late = [r for r in pair.results if r[0] >= death + SEEN_WITH_TRAFFIC]
    bad = [r for r in late if r[2] != 200 or r[1] > AT_ONCE]
    figure(f"{len(pair.failures())} of {pair.count()} failed while one of two fell silent; of the {len(late)} from {SEEN_WITH_TRAFFIC} s on {len(bad)}")
    assert late and not bad, bad[:5]


def test_others_are_not_touched(deaths):
    assert not deaths[0]["api-fine"].failures(), deaths[0]["api-fine"].failures()[:5]


def test_dead_device_that_nobody_asked(deaths, figure):
    after, answer = deaths[2]
    figure(f"first request {after:.0f} s after the unseen death: {answer.status} in {answer.seconds:.3f} s")
    assert (answer.status, answer.seconds <= AT_ONCE) == (503, True)


def test_devices_come_back(stack, figure):
    nodes = stack.tailnet.nodes
    start = time.monotonic()
    nodes["api-killed"].process.start()
    stack.network.mend(nodes["pair-a"].ns)
    stack.network.mend(nodes["api-silent"].ns)
    stack.wait_for("api-killed.tailscale.local", seconds=60)
    stack.wait_for("api-silent.tailscale.local", seconds=90)
    figure(f"back and answering after {time.monotonic() - start:.1f} s")
