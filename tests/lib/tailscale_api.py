# SPDX-License-Identifier: Apache-2.0
"""A scripted Tailscale API over TLS, for what no real peer offers: API v2 with OAuth, workload identity and Services, and its failures.

    with TailscaleAPI(Certificates(folder)) as api:
        client_id, client_secret = api.add_client("devices:core:read services:read")
        api.devices = [device("api-0", 1), shared_in("api-1", 2)]
        api.add_service("web", ["tcp:443"], hosts=[1])
        api.fail("half", "devices")            # one of FAULTS, or a status; until api.heal()

Every request is kept in `requests`. `mode` is what the server is:

tailscale      API v2 as Tailscale documents it: full names, connectedToControl, Services
headscale      API v2 as Headscale (0.30 and newer) has it: short names, another order in every answer, problem+json, no Services; and its own API v1
headscale-v1   Headscale before that: its own API v1 alone
"""

import base64
import hashlib
import hmac
import http.server
import itertools
import json
import random
import re
import secrets
import socket
import threading
import time
import urllib.parse

from .api_faults import FAULTS, KEPT_OPEN, PIECE_SECONDS
from .netns import Here
from .tailscale_data import DEVICE_FIELDS, ONLY_ALL, address, instant, node_id
from .web import Server

MODES = ("tailscale", "headscale", "headscale-v1")
PROBLEM, JSON, FORM, TEXT = "application/problem+json", "application/json", "application/x-www-form-urlencoded", "text/plain; charset=utf-8"


