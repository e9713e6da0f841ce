# SPDX-License-Identifier: Apache-2.0
"""HTTP/2 frames by hand (RFC 9113, RFC 7541), so that a test can send what no library would.

Header blocks are written as literals without index and without Huffman code. They are read with a decoder that
asks the peer for no dynamic table, and so needs none.
"""

import select
import socket
import ssl
import struct
import time

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
DATA, HEADERS, PRIORITY, RST_STREAM, SETTINGS, PUSH_PROMISE, PING, GOAWAY, WINDOW_UPDATE, CONTINUATION = range(10)
END_STREAM, ACK, END_HEADERS = 0x1, 0x1, 0x4
NO_ERROR, PROTOCOL_ERROR, REFUSED_STREAM, CANCEL, ENHANCE_YOUR_CALM = 0x0, 0x1, 0x7, 0x8, 0xb
HEADER_TABLE_SIZE, MAX_CONCURRENT_STREAMS, INITIAL_WINDOW_SIZE = 1, 3, 4
WINDOW_MAX = 2 ** 31 - 1

# The entries of HPACK's static table that answers use.
STATIC = {8: (":status", "200"), 12: (":status", "400"), 13: (":status", "404"), 14: (":status", "500"),
          28: ("content-length", ""), 31: ("content-type", ""), 33: ("date", "")}
# HPACK's Huffman code is canonical: the symbols of each length, in order, and the first code of that length.
HUFFMAN = ((5, 0x0, "012aceiost"), (6, 0x14, " %-./3456789=A_bdfghlmnpru"),
           (7, 0x5c, ":BCDEFGHIJKLMNOPQRSTUVWYjkqvwxyz"), (8, 0xf8, "&*,;XZ"))
CODES = {(length, first + i): c for length, first, symbols in HUFFMAN for i, c in enumerate(symbols)}


def frame(kind, flags, stream, payload=b"", length=None):
    """`length`: what the head says, where that is not the truth."""
    n = len(payload) if length is None else length
    return struct.pack(">I", n)[1:] + struct.pack(">BBI", kind, flags, stream) + payload


def settings(**values):
    return frame(SETTINGS, 0, 0, b"".join(struct.pack(">HI", k, v) for k, v in values.get("at", {}).items()))


def message(body, flag=0, length=None):
    """A gRPC message with its prefix."""
    return struct.pack(">BI", flag, len(body) if length is None else length) + body


def _int(value, bits, first=0):
    top = (1 << bits) - 1
    if value < top:
        return bytes([first | value])
    out, value = [first | top], value - top
    while value >= 128:
        out.append(value % 128 + 128)
        value //= 128
    return bytes([*out, value])


def _bytes(text):
    raw = text if isinstance(text, bytes) else text.encode()
    return _int(len(raw), 7) + raw


def literal(name, value, first=0x00):
    """`first`: 0x00 not indexed, 0x40 indexed (one byte each, for names that are new)."""
    return bytes([first]) + _bytes(name) + _bytes(value)


def request_fields(path, **more):
    fields = {":method": "POST", ":scheme": "http", ":authority": "localhost", ":path": path,
              "content-type": "application/grpc", "te": "trailers"}
    fields.update({k.replace("_", "-"): v for k, v in more.items()})
    return fields


def block(fields):
    items = fields.items() if isinstance(fields, dict) else fields
    return b"".join(literal(k, v) for k, v in items)


def _read_int(raw, at, bits):
    top = (1 << bits) - 1
    value, at = raw[at] & top, at + 1
    shift = 0
    while value >= top:
        byte, at = raw[at], at + 1
        value += (byte & 127) << shift
        shift += 7
        if byte < 128:
            break
    return value, at


def _unhuffman(raw):
    out, code, length = [], 0, 0
    for byte in raw:
        for bit in range(7, -1, -1):
            code, length = code << 1 | (byte >> bit & 1), length + 1
            if (length, code) in CODES:
                out.append(CODES[(length, code)])
                code = length = 0
    return "".join(out)


