# SPDX-License-Identifier: Apache-2.0
"""A reverse HTTP proxy in front of a real control server that can be told to misbehave.
Everything but the fault comes from the real server."""

import http.client
import http.server
import json
import socket
import struct
import threading

from .web import Connection, Server


class FaultyProxy:
    """Listens in the namespace. `mode` is one of

    pass     what the server says          empty    a good answer without nodes
    401 500  that status                   half     half of the server's document as if it were all
    429      with Retry-After              cut      half of it, and the connection ends where more was promised
    hang     nothing, ever                 refuse   the connection is reset
    without  the server's answer less the nodes named in `hidden`
    """

    def __init__(self, ns, port, target, target_port):
        outer = self
        self.ns, self.port, self.target, self.target_port = ns, port, target, target_port
        self.mode, self.hidden, self.retry_after = "pass", set(), 1
        self.calls = []  # (mode, path) of every request, in order
        self.lists = []  # the names in every list that was passed on
        self.changed = threading.Event()

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                mode = outer.mode
                outer.calls.append((mode, self.path))
                getattr(self, f"on_{mode}", None)() if hasattr(self, f"on_{mode}") else self.send(int(mode), b'{"message":"injected"}')
                self.close_connection = True

            def send(self, status, body, length=None, **headers):
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(body) if length is None else length))
                for name, value in headers.items():
                    self.send_header(name.replace("_", "-"), value)
                self.end_headers()
                self.wfile.write(body)

            def upstream(self):
                conn = Connection(outer.ns, outer.target, outer.target_port, 10)
                try:
                    conn.request("GET", self.path, headers={k: v for k, v in self.headers.items() if k.lower() in ("authorization", "accept")})
                    r = conn.getresponse()
                    return r.status, r.read()
                except (OSError, http.client.HTTPException):
                    return 502, b"{}"
                finally:
                    conn.close()

            def on_pass(self):
                status, body = self.upstream()
                if status == 200:
                    outer.lists.append({n["givenName"] for n in json.loads(body)["nodes"]})
                self.send(status, body)

            def on_429(self):
                self.send(429, b'{"message":"slow down"}', Retry_After=str(outer.retry_after))

            def on_half(self):
                status, body = self.upstream()
                self.send(status, body[:len(body) // 2])

            def on_cut(self):
                status, body = self.upstream()
                self.send(status, body[:len(body) // 2], length=len(body))

            def on_empty(self):
                self.send(200, b'{"nodes":[]}')

            def on_without(self):
                status, body = self.upstream()
                if status == 200:
                    kept = [n for n in json.loads(body)["nodes"] if n["givenName"] not in outer.hidden]
                    body = json.dumps({"nodes": kept}).encode()
                self.send(status, body)

            def on_hang(self):
                while outer.mode == "hang":
                    outer.changed.wait(0.2)

            def on_refuse(self):
                self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                self.connection.close()

            def finish(self):
                try:
                    super().finish()
                except (OSError, ValueError):
                    pass  # the caller hung up first

            def log_message(self, format, *args):
                pass

        with ns.inside():
            self.server = Server(("127.0.0.1", port), Handler)
        threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True).start()

    @property
    def url(self):
        return f"http://127.0.0.1:{self.port}"

    def count(self, mode=None):
        return sum(1 for m, _ in self.calls if mode in (None, m))

    def set(self, mode):
        self.mode = mode

    def close(self):
        self.mode = "pass"
        self.changed.set()
        self.server.shutdown()
        self.server.server_close()