def _b64url(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _unb64url(text):
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def scope_covers(granted, needed):
    """Does one granted scope contain the needed one? A write scope contains its read scope, a group what is below it."""
    if granted == "all" or granted == needed:
        return True
    if needed.endswith(":read"):
        base = needed[:-len(":read")]
        if granted in ("all:read", base):
            return True
        if granted.endswith(":read"):
            return base.startswith(granted[:-len(":read")] + ":")
        return base.startswith(granted + ":")
    return not granted.endswith(":read") and needed.startswith(granted + ":")


class Asked:
    """One request. `auth` is none, bearer, basic, form or jwt; `credential` what it showed; `status` what it was answered with, None where nothing was."""

    def __init__(self, handler, path, query, form):
        self.at, self.method, self.path, self.query, self.form = time.monotonic(), handler.command, path, query, form
        self.headers = {k.lower(): v for k, v in handler.headers.items()}
        self.auth, self.credential, self.status = "none", "", None
        scheme, _, rest = self.headers.get("authorization", "").partition(" ")
        if scheme.lower() == "bearer":
            self.auth, self.credential = "bearer", rest.strip()
        elif scheme.lower() == "basic":
            self.auth, self.credential = "basic", base64.b64decode(rest + "==").decode("latin-1")
        elif "jwt" in form:
            self.auth, self.credential = "jwt", form["jwt"]
        elif "client_secret" in form:
            self.auth, self.credential = "form", f"{form.get('client_id', '')}:{form['client_secret']}"

    def __repr__(self):
        return f"Asked({self.method} {self.path} {self.query}, {self.auth}, {self.status})"


class Refused(Exception):
    """An answer that is not 200."""

    def __init__(self, status, message, **more):
        super().__init__(message)
        self.status, self.message, self.more = status, message, more


class Token:
    def __init__(self, scopes, ends, client):
        self.scopes, self.ends, self.client = scopes, ends, client


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = 65536
    disable_nagle_algorithm = True
    api, asked, where = None, None, ""

    def setup(self):
        tls = self.api.tls
        if tls == "silent":
            while self.api.tls == "silent" and not self.api.over.wait(PIECE_SECONDS):
                pass
            raise ConnectionError("never spoke")
        if tls == "garbage":
            self.request.sendall(b"220 mail.example ESMTP\r\n")
            raise ConnectionError("does not speak TLS")
        if tls:
            try:
                self.request = self.api.certificates.server(tls).wrap_socket(self.request, server_side=True)
                self.api.handshakes.append((tls, True))
            except OSError:
                self.api.handshakes.append((tls, False))
                raise
        self.api.connections.add(self.request)
        super().setup()

    def finish(self):
        self.api.connections.discard(self.connection)
        try:
            super().finish()
        except (OSError, ValueError):
            pass  # the caller hung up first
        self.connection.close()

    def log_message(self, format, *args):
        pass

    def faulty(self):
        """Is the fault that this request met still in place?"""
        return self.api.fault(self.where) is not None

    def head(self, status, kind=JSON, length=None, **headers):
        self.asked.status = status
        self.send_response(status)
        self.send_header("Content-Type", kind)
        if length is None:
            self.send_header("Transfer-Encoding", "chunked")
        else:
            self.send_header("Content-Length", str(length))
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()

    def send(self, status, body, kind=JSON, length=None, **headers):
        self.head(status, kind, len(body) if length is None else length, **headers)
        self.wfile.write(body)
        if length is not None:
            self.close_connection = True

    def stream(self, first, pieces):
        """Chunks until the caller has enough, or the fault is gone."""
        self.head(200)
        for piece in itertools.chain([first], pieces):
            self.wfile.write(b"%x\r\n%s\r\n" % (len(piece), piece))
            if self.api.over.is_set() or not self.faulty():
                break
        self.close_connection = True

    def answer(self):
        path, _, query = self.path.partition("?")
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        form = dict(urllib.parse.parse_qsl(body.decode("latin-1"), keep_blank_values=True)) if self.headers.get_content_type() == FORM else {}
        self.asked = Asked(self, path, dict(urllib.parse.parse_qsl(query)), form)
        self.api.requests.append(self.asked)
        self.where = self.api.where(path)
        fault = self.api.fault(self.where)
        if isinstance(fault, int):
            self.send(fault, self.api.error_body(fault, "injected"), self.api.error_kind())
            return
        try:
            good = self.api.route(self.asked)
            if callable(fault):
                fault(self, good)
                if fault not in KEPT_OPEN:
                    self.close_connection = True
            else:
                self.send(200, good)
        except Refused as e:
            self.send(e.status, e.more.get("body") or self.api.error_body(e.status, e.message), e.more.get("kind") or self.api.error_kind())

    do_GET = do_POST = do_PUT = do_DELETE = do_PATCH = answer


class TailscaleAPI:
    """The server, on loopback, in threads of its own until `close`. What it holds may be changed at any time, from any thread.

    devices    as `device` makes them; `services` maps "svc:…" to what add_service made
    paths      under which Services are found: "services", "vip-services", or both
    tls        the kind of certificate (certificates.KINDS), "silent" or "garbage"; None: plain http
    life       seconds that a token is good for; `said_life`, where it is given, what it says instead
    retry_after, redirect_to   the header of the faults too-many and redirect
    requests   every request, in order; `handshakes`: (kind, did it succeed) of every connection
    """

    def __init__(self, certificates=None, mode="tailscale", paths=("services", "vip-services"), ns=None, port=0, domain="corp.ts.net"):
        assert mode in MODES, mode
        self.certificates, self.mode, self.paths, self.domain = certificates, mode, tuple(paths), domain
        self.tls = "good" if certificates else None
        self.devices, self.services, self.hosts = [], {}, {}
        self.requests, self.handshakes, self.connections = [], [], set()
        self.clients, self.identities, self.tokens = {}, {}, {}
        self.hosts_scope = "services:read"
        self.life, self.said_life, self.retry_after, self.redirect_to = 3600, None, "1", ""
        self.change = {}  # kind of request -> called with the list that is about to be answered; returns what is answered instead
        self.faults, self.over = {}, threading.Event()
        self.order = random.Random(1)
        self.issuer_key = secrets.token_bytes(32)
        handler = type("Handler", (Handler,), {"api": self})
        with (ns or Here()).inside():
            self.server = Server(("127.0.0.1", port), handler)
        self.port = self.server.server_port = self.server.socket.getsockname()[1]
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True)
        self.thread.start()

    @property
    def url(self):
        return f"{'https' if self.certificates else 'http'}://127.0.0.1:{self.port}"

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.close()

    def close(self):
        self.over.set()
        self.server.shutdown()
        self.server.server_close()
        self.drop_connections()
        self.thread.join(5)

    def drop_connections(self):
        """Ends kept connections, so that the next request makes a new one."""
        for c in list(self.connections):
            try:
                c.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass

    def set_tls(self, kind):
        self.tls = kind
        self.drop_connections()

    # Credentials

    def add_client(self, scopes="devices:core:read services:read", client_id=None):
        """An OAuth client; returns (client_id, client_secret). Of an id that is there: the secret is rotated, and the old one is no longer good."""
        client_id = client_id or f"k{len(self.clients) + 1}{secrets.token_hex(4)}"
        prefix = "tskey" if self.mode == "tailscale" else "hskey"
        secret = f"{prefix}-client-{client_id}-{secrets.token_hex(8)}"
        self.clients[client_id] = (secret, scopes.split())
        return client_id, secret

    def add_identity(self, scopes="devices:core:read services:read", subject="system:serviceaccount:demo:gateway"):
        """A federated identity; returns its client_id. Tokens of `jwt` are good for it."""
        client_id = f"T{len(self.identities) + 1}{secrets.token_hex(4)}/k{secrets.token_hex(4)}"
        self.identities[client_id] = (subject, scopes.split())
        return client_id

    def jwt(self, client_id, subject=None, seconds=600):
        """What a token file may hold: an ID token for that identity."""
        claims = {"iss": "https://issuer.example", "aud": f"api.tailscale.com/{client_id}", "exp": int(time.time() + seconds), "jti": secrets.token_hex(4),
                  "sub": subject or self.identities[client_id][0]}
        signed = _b64url(b'{"alg":"HS256","typ":"JWT"}') + "." + _b64url(json.dumps(claims).encode())
        return signed + "." + _b64url(hmac.new(self.issuer_key, signed.encode(), hashlib.sha256).digest())

    def add_key(self, scopes="all", seconds=86400):
        """An API access token."""
        return self._issue("tskey-api" if self.mode == "tailscale" else "hskey-api", scopes.split(), seconds, None)

    def revoke(self, token=None):
        """That token, or all that OAuth clients have; the next call with one is answered with 401."""
        for t in [token] if token else [t for t, v in self.tokens.items() if v.client]:
            self.tokens.pop(t, None)

    def revoke_client(self, client_id):
        """The client, and with it all tokens that were made from it."""
        self.clients.pop(client_id, None)
        self.identities.pop(client_id, None)
        for t in [t for t, v in self.tokens.items() if v.client == client_id]:
            self.tokens.pop(t)

    def _issue(self, prefix, scopes, seconds, client):
        token = f"{prefix}-{secrets.token_hex(12)}"
        self.tokens[token] = Token(scopes, time.monotonic() + seconds, client)
        return token

    # What it holds

    def add_service(self, label, ports, hosts=(), number=None, **changes):
        """A Tailscale Service; `hosts` are numbers of devices that serve it, approved and ready, or whole entries."""
        number = number or 50000 + len(self.services)
        name = f"svc:{label}"
        self.services[name] = {"name": name, "displayName": "", "addrs": [address(number), f"fd7a:115c:a1e0::{number:x}"], "comment": "", "annotations": {},
                               "ports": list(ports), "tags": [], **changes}
        self.hosts[name] = [{"stableNodeID": node_id(h), "approvalLevel": "approved:auto", "configured": "ready"} if isinstance(h, int) else h for h in hosts]
        return name

    # Faults

    def fail(self, how, where="*"):
        """From now on requests of that kind (devices, services, hosts, token, exchange, nodes; *: all) are answered with that fault or status."""
        self.faults[where] = int(how) if str(how).isdigit() else FAULTS[how]

    def heal(self):
        self.faults.clear()
        self.change.clear()
        if self.certificates and self.tls != "good":
            self.set_tls("good")

    def fault(self, where):
        return self.faults.get(where, self.faults.get("*"))

    # What was asked

    def asked(self, where, since=0.0):
        """The requests of that kind."""
        return [r for r in list(self.requests) if self.where(r.path) == where and r.at >= since]

    @staticmethod
    def where(path):
        for pattern, where in ((r"/api/v2/oauth/token", "token"), (r"/api/v2/oauth/token-exchange", "exchange"), (r"/api/v2/tailnet/[^/]+/devices", "devices"),
                               (r"/api/v2/tailnet/[^/]+/(vip-)?services", "services"), (r"/api/v2/tailnet/[^/]+/(vip-)?services/[^/]+/devices", "hosts"),
                               (r"/api/v1/node", "nodes")):
            if re.fullmatch(pattern, path):
                return where
        return "other"

    # Answers

    def error_kind(self):
        return JSON if self.mode == "tailscale" else PROBLEM

    def error_body(self, status, message):
        return json.dumps({"message": message} if self.mode == "tailscale" else {"message": message, "status": status}).encode()

    def route(self, asked):
        """The body of a good answer; Refused of any other."""
        path = asked.path
        if self.mode != "tailscale" and path in ("/health", "/version"):
            return b'{"status":"pass"}' if path == "/health" else json.dumps({"version": "v0.30.0" if self.mode == "headscale" else "v0.29.2"}).encode()
        if self.mode == "headscale-v1" and path.startswith("/api/"):
            # It asks who is there before it looks where they want to go.
            if asked.auth != "bearer" or not self._token(asked):
                raise Refused(401, "", body=b"Unauthorized", kind=TEXT)
            if path == "/api/v1/node":
                return json.dumps({"nodes": self.shown(asked, self.nodes())}).encode()
            raise Refused(404, "", body=b"404 page not found\n", kind=TEXT)
        if path == "/api/v2/oauth/token" and asked.method == "POST":
            return self.give_token(asked)
        if path == "/api/v2/oauth/token-exchange" and asked.method == "POST" and self.mode == "tailscale":
            return self.exchange(asked)
        if self.mode == "headscale" and path == "/api/v1/node":
            if asked.auth != "bearer" or not self._token(asked) or self._token(asked).client:
                raise Refused(401, "", body=b'{"title":"Unauthorized","status":401,"detail":"Unauthorized"}')
            return json.dumps({"nodes": self.shown(asked, self.nodes())}).encode()
        return self.route_v2(asked)

    def route_v2(self, asked):
        m = re.fullmatch(r"/api/v2/tailnet/([^/]+)/devices", asked.path)
        if m and asked.method == "GET":
            self.need(asked, "devices:core:read", m[1])
            return json.dumps({"devices": self.shown(asked, self.listed(asked.query))}).encode()
        m = re.fullmatch(r"/api/v2/device/([^/]+)", asked.path)
        if m and asked.method == "GET":
            self.need(asked, "devices:core:read")
            for d in self.listed({"fields": asked.query.get("fields", "default")}):
                if urllib.parse.unquote(m[1]) in (d.get("nodeId"), d.get("id")):
                    return json.dumps(d).encode()
            raise Refused(404, "device not found")
        m = re.fullmatch(r"/api/v2/tailnet/([^/]+)/(services|vip-services)(?:/([^/]+))?(/devices|/device/([^/]+)/approved)?", asked.path)
        if m and self.mode == "tailscale" and m[2] in self.paths:
            return self.service_answer(asked, m)
        if self.mode == "headscale":
            raise Refused(404, "", body=b"404 page not found\n", kind=TEXT)
        raise Refused(404, "not found")

    def service_answer(self, asked, m):
        self.need(asked, self.hosts_scope if m[4] else "services:read", m[1])
        if not m[3]:
            return json.dumps({"vipServices": self.shown(asked, list(self.services.values()))}).encode()
        name = urllib.parse.unquote(m[3])
        if name not in self.services:
            raise Refused(404, "service not found")
        if not m[4]:
            return json.dumps(self.services[name]).encode()
        hosts = self.hosts.get(name, [])
        if m[4] == "/devices":
            return json.dumps({"hosts": self.shown(asked, hosts)}).encode()
        for h in hosts:
            if h["stableNodeID"] == urllib.parse.unquote(m[5]):
                return json.dumps({"approved": h["approvalLevel"].startswith("approved"), "autoApproved": h["approvalLevel"] == "approved:auto"}).encode()
        raise Refused(404, "device not found")

    def shown(self, asked, entries):
        change = self.change.get(self.where(asked.path))
        return change(entries) if change else entries

    def _token(self, asked):
        text = asked.credential if asked.auth == "bearer" else asked.credential.partition(":")[0]
        token = self.tokens.get(text)
        return token if token and token.ends > time.monotonic() else None

    def need(self, asked, scope, tailnet="-"):
        token = self._token(asked) if asked.auth in ("bearer", "basic") else None
        if token is None:
            raise Refused(401, "unauthorized" if self.mode == "headscale" else "API token invalid")
        if urllib.parse.unquote(tailnet) not in (("-",) if self.mode == "headscale" else ("-", self.domain, "example.com")):
            raise Refused(404, "tailnet not found")
        if not any(scope_covers(s, scope) for s in token.scopes):
            raise Refused(403, f"token is missing the required scope {scope}" if self.mode == "headscale" else "calling actor does not have enough permissions to perform this function")

    def token_error(self, status, code, text):
        body = {"error": code, "error_description": text} if self.mode == "headscale" else {"message": text}
        return Refused(status, text, body=json.dumps(body).encode(), kind=JSON)

    def give_token(self, asked):
        if asked.auth not in ("form", "basic"):
            raise self.token_error(401, "invalid_client", "missing client credentials")
        if asked.form.get("grant_type", "client_credentials") != "client_credentials":
            raise self.token_error(400, "unsupported_grant_type", "only client_credentials")
        client_id, _, secret = asked.credential.partition(":")
        if asked.auth == "basic":
            client_id, secret = urllib.parse.unquote(client_id), urllib.parse.unquote(secret)
        known, scopes = self.clients.get(client_id, ("", []))
        if not known or not hmac.compare_digest(known, secret):
            raise self.token_error(401, "invalid_client", "invalid client credentials")
        wanted = asked.form.get("scope", "").split() or scopes
        for w in wanted:
            if not any(scope_covers(s, w) for s in scopes):
                raise self.token_error(400, "invalid_scope", f"scope {w} is not granted to this client")
        return self.token_answer(wanted, client_id)

    def exchange(self, asked):
        client_id, jwt = asked.form.get("client_id", ""), asked.form.get("jwt", "")
        subject, scopes = self.identities.get(client_id, ("", []))
        try:
            signed, _, signature = jwt.rpartition(".")
            right = hmac.compare_digest(hmac.new(self.issuer_key, signed.encode(), hashlib.sha256).digest(), _unb64url(signature))
            claims = json.loads(_unb64url(signed.partition(".")[2])) if right else {}
        except ValueError:
            claims = {}
        if not subject or claims.get("sub") != subject or claims.get("aud") != f"api.tailscale.com/{client_id}":
            raise self.token_error(401, "invalid_client", "the token is not that of the identity")
        if claims["exp"] <= time.time():
            raise self.token_error(401, "invalid_client", "the token has expired")
        return self.token_answer(scopes, client_id)

    def token_answer(self, scopes, client_id):
        token = self._issue("tskey-api" if self.mode == "tailscale" else "hskey-oauthtok", scopes, self.life, client_id)
        return json.dumps({"access_token": token, "token_type": "Bearer", "expires_in": self.life if self.said_life is None else self.said_life,
                           "scope": " ".join(sorted(scopes))}).encode()

    def listed(self, query):
        """The devices as this kind of server shows them."""
        everything = query.get("fields") == "all"
        if self.mode == "headscale":
            made = [self.as_headscale(d, everything) for d in self.devices]
            self.order.shuffle(made)
            return made
        made = [d if everything else {k: v for k, v in d.items() if k not in ONLY_ALL} for d in self.devices]
        for field, value in query.items():
            if field in DEVICE_FIELDS:
                made = [d for d in made if value in d.get(field, []) or str(d.get(field)).lower() == value.lower()]
        return made

    @staticmethod
    def number(d):
        return re.sub(r"\D", "", str(d.get("nodeId", "")))

    def as_headscale(self, d, everything):
        tagged = bool(d.get("tags"))
        made = {"addresses": d["addresses"], "name": d["name"].partition(".")[0], "id": self.number(d), "nodeId": self.number(d), "authorized": True,
                "user": "tagged-devices" if tagged else d["user"].partition("@")[0], "tags": d.get("tags", []), "keyExpiryDisabled": d["keyExpiryDisabled"],
                "created": "2026-01-02T03:04:05.678901234Z", "hostname": d["hostname"], "isEphemeral": d["isEphemeral"], "machineKey": d["machineKey"],
                "nodeKey": d["nodeKey"], "os": d["os"], "clientVersion": d["clientVersion"], "updateAvailable": False}
        if d["keyExpiryDisabled"] is False:
            made["expires"] = d["expires"]
        if not d.get("connectedToControl", True):
            made["lastSeen"] = d["lastSeen"]
        if everything:
            made.update({k: d[k] for k in ("enabledRoutes", "advertisedRoutes") if d.get(k)})
        return made

    def nodes(self):
        """The same devices as Headscale's own API has them."""
        user = {"id": "1", "name": "alice", "createdAt": "2026-01-02T03:04:05.678901234Z", "displayName": "", "email": "", "providerId": "", "provider": "",
                "profilePicUrl": ""}
        return [{"id": self.number(d), "machineKey": d["machineKey"], "nodeKey": d["nodeKey"], "discoKey": "discokey:0", "ipAddresses": d["addresses"], "name": d["hostname"],
                 "user": {**user, "id": "2147455555", "name": "tagged-devices"} if d.get("tags") else user, "lastSeen": d.get("lastSeen", instant(0)),
                 "expiry": None if d["keyExpiryDisabled"] else d["expires"], "preAuthKey": None, "createdAt": "2026-01-02T03:04:05.678901234Z",
                 "registerMethod": "REGISTER_METHOD_AUTH_KEY", "givenName": d["name"].partition(".")[0], "online": d.get("connectedToControl", True),
                 "approvedRoutes": [], "availableRoutes": [], "subnetRoutes": [], "tags": d.get("tags", [])} for d in self.devices]
