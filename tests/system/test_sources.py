#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The program against a scripted Tailscale API over TLS: credentials, Services, what a server speaks, and everything that it can do wrong.

    tests/system/test_sources.py PROGRAM [unittest's arguments]

What needs a real tailnet is in tests/e2e/test_discovery.py.
"""

import http.client
import json
import os
import re
import sys
import tempfile
import time
import unittest

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, ROOT)
import test_program as runner  # noqa: E402
from tests.lib.api_faults import FAULTS, http_date  # noqa: E402
from tests.lib.certificates import Certificates  # noqa: E402
from tests.lib.tailscale_api import TailscaleAPI  # noqa: E402
from tests.lib.tailscale_data import DEVICE_FIELDS, HOST_FIELDS, SERVICE_FIELDS, WRONG_VALUES, device, node_id, shared_in  # noqa: E402

NAMES = [f"api-{i}" for i in range(6)]
HOSTS = sorted(f"{n}.ts.local" for n in NAMES)
CONFIRMATIONS = 100
# Of a fault the reason that /state gives. What has no end is cut short by a cap, or by the deadline of a poll, which is a minute: see Slow.
REASONS = {
    "half": "InvalidJson", "cut": "AnswerCutShort", "open-list": "InvalidJson", "trailing": "InvalidJson", "html": "InvalidJson", "nothing": ".", "other-document": ".",
    "null-list": ".", "list-of-text": ".", "endless": "TooManyDevices", "endless-text": "TooLarge", "endless-white": "TooLarge", "deep": ".", "endless-head": ".",
    "enormous": "TooLarge", "reset": ".", "garbage": ".", "redirect": "RedirectRefused", "too-many": "TooManyRequests",
    "401": "Unauthorized", "403": "Forbidden", "404": "UnexpectedStatus", "500": "ServerError", "503": "ServiceUnavailable"}
SLOW = ("hang", "drip")  # their reason is there after the deadline of a poll
TLS = ("expired", "wrong-name", "unknown-ca", "garbage")
CERTIFICATES = None


def setUpModule():
    global CERTIFICATES
    folder = tempfile.TemporaryDirectory()
    unittest.addModuleCleanup(folder.cleanup)
    CERTIFICATES = Certificates(folder.name)
    os.environ["SSL_CERT_FILE"] = CERTIFICATES.ca_file
    unittest.addModuleCleanup(os.environ.pop, "SSL_CERT_FILE")


def tailnet(api, name="corp", number=0, credentials=None, **spec):
    return {"apiVersion": runner.GROUP, "kind": "TailscaleTailnet", "metadata": {"name": name}, "spec": {
        "apiURL": api.url, "type": "Tailscale", "credentials": credentials or {"secretRef": {"name": f"{name}-key"}}, "pollInterval": "1s",
        "proxyAddresses": [f"127.0.0.1:{3128 + number}"], "removalGuard": {"confirmations": CONFIRMATIONS}, **spec}}


def secret(name="corp", **values):
    return {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": f"{name}-key"}, "stringData": values}


def oauth(client, name="corp"):
    return secret(name, client_id=client[0], client_secret=client[1])


def exposed(*names, pattern="api-*", **discovery):
    """A TailscaleGateway that takes these tailnets."""
    return {"apiVersion": runner.GROUP, "kind": "TailscaleGateway", "metadata": {"name": "gw"}, "spec": {"gatewayRef": {"name": "eg"}, "tailnets": [
        {"name": n, "tailscaleTailnetRef": {"name": n}, "serviceDiscovery": {"patterns": [pattern], "defaultPort": {"port": 80}, **discovery},
         "routeGeneration": {"egress": {"hostPattern": "{service}.ts.local" if len(names) == 1 else "{service}." + n + ".local"}}} for n in names]}}


class World(runner.Running):
    """The program and what it is told; the devices of the first tailnet are NAMES."""

    def __init__(self, *objects):
        super().__init__()
        for name in ("tailnet.yaml", "ours.yaml", "devices.json"):
            os.unlink(self.at(f"res/{name}"))
        self.told = {}
        self.tell(*objects)

    def tell(self, *objects):
        """Adds these objects, or puts them in place of those of the same name."""
        for o in objects:
            self.told[o["kind"], o["metadata"]["name"]] = o
        self.put("res/told.json", json.dumps({"apiVersion": "v1", "kind": "List", "items": list(self.told.values())}))

    def poll(self, name="corp"):
        """The next poll comes at once, whatever the backoff is: a spec that differs is asked about."""
        spec = self.told["TailscaleTailnet", name]["spec"]
        spec["pollInterval"] = "1s" if spec["pollInterval"] != "1s" else "1001ms"
        self.tell()

    def until(self, check, what):
        """What is not there yet is not so yet."""
        def safe():
            try:
                return check()
            except LookupError:
                return None
        return super().until(safe, what)

    def tailnet(self, name="corp"):
        return [t for t in self.state()["tailnets"] if t["name"] == name][0]

    def entry(self, name="corp"):
        return [e for e in self.state()["entries"] if e["tailnet"] == name][0]

    def endpoints(self, name="corp"):
        return sorted((e["name"], e["tailscaleIP"], e["port"]) for e in self.entry(name)["endpoints"])

    def synced(self, name="corp"):
        self.until(lambda: self.tailnet(name)["sync"] == "Synced", f"{name} is synced")
        return self

    def fails(self, reason, name="corp", text=""):
        """Waits for a poll that fails so."""
        def check():
            t = self.tailnet(name)
            return t["sync"] != "Synced" and re.search(reason, t["reason"]) and text in t["error"] and t
        return self.until(check, f"{name} fails with {reason} {text}")

    def written(self):
        """What is generated, once it is."""
        return self.until(lambda: len(self.generated()) == 2 and self.generated(), "TailscaleEndpoints and Binding are written")

    def status(self, *args):
        return self.command("status", *args).stdout


class Case(runner.Case):
    def api(self, **more):
        made = TailscaleAPI(CERTIFICATES, **more)
        self.addCleanup(made.close)
        made.devices = [device(n, i + 1) for i, n in enumerate(NAMES)]
        return made

    def world(self, *objects, files=()):
        """Runs, with these manifests and (name, text) files beside them."""
        made = World(*objects)
        self.addCleanup(made.close)
        for name, text in files:
            made.put(f"res/{name}", text)
        return made.start(wait=False)

    def usual(self, scopes="devices:core:read services:read", mode="tailscale", paths=("services",), **spec):
        """(program, API, OAuth client): synced, with all of NAMES programmed."""
        api = self.api(mode=mode, paths=paths)
        client = api.add_client(scopes)
        made = self.world(oauth(client), tailnet(api, **spec), exposed("corp")).synced()
        made.until(lambda: made.hosts() == HOSTS, "all hosts are programmed")
        return made, api, client

    def shows_no(self, made, *secrets):
        shown = made.log() + made.get("admin", "/state")[1] + made.get("metrics", "/metrics")[1] + made.status("-o", "yaml") + str(made.generated())
        for s in secrets:
            self.assertNotIn(s, shown)


class Credentials(Case):
    def test_oauth_from_start_to_endpoints(self):
        made, api, client = self.usual()
        token = api.asked("token")[0]
        self.assertEqual((token.method, token.auth, token.status, token.form["grant_type"]), ("POST", "form", 200, "client_credentials"))
        call = api.asked("devices")[0]
        self.assertEqual((call.method, call.auth, call.status, call.query), ("GET", "bearer", 200, {"fields": "all"}))
        made.until(lambda: len(api.asked("devices")) >= 4, "it polls")
        self.assertEqual(len(api.asked("token")), 1)  # one token for all of them
        self.assertEqual(made.entry()["endpoints"][0]["tailscaleFQDN"], "api-0.corp.ts.net")
        t = made.tailnet()
        self.assertEqual((t["magicDNSSuffix"], t["devices"], t["via"], t["scopes"], t["warning"]), ("corp.ts.net", 6, "tailscale-v2", "devices:core:read services:read", ""))
        self.assertEqual(t["nextKeyExpiry"], api.devices[0]["expires"])
        self.shows_no(made, client[1], call.credential)
        self.ends_well(made)

    def test_token_that_is_no_longer_good(self):
        """One 401 costs a token and nothing else."""
        made, api, _ = self.usual()
        before = made.written(), made.tailnet()["failures"]
        api.revoke()
        made.until(lambda: len(api.asked("token")) == 2 and len(api.asked("devices", api.asked("token")[-1].at)) >= 2, "it asked for a new one")
        self.assertEqual((made.generated(), made.tailnet()["failures"], made.hosts()), (*before, HOSTS))
        # A client that is revoked is told, and what is in force stays.
        api.revoke_client(next(iter(api.clients)))
        made.fails("Unauthorized", text="client_id")
        self.assertEqual(made.hosts(), HOSTS)
        self.ends_well(made)

    def test_rotated_secret_is_used_at_the_next_call(self):
        made, api, client = self.usual()
        new = api.add_client("devices:core:read", client[0])
        api.revoke()
        made.fails("Unauthorized")
        made.tell(oauth(new))
        made.until(lambda: made.tailnet()["sync"] == "Synced", "the new secret is good")
        self.assertEqual([r.credential for r in api.asked("token") if r.status == 200][-1], f"{new[0]}:{new[1]}")
        # One that is replaced while the old token is still good is used at once as well.
        newer, since = api.add_client("devices:core:read", client[0]), time.monotonic()
        made.tell(oauth(newer))
        made.until(lambda: [r.credential for r in api.asked("token", since)][-1:] == [f"{newer[0]}:{newer[1]}"], "the newer one is used")
        self.assertEqual(made.hosts(), HOSTS)
        self.shows_no(made, client[1], new[1], newer[1])
        self.ends_well(made)

    def test_api_token(self):
        api = self.api()
        made = self.world(secret(api_key=api.add_key("devices:core:read")), tailnet(api), exposed("corp")).synced()
        self.assertEqual((made.hosts(), api.asked("token")), (HOSTS, []))
        api.revoke(next(iter(api.tokens)))
        made.fails("Unauthorized")
        made.tell(secret(api_key=api.add_key()))
        made.synced()
        self.ends_well(made)

    def test_workload_identity(self):
        """The token file is read before each use: Kubernetes replaces it long before it ends."""
        api = self.api()
        client_id = api.add_identity()
        jwt = api.jwt(client_id)
        made = self.world(tailnet(api, credentials={"clientID": client_id, "tokenFile": "token"}), exposed("corp"), files=[("token", jwt + "\n")]).synced()
        made.until(lambda: made.hosts() == HOSTS, "all hosts are programmed")
        self.assertEqual([(r.auth, r.credential, r.form["client_id"]) for r in api.asked("exchange")], [("jwt", jwt, client_id)])
        other = api.jwt(client_id)
        made.put("res/token", other)
        api.revoke()
        made.until(lambda: api.asked("exchange")[-1].credential == other and api.asked("exchange")[-1].status == 200, "the new token is used")
        made.put("res/token", api.jwt(client_id, seconds=-10))
        api.revoke()
        made.fails("Unauthorized", text="expired")
        os.unlink(made.at("res/token"))
        made.poll()
        made.fails(".", text="tokenFile")
        self.assertEqual(made.hosts(), HOSTS)
        made.put("res/token", api.jwt(client_id))
        made.poll()
        made.synced()
        self.shows_no(made, jwt, other)
        self.ends_well(made)

    def test_scope_that_is_missing(self):
        made, api, client = self.usual("devices:core:read")
        api.add_service("db", ["tcp:5432"], hosts=[1])
        made.until(lambda: "services:read" in made.tailnet()["warning"], "/state says what is missing")
        self.assertEqual(made.tailnet()["scopes"], "devices:core:read")
        said = made.status()
        self.assertIn("services:read", said)
        self.assertIn("Tailscale Services are not found", said)
        self.assertEqual((made.tailnet()["sync"], made.hosts()), ("Synced", HOSTS))
        made.tell(oauth(api.add_client("services:read")))
        t = made.fails("Forbidden", text="devices:core:read")
        self.assertEqual((t["sync"], made.hosts()), ("Failing", HOSTS))
        self.assertIn("devices:core:read", made.status())
        made.tell(oauth(api.add_client("all:read")))
        made.synced()
        made.until(lambda: "are not found" not in made.status(), "nothing is missing")
        self.ends_well(made)

    def test_credential_that_is_missing(self):
        api = self.api()
        made = self.world(tailnet(api), exposed("corp"))
        made.fails("CredentialMissing", text="corp-key")
        made.tell(secret(webhook_secret="x"))
        made.fails("CredentialMissing", text="client_id")
        made.tell(oauth(api.add_client()))
        made.synced()
        self.ends_well(made)


class Services(Case):
    def served(self, *paths):
        """(program, API): two Services, synced."""
        api = self.api(paths=paths)
        api.add_service("web", ["tcp:443"], hosts=[1, 2, {"stableNodeID": node_id(3), "approvalLevel": "not-approved", "configured": "ready"}])
        api.add_service("api-db", ["tcp:5432", "tcp:80-81"], hosts=[4])
        made = self.world(oauth(api.add_client()), tailnet(api), exposed("corp", pattern="*"))
        made.until(lambda: {s: h for _, s, _, _, h in self.found(made)} == {"web": "Healthy", "api-db": "Healthy"}, "Services are found, and their hosts")
        return made, api

    @staticmethod
    def found(made):
        return [(e["nodeID"], e["name"], e["tailscaleIP"], e["port"], e["health"]) for e in made.entry()["endpoints"] if e["nodeID"].startswith("svc:")]

    def test_both_paths(self):
        """By the documented path, or by the older one where that is 404, which is remembered."""
        for paths in (("services",), ("vip-services",)):
            with self.subTest(paths):
                made, api = self.served(*paths)
                web, db = api.services["svc:web"]["addrs"][0], api.services["svc:api-db"]["addrs"][0]
                self.assertEqual(set(self.found(made)), {("svc:web", "web", web, 443, "Healthy"), *(("svc:api-db", "api-db", db, p, "Healthy") for p in (80, 81, 5432))})
                made.until(lambda a=api: len(a.asked("services")) >= 4, "two more polls")
                self.assertEqual({r.path.rsplit("/", 1)[1] for r in api.asked("services")[2:]}, set(paths))
                self.assertEqual({r.status for r in api.asked("hosts")}, {200})
                self.ends_well(made)

    def test_server_without_services(self):
        made, api, _ = self.usual(paths=())
        made.until(lambda: len(api.asked("devices")) >= 3, "it polls")
        self.assertEqual(len(api.asked("services")), 2)  # once by each path, and not again
        self.assertEqual((made.tailnet()["sync"], made.hosts()), ("Synced", HOSTS))
        self.ends_well(made)

    def test_hosts_are_asked_in_turn(self):
        """One call for each Service would be many: ten an interval, first for those that are new or changed."""
        api = self.api(paths=("services",))
        for i in range(25):
            api.add_service(f"s{i}", ["tcp:80"], hosts=[i % 6 + 1])
        made = self.world(oauth(api.add_client()), tailnet(api), exposed("corp", pattern="*"))
        made.until(lambda: [h for *_, h in self.found(made)] == ["Healthy"] * 25, "the hosts of all of them are known")
        at = [r.at for r in api.asked("devices")]
        for a, b in zip(at, at[1:]):
            self.assertLessEqual(len([r for r in api.asked("hosts") if a <= r.at < b]), 10)
        api.hosts["svc:s7"][0]["approvalLevel"] = "not-approved"
        api.services["svc:s7"]["ports"] = ["tcp:81"]
        made.until(lambda: [(p, h) for i, _, _, p, h in self.found(made) if i == "svc:s7"] == [(81, "NoServiceHost")], "what changed is asked for")
        self.ends_well(made)

    def test_faults(self):
        """Whatever becomes of Services: devices are found, and what was known of Services stays."""
        made, api = self.served("services")
        before, api.redirect_to = made.endpoints(), api.url
        for where in ("services", "hosts"):
            for fault in ("half", "cut", "html", "null-list", "list-of-text", "deep", "reset", "garbage", "redirect", "500", "too-many"):
                with self.subTest(f"{where}: {fault}"):
                    n = len(api.asked(where))
                    api.fail(fault, where)
                    made.poll()
                    made.until(lambda w=where, n=n: len(api.asked(w)) > n, "the fault is met")
                    made.until(lambda: made.tailnet()["nextPoll"], "the poll is over")
                    self.assertEqual((made.tailnet()["sync"], made.endpoints()), ("Synced", before))
                    api.heal()
        self.assertEqual([line for line in made.log().splitlines() if "endpoint left" in line], [])
        self.ends_well(made)

    def test_wrong_types(self):
        made, api = self.served("services")
        for where, fields in (("services", SERVICE_FIELDS), ("hosts", HOST_FIELDS)):
            for field, kind in fields.items():
                wrong, n = [v for v in WRONG_VALUES if not isinstance(v, kind)], len(api.asked(where))
                api.change[where] = lambda entries, f=field, w=wrong: entries + [{**entries[0], "name": f"svc:w{i}", f: v} for i, v in enumerate(w)] if entries else []
                made.poll()
                made.until(lambda w=where, n=n: len(api.asked(w)) > n, f"{where} with a wrong {field}")
            api.heal()
        made.synced()
        self.assertNotRegex(made.log(), "endpoint left .* service=(web|api-)")
        self.ends_well(made)


class Manners(Case):
    def test_retry_after(self):
        """Seconds or a date: nobody is asked before, whatever asks for it."""
        for said in (lambda: "2", lambda: http_date(3)):
            made, api, _ = self.usual()
            api.retry_after = said()
            api.fail("too-many")
            made.fails("TooManyRequests")
            first = api.asked("devices")[-1].at
            self.assertEqual(api.asked("devices")[-1].status, 429)
            made.poll()  # not even for an edit
            api.heal()
            made.until(lambda a=api, t=first: a.asked("devices", t + 0.001), "it is asked again")
            self.assertGreater(api.asked("devices", first + 0.001)[0].at - first, 1.9)
            made.synced()
            self.assertEqual(made.hosts(), HOSTS)
            self.ends_well(made)

    def test_backoff(self):
        """A server that fails is asked ever less often."""
        made, api, _ = self.usual()
        api.fail(500)
        made.until(lambda: made.tailnet()["failuresInARow"] >= 4, "it fails")
        self.assertLess(len([r for r in api.requests if r.status == 500]), 12)
        self.ends_well(made)

    def test_redirect_carries_no_credential(self):
        decoy = self.api()
        for where, ask in (("token", "client"), ("devices", "client"), ("services", "client"), ("hosts", "client"), ("exchange", "identity"), ("devices", "key")):
            with self.subTest(f"{where} with {ask}"):
                api = self.api(paths=("services",))
                api.add_service("web", ["tcp:443"], hosts=[1])
                api.redirect_to = decoy.url
                api.fail("redirect", where)
                client_id = api.add_identity()
                objects = {"client": [oauth(api.add_client())], "key": [secret(api_key=api.add_key())], "identity": []}[ask]
                credentials = {"clientID": client_id, "tokenFile": "token"} if ask == "identity" else None
                made = self.world(*objects, tailnet(api, credentials=credentials), exposed("corp"), files=[("token", api.jwt(client_id))])
                made.until(lambda a=api, w=where: [r for r in a.asked(w) if r.status == 302], "the redirect was answered")
                if where in ("services", "hosts"):
                    made.synced()
                else:
                    made.fails("RedirectRefused")
                self.ends_well(made)
        self.assertEqual((decoy.requests, decoy.handshakes), ([], []))

    def test_two_tailnets_of_which_one_hangs(self):
        """Each has its own clock: what hangs, in whatever way, delays nobody."""
        good, bad = self.api(), self.api()
        made = self.world(oauth(good.add_client()), oauth(bad.add_client(), "lab"), tailnet(good), tailnet(bad, "lab", 1), exposed("corp", "lab")).synced().synced("lab")
        made.until(lambda: len(made.hosts()) == 12, "both are programmed")
        for i, how in enumerate((lambda: bad.fail("hang"), lambda: bad.set_tls("silent"), lambda: bad.fail("drip"))):
            how()
            made.poll("lab")
            polls = made.tailnet()["polls"]
            good.devices.append(device(f"api-more-{i}", 100 + i))
            start = time.monotonic()
            made.until(lambda i=i: f"api-more-{i}.corp.local" in made.hosts(), "the other one goes on")
            self.assertLess(time.monotonic() - start, 3)
            self.assertGreater(made.tailnet()["polls"], polls)
            self.assertEqual(len([h for h in made.hosts() if h.endswith(".lab.local")]), 6)
            bad.heal()
        self.ends_well(made)


class WhatAServerSpeaks(Case):
    def test_discover_trusts_as_run_does(self):
        """SSL_CERT_FILE with nothing in it is the system's certificates, not a file that cannot be read."""
        api = self.api()
        made = World(secret(api_key=api.add_key()), tailnet(api))
        self.addCleanup(made.close)
        self.assertNotIn("NeverSynced", runner.run("discover", "--resources", made.at("res")).stdout)
        told = runner.run("discover", "--resources", made.at("res"), env={**os.environ, "SSL_CERT_FILE": ""}).stdout
        self.assertIn("is refused", told)

    def test_headscale_v2(self):
        """Short names, another order in each answer: the same endpoints, and nothing is written twice."""
        api = self.api(mode="headscale")
        made = self.world(oauth(api.add_client("devices:core:read")), tailnet(api, type="Auto", magicDNSSuffix="tn.test"), exposed("corp")).synced()
        made.until(lambda: made.hosts() == HOSTS, "all hosts are programmed")
        self.assertEqual({e["tailscaleFQDN"] for e in made.entry()["endpoints"]}, {f"{n}.tn.test" for n in NAMES})
        self.assertEqual({e["health"] for e in made.entry()["endpoints"]}, {"Healthy"})
        before = made.written()
        n = len(api.asked("devices"))
        made.until(lambda: len(api.asked("devices")) >= n + 3, "three more polls")
        self.assertEqual(made.generated(), before)
        self.assertEqual(made.tailnet()["via"], "headscale-v2")
        api.devices[0] = device(NAMES[0], 1, online=False)
        made.until(lambda: [e["health"] for e in made.entry()["endpoints"] if e["name"] == NAMES[0]] == ["Offline"], "one is offline, and stays")
        self.ends_well(made)

    def test_headscale_v1(self):
        """It has API v1 alone, and says 401 before it says 404."""
        api = self.api(mode="headscale-v1")
        made = self.world(secret(api_key=api.add_key()), tailnet(api, type="Auto"), exposed("corp")).synced()
        made.until(lambda: made.hosts() == HOSTS, "all hosts are programmed")
        n = len(api.asked("devices"))
        made.until(lambda: len(api.asked("nodes")) >= 4, "it polls")
        self.assertLessEqual(n, 2)  # what it speaks is remembered
        self.assertEqual(len(api.asked("devices")), n)
        self.assertEqual(made.tailnet()["via"], "headscale-v1")
        # The same server after an upgrade, and after it was taken back.
        api.mode = "headscale"
        made.poll()
        made.until(lambda: made.tailnet()["via"] == "headscale-v2", "API v2 is found")
        api.mode = "headscale-v1"
        made.fails("UnexpectedStatus|Unauthorized", text="found out again")
        made.until(lambda: made.tailnet()["sync"] == "Synced" and made.tailnet()["via"] == "headscale-v1", "API v1 is found again")
        self.assertEqual((made.hosts(), [line for line in made.log().splitlines() if "endpoint left" in line]), (HOSTS, []))
        self.ends_well(made)

    def test_tailscale(self):
        made, api, _ = self.usual(type="Auto")
        self.assertEqual(api.asked("nodes"), [])
        self.ends_well(made)


class Guard(Case):
    def test_empty_list_is_held_until_it_is_approved(self):
        made, api, _ = self.usual()
        devices, api.devices = api.devices, []
        held = made.until(lambda: made.entry()["held"]["digest"], "the removal is held")
        self.assertEqual((made.entry()["held"]["endpoints"], made.entry()["held"]["reason"], made.hosts()), (6, "EmptyAnswer", HOSTS))
        self.assertIn(held, made.status())
        self.assertEqual(made.metric('tailscale_gateway_held_endpoints{tailscale_gateway="envoy-gateway-system/gw",tailnet="corp",reason="EmptyAnswer"}'), 6)
        done = made.command("approve-removal", "corp")
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        made.until(lambda: made.hosts() == [], "it took effect")
        api.devices = devices
        made.until(lambda: made.hosts() == HOSTS, "they are back")
        # By the admin address itself; what came back in between is not let go by an old digest.
        api.devices = [device("web", 60)]
        again = made.until(lambda: made.entry()["held"]["digest"], "the removal is held")
        where = "/approve-removal?namespace=envoy-gateway-system&gateway=gw&tailnet=corp&digest="
        self.assertEqual(made.get("admin", where + again, "POST")[0], 200)
        made.until(lambda: made.hosts() == [], "it took effect")
        self.ends_well(made)

    def test_devices_that_can_never_work_leave_at_once(self):
        """Each for a reason of its own, and no guard is asked; what is no such reason costs nothing."""
        made, api, _ = self.usual()
        soon = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + 86400))
        never = (({"authorized": False}, "Unapproved"), ({"expires": "2020-01-01T00:00:00Z"}, "Expired"), ({"tailnetLockError": "not signed"}, "Locked"),
                 ({"blocksIncomingConnections": True}, "ShieldsUp"))
        still = ({"expires": "0001-01-01T00:00:00Z"}, {"expires": "2020-01-01T00:00:00Z", "keyExpiryDisabled": True}, {"expires": "2099-01-01T00:00:00Z"}, {"expires": soon},
                 {"online": False}, {"created": "", "isExternal": True}, {"multipleConnections": True}, {"tags": None}, {"user": ""}, {"clientVersion": "", "updateAvailable": True})
        api.devices += [device(f"api-still-{i}", 100 + i, **changes) for i, changes in enumerate(still)]
        made.until(lambda: len(made.hosts()) == len(HOSTS) + len(still), "all of them are programmed")
        api.devices[:4] = [device(NAMES[i], i + 1, **changes) for i, (changes, _) in enumerate(never)]
        made.until(lambda: {x["name"].partition(".")[0]: x["reason"] for x in made.entry()["leftOut"]} == {NAMES[i]: reason for i, (_, reason) in enumerate(never)}, "four left")
        made.until(lambda: made.hosts() == sorted(HOSTS[4:] + [f"api-still-{i}.ts.local" for i in range(len(still))]), "and no other")
        self.assertEqual(made.entry()["held"]["endpoints"], 0)
        health = {e["name"]: e["health"] for e in made.entry()["endpoints"]}
        self.assertIn("Offline", health["api-still-4"])
        self.assertEqual(health[NAMES[5]], "Healthy")
        self.ends_well(made)

    def test_shared_in_device(self):
        """Its name is another tailnet's and its dates are empty texts: it is a device all the same, and gives no suffix."""
        api = self.api()
        api.devices = [shared_in("api-shared", 1), *api.devices[1:]]
        made = self.world(oauth(api.add_client()), tailnet(api), exposed("corp")).synced()
        made.until(lambda: "api-shared.ts.local" in made.hosts(), "it is taken")
        self.assertEqual((made.tailnet()["magicDNSSuffix"], made.tailnet()["invalidDevices"]), ("corp.ts.net", 0))
        self.ends_well(made)


