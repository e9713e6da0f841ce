# SPDX-License-Identifier: Apache-2.0
"""Network namespaces of a test run.

The run gets a mount namespace of its own with an empty /run, so what `ip netns add` makes is seen by nobody
else and is gone with the last process of the run, whatever kills it. Sockets are made inside a namespace by
switching the calling thread there for a moment: a socket stays where it was made.
"""

import contextlib
import ctypes
import os
import subprocess

CLONE_NEWNS, CLONE_NEWUSER, CLONE_NEWNET = 0x00020000, 0x10000000, 0x40000000
libc = ctypes.CDLL(None, use_errno=True)


def _check(result, what):
    if result != 0:
        err = ctypes.get_errno()
        raise OSError(err, f"{what}: {os.strerror(err)}")


def isolate():
    """Once, before any thread: moves the process into namespaces of its own (root is not needed)."""
    uid, gid = os.geteuid(), os.getegid()
    _check(libc.unshare(CLONE_NEWNS | CLONE_NEWNET | (CLONE_NEWUSER if uid else 0)), "unshare")
    if uid:
        for name, text in (("setgroups", "deny"), ("uid_map", f"0 {uid} 1"), ("gid_map", f"0 {gid} 1")):
            with open(f"/proc/self/{name}", "w", encoding="ascii") as f:
                f.write(text)
    subprocess.run(["mount", "--make-rprivate", "/"], check=True)
    subprocess.run(["mount", "-t", "tmpfs", "tmpfs", "/run"], check=True)
    os.mkdir("/run/netns")


def ip(*args):
    subprocess.run(["ip", *args], check=True, stdin=subprocess.DEVNULL)


class Netns:
    """One namespace with its loopback up. `close` removes it."""

    def __init__(self, label):
        self.name = f"tsgw-{os.getpid()}-{label}"
        self.path = f"/run/netns/{self.name}"
        ip("netns", "add", self.name)
        self.ip("link", "set", "lo", "up")

    def ip(self, *args):
        ip("-n", self.name, *args)

    @contextlib.contextmanager
    def inside(self):
        """The calling thread is in the namespace for as long as the block lasts."""
        home = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
        there = os.open(self.path, os.O_RDONLY)
        try:
            _check(libc.setns(there, CLONE_NEWNET), "setns")
            try:
                yield
            finally:
                _check(libc.setns(home, CLONE_NEWNET), "setns back")
        finally:
            os.close(home)
            os.close(there)

    def close(self):
        subprocess.run(["ip", "netns", "del", self.name], check=False, stdin=subprocess.DEVNULL)


class Here:
    """Stands for the namespace that we are in."""

    path = None

    @contextlib.contextmanager
    def inside(self):
        yield

    def close(self):
        pass


class Loopback:
    """Stands for a network where all machines are this one; needs no rights."""

    HUB = "127.0.0.1"

    def __init__(self):
        self.hub = Here()

    def machine(self, name):
        return self.hub

    def close(self):
        pass


class Network:
    """A hub and any number of machines on its bridge, 10.99.0.0/24; the hub is .1."""

    HUB = "10.99.0.1"

    def __init__(self, label):
        self.label, self.machines = label, []
        self.hub = Netns(f"{label}-hub")
        self.hub.ip("link", "add", "br0", "type", "bridge")
        self.hub.ip("addr", "add", f"{self.HUB}/24", "dev", "br0")
        self.hub.ip("link", "set", "br0", "up")
        # tailscaled takes a machine without a default route for one without a network; nobody is at that address.
        self.hub.ip("route", "add", "default", "via", "10.99.0.254")

    def machine(self, name):
        n = len(self.machines) + 2
        ns = Netns(f"{self.label}-{n}")
        self.machines.append(ns)
        link = f"v{n}"
        self.hub.ip("link", "add", link, "type", "veth", "peer", "name", "eth0", "netns", ns.name)
        self.hub.ip("link", "set", link, "master", "br0", "up")
        ns.ip("addr", "add", f"10.99.0.{n}/24", "dev", "eth0")
        ns.ip("link", "set", "eth0", "up")
        ns.ip("route", "add", "default", "via", self.HUB)
        ns.link, ns.address, ns.label = link, f"10.99.0.{n}", name
        return ns

    def cut(self, machine):
        """Nothing reaches the machine any more and nobody is told, as when a cable is pulled."""
        self.hub.ip("link", "set", machine.link, "nomaster")

    def mend(self, machine):
        self.hub.ip("link", "set", machine.link, "master", "br0")

    def close(self):
        for ns in [*self.machines, self.hub]:
            ns.close()