def _read_bytes(raw, at):
    coded = raw[at] & 0x80
    n, at = _read_int(raw, at, 7)
    part = raw[at:at + n]
    return (_unhuffman(part) if coded else part.decode("latin-1")), at + n


def unblock(raw):
    """The fields of a header block that uses no dynamic table."""
    fields, at = {}, 0
    while at < len(raw):
        byte = raw[at]
        if byte & 0x80:
            index, at = _read_int(raw, at, 7)
            name, value = STATIC[index]
        elif byte & 0xe0 == 0x20:
            _, at = _read_int(raw, at, 5)
            continue
        else:
            index, at = _read_int(raw, at, 6 if byte & 0x40 else 4)
            if index:
                name = STATIC[index][0]
            else:
                name, at = _read_bytes(raw, at)
            value, at = _read_bytes(raw, at)
        fields[name] = value
    return fields


class Closed(Exception):
    """The peer closed the connection."""


def connect_unix(s, path, timeout):
    """Waits for room in the listener's queue, as a connect that blocks would: one with a timeout fails at once
    with EAGAIN where the queue is full (connect(2))."""
    deadline = time.monotonic() + timeout
    while True:
        try:
            return s.connect(path)
        except BlockingIOError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.01)


class TlsAddress(str):
    """tcp://host:port, spoken with under TLS: `context` is the client's side, which offers what it offers by ALPN."""

    context: ssl.SSLContext

    def __new__(cls, address, context):
        self = super().__new__(cls, address)
        self.context = context
        return self


