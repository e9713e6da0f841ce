# SPDX-License-Identifier: Apache-2.0
"""The tailscaled of this machine, for `TAILNET=local make run`: where it is, what it says, how its peers are reached."""

import http.client
import json
import os
import socket

SOCKETS = ["/run/tailscale/tailscaled.sock", "/var/run/tailscale/tailscaled.sock"]
PROXY = "TS_OUTBOUND_HTTP_PROXY_LISTEN"  # tailscaled's own variable
TIMEOUT_SECONDS = 10


class LocalError(Exception):
    """Why this machine's tailnet cannot be served, and what the reader can do."""


class Connection(http.client.HTTPConnection):
    def __init__(self, path):
        super().__init__("local-tailscaled.sock", timeout=TIMEOUT_SECONDS)
        self.path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self.path)


def ask(path, target="status"):
    """What GET /localapi/v0/TARGET answers."""
    connection = Connection(path)
    try:
        connection.request("GET", f"/localapi/v0/{target}")
        answer = connection.getresponse()
        body = answer.read()
        if answer.status != 200:
            raise LocalError(f"{path} refuses us (status {answer.status}: {body.decode(errors='replace').strip()}); run as root or as its user")
        return json.loads(body)
    except (OSError, ValueError, http.client.HTTPException) as e:
        raise LocalError(f"no answer from tailscaled on {path}: {e}") from e
    finally:
        connection.close()


def find_socket():
    if os.environ.get("TS_SOCKET"):
        return os.environ["TS_SOCKET"]
    found = [path for path in SOCKETS if os.path.exists(path)]
    if not found:
        raise LocalError(f"there is no tailscaled on this machine: no socket {' or '.join(SOCKETS)} (TS_SOCKET names another). "
                         "Start tailscaled and run `tailscale up`, or use TAILNET=file or TAILNET=headscale")
    return found[0]


def find_status(path):
    status = ask(path)
    if status.get("BackendState") != "Running":
        raise LocalError(f"the tailscaled on {path} is not up (it says {status.get('BackendState')}); run `tailscale up`")
    return status


def connectivity(status):
    """How Envoy on this machine reaches the tailnet: the value of `connectivity`."""
    if status.get("TUN"):
        return {"mode": "Direct"}
    proxy = os.environ.get(PROXY)
    if not proxy:
        raise LocalError("this tailscaled has no network device (userspace mode), so its peers are reached through its HTTP proxy: "
                         f"start it with --outbound-http-proxy-listen=127.0.0.1:3128, and say so here: {PROXY}=127.0.0.1:3128")
    return {"mode": "Proxy", "proxyAddresses": [proxy]}


def device_port():
    text = os.environ.get("DEVICE_PORT") or "80"
    if not text.isdecimal() or not 0 < int(text) < 65536:
        raise LocalError(f"DEVICE_PORT={text} is no port")
    return int(text)


def devices(status):
    """Short names of peers that are online, those of this tailnet."""
    suffix = "." + (status.get("CurrentTailnet") or {}).get("MagicDNSSuffix", "") + "."
    return sorted(p["DNSName"].partition(".")[0] for p in (status.get("Peer") or {}).values()
                  if p.get("Online") and p.get("InNetworkMap") and not p.get("ShareeNode") and p["DNSName"].endswith(suffix))
