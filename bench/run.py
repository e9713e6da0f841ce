#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""`make bench`: figures of this machine, printed and written into bench/README.md.

    bench/run.py                  everything
    bench/run.py hook memory …    some of: hook memory churn snapshot resync kubernetes (README.md is then left alone)
    TSGW_BUILD=DIR                build folder (default: build, a build without sanitizers)

What is compared with what, and why, stands in bench/README.md.
"""

import atexit
import contextlib
import http.client
import json
import os
import platform
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
BUILD = os.path.abspath(os.environ.get("TSGW_BUILD") or os.path.join(ROOT, "build"))
README = os.path.join(ROOT, "bench", "README.md")
RECORDED = os.path.join(ROOT, "tests", "corpus", "hooks", "v1-one-route", "PostTranslateModify.bin")
sys.path.insert(0, os.path.join(ROOT, "tools"))
import peers  # noqa: E402

HOSTS = [0, 100, 1000, 5000]
ROUTES = 1000
ROUNDS = 5            # each server is called in turn, so that load of the machine meets all alike
CALLS = {"ours": 200, "copy": 200, "decode": 20}  # of a round
WARMUP = 5
RESYNCS = 3           # of each kind
TICKS = os.sysconf("SC_CLK_TCK")
WAIT_SECONDS = 60
BEGIN, END = "<!-- figures: written by bench/run.py -->", "<!-- end of figures -->"

MANIFESTS = """
apiVersion: gateway.tailscale.com/v1alpha1
kind: TailscaleTailnet
metadata: {name: corp-tailnet, namespace: demo}
spec: {file: {path: devices.json}, pollInterval: 1s, proxyAddresses: ["127.0.0.1:3128"]}
---
apiVersion: gateway.tailscale.com/v1alpha1
kind: TailscaleGateway
metadata: {name: corp-gateway, namespace: demo}
spec:
  gatewayRef: {name: gw}
  tailnets:
  - name: corp
    tailscaleTailnetRef: {name: corp-tailnet}
    serviceDiscovery: {enabled: true, defaultPort: {port: 80, protocol: HTTP}}
    routeGeneration: {egress: {hostPattern: "{service}.tailscale.local", pathPrefix: "%s"}}
