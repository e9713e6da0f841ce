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
        if kind == "unknown-ca" and not os.path.exists(self.at("other-ca.pem")):
            self._authority("other-ca")
        return self.issue(kind, names=OTHER_NAME if kind == "wrong-name" else NAMES, days=-1 if kind == "expired" else 1,
                          authority="other-ca" if kind == "unknown-ca" else "ca")

    def issue(self, name, subject=None, names=NAMES, days=1, authority="ca"):
        """(certificate, key) of that file name, signed by the authority; made when first asked for."""
        if not os.path.exists(self.at(f"{name}.pem")):
            self._key(name)
            self._openssl("req", "-new", "-key", self.at(f"{name}.key"), "-subj", subject or f"/CN={name}", "-out", self.at(f"{name}.csr"))
            with open(self.at(f"{name}.ext"), "w", encoding="ascii") as f:
                f.write(names)
            self._openssl("x509", "-req", "-in", self.at(f"{name}.csr"), "-CA", self.at(f"{authority}.pem"), "-CAkey", self.at(f"{authority}.key"),
                          "-CAcreateserial", "-days", str(days), "-extfile", self.at(f"{name}.ext"), "-out", self.at(f"{name}.pem"))
        return self.at(f"{name}.pem"), self.at(f"{name}.key")

    def signing_pair(self, name):
        """(public, private) half of a key that signs tokens."""
        self._key(name)
        self._openssl("ec", "-in", self.at(f"{name}.key"), "-pubout", "-out", self.at(f"{name}.pub"))
        return self.at(f"{name}.pub"), self.at(f"{name}.key")

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
