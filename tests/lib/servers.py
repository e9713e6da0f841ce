# SPDX-License-Identifier: Apache-2.0
"""What devices serve besides plain HTTP: bytes over TCP, TLS and UDP, and WebSocket. Each says which device it is."""

import base64
import hashlib
import os
import socket
import socketserver
import struct
import threading

WEBSOCKET_GUID = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"


class Listening:
    """Runs a handler for each connection to a port in a namespace."""

    def __init__(self, ns, name, port, address="0.0.0.0", tls=None):
        self.name, self.port, self.address, self.server_names, self.n = name, port, address, [], 0
        self.tls, self.open = tls, set()
        if tls:
            tls.sni_callback = lambda sock, server_name, context: self.server_names.append(server_name)
        outer = self

        class Handler(socketserver.BaseRequestHandler):
            def handle(self):
                outer.n += 1
                outer.open.add(self.request)
                try:
                    sock = tls.wrap_socket(self.request, server_side=True) if tls else self.request
                    outer.serve(sock)
                except (OSError, EOFError):
                    pass  # a caller that goes away, or gives up on our certificate, is no event
                finally:
                    outer.open.discard(self.request)

        class Server(socketserver.ThreadingMixIn, socketserver.TCPServer):
            daemon_threads, allow_reuse_address, request_queue_size = True, True, 64

        with ns.inside():
            self.server = Server((address, port), Handler)
        threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True).start()

    def close(self):
        """As if the program had died: connections that are open end, too."""
        self.server.shutdown()
        self.server.server_close()
        for sock in list(self.open):
            try:
                sock.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass


class Bytes(Listening):
    """Greets with its name and a line end, then gives back what comes."""

    def serve(self, sock):
        sock.sendall(self.name.encode() + b"\n")
        while data := sock.recv(65536):
            sock.sendall(data)


def read_head(sock):
    head = b""
    while not head.endswith(b"\r\n\r\n"):
        part = sock.recv(1)
        if not part:
            raise EOFError
        head += part
    lines = head.decode("latin-1").split("\r\n")
    return lines[0], {k.lower(): v.strip() for k, _, v in (line.partition(":") for line in lines[1:] if line)}


def _exactly(sock, n):
    out = b""
    while len(out) < n:
        part = sock.recv(n - len(out))
        if not part:
            raise EOFError
        out += part
    return out


def read_frame(sock):
    """(opcode, payload) of a WebSocket frame (RFC 6455, 5.2)."""
    first, second = _exactly(sock, 2)
    n = second & 0x7F
    if n >= 126:
        n = struct.unpack(">H", _exactly(sock, 2))[0] if n == 126 else struct.unpack(">Q", _exactly(sock, 8))[0]
    mask = _exactly(sock, 4) if second & 0x80 else bytes(4)
    return first & 0x0F, bytes(b ^ mask[i % 4] for i, b in enumerate(_exactly(sock, n)))


def frame(payload, opcode=1, masked=False):
    assert len(payload) < 126
    mask = os.urandom(4) if masked else b""
    body = bytes(b ^ mask[i % 4] for i, b in enumerate(payload)) if masked else payload
    return bytes([0x80 | opcode, (0x80 if masked else 0) | len(payload)]) + mask + body


class WebSocket(Listening):
    """Echoes text, and answers plain requests with 200 and its name."""

    def serve(self, sock):
        while True:
            line, headers = read_head(sock)
            self.host = headers.get("host")
            if headers.get("upgrade", "").lower() != "websocket":
                body = self.name.encode()
                sock.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\nX-Device: %s\r\n\r\n%s" % (len(body), body, body))
                continue
            accept = base64.b64encode(hashlib.sha1((headers["sec-websocket-key"] + WEBSOCKET_GUID).encode()).digest()).decode()
            sock.sendall(f"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: {accept}\r\n\r\n".encode())
            while True:
                opcode, payload = read_frame(sock)
                if opcode == 8:
                    return
                sock.sendall(frame(self.name.encode() + b":" + payload, opcode))


class WebSocketClient:
    """Through a proxy's port, with the host that it routes by."""

    def __init__(self, ns, port, host, path="/"):
        with ns.inside():
            self.sock = socket.create_connection(("127.0.0.1", port), 20)
        key = base64.b64encode(os.urandom(16)).decode()
        self.sock.sendall(f"GET {path} HTTP/1.1\r\nHost: {host}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: {key}\r\n"
                          "Sec-WebSocket-Version: 13\r\n\r\n".encode())
        self.line, self.headers = read_head(self.sock)

    def ask(self, text):
        self.sock.sendall(frame(text.encode(), masked=True))
        return read_frame(self.sock)[1].decode()

    def close(self):
        self.sock.close()


class Datagrams:
    """Gives each datagram back with its name in front."""

    def __init__(self, ns, name, port, address):
        self.name = name
        with ns.inside():
            self.sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            self.sock.bind((address, port))
        threading.Thread(target=self._run, daemon=True).start()

    def _run(self):
        while True:
            try:
                data, peer = self.sock.recvfrom(65536)
                self.sock.sendto(self.name.encode() + b":" + data, peer)
            except OSError:
                return

    def close(self):
        self.sock.close()


def connect(ns, port, tls=None, server_name=None, timeout=20):
    """A connection to a port of the namespace; with TLS where a context is given."""
    with ns.inside():
        sock = socket.create_connection(("127.0.0.1", port), timeout)
    if not tls:
        return sock
    try:
        return tls.wrap_socket(sock, server_hostname=server_name)
    except OSError:
        sock.close()
        raise


def read_line(sock):
    out = b""
    while not out.endswith(b"\n"):
        part = sock.recv(1)
        if not part:
            raise EOFError(out)
        out += part
    return out[:-1].decode()


def ask_udp(ns, port, data, timeout=2):
    with ns.inside():
        sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    with sock:
        sock.settimeout(timeout)
        sock.sendto(data, ("127.0.0.1", port))
        return sock.recv(65536)