"""
GATEWAY = """
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: gw, namespace: demo}
spec: {gatewayClassName: eg, listeners: [{name: http, protocol: HTTP, port: 10080}]}
"""


def fail(text):
    sys.exit(f"bench: {text}")


def write(path, text):
    """Whole or not at all, as the program writes its own files: its watch must not see half a list."""
    part = os.path.join(os.path.dirname(path), "." + os.path.basename(path) + ".part")
    with open(part, "w", encoding="utf-8") as f:
        f.write(text)
    os.rename(part, path)


def devices(n, salt=0):
    return json.dumps({"devices": [
        {"id": f"{i}", "nodeId": f"n{i:06}", "name": f"api-{i:06}.corp.ts.net", "hostname": f"api-{i:06}", "os": "linux",
         "addresses": [f"100.{64 + (a >> 16 & 63)}.{a >> 8 & 255}.{a & 255}"], "user": "alice@example.com",
         "authorized": True, "tags": ["tag:web"]} for i, a in ((i, i + 1 + (salt if i == 0 else 0)) for i in range(n))]})


def stop(proc):
    if proc.poll() is None:
        proc.send_signal(signal.SIGTERM)
        try:
            proc.wait(15)
        except subprocess.TimeoutExpired:
            proc.kill()
            proc.wait()


def rss_anon(pid):
    with open(f"/proc/{pid}/status", encoding="utf-8") as f:
        return dict(re.findall(r"^(Rss\w+|VmRSS):\s+(\d+) kB", f.read(), re.M))


class Program:
    """tailscale-gateway run, on a directory of its own."""

    def __init__(self, hosts, path_prefix="/"):
        program = os.environ.get("TSGW_PROGRAM") or find_program()
        self.dir = tempfile.mkdtemp(prefix="gateway-bench-", dir="/tmp")
        for sub in ("res", "eg", "gen"):
            os.mkdir(os.path.join(self.dir, sub))
        self.socket = os.path.join(self.dir, "ext.sock")
        self.log = os.path.join(self.dir, "log")
        self.requests = 0
        write(self.path("eg", "gw.yaml"), GATEWAY)
        write(self.path("res", "corp.yaml"), MANIFESTS % path_prefix)
        self.set_devices(hosts)
        with open(self.log, "wb") as log:
            self.proc = subprocess.Popen(
                [program, "run", "--resources", self.path("res"), "--gateway-resources",
                 self.path("eg"), "--generated", self.path("gen"), "--extension-address", "unix://" + self.socket,
                 "--admin-address", "unix://" + self.path("admin.sock"), "--metrics-address", ""],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log)

    def path(self, *parts):
        return os.path.join(self.dir, *parts)

    def set_devices(self, n, salt=0):
        write(self.path("res", "devices.json"), devices(n, salt))

    def close(self):
        stop(self.proc)
        shutil.rmtree(self.dir, ignore_errors=True)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def made(self):
        """The program's own histogram of the time to make an answer: seconds, calls, calls within each bound."""
        connection = http.client.HTTPConnection("admin")
        connection.sock = socket.socket(socket.AF_UNIX)
        connection.sock.connect(self.path("admin.sock"))
        connection.request("GET", "/metrics")
        name = "tailscale_gateway_hook_duration_seconds"
        found = re.findall(rf'^{name}_(sum|count|bucket{{le="[^"]*"}}) (\S+)$', connection.getresponse().read().decode(), re.M)
        connection.close()
        return {what: float(value) for what, value in found}

    def revision(self):
        """What the Binding asks for, or None before there is one."""
        folder = self.path("gen", "envoy-gateway")
        for name in sorted(os.listdir(folder)) if os.path.isdir(folder) else []:
            if not name.startswith("."):
                with open(os.path.join(folder, name), encoding="utf-8") as f:
                    m = re.search(r"^\s*\"?revision\"?:\s*\"?([0-9A-Za-z]+)", f.read(), re.M)
                return m.group(1) if m else None
        return None

    def request(self, routes):
        """A PostTranslateModify request whose Binding asks for the revision in force."""
        path, revision = self.path("request.bin"), self.revision()
        judge("gen", "-like", RECORDED, "-routes", str(routes), "-out", path, *(["-revision", revision] if revision else []))
        return path

    def wait_hosts(self, hosts):
        """Until that many hosts are served; returns the request and the answer that shows it."""
        deadline, answer, last = time.monotonic() + WAIT_SECONDS, self.path("answer.bin"), ""
        while True:
            if self.proc.poll() is not None:
                fail("the program ended:\n" + open(self.log, encoding="utf-8").read()[-3000:])
            if self.revision():
                request = self.request(ROUTES)
                if judge("call", "-target", "unix://" + self.socket, "-request", request, "-answer", answer, check=False):
                    last = judge("check", "-request", request, "-answer", answer, check=False)
                    if last and last["ours"].get("clusters", 0) == hosts:
                        return request, answer
            if time.monotonic() > deadline:
                fail(f"{hosts} hosts are not served after {WAIT_SECONDS} s: {last}\n" + open(self.log, encoding="utf-8").read()[-3000:])
            time.sleep(0.1)


def find_program():
    for path in (os.path.join(BUILD, "tailscale-gateway"), os.path.join(BUILD, "src", "app", "tailscale-gateway")):
        if os.path.exists(path):
            return path
    return fail(f"no program in {BUILD}: make build")


JUDGE = []


