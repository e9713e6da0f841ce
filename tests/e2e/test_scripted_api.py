# SPDX-License-Identifier: Apache-2.0
"""The scripted API says what real servers say: the same requests are put to both. What is proven against the script holds for them, too.

Headscale's API v1 is compared with the Headscale that every run has; its API v2 with the program that HEADSCALE names (0.30 or newer).
"""

import json
import os
import urllib.parse

import pytest

from tests.lib.process import eventually
from tests.lib.tailscale_api import TailscaleAPI
from tests.lib.tailscale_data import device
from tests.lib.web import request

FORM = {"Content-Type": "application/x-www-form-urlencoded"}


@pytest.fixture(scope="module", params=["headscale-v1", "headscale"])
def mode(request):
    if request.param == "headscale" and not os.environ.get("HEADSCALE"):
        pytest.skip("HEADSCALE names no Headscale with API v2")
    return request.param


@pytest.fixture(scope="module")
def servers(stack, mode):
    """[(where, API key, OAuth client), …]: the real one and the script, with one tagged and one other device each."""
    more = {"program": os.environ["HEADSCALE"]} if mode == "headscale" else {}
    tailnet = stack.begin_tailnet([("api-one", ("tag:api",))], **more).end_start()
    headscale = tailnet.headscale
    api = TailscaleAPI(mode=mode, ns=stack.network.hub)
    stack.others.append(api)
    api.devices = [device("api-one", 1, tags=["tag:api"], keyExpiryDisabled=True), device("proxy-0", 2, keyExpiryDisabled=True)]
    client = ("none", "none")
    if mode == "headscale":
        made = json.loads(headscale.cli("oauth-clients", "create", "-s", "devices:core:read", "-o", "json"))
        client = made["id"], made["key"]
    eventually(lambda: all(n["online"] for n in headscale.nodes().values()), 20, "both devices are online")
    return [((stack.network.HUB, headscale.port), headscale.api_key, client), (("127.0.0.1", api.port), api.add_key(), api.add_client("devices:core:read"))]


def shape(value):
    """The types in a document; of a list, all that its elements have."""
    if isinstance(value, dict):
        return {k: shape(v) for k, v in value.items()}
    if isinstance(value, list):
        return sorted({json.dumps(shape(v), sort_keys=True) for v in value})
    return type(value).__name__


def ask(stack, where, method, path, headers=None, form=None):
    body = urllib.parse.urlencode(form) if form is not None else None
    answer = request(stack.network.hub, where[1], path, address=where[0], method=method, body=body, headers={**(headers or {}), **(FORM if form is not None else {})})
    kind = answer.headers.get_content_type()
    return answer.status, kind, answer.json() if "json" in kind else answer.body


def conversation(stack, server):
    """What one server answers to everything that the program may ask, and to what it must not."""
    where, key, (client_id, client_secret) = server
    said = {}
    with_key = {"Authorization": f"Bearer {key}"}
    good = {"client_id": client_id, "client_secret": client_secret}
    for name, form in (("token", good), ("token of nobody", {}), ("token for too much", {**good, "scope": "dns"}), ("token with a bad secret", {**good, "client_secret": "x"}),
                       ("exchange", {"client_id": "x", "jwt": "y"})):
        said[name] = ask(stack, where, "POST", "/api/v2/oauth/token" + ("-exchange" if name == "exchange" else ""), form=form)
    token = said["token"][2]["access_token"] if said["token"][0] == 200 else "none"
    for who, headers in (("nobody", {}), ("a key", with_key), ("a client", {"Authorization": f"Bearer {token}"}), ("a wrong key", {"Authorization": "Bearer x"})):
        for path in ("/health", "/api/v1/node", "/api/v2/tailnet/-/devices", "/api/v2/tailnet/-/devices?fields=all", "/api/v2/tailnet/example.com/devices",
                     "/api/v2/tailnet/-/services", "/api/v2/tailnet/-/vip-services", "/api/v2/nowhere"):
            said[f"{path} for {who}"] = ask(stack, where, "GET", path, headers)
    return said


def test_the_script_says_what_the_server_says(stack, servers):
    real, script = (conversation(stack, s) for s in servers)
    for what, (status, kind, body) in real.items():
        theirs, ours = (status, kind, body), script[what]
        if status == 200:
            assert ours[0] == 200, f"{what}: {theirs} != {ours}"
        else:  # of what is refused the words, too
            assert ours == theirs, f"{what}: {theirs} != {ours}"


def test_the_script_lists_as_the_server_does(stack, servers, mode):
    path = "/api/v1/node" if mode == "headscale-v1" else "/api/v2/tailnet/-/devices?fields=all"
    lists = []
    for where, key, _ in servers:
        body = ask(stack, where, "GET", path, {"Authorization": f"Bearer {key}"})[2]
        lists.append({(n.get("givenName") or n["name"]): n for n in body["nodes" if mode == "headscale-v1" else "devices"]})
    real, script = lists
    assert set(real) == set(script) == {"api-one", "proxy-0"}
    for name, theirs in real.items():
        ours = script[name]
        for part in ("preAuthKey",):  # which the program does not look at
            theirs.pop(part, None), ours.pop(part, None)
        assert shape(ours) == shape(theirs), name
        for member in ("name", "givenName", "tags", "online", "authorized", "hostname"):
            assert ours.get(member) == theirs.get(member), (name, member)
