# SPDX-License-Identifier: Apache-2.0
"""A reverse proxy in front of a real API server that can be told to misbehave. Everything but the fault comes from the server.

It ends TLS with the API server's own certificate, so a client needs nothing but another address; callers are known by
their tokens, since a client certificate does not pass.
"""

import http.client
import http.server
import json
import select
import ssl
import threading
import time

from .cluster import API_PORT, TlsConnection
from .web import Server

FAULTS_PORT = 6444
EXPIRED = json.dumps({"type": "ERROR", "object": {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure", "reason": "Expired",
                                                  "code": 410, "message": "too old resource version: injected by a test"}}).encode() + b"\n"
FORWARDED = ("authorization", "accept", "content-type", "user-agent")


def is_watch(path):
    return "watch=1" in path or "watch=true" in path


WRITES = ("POST", "PUT", "PATCH", "DELETE")


class KubeFaults:
    """What may be set, at any time:

    delay           seconds before each answer begins
    hang            True: nothing is answered, and what was open stays open and silent
    refuse          True: connections end before a request is read, and those that are open are cut
    fail(…)         answers of that status instead of the server's
    cut_watches     seconds after which each watch ends in the middle of its stream
    expire_watches  True: each watch ends at once with an ERROR event of code 410
    frozen          watches that began before that moment (of time.monotonic) tell nothing any more
    """

    def __init__(self, cluster, port=FAULTS_PORT):
        outer = self
        self.cluster, self.port = cluster, port
        self.server = f"https://{cluster.address}:{port}"
        self.delayed = 0  # answers that waited for `delay`
        self.calls = []  # (time, method, path, status; None while it runs or where nothing was answered)
        self.lock = threading.Lock()
        self.clear()
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*cluster.pair)

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            timeout = 300

            def setup(self):
                self.request.settimeout(20)
                self.request = context.wrap_socket(self.request, server_side=True)
                super().setup()

            def answer(self):
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                call = [time.monotonic(), self.command, self.path, None]
                outer.calls.append(call)
                if outer.refuse:
                    self.close_connection = True
                    return
                while outer.hang and not outer.closed:
                    time.sleep(0.05)
                if outer.delay:
                    time.sleep(outer.delay)
                    outer.delayed += 1
                status = outer._planned(self.command, self.path)
                if status:
                    call[3] = status
                    self.refuse_with(status)
                else:
                    self.forward(body, call)

            do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = answer

            def refuse_with(self, status):
                reason = {409: "Conflict", 410: "Expired", 429: "TooManyRequests", 500: "InternalError"}.get(status, "")
                data = json.dumps({"kind": "Status", "apiVersion": "v1", "status": "Failure", "code": status, "reason": reason,
                                   "message": "injected by a test", "details": {"retryAfterSeconds": 1} if status == 429 else {}}).encode()
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(data)))
                if status == 429:
                    self.send_header("Retry-After", "1")
                self.end_headers()
                self.wfile.write(data)

            def forward(self, body, call):
                conn = TlsConnection(outer.cluster.ns, "127.0.0.1", API_PORT, 60, outer.cluster.context)
                headers = {k: v for k, v in self.headers.items() if k.lower() in FORWARDED}
                try:
                    if is_watch(self.path):
                        conn.connect()
                        self.stream(conn.sock, headers, call)
                        return
                    conn.request(self.command, self.path, body=body or None, headers=headers)
                    r = conn.getresponse()
                    data, call[3] = r.read(), r.status
                    self.send_response(r.status)
                    for name in ("Content-Type", "Retry-After"):
                        if r.headers[name]:
                            self.send_header(name, r.headers[name])
                    self.send_header("Content-Length", str(len(data)))
                    self.end_headers()
                    self.wfile.write(data)
                except (OSError, http.client.HTTPException):
                    self.close_connection = True
                finally:
                    conn.close()

            def stream(self, sock, headers, call):
                """A watch, event by event, until the server, the client or a fault ends it; a cut one has no last chunk."""
                self.close_connection = True
                lines = [f"GET {self.path} HTTP/1.1", "Host: kubernetes", "Connection: close", *(f"{k}: {v}" for k, v in headers.items()), "", ""]
                sock.sendall("\r\n".join(lines).encode())
                pending, head = b"", None
                began = time.monotonic()
                end = began + outer.cut_watches if outer.cut_watches is not None else None
                while not outer.closed and not outer.refuse and (end is None or time.monotonic() < end):
                    if outer.hang or began < outer.frozen or not (sock.pending() or select.select([sock], [], [], 0.05)[0]):
                        time.sleep(0.05 if outer.hang or began < outer.frozen else 0)
                    else:
                        data = sock.recv(65536)
                        if not data:
                            self.wfile.write(pending)
                            return
                        pending += data
                    if head is None and b"\r\n\r\n" in pending:
                        head, _, pending = pending.partition(b"\r\n\r\n")
                        call[3] = int(head.split(b" ", 2)[1])
                        self.wfile.write(head + b"\r\n\r\n")
                    if head is None:
                        continue
                    if b"chunked" not in head.lower():
                        self.wfile.write(pending)
                        pending = b""
                        continue
                    if outer.expire_watches:
                        self.wfile.write(b"%x\r\n%s\r\n0\r\n\r\n" % (len(EXPIRED), EXPIRED))
                        return
                    pending = self.pass_events(pending)

            def pass_events(self, data):
                """Whole chunks; what is left of `data`."""
                while b"\r\n" in data:
                    size, _, rest = data.partition(b"\r\n")
                    n = int(size, 16)
                    if len(rest) < n + 2:
                        break
                    time.sleep(outer.delay)
                    self.wfile.write(size + b"\r\n" + rest[:n + 2])
                    self.wfile.flush()
                    data = rest[n + 2:]
                return data

            def finish(self):
                try:
                    super().finish()
                except (OSError, ValueError):
                    pass  # the caller hung up first

            def log_message(self, format, *args):
                pass

        with cluster.ns.inside():
            self.listener = Server((cluster.address, port), Handler)
        threading.Thread(target=self.listener.serve_forever, args=(0.05,), daemon=True).start()

    def clear(self):
        self.delay, self.hang, self.refuse, self.cut_watches, self.expire_watches = 0, False, False, None, False
        self.frozen, self.closed, self.plans = 0.0, False, []

    def fail(self, status, times=None, methods=None, path=""):
        """The next `times` calls (None: all, until `clear`) of these methods whose path holds `path` are answered so."""
        with self.lock:
            self.plans.append([status, times, methods, path])

    def _planned(self, method, path):
        with self.lock:
            for plan in self.plans:
                status, times, methods, part = plan
                if (times is None or times > 0) and (methods is None or method in methods) and part in path:
                    if times is not None:
                        plan[1] -= 1
                    return status
        return None

    def count(self, status, since=0.0):
        return sum(1 for began, _, _, code in list(self.calls) if began >= since and code == status)

    def close(self):
        self.closed, self.hang = True, False
        self.listener.shutdown()
        self.listener.server_close()