def judge(*args, check=True):
    """Runs a judge command; its JSON (True where it prints none), or None where it failed."""
    if not JUDGE:
        JUDGE.append(peers.get("judge"))
    done = subprocess.run(JUDGE + list(args), stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        if check:
            fail(f"judge {' '.join(args)}: {done.stdout}{done.stderr}")
        return None
    return json.loads(done.stdout) if done.stdout else True


def serve(command, folder, answer):
    path = os.path.join(folder, command + ".sock")
    proc = subprocess.Popen([JUDGE[0], command, "-unix", path, "-answer", answer], stdin=subprocess.DEVNULL)
    while not os.path.exists(path):
        if proc.poll() is not None:
            fail(f"judge {command} ended")
        time.sleep(0.01)
    return proc, path


def cpu_ms(pid):
    """CPU time that a process has used so far."""
    with open(f"/proc/{pid}/stat", encoding="utf-8") as f:
        fields = f.read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) * 1000 / TICKS


def middle(values):
    return sorted(values)[len(values) // 2]


def summary(rounds):
    """Of several rounds: the medians of p50, p99 and CPU time, and the largest p99 and max."""
    return {"p50": middle([r["p50"] for r in rounds]), "p99": middle([r["p99"] for r in rounds]),
            "worst": max(r["p99"] for r in rounds), "max": max(r["max"] for r in rounds),
            "cpu": middle([r["cpu"] for r in rounds]), "bytes": rounds[0]["bytes"]}


def timed_round(proc, path, request, calls):
    before = cpu_ms(proc.pid)
    figures = judge("call", "-target", "unix://" + path, "-request", request, "-n", str(calls), "-warmup", str(WARMUP), "-collect", "between")
    figures["cpu"] = (cpu_ms(proc.pid) - before) / (calls + WARMUP)
    return figures


def making(before, after):
    """What the program says of the answers in between: the mean, and within what 99 % were made, in ms."""
    calls = after["count"] - before["count"]
    within = [what for what in after if what.startswith("bucket") and after[what] - before[what] >= 0.99 * calls]
    return {"mean": 1000 * (after["sum"] - before["sum"]) / calls, "within": 1000 * float(re.search('"(.*)"', within[0]).group(1))}


def hook_row(hosts, path_prefix="/"):
    with Program(hosts, path_prefix) as program:
        request, answer = program.wait_hosts(hosts)
        checked = judge("check", "-request", request, "-answer", answer)
        servers = {"ours": (program.proc, program.socket)}
        figures = {"ours": [], "copy": [], "decode": []}
        try:
            servers["copy"] = serve("serve-copy", program.dir, answer)
            servers["decode"] = serve("serve-decode", program.dir, answer)
            before = program.made()
            for _ in range(ROUNDS):
                for name, (proc, path) in servers.items():
                    figures[name].append(timed_round(proc, path, request, CALLS[name]))
            made = making(before, program.made())
        finally:
            for name in ("copy", "decode"):
                if name in servers:
                    stop(servers[name][0])
        row = {name: summary(f) for name, f in figures.items()}
        row["made"] = made
        print(f"bench: {hosts} hosts: {json.dumps(row)}", file=sys.stderr, flush=True)
        row["memcpy"] = judge("memcpy", "-file", answer, "-n", "1000")
        row["ours_in_answer"] = checked["ours"]
        row["request_bytes"] = os.path.getsize(request)
        return row


def hook():
    with in_real_time():
        rows = [(h, "/", hook_row(h)) for h in HOSTS] + [(1000, "/tailscale/{service}/", hook_row(1000, "/tailscale/{service}/"))]
    out = ["| hosts (and paths) | answer | ours p50 / p99 / worst p99 / max | copy p50 / p99 / worst p99 / max | decode+encode p50 / p99 "
           "| ours : copy | decode : ours |",
           "|---|---|---|---|---|---|---|"]
    cpu = ["| hosts (and paths) | ours | copy | decode+encode | ours : copy | decode : ours | memcpy (time) | ours: making the answer, mean / 99 % |",
           "|---|---|---|---|---|---|---|---|"]
    for hosts, prefix, r in rows:
        o, c, d = r["ours"], r["copy"], r["decode"]
        label = f"{hosts:,}" + (f" + {hosts:,} paths" if prefix != "/" else "")
        out.append(f"| {label} | {o['bytes']:,} bytes | {o['p50']:.2f} / {o['p99']:.2f} / {o['worst']:.2f} / {o['max']:.2f} ms "
                   f"| {c['p50']:.2f} / {c['p99']:.2f} / {c['worst']:.2f} / {c['max']:.2f} ms | {d['p50']:.2f} / {d['p99']:.2f} ms "
                   f"| {o['p50'] / c['p50']:.2f} | {d['p50'] / o['p50']:.1f} |")
        cpu.append(f"| {label} | {o['cpu']:.2f} ms | {c['cpu']:.2f} ms | {d['cpu']:.2f} ms | {o['cpu'] / c['cpu']:.2f} "
                   f"| {d['cpu'] / o['cpu']:.1f} | {r['memcpy']['p50']:.3f} ms | {r['made']['mean']:.2f} ms / within {r['made']['within']:g} ms |")
    out += ["", f"The request has {rows[0][2]['request_bytes']:,} bytes. CPU time of the server alone, per call:", "", *cpu]
    return ["### PostTranslateModify, 1,000 own routes", "", *out]


def settle(program):
    """Memory once nothing moves: three equal looks in a row."""
    seen, deadline = [], time.monotonic() + WAIT_SECONDS
    while len(seen) < 3 or len(set(seen[-3:])) > 1:
        if time.monotonic() > deadline:
            break
        time.sleep(0.5)
        seen.append(rss_anon(program.proc.pid)["RssAnon"])
    return rss_anon(program.proc.pid)


def memory_line(what, figures):
    kib = {k: int(v) for k, v in figures.items()}
    return f"| {what} | {kib['RssAnon'] / 1024:.2f} MiB | {kib['VmRSS'] / 1024:.2f} MiB |"


def memory():
    out = ["| state | RssAnon | RSS |", "|---|---|---|"]
    with Program(0) as program:
        time.sleep(3)
        out.append(memory_line("idle: no endpoint, no hook call yet", settle(program)))
        program.set_devices(1000)
        deadline = time.monotonic() + WAIT_SECONDS
        small = program.path("small.bin")
        while True:  # small requests, so that what is measured is ours and not the size of Envoy Gateway's
            revision = program.revision()
            if revision:
                judge("gen", "-like", RECORDED, "-routes", "1", "-out", small, "-revision", revision)
                answer = program.path("answer.bin")
                if judge("call", "-target", "unix://" + program.socket, "-request", small, "-answer", answer, check=False):
                    checked = judge("check", "-request", small, "-answer", answer, check=False)
                    if checked and checked["ours"].get("clusters") == 1000:
                        break
            if time.monotonic() > deadline:
                fail("1,000 endpoints are not served")
            time.sleep(0.2)
        out.append(memory_line("1,000 endpoints", settle(program)))
        request = program.request(ROUTES)
        judge("call", "-target", "unix://" + program.socket, "-request", request, "-n", "200")
        out.append(memory_line("and 200 hook calls with 1,000 own routes", settle(program)))
        done = 0
        for changes, what in ((10, "and 10 changes of the list, one a second: eight revisions are kept now"), (50, "and 50 further ones")):
            for _ in range(changes):
                done += 1
                program.set_devices(1000, salt=done)
                time.sleep(1.1)
            out.append(memory_line(what, settle(program)))
    return ["### Memory of the program", "", *out]


def bench_program(name, *args):
    done = subprocess.run([os.path.join(BUILD, "bench", name), *args], stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        fail(f"{name} ended with {done.returncode}: {done.stdout}{done.stderr}")
    return json.loads(done.stdout)


def churn():
    with tempfile.TemporaryDirectory(prefix="gateway-bench-") as folder:
        request = os.path.join(folder, "request.bin")
        judge("gen", "-like", RECORDED, "-routes", str(ROUTES), "-out", request)
        r = bench_program("churn", "1000", "12000", request)
    kib, heap = r["kib"][2:], r["heap_kib"][2:]  # after 2,000, in which every device has moved and the heap has found its size
    half = len(kib) // 2
    first, last = sum(kib[:half]) / half, sum(kib[half:]) / half
    return ["### Memory under change", "",
            f"Changes among 1,000 to 1,125 endpoints, each through discovery, World, Snapshot and a hook answer: RssAnon "
            f"{r['first_kib'] / 1024:.2f} MiB before the first; over the last 10,000 of 12,000, a sample each 1,000: "
            f"{', '.join(f'{k / 1024:.2f}' for k in kib)} MiB. The mean of the second half is {100 * (last - first) / first:+.1f} % of the "
            f"first's, the largest {100 * (max(kib) - min(kib)) / min(kib):+.1f} % of the smallest (goal: flat within 5 %). Allocated "
            f"(mallinfo2): {heap[0] / 1024:.2f} MiB at the first of these samples, {heap[-1] / 1024:.2f} MiB at the last."]


def snapshot():
    out = ["| endpoints | bytes of ours | first of all | | p50 / p99 / max | CPU time p50 / p99 / max | the longest: time, CPU time, times preempted |",
           "|---|---|---|---|---|---|---|"]
    for n in (100, 1000, 5000):
        with in_real_time():
            r = bench_program("snapshot_bench", str(n), "300")
        for name, what in (("discovery", "discovery"), ("snapshot", "Snapshot")):
            wall, cpu, worst = r[name]["wall"], r[name]["cpu"], r[name]["worst"]
            head = f"| {n:,} | {r['bytes']:,} | {r['first_ms']:.1f} ms " if name == "discovery" else "| | | "
            out.append(f"{head}| {what} | {triple(wall)} ms | {triple(cpu)} ms "
                       f"| {worst['wall']:.2f} ms, {worst['cpu']:.2f} ms, {worst['preempted']} |")
    return ["### One changed endpoint", "", *out]


def triple(times):
    return f"{times['p50']:.2f} / {times['p99']:.2f} / {times['max']:.2f}"


LOADS = """
import json, resource, sys, time
with open(sys.argv[1], "rb") as f:
    text = f.read()
before, at = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.process_time()
answer = json.loads(text)
print(json.dumps({"ms": 1000 * (time.process_time() - at), "kib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before}))
"""


def resync_table(r):
    out = ["| answer | CPU time | of it parse / table / discovery and World / Snapshot | made anew: devices / endpoints / packed | RssAnon at most |",
           "|---|---|---|---|---|"]
    for name, what in (("first", "the first"), ("same", "nothing changed"), ("changed", "1 % changed")):
        c = r[name]
        out.append(f"| {what} | {c['cpu']:,.0f} ms | {c['parse']:,.0f} / {c['table']:,.0f} / {c['world']:,.0f} / {c['snapshot']:,.0f} ms "
                   f"| {c['devices']:,} / {c['endpoints']:,} / {c['packs']:,} | {c['peak_kib'] / 1024:.1f} MiB |")
    return out


def resync():
    with tempfile.TemporaryDirectory(prefix="gateway-bench-") as folder:
        ten = bench_program("resync", "50000", "10", str(RESYNCS), folder)
        one = bench_program("resync", "100000", "1", str(RESYNCS), folder)
        loads = json.loads(subprocess.run([sys.executable, "-c", LOADS, os.path.join(folder, "answer.json")], check=True,
                                          stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True).stdout)
    return ["### Resync of a long list", "",
            f"One tailnet of {one['devices']:,} devices, an answer of {one['changed']['bytes']:,} bytes; the pattern `api-*` takes {one['selected']:,}. "
            f"{one['moved']:,} devices have another address when 1 % changed, of which {one['both']} are taken. Once all is read "
            f"{one['kept_kib'] / 1024:.1f} MiB are kept.", "", *resync_table(one), "",
            f"For comparison, the same bytes: yajl with callbacks that do nothing {one['bare_ms']:,.0f} ms; Python's `json.loads` {loads['ms']:,.0f} ms "
            f"and {loads['kib'] / 1024:,.0f} MiB.", "",
            f"Ten tailnets of {ten['devices'] // 10:,} devices, one answer of each, {ten['changed']['bytes']:,} bytes together; {ten['selected']:,} are taken, "
            f"{ten['moved']:,} move, {ten['both']} of those that are taken. Kept: {ten['kept_kib'] / 1024:.1f} MiB. yajl alone: {ten['bare_ms']:,.0f} ms.", "",
            *resync_table(ten)]


def kubernetes():
    """In a process of its own: it leaves this one's network for one where ports are free."""
    done = subprocess.run([sys.executable, os.path.join(ROOT, "bench", "kubernetes.py")], env={**os.environ, "TSGW_PROGRAM": find_program()},
                          stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True, check=False)
    if done.returncode != 0:
        fail(f"bench/kubernetes.py ended with {done.returncode}")
    return done.stdout.splitlines()


PARTS = {"hook": hook, "memory": memory, "churn": churn, "snapshot": snapshot, "resync": resync, "kubernetes": kubernetes}


def machine():
    with open("/proc/cpuinfo", encoding="utf-8") as f:
        model = re.search(r"model name\s*: (.*)", f.read())
    commit = subprocess.run(["git", "-C", ROOT, "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=False).stdout.strip()
    return (f"{time.strftime('%Y-%m-%d', time.gmtime())}, commit {commit}, {os.cpu_count()} × {model.group(1) if model else platform.machine()}, "
            f"Linux {platform.release().split('-')[0]}, load average {os.getloadavg()[0]:.1f} from others at the start")


AUTOGROUP = "/proc/self/autogroup"  # sched(7): where it is, nice counts only among those of one session


def set_autogroup(nice):
    with open(AUTOGROUP, "r+", encoding="ascii") as f:
        before = f.read().split()[-1]
        f.write(nice)
    return before


def go_first():
    """Others on this machine must not be in the figures, as far as we may say so."""
    try:
        os.nice(-15)
        if os.path.exists(AUTOGROUP):
            atexit.register(set_autogroup, set_autogroup("-15"))
    except OSError:
        return "without raised priority"
    with in_real_time() as permitted:
        return "with raised priority" + (", real-time where the clock is read" if permitted else "")


@contextlib.contextmanager
def in_real_time():
    """Nobody else gets a CPU that we, or what we start, want; where that is not permitted it is as it was."""
    try:
        os.sched_setscheduler(0, os.SCHED_RR, os.sched_param(1))
    except OSError:
        yield False
        return
    try:
        yield True
    finally:
        os.sched_setscheduler(0, os.SCHED_OTHER, os.sched_param(0))


def build_programs():
    names = [f"bench/{name}" for name in ("churn", "resync", "snapshot_bench")]
    subprocess.run(["ninja", "-C", BUILD, *names], check=True, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)


def main(names):
    if not set(names) <= set(PARTS):
        print(__doc__.strip(), file=sys.stderr)
        return 2
    build_programs()
    judge("memcpy", "-file", RECORDED, "-n", "1")
    lines = [f"{machine()} ({go_first()})", ""]
    for name, part in PARTS.items():
        if not names or name in names:
            text = part()
            print("\n".join(text) + "\n", flush=True)
            lines += text + [""]
    if not names:
        with open(README, encoding="utf-8") as f:
            old = f.read()
        head, rest = old.split(BEGIN)
        write(README, head + BEGIN + "\n" + "\n".join(lines) + END + rest.split(END)[1])
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
