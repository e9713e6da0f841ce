#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""tests/lib/tailscale_api.py: it answers as the real servers do, so that what is proven against it is proven. What a real Headscale 0.29 says is compared in tests/e2e."""

import base64
import http.client
import json
import os
import socket
import ssl
import sys
import tempfile
import time
import unittest
import urllib.parse

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))))
from tests.lib.api_faults import FAULTS  # noqa: E402
from tests.lib.certificates import KINDS, Certificates  # noqa: E402
from tests.lib.tailscale_api import TailscaleAPI, scope_covers  # noqa: E402
from tests.lib.tailscale_data import ABSENT, DEVICE_FIELDS, device, shared_in, sign_webhook, webhook_event  # noqa: E402

DEVICES = "/api/v2/tailnet/-/devices"
ENDLESS = ("drip", "endless", "endless-text", "endless-white", "deep", "endless-head", "hang")


class Api(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        folder = tempfile.TemporaryDirectory()
        cls.addClassCleanup(folder.cleanup)
        cls.certificates = Certificates(folder.name)

    def make(self, **more):
        made = TailscaleAPI(self.certificates, **more)
        self.addCleanup(made.close)
        made.devices = [device("api-0", 1, tags=["tag:api"]), device("api-1", 2, online=False, keyExpiryDisabled=True), shared_in("api-0", 3)]
        return made

    def ask(self, api, path, method="GET", body=None, bearer=None, basic=None, timeout=5):
        headers = {"Authorization": f"Bearer {bearer}"} if bearer else {}
        if basic is not None:
            headers["Authorization"] = "Basic " + base64.b64encode(basic.encode()).decode()
        if body is not None:
            headers["Content-Type"] = "application/x-www-form-urlencoded"
            body = urllib.parse.urlencode(body)
        c = http.client.HTTPSConnection("127.0.0.1", api.port, timeout=timeout, context=self.certificates.client())
        try:
            c.request(method, path, body, headers)
            r = c.getresponse()
            data = r.read()
            return r.status, r.headers, json.loads(data) if "json" in r.headers["Content-Type"] else data
        finally:
            c.close()

    def token(self, api, client, **more):
        status, _, answer = self.ask(api, "/api/v2/oauth/token", "POST", {"client_id": client[0], "client_secret": client[1], "grant_type": "client_credentials", **more})
        self.assertEqual(status, 200, answer)
        return answer

    def test_oauth(self):
        api = self.make()
        client = api.add_client("devices:core services:read")
        answer = self.token(api, client)
        self.assertEqual((answer["token_type"], answer["expires_in"], answer["scope"]), ("Bearer", 3600, "devices:core services:read"))
        self.assertEqual(self.token(api, client, scope="devices:core:read")["scope"], "devices:core:read")
        for body, basic, code in (({"client_id": client[0], "client_secret": "x"}, None, 401), ({"client_id": "x", "client_secret": client[1]}, None, 401),
                                  ({}, None, 401), ({}, f"{client[0]}:{client[1]}", 200), ({"scope": "dns"}, f"{client[0]}:{client[1]}", 400),
                                  ({"grant_type": "password", "client_id": client[0], "client_secret": client[1]}, None, 400)):
            self.assertEqual(self.ask(api, "/api/v2/oauth/token", "POST", body, basic=basic)[0], code, (body, basic))
        self.assertEqual([r.auth for r in api.asked("token")], ["form", "form", "form", "form", "none", "basic", "basic", "form"])
        bearer = answer["access_token"]
        self.assertEqual((self.ask(api, DEVICES, bearer=bearer)[0], self.ask(api, DEVICES, basic=bearer + ":")[0], self.ask(api, DEVICES)[0]), (200, 200, 401))
        new = api.add_client("all:read", client[0])
        self.assertEqual((new[0], self.ask(api, "/api/v2/oauth/token", "POST", {"client_id": client[0], "client_secret": client[1]})[0]), (client[0], 401))
        api.revoke()
        self.assertEqual(self.ask(api, DEVICES, bearer=bearer)[0], 401)
        api.life = 0
        self.assertEqual(self.ask(api, DEVICES, bearer=self.token(api, new)["access_token"])[0], 401)

    def test_workload_identity(self):
        api = self.make()
        client_id = api.add_identity("devices:core:read")
        for jwt, code in ((api.jwt(client_id), 200), (api.jwt(client_id, seconds=-1), 401), (api.jwt(client_id, subject="other"), 401),
                          (api.jwt(client_id)[:-4] + "AAAA", 401), ("x", 401), ("a.b.c", 401)):
            status, _, answer = self.ask(api, "/api/v2/oauth/token-exchange", "POST", {"client_id": client_id, "jwt": jwt})
            self.assertEqual(status, code, jwt)
            if code == 200:
                self.assertEqual(self.ask(api, DEVICES, bearer=answer["access_token"])[0], 200)
                self.assertEqual(self.ask(api, "/api/v2/tailnet/-/services", bearer=answer["access_token"])[0], 403)

    def test_scopes(self):
        for granted, needed, covers in (("devices:core:read", "devices:core:read", True), ("devices:core", "devices:core:read", True), ("devices", "devices:core:read", True),
                                        ("devices:read", "devices:core:read", True), ("devices:core:read", "devices:core", False), ("all:read", "services:read", True),
                                        ("all:read", "services", False), ("all", "services", True), ("services:read", "devices:core:read", False), ("dev", "devices:read", False)):
            self.assertEqual(scope_covers(granted, needed), covers, (granted, needed))

    def test_devices(self):
        api = self.make()
        key = api.add_key("devices:core:read")
        everything = self.ask(api, DEVICES + "?fields=all", bearer=key)[2]["devices"]
        default = self.ask(api, DEVICES, bearer=key)[2]["devices"]
        said = set().union(*everything)
        self.assertEqual(set(DEVICE_FIELDS) - said, {"multipleConnections"})  # which is told only where it is true
        self.assertEqual(said - set().union(*default), {"enabledRoutes", "advertisedRoutes", "clientConnectivity", "postureIdentity", "sshEnabled", "distro"})
        for d in everything:
            for k, v in d.items():
                self.assertIsInstance(v, DEVICE_FIELDS[k], k)
        self.assertEqual([("lastSeen" in d, d["connectedToControl"]) for d in everything], [(False, True), (True, False), (False, True)])
        foreign = everything[2]
        self.assertEqual((foreign["isExternal"], foreign["created"], foreign["clientVersion"], foreign["machineKey"], "tags" in foreign), (True, "", "", "", False))
        self.assertEqual(self.ask(api, "/api/v2/tailnet/other.example/devices", bearer=key)[0], 404)
        self.assertEqual(self.ask(api, DEVICES + "?tags=tag:api", bearer=key)[2]["devices"][0]["hostname"], "api-0")
        self.assertEqual(self.ask(api, "/api/v2/device/n2CNTRL", bearer=key)[2]["hostname"], "api-1")
        self.assertNotIn("user", device("x", 1, user=ABSENT))

    def test_services(self):
        for paths in (("services",), ("vip-services",), ("services", "vip-services"), ()):
            api = self.make(paths=paths)
            key = api.add_key("services:read")
            api.add_service("web", ["tcp:443", "tcp:80-90"], hosts=[1, {"stableNodeID": "n2CNTRL", "approvalLevel": "not-approved", "configured": "ready"}])
            for path in ("services", "vip-services"):
                at = f"/api/v2/tailnet/-/{path}"
                self.assertEqual(self.ask(api, at, bearer=key)[0], 200 if path in paths else 404)
                if path in paths:
                    listed = self.ask(api, at, bearer=key)[2]["vipServices"]
                    self.assertEqual([(s["name"], s["ports"], len(s["addrs"])) for s in listed], [("svc:web", ["tcp:443", "tcp:80-90"], 2)])
                    self.assertEqual([h["approvalLevel"] for h in self.ask(api, at + "/svc%3Aweb/devices", bearer=key)[2]["hosts"]], ["approved:auto", "not-approved"])
                    self.assertEqual(self.ask(api, at + "/svc:web/device/n2CNTRL/approved", bearer=key)[2], {"approved": False, "autoApproved": False})
                    self.assertEqual(self.ask(api, at + "/svc:nosuch/devices", bearer=key)[0], 404)
            self.assertEqual(self.ask(api, DEVICES, bearer=key)[0], 403)

    def test_headscale(self):
        """API v2 as Headscale has it: what it lacks is as important as what it has."""
        api = self.make(mode="headscale")
        client = api.add_client("devices:core:read")
        status, headers, answer = self.ask(api, "/api/v2/oauth/token", "POST", {"client_id": "x", "client_secret": "y"})
        self.assertEqual((status, headers["Content-Type"], answer["error"]), (401, "application/json", "invalid_client"))
        bearer = self.token(api, client)["access_token"]
        listed = self.ask(api, DEVICES + "?fields=all&tags=tag:none", bearer=bearer)[2]["devices"]
        self.assertEqual(len(listed), 3)  # filters mean nothing to it
        one = next(d for d in listed if d["id"] == "1")
        self.assertEqual(set(one), {"addresses", "name", "id", "nodeId", "authorized", "user", "tags", "keyExpiryDisabled", "created", "hostname", "isEphemeral", "machineKey",
                                    "nodeKey", "os", "clientVersion", "updateAvailable", "expires"})
        self.assertEqual((one["name"], one["nodeId"], one["user"], one["tags"]), ("api-0", "1", "tagged-devices", ["tag:api"]))
        self.assertEqual({d["id"]: "lastSeen" in d for d in listed}, {"1": False, "2": True, "3": False})
        self.assertNotIn("expires", next(d for d in listed if d["id"] == "2"))
        self.assertGreater(len({tuple(d["id"] for d in self.ask(api, DEVICES, bearer=bearer)[2]["devices"]) for _ in range(12)}), 1)
        status, headers, answer = self.ask(api, "/api/v2/tailnet/example.com/devices", bearer=bearer)
        self.assertEqual((status, headers["Content-Type"], answer), (404, "application/problem+json", {"message": "tailnet not found", "status": 404}))
        self.assertEqual(self.ask(api, DEVICES, bearer="x")[2], {"message": "unauthorized", "status": 401})
        for path in ("services", "vip-services", "webhooks"):
            status, headers, answer = self.ask(api, f"/api/v2/tailnet/-/{path}", bearer=bearer)
            self.assertEqual((status, headers.get_content_type(), answer), (404, "text/plain", b"404 page not found\n"))
        self.assertEqual(self.ask(api, "/api/v1/node", bearer=bearer)[0], 401)
        self.assertEqual(len(self.ask(api, "/api/v1/node", bearer=api.add_key())[2]["nodes"]), 3)
        poor = self.token(api, api.add_client("dns:read"))["access_token"]
        self.assertEqual(self.ask(api, DEVICES, bearer=poor)[2], {"message": "token is missing the required scope devices:core:read", "status": 403})

    def test_headscale_before_v2(self):
        """It asks for a key before it says that a path is not there."""
        api = self.make(mode="headscale-v1")
        key = api.add_key()
        for path, how, code in (("/health", {}, 200), ("/version", {}, 200), ("/api/v1/node", {}, 401), ("/api/v1/node", {"basic": key + ":"}, 401),
                                ("/api/v1/node", {"bearer": key}, 200), (DEVICES, {}, 401), (DEVICES, {"bearer": key}, 404)):
            self.assertEqual(self.ask(api, path, **how)[0], code, (path, how))
        self.assertEqual(self.ask(api, "/api/v2/oauth/token", "POST", {"client_id": "x", "client_secret": "y"})[2], b"Unauthorized")
        node = self.ask(api, "/api/v1/node", bearer=key)[2]["nodes"][1]
        self.assertEqual((node["id"], node["givenName"], node["online"], node["expiry"]), ("2", "api-1", False, None))

    def test_faults(self):
        api, other = self.make(), self.make()
        key = api.add_key()
        api.redirect_to = other.url
        for name in FAULTS:
            api.fail(name, "devices")
            with self.subTest(name):
                start = time.monotonic()
                try:
                    status, headers, answer = self.ask(api, DEVICES, bearer=key, timeout=0.3) if name not in ENDLESS else self.first_bytes(api, key)
                    if name == "redirect":
                        self.assertEqual((status, headers["Location"]), (302, other.url + DEVICES))
                    elif name == "too-many":
                        self.assertEqual((status, headers["Retry-After"]), (429, "1"))
                    elif name in ("trailing", "half", "open-list"):
                        self.fail("that is JSON")
                    else:
                        self.assertNotEqual(answer, {"devices": api.devices})
                except (OSError, ValueError, http.client.HTTPException):
                    self.assertNotIn(name, ("redirect", "too-many", "empty", "html", "enormous"))
                self.assertLess(time.monotonic() - start, 5)
            api.heal()
        self.assertEqual(len(self.ask(api, DEVICES, bearer=key)[2]["devices"]), 3)
        self.assertEqual(other.requests, [])
        for status in (401, 403, 404, 500, 503):
            api.fail(status)
            self.assertEqual(self.ask(api, DEVICES, bearer=key)[0], status)

    def first_bytes(self, api, key):
        """Of an answer without an end: it goes on, or is silent, for as long as somebody looks."""
        c = self.certificates.client().wrap_socket(socket.create_connection(("127.0.0.1", api.port), 5), server_hostname="127.0.0.1")
        with c:
            c.sendall(f"GET {DEVICES}?fields=all HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {key}\r\n\r\n".encode())
            c.settimeout(0.3)
            n = 0
            end = time.monotonic() + 0.6
            while time.monotonic() < end:
                got = len(c.recv(65536))
                self.assertGreater(got, 0)
                n += got
            self.assertGreater(n, 0)
        return 200, {}, n

    def test_tls(self):
        api = self.make()
        key = api.add_key()
        for kind in KINDS:
            api.set_tls(kind)
            if kind == "good":
                self.assertEqual(self.ask(api, DEVICES, bearer=key)[0], 200)
            else:
                with self.assertRaises(ssl.SSLCertVerificationError):
                    self.ask(api, DEVICES, bearer=key)
        for kind in ("garbage", "silent"):
            api.set_tls(kind)
            with self.assertRaises(OSError):
                self.ask(api, DEVICES, bearer=key, timeout=0.3)
        api.heal()
        self.assertEqual(self.ask(api, DEVICES, bearer=key)[0], 200)

    def test_webhook(self):
        """The signature as one who checks it computes it."""
        body = json.dumps([webhook_event("nodeCreated", nodeID="n1CNTRL")]).encode()
        headers = sign_webhook("tskey-webhook-x", body, at=1700000000, others=["tskey-webhook-old"])
        self.assertRegex(headers["Tailscale-Webhook-Signature"], r"^t=1700000000,v1=[0-9a-f]{64},v1=[0-9a-f]{64}$")
        # Of a fixed body, so that the helper cannot drift together with who uses it.
        self.assertEqual(sign_webhook("secret", b"[]", at=1)["Tailscale-Webhook-Signature"],
                         "t=1,v1=a5c853b21740e7a3ea2a43aec08f0535c9b3ba6abf4a8c5b0a08c001caab69bd")


if __name__ == "__main__":
    unittest.main()
