# SPDX-License-Identifier: Apache-2.0
"""A tailscaled of this machine as the source of its tailnet, with no credential of an API: devices of a real headscale are
served, what tailscaled learns is in the Snapshot within a second, and a daemon that is away or logged out removes nothing. Beside
the control server it is the second opinion on who can be reached."""

import json
import os
import re
import signal
import subprocess
import sys
import threading
import time

import pytest

from tests.lib import envoy as lib
from tests.lib.process import Process, eventually, holds
from tests.lib.stack import ROOT, SANITIZER_ENV, entry, find, gateway_resource, headscale_tailnet, program, secret, tailnet_resource
from tests.lib.tailnet import NODE_ENV, Node
from tools import local_tailscaled

POLL_SECONDS = 5  # of the entry that asks the control server: what the bus is compared with
KNOWN_EVERY = 0.01
WITHIN_SECONDS = 1.0


@pytest.fixture(scope="module", autouse=True)
def started(stack):
    tailnet = stack.start_tailnet(["api-server", "api-old", ("api-private", ("tag:private",))])
    stack.write_gateway("base.yaml", lib.gateway_class(), lib.gateway())
    stack.write_resources(
        "local.yaml", secret("corp-key", api_key=tailnet.headscale.api_key),
        tailnet_resource("by-bus", localAPI={"socket": tailnet.nodes["proxy-0"].socket}, proxyAddresses=tailnet.proxy_addresses(), pollInterval="60s"),
        headscale_tailnet(tailnet.headscale.url, tailnet, name="by-poll", proxyAddresses=[], pollInterval=f"{POLL_SECONDS}s"),
        headscale_tailnet(tailnet.headscale.url, tailnet, name="both", proxyAddresses=[], localAPI={"socket": tailnet.nodes["proxy-0"].socket}),
        gateway_resource(tailnets=[entry("corp", "by-bus"), entry("polled", "by-poll"), entry("both", "both")]))
    stack.make_gateway().start()
    stack.make_eg().start()
    stack.start_envoy()


def endpoint(stack, name, tailnet="corp"):
    found = [e for e in find(stack.gateway.state()["entries"], tailnet=tailnet)[0]["endpoints"] if e["name"] == name]
    return found[0] if found else None


def source(stack, name="by-bus"):
    found = find(stack.gateway.state()["tailnets"], name=name)
    assert found, f"no tailnet {name} in the state"
    return found[0]


def socket_of(stack, name="proxy-0"):
    return stack.tailnet.nodes[name].socket


def backend_state(stack):
    try:
        return local_tailscaled.ask(socket_of(stack))["BackendState"]
    except local_tailscaled.LocalError:
        return None


def peer(stack, name):
    """What the proxy's tailscaled itself knows of a device, or None."""
    status = local_tailscaled.ask(socket_of(stack))
    return next((p for p in status["Peer"].values() if p["DNSName"].startswith(name + ".")), None)


class Moment(threading.Thread):
    """When `check` was true first; it looks all the time, in a thread of its own."""

    def __init__(self, check):
        super().__init__(daemon=True)
        self.check, self.at, self.over = check, None, threading.Event()
        self.start()

    def run(self):
        while not self.over.is_set():
            try:
                if self.check():
                    self.at = time.monotonic()
                    return
            except (AssertionError, OSError, local_tailscaled.LocalError):
                pass
            time.sleep(KNOWN_EVERY)

    def close(self):
        self.over.set()
        self.join()


def timed(stack, figure, what, make, knows, has):
    """Makes it happen; how long after tailscaled knew is it in the Snapshot, by its bus and by polling the control server?"""
    checks = [lambda: knows(), lambda: has("corp"), lambda: has("polled")]
    moments = [Moment(c) for c in checks]
    try:
        make()
        eventually(lambda: all(m.at for m in moments), 60, what)
    finally:
        for m in moments:
            m.close()
    known, bus, poll = (m.at for m in moments)
    figure(f"{what}: in the Snapshot {bus - known:+.2f} s after tailscaled knew it (by its bus); {poll - known:+.2f} s by a poll of headscale every {POLL_SECONDS} s")
    assert bus - known < WITHIN_SECONDS


def test_a_device_is_served_without_a_credential(stack):
    stack.wait_for("api-server.tailscale.local", device="api-server")
    seen = source(stack)
    assert (seen["sync"], seen["magicDNSSuffix"]) == ("Synced", "tn.test"), seen
    found = endpoint(stack, "api-server")
    assert found["tailscaleFQDN"] == "api-server.tn.test" and found["nodeID"] == stack.tailnet.headscale.nodes()["api-server"]["id"]
    # The node of the daemon that was asked is not one of its peers, whatever the patterns say.
    everything = stack.gateway.state()["entries"]
    assert not find(find(everything, tailnet="corp")[0]["endpoints"], name="proxy-0")


