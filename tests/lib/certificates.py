# SPDX-License-Identifier: Apache-2.0
"""Certificates of a test run, made by the openssl command: one authority, a good certificate, and the bad ones that a client must refuse."""

import os
import ssl
import subprocess

KINDS = ("good", "expired", "wrong-name", "unknown-ca")
NAMES = "subjectAltName=DNS:localhost,IP:127.0.0.1"
OTHER_NAME = "subjectAltName=DNS:other.example"


class Certificates:
    """Keeps its files in `folder`. A client that trusts `ca_file` (SSL_CERT_FILE) accepts `good` from localhost and 127.0.0.1, and none of the others."""

    def __init__(self, folder):
        self.folder = folder
        os.makedirs(folder, exist_ok=True)
        self.ca_file = self._authority("ca")
        self.contexts = {}

    def at(self, name):
        return os.path.join(self.folder, name)

    def _openssl(self, *args):
        subprocess.run(["openssl", *args], check=True, stdin=subprocess.DEVNULL, capture_output=True, timeout=30)

    def _key(self, name):
        self._openssl("ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", self.at(f"{name}.key"))

    def _authority(self, name):
        self._key(name)
        self._openssl("req", "-x509", "-new", "-key", self.at(f"{name}.key"), "-subj", f"/CN={name} of a test", "-days", "2", "-out", self.at(f"{name}.pem"))
        return self.at(f"{name}.pem")

    def pair(self, kind="good"):
        """(certificate, key) of one of KINDS; made when first asked for."""
        assert kind in KINDS, kind
        if os.path.exists(self.at(f"{kind}.pem")):
            return self.at(f"{kind}.pem"), self.at(f"{kind}.key")
        authority = "ca"
        if kind == "unknown-ca":
            authority = "other-ca"
            self._authority(authority)
        self._key(kind)
        self._openssl("req", "-new", "-key", self.at(f"{kind}.key"), "-subj", f"/CN={kind}", "-out", self.at(f"{kind}.csr"))
        with open(self.at(f"{kind}.ext"), "w", encoding="ascii") as f:
            f.write(OTHER_NAME if kind == "wrong-name" else NAMES)
        self._openssl("x509", "-req", "-in", self.at(f"{kind}.csr"), "-CA", self.at(f"{authority}.pem"), "-CAkey", self.at(f"{authority}.key"),
                      "-CAcreateserial", "-days", "-1" if kind == "expired" else "1", "-extfile", self.at(f"{kind}.ext"), "-out", self.at(f"{kind}.pem"))
        return self.at(f"{kind}.pem"), self.at(f"{kind}.key")

    def server(self, kind="good"):
        """The server's side of TLS with that certificate."""
        if kind not in self.contexts:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(*self.pair(kind))
            self.contexts[kind] = context
        return self.contexts[kind]

    def client(self):
        """A client's side that trusts the authority and nothing else."""
        return ssl.create_default_context(cafile=self.ca_file)
