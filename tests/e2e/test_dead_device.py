# SPDX-License-Identifier: Apache-2.0
"""Dead devices cost little: the first request 15 s at most, later ones nothing, and a second endpoint takes over."""

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


def test_devices_die(stack, figure):
    """One is killed under traffic, one falls silent under traffic, one of a pair falls silent, one dies that nobody asks."""
    nodes = stack.tailnet.nodes
    names = ["api-killed", "api-silent", "pair", "api-fine"]
    loads = {n: Load(stack.network.hub, LISTENER_PORT, f"{n}.tailscale.local", rate=4, workers=40) for n in names}
    for load in loads.values():
        load.__enter__()
    try:
        eventually(lambda: all(x.count() > 4 for x in loads.values()), 10, "the load runs")
        death = time.monotonic()
        nodes["api-killed"].process.kill()
        nodes["api-idle"].process.kill()
        stack.network.cut(nodes["api-silent"].ns)
        stack.network.cut(nodes["pair-a"].ns)
        time.sleep(SEEN_WITH_TRAFFIC + 10)
    finally:
        for load in loads.values():
            load.__exit__()
    for name in ("api-killed", "api-silent"):
        after = [r for r in loads[name].results if r[0] >= death + 0.5]
        failed = [r for r in after if r[2] != 200]
        assert failed and max(r[1] for r in failed) <= FIRST_SECONDS + 1, max(failed, key=lambda r: r[1])
        slow = [r for r in after if r[1] > AT_ONCE]
        last = max((r[0] for r in slow), default=death)
        figure(f"{name}: worst {max(r[1] for r in after):.1f} s, the last slow request began {last - death:.1f} s after the death")
        late = [r for r in after if r[0] >= death + SEEN_WITH_TRAFFIC]
        assert late and all(r[1] <= AT_ONCE and r[2] == 503 for r in late), [r for r in late if r[1] > AT_ONCE or r[2] != 503][:5]
    pair = loads["pair"]
    late = [r for r in pair.results if r[0] >= death + SEEN_WITH_TRAFFIC]
    figure(f"pair: {len([r for r in pair.results if r[2] != 200])} of {pair.count()} failed while one of two fell silent; later {len(late)} of {len(late)} passed")
    assert late and all(r[2] == 200 and r[1] <= AT_ONCE for r in late), [r for r in late if r[2] != 200 or r[1] > AT_ONCE][:5]
    assert not loads["api-fine"].failures(), loads["api-fine"].failures()[:5]

    time.sleep(max(0.0, death + SEEN_WITHOUT_TRAFFIC - time.monotonic()))
    answer = stack.ask("api-idle.tailscale.local")
    figure(f"api-idle: first request {SEEN_WITHOUT_TRAFFIC} s after its unseen death: {answer.status} in {answer.seconds:.3f} s")
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