def test_what_tailscaled_learns_is_in_the_snapshot_within_a_second(stack, figure):
    headscale = stack.tailnet.headscale
    timed(stack, figure, "a device that joins", lambda: stack.tailnet.begin_add("api-new"),
          lambda: peer(stack, "api-new"), lambda t: endpoint(stack, "api-new", t))
    stack.tailnet.end_add("api-new")
    stack.wait_for("api-new.tailscale.local", device="api-new")
    # Its name and its tags are the device's: what is found by them moves with them.
    timed(stack, figure, "a device that is renamed", lambda: headscale.cli("nodes", "rename", "--identifier", headscale.nodes()["api-new"]["id"], "api-renamed"),
          lambda: peer(stack, "api-renamed"), lambda t: endpoint(stack, "api-renamed", t))
    timed(stack, figure, "a device whose key expires", lambda: headscale.cli("nodes", "expire", "--identifier", headscale.nodes()["api-renamed"]["id"]),
          lambda: (peer(stack, "api-renamed") or {}).get("Expired"), lambda t: endpoint(stack, "api-renamed", t) is None)
    stack.wait_for("api-server.tailscale.local", device="api-server")


def test_a_device_that_is_deleted(stack, figure):
    """Two of them: the removal guard is not concerned with so few."""
    timed(stack, figure, "a device that is deleted", lambda: stack.tailnet.headscale.delete("api-old"),
          lambda: peer(stack, "api-old") is None, lambda t: endpoint(stack, "api-old", t) is None)


def set_policy(stack, rule):
    headscale = stack.tailnet.headscale
    path = os.path.join(headscale.home, "policy.hujson")
    with open(path, encoding="utf-8") as f:
        policy = json.load(f)
    with open(path, "w", encoding="utf-8") as f:
        json.dump({**policy, "acls": [rule]}, f)
    headscale.process.signal(signal.SIGHUP)


def test_a_device_that_policy_hides(stack, figure):
    """The control server tells of it as before; that it cannot be reached only our own node knows."""
    def health():
        return (endpoint(stack, "api-private", "both") or {}).get("health")
    eventually(lambda: health() == "Healthy", 10, "it is healthy")
    moments = [Moment(lambda: peer(stack, "api-private") is None), Moment(lambda: health() == "NotVisible")]
    set_policy(stack, {"action": "accept", "src": ["alice@"], "dst": ["alice@:*"]})
    eventually(lambda: all(m.at for m in moments), 30, "it is said not to be visible")
    figure(f"a device that policy hides: in the Snapshot {moments[1].at - moments[0].at:+.2f} s after tailscaled knew it")
    assert moments[1].at - moments[0].at < WITHIN_SECONDS
    assert "policy" in endpoint(stack, "api-private", "both")["healthText"]
    assert "api-private" in stack.tailnet.headscale.nodes()
    holds(lambda: health() == "NotVisible", 2, "it stays, and is said not to be visible")
    assert endpoint(stack, "api-server", "both")["health"] == "Healthy"
    set_policy(stack, {"action": "accept", "src": ["*"], "dst": ["*:*"]})
    eventually(lambda: health() == "Healthy", 30, "it is healthy again")
    eventually(lambda: endpoint(stack, "api-private"), 5, "it is back where the daemon alone is asked")


def test_nothing_happens_while_nothing_happens(stack):
    """Counters and last handshakes move with each request, and no poll, World or write follows."""
    eventually(lambda: stack.ask("api-server.tailscale.local").status == 200, 20, "the device answers")
    before, generation = source(stack)["polls"], stack.gateway.state()["generation"]
    for _ in range(50):
        assert stack.ask("api-server.tailscale.local").status == 200
        time.sleep(0.05)
    assert source(stack)["polls"] - before <= 3
    # The other entry's control server is polled meanwhile, which makes no World either.
    assert stack.gateway.state()["generation"] - generation <= 1


def test_a_daemon_that_is_killed_and_comes_back(stack, figure):
    node = stack.tailnet.nodes["proxy-0"]
    node.process.kill()
    eventually(lambda: source(stack)["sync"] == "Failing", 5, "it is shown as failing")
    seen = source(stack)
    assert seen["reason"] in ("NotListening", "NoSocket") and node.socket in seen["error"], seen
    holds(lambda: endpoint(stack, "api-server"), 2, "its devices stay")
    node.start()
    start = time.monotonic()
    eventually(lambda: backend_state(stack) == "Running", 30, "tailscaled runs again", every=KNOWN_EVERY)
    running = time.monotonic()
    eventually(lambda: source(stack)["sync"] == "Synced", 20, "it is synced again", every=0.01)
    figure(f"a restart of tailscaled: Running after {running - start:.2f} s, synced {time.monotonic() - running:+.2f} s after that")
    stack.wait_for("api-server.tailscale.local", device="api-server")
    # The bus is heard again, not only polled.
    timed(stack, figure, "a device that joins after the restart", lambda: stack.tailnet.begin_add("api-late"),
          lambda: peer(stack, "api-late"), lambda t: endpoint(stack, "api-late", t))
    stack.tailnet.end_add("api-late")


