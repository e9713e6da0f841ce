# SPDX-License-Identifier: Apache-2.0
"""What etcd holds of a cluster with Gateway API's and Envoy Gateway's definitions, made once and kept beside the peers. A cluster that begins with a
copy of it has them as soon as its API server is ready; to install them takes longer than all else that a cluster needs."""

import fcntl
import glob
import hashlib
import os
import shutil
import subprocess
import tempfile

from tools import peers

from .cluster import Cluster
from .kube_gateway import foreign_crds, install_crds
from .netns import Netns

FORM = "1"  # of what is kept; another one is made anew


def digest():
    """Of the definitions, and of the programs that wrote what is kept."""
    sum_ = hashlib.sha256(FORM.encode())
    for name in ("etcd", "kube-apiserver"):
        path = os.path.realpath(peers.get(name))
        sum_.update(f"{path} {os.path.getsize(path)} {os.stat(path).st_mtime_ns}\n".encode())
    for place in foreign_crds():
        for path in sorted(glob.glob(os.path.join(place, "**"), recursive=True) if os.path.isdir(place) else [place]):
            if os.path.isfile(path):
                with open(path, "rb") as f:
                    sum_.update(f.read())
    return sum_.hexdigest()[:16]


def make(out):
    """An API server by itself, which is taken down again."""
    work = tempfile.mkdtemp(prefix="tsgw-template-", dir="/tmp")
    ns = Netns("template")
    cluster = Cluster(ns, work, work)
    try:
        cluster.start()
        install_crds(cluster)
        cluster.apiserver.kill()
        cluster.etcd.stop()
        copy(cluster.at("etcd"), out)
    finally:
        cluster.close()
        ns.close()
        shutil.rmtree(work, ignore_errors=True)


def copy(source, target):
    """Most of a log of etcd's is room for more."""
    subprocess.run(["cp", "-a", "--sparse=always", "--reflink=auto", source, target], check=True, stdin=subprocess.DEVNULL)


def get():
    """The directory; it is made where it is not there yet, once, whoever asks at the same time."""
    home = os.path.join(peers.cache_dir(), f"cluster-{digest()}")
    if os.path.isdir(home):
        return home
    with open(home + ".lock", "w", encoding="ascii") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not os.path.isdir(home):
            part = f"{home}.part.{os.getpid()}"
            try:
                make(part)
                os.rename(part, home)
            finally:
                shutil.rmtree(part, ignore_errors=True)
    return home
