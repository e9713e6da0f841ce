# SPDX-License-Identifier: Apache-2.0
"""What a control server may answer where it should have answered well. Each gets the handler of tailscale_api and the good body."""

import email.utils
import itertools
import json
import socket
import struct
import time

from .tailscale_data import device

PIECE_SECONDS = 0.05


def http_date(seconds_from_now):
    """As Retry-After may have it."""
    return email.utils.formatdate(time.time() + seconds_from_now, usegmt=True)


def half(h, body):
    """Half of the document as if it were all of it."""
    h.send(200, body[:len(body) // 2])


def cut(h, body):
    """Half of what was promised, then the connection ends."""
    h.send(200, body[:len(body) // 2], length=len(body))


def open_list(h, body):
    """All devices, and the list is never closed."""
    h.send(200, body[:body.rindex(b"]")])


def trailing(h, body):
    """A whole document, and then more."""
    h.send(200, body + b'{"devices":[]}')


def html(h, _body):
    """The page of a portal that wants a log-in."""
    h.send(200, b"<!DOCTYPE html><html><body><form>log in</form></body></html>", kind="text/html")


def nothing(h, _body):
    h.send(200, b"")


def other_document(h, _body):
    h.send(200, b'{"message":"all is well","status":200}')


def null_list(h, _body):
    h.send(200, b'{"devices":null,"vipServices":null,"nodes":null,"hosts":null}')


def list_of_text(h, _body):
    h.send(200, b'{"devices":["a","b"],"vipServices":["a"],"nodes":["a"],"hosts":["a"]}')


def empty(h, _body):
    """A good answer that has nothing."""
    h.send(200, b'{"devices":[],"vipServices":[],"nodes":[],"hosts":[]}')


def drip(h, body):
    """The good answer, a byte at a time: nobody has so much patience."""
    h.head(200, length=len(body))
    for i in range(len(body)):
        h.wfile.write(body[i:i + 1])
        h.wfile.flush()
        if h.api.over.wait(PIECE_SECONDS) or not h.faulty():
            break


def endless(h, _body):
    """Devices without end."""
    h.stream(b'{"devices":[', (b"".join(b'{"nodeId":"e%d","name":"e%d.corp.ts.net","addresses":["100.64.0.1"]},' % (i, i) for i in range(n, n + 1000))
                               for n in itertools.count(1, 1000)))


def endless_text(h, _body):
    """One name without end."""
    h.stream(b'{"devices":[{"name":"', itertools.repeat(b"x" * 65536))


def endless_white(h, _body):
    """White space without end, which means nothing and so is kept by no parser."""
    h.stream(b'{"devices":[', itertools.repeat(b" " * 65536))


def deep(h, _body):
    """Lists in lists without end."""
    h.stream(b'{"devices":[{"x":', itertools.repeat(b"[" * 65536))


def endless_head(h, _body):
    """Header lines without end."""
    h.wfile.write(b"HTTP/1.1 200 OK\r\n")
    while not h.api.over.is_set() and h.faulty():
        h.wfile.write(b"X-More: " + b"y" * 1000 + b"\r\n")


def enormous(h, body):
    """One device of a MiB among the good ones."""
    big = json.dumps(device("enormous", 60000, hostname="x" * (1 << 20))).encode()
    h.send(200, body.replace(b"[", b"[" + big + b",", 1))


def hang(h, _body):
    """Nothing, ever."""
    while h.faulty() and not h.api.over.wait(PIECE_SECONDS):
        pass


def reset(h, _body):
    raw = socket.socket(fileno=h.connection.detach())
    raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    raw.close()


def garbage(h, _body):
    h.wfile.write(b"SSH-2.0-OpenSSH_9.2\r\n")


def redirect(h, _body):
    h.send(302, b"moved", kind="text/plain", Location=h.api.redirect_to + h.path)


def too_many(h, _body):
    """429 with Retry-After, which may be seconds or a date."""
    h.send(429, h.api.error_body(429, "rate limit exceeded"), Retry_After=h.api.retry_after)


FAULTS = {f.__name__.replace("_", "-"): f for f in (
    half, cut, open_list, trailing, html, nothing, other_document, null_list, list_of_text, empty, drip, endless, endless_text, endless_white, deep,
    endless_head, enormous, hang, reset, garbage, redirect, too_many)}
KEPT_OPEN = (redirect, too_many)  # a caller may go on using the connection
