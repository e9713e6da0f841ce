# SPDX-License-Identifier: Apache-2.0
"""What Tailscale's API tells: devices with every member that they may have, and signed webhooks."""

import hashlib
import hmac
import json
import time

# Of a device, what fields=default leaves out.
ONLY_ALL = ("enabledRoutes", "advertisedRoutes", "clientConnectivity", "postureIdentity", "sshEnabled", "distro")
# Every member that a device may have, by type: a test that walks it walks them all.
DEVICE_FIELDS = {
    "addresses": list, "id": str, "nodeId": str, "user": str, "name": str, "hostname": str, "clientVersion": str, "updateAvailable": bool, "os": str,
    "created": str, "connectedToControl": bool, "lastSeen": str, "keyExpiryDisabled": bool, "expires": str, "authorized": bool, "isExternal": bool,
    "multipleConnections": bool, "machineKey": str, "nodeKey": str, "blocksIncomingConnections": bool, "enabledRoutes": list, "advertisedRoutes": list,
    "clientConnectivity": dict, "tags": list, "tailnetLockError": str, "tailnetLockKey": str, "sshEnabled": bool, "postureIdentity": dict,
    "isEphemeral": bool, "distro": dict}
SERVICE_FIELDS = {"name": str, "displayName": str, "addrs": list, "comment": str, "annotations": dict, "ports": list, "tags": list}
HOST_FIELDS = {"stableNodeID": str, "approvalLevel": str, "configured": str}
WRONG_VALUES = (None, True, 7, -1, 0.5, 1e300, "", "x", "\x00\x1b[2J", "ä" * 200, [], [None], [[]], [7], ["x"], {}, {"x": []})
ABSENT = object()


def instant(seconds_from_now, fraction=""):
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(time.time() + seconds_from_now)) + fraction + "Z"


def node_id(number):
    return f"n{number}CNTRL"


def address(number):
    return f"100.{64 + (number >> 16)}.{number >> 8 & 255}.{number & 255}"


def device(name, number, suffix="corp.ts.net", online=True, **changes):
    """A device as Tailscale tells of it, with every member; the number makes its ids and addresses. `changes` replace members, or with ABSENT remove them."""
    made = {
        "addresses": [address(number), f"fd7a:115c:a1e0::{number:x}"], "id": str(10 ** 9 + number), "nodeId": node_id(number), "user": "alice@example.com",
        "name": f"{name}.{suffix}", "hostname": name, "clientVersion": "1.102.3-t0123456789-g0123456789", "updateAvailable": False, "os": "linux",
        "created": "2026-01-02T03:04:05Z", "connectedToControl": online, "keyExpiryDisabled": False, "expires": instant(90 * 86400), "authorized": True,
        "isExternal": False, "machineKey": f"mkey:{number:064x}", "nodeKey": f"nodekey:{number:064x}", "blocksIncomingConnections": False,
        "enabledRoutes": [], "advertisedRoutes": [],
        "clientConnectivity": {"endpoints": [f"192.0.2.1:{41641 + number % 1000}"], "mappingVariesByDestIP": None, "latency": {"Frankfurt": {"preferred": True, "latencyMs": 7.5}},
                               "clientSupports": {"hairPinning": None, "ipv6": False, "pcp": False, "pmp": False, "udp": True, "upnp": None}},
        "tags": [], "tailnetLockError": "", "tailnetLockKey": f"nlpub:{number:064x}", "sshEnabled": False,
        "postureIdentity": {"serialNumbers": [], "disabled": True}, "isEphemeral": False,
        "distro": {"name": "debian", "version": "12", "codeName": "bookworm"}}
    if not online:
        made["lastSeen"] = instant(-3600)
    made.update(changes)
    return {k: v for k, v in made.items() if v is not ABSENT}


def shared_in(name, number, suffix="other.ts.net", **changes):
    """A device of another tailnet that was shared into this one: its name is foreign, and much of it is empty text."""
    return device(name, number, suffix, **{"isExternal": True, "created": "", "clientVersion": "", "machineKey": "", "tags": ABSENT, "enabledRoutes": [],
                                           "advertisedRoutes": [], **changes})


def webhook_event(kind, tailnet="example.com", **data):
    return {"timestamp": instant(0), "version": 1, "type": kind, "tailnet": tailnet, "message": f"it happened: {kind}", "data": data}


def sign_webhook(secret, body, at=None, others=()):
    """The header that Tailscale signs a delivery with; `others` are further secrets, as while one is rotated."""
    at = int(time.time() if at is None else at)
    parts = [f"t={at}"]
    for key in (*others, secret):
        parts.append("v1=" + hmac.new(key.encode(), f"{at}.".encode() + body, hashlib.sha256).hexdigest())
    return {"Tailscale-Webhook-Signature": ",".join(parts), "Content-Type": "application/json"}