class Faults(Case):
    """One program meets one fault after the other: what is in force stays, a reason is given, and it is well again as soon as the server is."""

    def meets(self, made, api, reason):
        t = made.fails(reason)
        self.assertTrue(t["error"], t)
        self.assertEqual((t["sync"], made.endpoints()), ("Failing", self.before))
        self.assertEqual((made.metric('tailscale_gateway_tailnet_up{tailnet="envoy-gateway-system/corp",source="api"}'), made.hosts()), (0, HOSTS))

    def recovers(self, made, api):
        api.heal()
        made.poll()
        made.synced()
        self.assertEqual((made.endpoints(), made.hosts(), made.entry()["held"]["endpoints"]), (self.before, HOSTS, 0))

    def start(self):
        made, api, _ = self.usual()
        api.redirect_to = api.url + "/elsewhere"
        self.before = made.endpoints()
        return made, api

    def test_of_devices(self):
        made, api = self.start()
        self.assertEqual(set(REASONS) | set(SLOW) | {"empty"}, set(FAULTS) | {"401", "403", "404", "500", "503"})
        written = made.written()
        for fault, reason in REASONS.items():
            with self.subTest(fault):
                try:
                    api.fail(fault, "devices")
                    made.poll()
                    self.meets(made, api, reason)
                finally:
                    self.recovers(made, api)
        self.assertEqual(made.generated(), written)
        self.ends_well(made)

    def test_of_headscale(self):
        """The same by Headscale's own API."""
        api = self.api(mode="headscale-v1")
        made = self.world(secret(api_key=api.add_key()), tailnet(api, type="Headscale"), exposed("corp")).synced()
        api.redirect_to, self.before = api.url + "/elsewhere", made.until(made.endpoints, "all are programmed")
        for fault, reason in REASONS.items():
            with self.subTest(fault):
                try:
                    api.fail("garbage" if fault == "endless" else fault, "nodes")
                    made.poll()
                    self.meets(made, api, "." if fault == "endless" else reason)
                finally:
                    self.recovers(made, api)
        self.ends_well(made)

    def test_of_tokens(self):
        made, api = self.start()
        for fault in ("half", "cut", "html", "nothing", "other-document", "endless-text", "deep", "reset", "redirect", "401", "403", "404", "500", "too-many"):
            with self.subTest(fault):
                try:
                    api.fail(fault, "token")
                    api.revoke()
                    made.poll()
                    self.meets(made, api, ".")
                finally:
                    self.recovers(made, api)
        self.ends_well(made)

    def test_of_tls(self):
        """Nothing is asked, let alone told, before the server has shown who it is."""
        made, api = self.start()
        for kind in TLS:
            with self.subTest(kind):
                try:
                    api.set_tls(kind)
                    n = len(api.requests)
                    made.poll()
                    self.meets(made, api, "TLSFailed")
                    self.assertEqual(len(api.requests), n)
                finally:
                    self.recovers(made, api)
        self.ends_well(made)

    def test_server_that_is_gone(self):
        made, api = self.start()
        api.close()
        made.poll()
        self.meets(made, api, "ConnectFailed|TLSFailed|TransferFailed")
        self.ends_well(made)

    def test_wrong_types(self):
        """Each member of a device with each value that is not of its type: one list for each member."""
        made, api = self.start()
        for field, kind in DEVICE_FIELDS.items():
            wrong, n = [v for v in WRONG_VALUES if not isinstance(v, kind)], len(api.asked("devices"))
            if field == "nodeId":
                continue  # see below
            # The first devices are the good ones with a wrong member; the last good one stays as it is.
            api.change["devices"] = lambda devices, f=field, w=wrong: [{**d, f: v} for d, v in zip(devices[:-1], w)] + devices[-1:] + [
                {**device(f"web-{i}", 1000 + i), f: v} for i, v in enumerate(w)]
            made.poll()
            made.until(lambda n=n: len(api.asked("devices")) > n, f"a list with a wrong {field} was asked for")
            made.until(lambda: made.tailnet()["nextPoll"], "it was read")
            if field in ("name", "addresses"):  # without which nothing can be done with a device
                made.until(lambda: made.tailnet()["invalidDevices"] > 0, "some are left out")
                self.assertTrue(made.tailnet()["invalidText"])
        self.recovers(made, api)
        self.assertEqual([line for line in made.log().splitlines() if "endpoint left" in line], [])
        self.ends_well(made)

    def test_node_id_that_is_none(self):
        """Then the older `id` is who the device is: another endpoint, in the same place and under the same host."""
        made, api = self.start()
        api.change["devices"] = lambda devices: [{**d, "nodeId": v} for d, v in zip(devices, (None, True, [], {}, 0.5, "n6CNTRL"))]
        made.poll()
        made.until(lambda: api.devices[0]["id"] in {e["nodeID"] for e in made.entry()["endpoints"]}, "it has its older id")
        self.assertEqual((made.endpoints(), made.hosts(), made.entry()["held"]["endpoints"]), (self.before, HOSTS, 0))
        self.recovers(made, api)
        self.ends_well(made)

    def test_duplicate_ids(self):
        made, api = self.start()
        for order in (1, -1):
            api.change["devices"] = lambda devices, o=order: (devices + [device("api-9", 1), device("web", 2)])[::o]
            made.poll()
            made.until(lambda: made.tailnet()["invalidDevices"] == 2, "two devices are left out")
            self.assertLessEqual({e[1] for e in made.endpoints()}, {e[1] for e in self.before})
            self.assertEqual(len(made.endpoints()), len(self.before))
        self.recovers(made, api)
        self.ends_well(made)

    def test_hostile_names(self):
        """Names with dots, upper case, control characters and 300 bytes; addresses that are not; years 0001 and 9999."""
        made, api = self.start()
        names = ["API-UP", "api-a.b.c", "api-" + "x" * 300, "api-\x00", "api-\x1b[31m", "api-ä", "api-\u202e", "api-\ud800", "", ".", "api-..", "api- ", "api-\n", "-api", "api-é" * 40, "*"]
        api.devices += [device(n, 1000 + i, hostname=n) for i, n in enumerate(names)]
        api.devices += [device(f"api-h{i}", 2000 + i, addresses=a) for i, a in enumerate((["1.2.3"], ["999.1.1.1"], ["127.0.0.1"], ["::1"], ["100.64.0.1%lo"], [""], ["100.64.0.1:80"],
                                                                                          ["fd7a:115c:a1e0::7"], ["169.254.169.254"], ["0x64.64.0.1"], ["100.64.0.01"]))]
        api.devices += [device(f"api-t{i}", 3000 + i, lastSeen=t, expires=t, created=t, connectedToControl=True, keyExpiryDisabled=i % 2 == 0)
                        for i, t in enumerate(("0001-01-01T00:00:00Z", "9999-12-31T23:59:59Z", "", "x", "2026-02-30T00:00:00Z", "2026-01-01T00:00:60Z", "2026-01-01 00:00:00", "99999-01-01T00:00:00Z"))]
        made.poll()
        made.until(lambda: "api-h7.ts.local" in made.hosts(), "they are read")
        self.assertEqual([h for h in HOSTS if h not in made.hosts()], [])
        for e in made.entry()["endpoints"]:
            self.assertRegex(e["tailscaleIP"], r"^(100\.|fd7a:115c:a1e0::)", e)
            self.assertRegex(e["name"], r"^[a-z0-9-]{1,63}$", e)
        status = made.status()
        self.assertNotRegex(status, r"[\x00-\x08\x0b-\x1f]")
        self.assertIn("AddressRefused", status)
        self.ends_well(made)


if __name__ == "__main__":
    if len(sys.argv) < 2 or sys.argv[1].startswith("-"):
        sys.exit(__doc__)
    runner.PROGRAM = os.path.abspath(sys.argv.pop(1))
    os.environ.setdefault("UBSAN_OPTIONS", "halt_on_error=1:print_stacktrace=1")
    unittest.main()