def test_a_daemon_that_is_down(stack):
    """`tailscale down`: it answers, and tells of no peers; that is no empty tailnet."""
    node = stack.tailnet.nodes["proxy-0"]

    def tailscale(*args):
        subprocess.run(["nsenter", f"--net={stack.network.hub.path}", *node.cli(*args)], check=True, stdin=subprocess.DEVNULL, timeout=60, env={**os.environ, **NODE_ENV})
    tailscale("down")
    eventually(lambda: source(stack)["reason"] == "Stopped", 5, "it is shown as stopped")
    assert "tailscale up" in source(stack)["error"]
    holds(lambda: endpoint(stack, "api-server"), 1, "its devices stay")
    tailscale("up", f"--login-server={stack.tailnet.headscale.url}", f"--hostname={node.name}", "--accept-dns=false", "--timeout=30s")
    eventually(lambda: source(stack)["sync"] == "Synced", 5, "it is synced again")


def test_a_daemon_that_nobody_logged_in(stack):
    node = Node(stack.tailnet, "stranger", stack.network.hub, proxy_port=3199).start()
    stack.tailnet.nodes["stranger"] = node
    eventually(lambda: os.path.exists(node.socket), 20, "it listens")
    stack.write_resources("stranger.yaml", tailnet_resource("stranger", localAPI={"socket": node.socket}, proxyAddresses=["127.0.0.1:3199"]),
                          gateway_resource("stranger", tailnets=[entry("stranger", "stranger", egress={"hostPattern": "{service}.stranger.local", "pathPrefix": "/s/{service}/"})]))
    eventually(lambda: source(stack, "stranger")["reason"] in ("NeedsLogin", "Starting"), 10, "it is said")
    eventually(lambda: source(stack, "stranger")["reason"] == "NeedsLogin", 10, "it is said to need a login")
    assert "tailscale up" in source(stack, "stranger")["error"] and node.socket in source(stack, "stranger")["error"]


def run(stack, name, ns=None, **env):
    """tools/run.py inside the hub, or that namespace, whose loopback stands for the user's machine."""
    os.makedirs(f"{stack.workdir}/tmp", exist_ok=True)
    return Process(name, [sys.executable, "-u", os.path.join(ROOT, "tools/run.py")], stack.log_dir, ns=ns or stack.network.hub, cwd=ROOT,
                   env={**SANITIZER_ENV, "TSGW_PROGRAM": program(), "TMPDIR": f"{stack.workdir}/tmp", "TAILNET": "local", "RUN_ONCE": "1", **env})


def ended(made):
    made.start()
    return made.proc.wait(120), made.text()


def test_make_run_serves_the_machines_own_tailnet(stack, figure):
    stack.gateway.stop()
    for p in [*stack.envoys, stack.eg]:
        p.process.stop()
    proxy = f"127.0.0.1:{stack.tailnet.nodes['proxy-0'].proxy_port}"
    code, text = ended(run(stack, "run-local", TS_SOCKET=socket_of(stack), TS_OUTBOUND_HTTP_PROXY_LISTEN=proxy, DEVICE_PORT="8080"))
    assert code == 0, text
    assert re.search(r'"device": "api-\w+"', text), text
    figure(re.search(r"Ready after [\d.]+ s", text).group(0))


@pytest.mark.skipif(not os.access("/dev/net/tun", os.R_OK | os.W_OK), reason="no /dev/net/tun")
def test_make_run_with_a_network_device(stack, figure):
    """As on a laptop: tailscaled has a device of the kernel, Envoy connects through it, and there is nothing to set."""
    laptop = stack.network.machine("laptop")
    node = stack.tailnet.nodes["laptop"] = Node(stack.tailnet, "laptop", laptop)
    node.process.argv = [a.replace("--tun=userspace-networking", "--tun=tailscale0") for a in node.process.argv]
    node.start()
    eventually(lambda: node.process.check() and os.path.exists(node.socket), 20, "it listens")
    node.up = Process("up-laptop", node.cli("up", f"--login-server={stack.tailnet.headscale.url}", f"--authkey={stack.tailnet.key(())}", "--hostname=laptop",
                                            "--accept-dns=false", "--netfilter-mode=off", "--timeout=60s"), stack.log_dir, ns=laptop, env=NODE_ENV).start()
    node.end_join()
    code, text = ended(run(stack, "run-laptop", ns=laptop, TS_SOCKET=node.socket, DEVICE_PORT="8080"))
    assert code == 0, text
    assert re.search(r'"device": "api-\w+"', text), text
    figure(re.search(r"Ready after [\d.]+ s", text).group(0))


@pytest.mark.parametrize("env, said", [
    ({}, "there is no tailscaled on this machine"),
    ({"TS_SOCKET": "/nowhere/s"}, "no answer from tailscaled on /nowhere/s"),
    ({"TS_SOCKET": "stranger"}, "run `tailscale up`"),
    ({"TS_SOCKET": "proxy-0"}, "--outbound-http-proxy-listen=127.0.0.1:3128"),
    ({"TS_SOCKET": "proxy-0", "DEVICE_PORT": "http"}, "DEVICE_PORT=http is no port"),
])
def test_make_run_says_what_is_missing(stack, env, said):
    env = {k: socket_of(stack, v) if v in stack.tailnet.nodes else v for k, v in env.items()}
    code, text = ended(run(stack, f"run-refused-{abs(hash(said))}", **env))
    assert code == 1 and said in text, text
