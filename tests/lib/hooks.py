# SPDX-License-Identifier: Apache-2.0
"""Hook calls of Envoy Gateway's, made by hand: what it would send, as bytes, and the bytes that come back."""

import glob
import json
import os

from . import h2raw
from .stack import ROOT

SERVICE = "/envoygateway.extension.EnvoyGatewayExtension/"
CORPUS = os.path.join(ROOT, "tests", "corpus", "hooks")


def varint(n):
    out = b""
    while n >= 128:
        out, n = out + bytes([n % 128 + 128]), n // 128
    return out + bytes([n])


def field(number, body):
    """A field that holds bytes."""
    return varint(number << 3 | 2) + varint(len(body)) + body


def fields(message):
    """[(number, wire type, the whole field)] of a message whose fields are numbers or bytes."""
    found, at = [], 0

    def number(at):
        value = shift = 0
        while True:
            byte, at = message[at], at + 1
            value |= (byte & 127) << shift
            shift += 7
            if byte < 128:
                return value, at
    while at < len(message):
        start = at
        tag, at = number(at)
        n, at = number(at)
        if tag & 7 == 2:
            at += n
        found.append((tag >> 3, tag & 7, message[start:at]))
    return found


def context(*objects):
    """The context of PostTranslateModify: the policies of a Gateway."""
    return field(1, b"".join(field(1, field(1, json.dumps(o).encode())) for o in objects))


def recorded():
    """{case: a PostTranslateModify of Envoy Gateway's as it was recorded}"""
    found = {}
    for path in sorted(glob.glob(os.path.join(CORPUS, "*", "PostTranslateModify*.bin"))):
        with open(path, "rb") as f:
            found[os.path.relpath(path, CORPUS)] = f.read()
    return found


def with_context(request, *objects):
    """The request with other policies."""
    return context(*objects) + b"".join(whole for number, _, whole in fields(request) if number != 1)


def call(replica, request, method="PostTranslateModify", timeout=10):
    """One call to a replica without TLS, from its own machine: the answer, and its status is 0."""
    with replica.ns.inside(), h2raw.Raw("tcp://127.0.0.1:5005") as client:
        answer = client.start(window=1 << 24, connection_window=1 << 24).call(1, SERVICE + method, request, timeout)
    assert (answer.http, answer.grpc) == (200, 0), answer
    return answer.body[5:]
