# SPDX-License-Identifier: Apache-2.0
"""HTTP from and into namespaces: a client, a constant load, and the small server that runs on every device."""

import http.client
import http.server
import json
import socket
import socketserver
import threading
import time
import urllib.parse


class Connection(http.client.HTTPConnection):
    def __init__(self, ns, host, port, timeout):
        super().__init__(host, port, timeout=timeout)
        self.ns = ns

    def connect(self):
        with self.ns.inside():
            self.sock = socket.create_connection((self.host, self.port), self.timeout)
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)


class Tunnel(Connection):
    """Through a CONNECT proxy of that namespace: what the proxy adds to requests that it reads is not there."""

    def __init__(self, ns, proxy_port, address, port, timeout):
        super().__init__(ns, "127.0.0.1", proxy_port, timeout)
        self.to = f"{address}:{port}"

    def connect(self):
        super().connect()
        self.sock.sendall(f"CONNECT {self.to} HTTP/1.1\r\nHost: {self.to}\r\n\r\n".encode())
        head = b""
        while b"\r\n\r\n" not in head:
            piece = self.sock.recv(1)
            if not piece:
                raise ConnectionResetError(f"no answer to CONNECT {self.to}")
            head += piece
        if b" 200 " not in head.split(b"\r\n")[0]:
            raise ConnectionRefusedError(head.decode("latin-1"))


class Answer:
    """What came back, with the seconds that it took."""

    def __init__(self, status, headers, body, seconds):
        self.status, self.headers, self.body, self.seconds = status, headers, body, seconds

    def json(self):
        return json.loads(self.body)

    def __repr__(self):
        return f"Answer({self.status}, {self.body[:300]!r}, {self.seconds:.3f}s)"


def _exchange(conn, method, path, body, headers):
    start = time.monotonic()
    conn.request(method, path, body=body, headers=headers)
    r = conn.getresponse()
    data = r.read()
    return Answer(r.status, r.headers, data, time.monotonic() - start)


def request(ns, port, path="/", host=None, method="GET", body=None, headers=None, address="127.0.0.1", timeout=20):
    """One request on a connection of its own, from inside the namespace."""
    conn = Connection(ns, address, port, timeout)
    try:
        return _exchange(conn, method, path, body, {**({"Host": host} if host else {}), **(headers or {})})
    finally:
        conn.close()


def listening(ns, port, address="127.0.0.1"):
    with ns.inside():
        try:
            socket.create_connection((address, port), 1).close()
            return True
        except OSError:
            return False


class Load:
    """A constant load: so many requests a second over a few kept connections. Every outcome is kept."""

    def __init__(self, ns, port, host, path="/", rate=40, workers=4, timeout=20):
        self.ns, self.port, self.host, self.path, self.timeout = ns, port, host, path, timeout
        self.every = workers / rate
        self.results = []  # (when it began, seconds, status or error text)
        self.over = threading.Event()
        self.threads = [threading.Thread(target=self._run, args=(i / rate,), daemon=True) for i in range(workers)]

    def _run(self, delay):
        conn = None
        due = time.monotonic() + delay
        while not self.over.wait(max(0.0, due - time.monotonic())):
            due = max(due + self.every, time.monotonic() - 1)
            start = time.monotonic()
            try:
                conn = conn or Connection(self.ns, "127.0.0.1", self.port, self.timeout)
                a = _exchange(conn, "GET", self.path, None, {"Host": self.host})
                outcome = a.status
            except (OSError, http.client.HTTPException) as e:
                outcome = f"{type(e).__name__}: {e}"
                if conn:
                    conn.close()
                conn = None
            self.results.append((start, time.monotonic() - start, outcome))

    def __enter__(self):
        for t in self.threads:
            t.start()
        return self

    def __exit__(self, *exc):
        self.over.set()
        for t in self.threads:
            t.join(self.timeout + 5)

    def failures(self, since=0.0):
        return [r for r in list(self.results) if r[0] >= since and r[2] != 200]

    def count(self):
        return len(self.results)

    def report(self):
        times = sorted(r[1] for r in self.results)
        middle = times[len(times) // 2] if times else 0
        return f"{self.host}: {len(times)} requests, {len(self.failures())} failed, median {middle * 1000:.1f} ms, worst {times[-1] * 1000 if times else 0:.0f} ms"


class Server(socketserver.ThreadingMixIn, http.server.HTTPServer):
    """An HTTP server with a thread for each connection."""

    daemon_threads = True
    request_queue_size = 64

    def server_bind(self):
        socketserver.TCPServer.server_bind(self)  # HTTPServer's own asks a name server for our name
        self.server_name, self.server_port = "", self.server_address[1]

    def handle_error(self, request, client_address):
        pass  # a caller that went away in the middle is no event on a test device


class EchoServer:
    """Answers every request with JSON that says which device this is and what arrived.
    `?sleep=S` answers late, `?status=N` with another code."""

    def __init__(self, ns, name, port=8080, address="0.0.0.0"):
        outer = self
        self.name, self.port, self.n_requests, self.paths = name, port, 0, []

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            wbufsize = 65536  # head and body in one segment, else delayed acknowledgements cost 40 ms
            disable_nagle_algorithm = True

            def answer(self):
                outer.n_requests += 1
                outer.paths = outer.paths[-99:] + [self.path]
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                path, _, query = self.path.partition("?")
                asked = urllib.parse.parse_qs(query)
                time.sleep(float(asked.get("sleep", ["0"])[0]))
                out = json.dumps({"device": outer.name, "method": self.command, "path": path, "query": query,
                                  "headers": [[k.lower(), v] for k, v in self.headers.items()],
                                  "body": body.decode("latin-1")}).encode()
                self.send_response(int(asked.get("status", ["200"])[0]))
                self.send_header("Content-Type", "application/json")
                self.send_header("X-Device", outer.name)
                self.send_header("Content-Length", str(len(out)))
                self.end_headers()
                if self.command != "HEAD":
                    self.wfile.write(out)

            do_GET = do_POST = do_PUT = do_DELETE = do_PATCH = do_HEAD = do_OPTIONS = answer

            def log_message(self, format, *args):
                pass

        with ns.inside():
            self.server = Server((address, port), Handler)
        threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True).start()

    def close(self):
        self.server.shutdown()
        self.server.server_close()