class Raw:
    """One connection. Nothing is sent or answered unless a method says so."""

    def __init__(self, address, timeout=10):
        """`address`: unix:///path or tcp://host:port."""
        scheme, rest = address.split("://")
        if scheme == "unix":
            self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            self.socket.settimeout(timeout)
            connect_unix(self.socket, rest, timeout)
        else:
            host, port = rest.rsplit(":", 1)
            self.socket = socket.create_connection((host, int(port)), timeout)
        self.buffer = b""
        self.is_tls = isinstance(address, TlsAddress)
        if self.is_tls:
            self._shake_hands(address.context)

    def _shake_hands(self, context):
        plain = self.socket
        try:
            self.socket = context.wrap_socket(plain, server_hostname="localhost")
        except (ConnectionResetError, BrokenPipeError, ssl.SSLError) as e:
            plain.close()
            raise Closed from e

    def finish(self):
        """Sends no more, without a farewell; still reads."""
        socket.socket.shutdown(self.socket, socket.SHUT_WR)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()

    def send(self, *parts):
        try:
            self.socket.sendall(b"".join(parts))
        except (BrokenPipeError, ConnectionResetError, ssl.SSLError) as e:
            raise Closed from e

    def start(self, window=None, header_table=0, connection_window=None):
        """Preface and SETTINGS."""
        at = {HEADER_TABLE_SIZE: header_table}
        if window is not None:
            at[INITIAL_WINDOW_SIZE] = window
        parts = [PREFACE, settings(at=at)]
        if connection_window:
            parts.append(frame(WINDOW_UPDATE, 0, 0, struct.pack(">I", connection_window - 65535)))
        self.send(*parts)
        return self

    def headers(self, stream, path, end=False, **more):
        self.send(frame(HEADERS, END_HEADERS | (END_STREAM if end else 0), stream, block(request_fields(path, **more))))

    def data(self, stream, body, end=True):
        """In frames of at most 16 KiB, without regard for any window."""
        parts = [body[i:i + 16384] for i in range(0, len(body), 16384)] or [b""]
        self.send(*[frame(DATA, END_STREAM if end and i == len(parts) - 1 else 0, stream, p) for i, p in enumerate(parts)])

    def reset(self, stream, code=CANCEL):
        self.send(frame(RST_STREAM, 0, stream, struct.pack(">I", code)))

    def _fill(self, deadline):
        left = deadline - time.monotonic()
        ready = select.poll()  # select.select ends at descriptor 1,023
        ready.register(self.socket, select.POLLIN)
        is_here = self.is_tls and self.socket.pending() > 0
        if left <= 0 or not (is_here or ready.poll(left * 1000)):
            raise TimeoutError("no frame in time")
        try:
            more = self.socket.recv(1 << 16)
        except (ConnectionResetError, ssl.SSLError) as e:
            raise Closed from e
        if not more:
            raise Closed
        self.buffer += more

    def frame(self, timeout=10):
        """The next frame: kind, flags, stream, payload. Closed, or TimeoutError."""
        deadline = time.monotonic() + timeout
        while len(self.buffer) < 9:
            self._fill(deadline)
        n, kind, flags, stream = *struct.unpack(">I", b"\0" + self.buffer[:3]), *struct.unpack(">BBI", self.buffer[3:9])
        while len(self.buffer) < 9 + n:
            self._fill(deadline)
        payload, self.buffer = self.buffer[9:9 + n], self.buffer[9 + n:]
        return kind, flags, stream & WINDOW_MAX, payload

    def goaway(self, timeout=10):
        """Reads to the end: the code of the last GOAWAY, None where the peer closed without one."""
        return self.goaway_at(timeout)[0]

    def goaway_at(self, timeout=10):
        """As goaway, and the last stream that the peer says it took, None where it closed without a GOAWAY."""
        code, last, deadline = None, None, time.monotonic() + timeout
        try:
            while True:
                kind, _, _, payload = self.frame(deadline - time.monotonic())
                if kind == GOAWAY:
                    last, code = struct.unpack(">II", payload[:8])
        except Closed:
            return code, last

    def answer(self, stream, timeout=10):
        """What the peer says on a stream until it ends: an Answer. Gives windows back and answers SETTINGS."""
        got, deadline = Answer(), time.monotonic() + timeout
        while not got.ended:
            kind, flags, at, payload = self.frame(deadline - time.monotonic())
            if kind == SETTINGS and not flags & ACK:
                self.send(frame(SETTINGS, ACK, 0))
            elif kind == PING and not flags & ACK:
                self.send(frame(PING, ACK, 0, payload))
            elif kind == GOAWAY:
                got.goaway = struct.unpack(">I", payload[4:8])[0]
            elif at == stream:
                got.take(kind, flags, payload)
                if kind == DATA and payload:
                    more = struct.pack(">I", len(payload))
                    self.send(frame(WINDOW_UPDATE, 0, 0, more), *([] if got.ended else [frame(WINDOW_UPDATE, 0, stream, more)]))
        return got

    def call(self, stream, path, body, timeout=10, **more):
        """One whole unary call."""
        self.headers(stream, path, **more)
        self.data(stream, message(body))
        return self.answer(stream, timeout)


class Answer:
    """`fields` of headers and trailers, `body` with its prefix, `reset` the code of RST_STREAM."""

    def __init__(self):
        self.fields, self.body, self.reset, self.goaway, self.ended = {}, b"", None, None, False

    def take(self, kind, flags, payload):
        if kind == HEADERS:
            self.fields.update(unblock(payload))
        elif kind == DATA:
            self.body += payload
        elif kind == RST_STREAM:
            self.reset, self.ended = struct.unpack(">I", payload)[0], True
        if kind in (HEADERS, DATA) and flags & END_STREAM:
            self.ended = True

    @property
    def http(self):
        return int(self.fields.get(":status", -1))

    @property
    def grpc(self):
        return int(self.fields.get("grpc-status", -1))

    def __repr__(self):
        return f"Answer({self.fields}, {len(self.body)} bytes, reset={self.reset}, goaway={self.goaway})"
