#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The program alone, without peers: its directories, its two addresses, its commands, its end.

    tests/system/test_program.py PROGRAM [unittest's arguments]

What needs Envoy Gateway to call is in tests/e2e.
"""

import glob
import http.client
import json
import os
import re
import resource
import shutil
import signal
import socket
import stat
import subprocess
import sys
import tempfile
import time
import unittest

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
PROGRAM = ""
WAIT_SECONDS = 20
PROMISED_SECONDS = 1.0  # from an edit to its effect
PLACEHOLDER_KEY = "tskey-that-must-not-be-shown"
GROUP = "gateway.tailscale.com/v1alpha1"

GATEWAY = """
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: eg}
spec: {gatewayClassName: eg, listeners: [%s]}
"""
LISTENER = "{name: http, protocol: HTTP, port: 10080}"
USERS_ROUTE = """
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: web}
spec: {parentRefs: [{name: eg}], hostnames: [api-0.ts.local], rules: [{}]}
"""
TAILNET = """
apiVersion: gateway.tailscale.com/v1alpha1
kind: TailscaleTailnet
metadata: {name: corp}
spec: {file: {path: devices.json}, pollInterval: 1s, proxyAddresses: %s, removalGuard: {confirmations: 100}}
"""
OURS = """
apiVersion: gateway.tailscale.com/v1alpha1
kind: TailscaleGateway
metadata: {name: gw}
spec:
  gatewayRef: {name: %(gateway)s}
  tailnets:
  - name: corp
    tailscaleTailnetRef: {name: %(tailnet)s}
    serviceDiscovery: {patterns: ["%(pattern)s"], excludePatterns: ["*-secret"], %(port)s}
    routeGeneration: {egress: {hostPattern: "{service}.ts.local", pathPrefix: "/t/{service}/"}}
"""
USUAL = {"gateway": "eg", "tailnet": "corp", "pattern": "api-*", "port": "defaultPort: {port: 80}"}
DEVICES = {**{f"api-{i}": f"100.64.0.{i + 1}" for i in range(6)}, "api-secret": "100.64.0.9", "web": "100.64.0.10", "api-far": "10.1.2.3"}


def run(*args, **more):
    return subprocess.run([PROGRAM, *args], stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False, timeout=60, **more)


class Unix(http.client.HTTPConnection):
    def __init__(self, path):
        super().__init__("localhost", timeout=10)
        self.path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(10)
        self.sock.connect(self.path)


class Running:
    """The program on directories of its own; every address is a unix socket in them."""

    def __init__(self, *args):
        self.dir = tempfile.mkdtemp(prefix="tsgw-system-", dir="/tmp")
        for name in ("res", "eg"):
            os.mkdir(self.at(name))
        self.args, self.proc = args, None
        self.put("eg/gateway.yaml", GATEWAY % LISTENER)
        self.put("res/tailnet.yaml", TAILNET % '["127.0.0.1:3128"]')
        self.ours()
        self.devices(DEVICES)

    def at(self, name):
        return os.path.join(self.dir, name)

    def put(self, name, text):
        hidden = self.at(os.path.join(os.path.dirname(name), ".part"))
        with open(hidden, "w", encoding="utf-8") as f:
            f.write(text)
        os.rename(hidden, self.at(name))

    def ours(self, **more):
        self.put("res/ours.yaml", OURS % {**USUAL, **more})

    def devices(self, devices):
        self.put("res/devices.json", json.dumps({"devices": [
            {"nodeId": f"n-{n}", "name": f"{n}.corp.ts.net", "addresses": [a], "authorized": True} for n, a in devices.items()]}))

    def start(self, wait=True):
        with open(self.at("log"), "ab") as log:
            self.proc = subprocess.Popen(
                [PROGRAM, "run", "--resources", self.at("res"), "--gateway-resources", self.at("eg"), "--generated", self.at("gen"),
                 "--extension-address", f"unix://{self.at('ext')}", "--admin-address", f"unix://{self.at('admin')}",
                 "--metrics-address", f"unix://{self.at('metrics')}", *self.args], stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        if wait:
            self.until(lambda: self.get("metrics", "/readyz")[0] == 200, "it is ready")
        return self

    def until(self, check, what):
        end = time.monotonic() + WAIT_SECONDS
        while time.monotonic() < end:
            if self.proc.poll() is not None:
                raise AssertionError(f"it ended with {self.proc.returncode}: {self.log()}")
            try:
                got = check()
                if got:
                    return got
            except (OSError, http.client.HTTPException):
                pass
            time.sleep(0.02)
        raise AssertionError(f"not within {WAIT_SECONDS} s: {what}\n{self.log()[-3000:]}")

    def get(self, address, path, method="GET"):
        c = Unix(self.at(address))
        try:
            c.request(method, path)
            r = c.getresponse()
            return r.status, r.read().decode()
        finally:
            c.close()

    def state(self):
        return json.loads(self.get("admin", "/state")[1])

    def metric(self, line):
        return float(re.search(rf"^{re.escape(line)} (\S+)$", self.get("metrics", "/metrics")[1], re.M).group(1))

    def command(self, *args):
        return run(*args, "--admin-address", f"unix://{self.at('admin')}")

    def hosts(self):
        return sorted(r["host"] for r in self.state()["routes"] if r["programmed"] and not r["path"])

    def generated(self):
        found = {}
        for path in sorted(glob.glob(self.at("gen/*/*.yaml"))):
            with open(path, "rb") as f:
                found[path] = f.read(), os.stat(path).st_mtime_ns
        return found

    def log(self):
        with open(self.at("log"), encoding="utf-8") as f:
            return f.read()

    def stop(self):
        self.proc.send_signal(signal.SIGTERM)
        return self.proc.wait(WAIT_SECONDS)

    def close(self):
        if self.proc and self.proc.poll() is None:
            self.proc.kill()
            self.proc.wait()
        shutil.rmtree(self.dir)


class Case(unittest.TestCase):
    def running(self, *args):
        made = Running(*args)
        self.addCleanup(made.close)
        return made

    def ends_well(self, made):
        self.assertEqual(made.stop(), 0, made.log()[-3000:])


class Commands(Case):
    def test_help_and_exit_codes(self):
        for args, code in ((["--help"], 0), ([], 2), (["frob"], 2), (["version"], 0), (["run", "--generated", "x"], 2), (["explain"], 2), (["status", "x"], 2),
                           (["validate"], 2), (["approve-removal"], 2), (["validate", "/nowhere"], 1), (["status", "--admin-address", "unix:///nowhere"], 1),
                           (["run", "--kubeconfig", "/nowhere"], 1), (["operator", "--resources", "x"], 2)):
            self.assertEqual(run(*args).returncode, code, args)
        for command in ("run", "operator", "extension", "status", "explain", "discover", "validate", "approve-removal", "check", "render"):
            done = run(command, "--help")
            self.assertEqual((done.returncode, done.stdout[:6], done.stderr), (0, "usage:", ""))

    def test_examples_load(self):
        folders = [os.path.join(ROOT, "examples", f) for f in ("", "tailscale", "run/file", "run/headscale", "run/local")]
        for folder in folders:
            done = run("validate", folder)
            self.assertEqual(done.returncode, 0, done.stdout)
            self.assertIn("no fault", done.stdout)

    def test_manifests_of_the_walk_load(self):
        with open(os.path.join(ROOT, "README.md"), encoding="utf-8") as f:
            blocks = re.findall(r"```yaml\n(.*?)```", f.read(), re.S)
        whole = [b for b in blocks if b.startswith("apiVersion")]
        self.assertEqual(len(whole), 2)
        with tempfile.TemporaryDirectory() as folder:
            for i, b in enumerate(whole):
                with open(os.path.join(folder, f"{i}.yaml"), "w", encoding="utf-8") as f:
                    f.write(b)
            done = run("validate", folder)
        self.assertEqual((done.returncode, done.stdout.split(", ")[1]), (0, "2 objects"), done.stdout)

    def test_addresses_that_are_refused(self):
        made = self.running()
        for flag in ("--admin-address", "--extension-address"):
            done = run("run", "--resources", made.at("res"), "--generated", made.at("gen"), flag, "tcp://0.0.0.0:1")
            self.assertIn(done.returncode, (1, 2))
            self.assertIn("loopback", done.stderr)

    def test_options_from_file_and_environment(self):
        made = self.running("--config", "/nowhere")
        made.put("config", f"log-format: json\nlog-level: debug\ngenerated: {made.at('other')}\n")
        made.args = ("--config", made.at("config"))
        os.environ["TSGW_LOG_LEVEL"] = "info"
        self.addCleanup(os.environ.pop, "TSGW_LOG_LEVEL")
        made.start()
        lines = [json.loads(line) for line in made.log().splitlines()]
        self.assertTrue(all({"time", "level", "msg"} <= set(line) for line in lines))
        self.assertNotIn("debug", {line["level"].lower() for line in lines})  # the environment wins over the file
        self.assertTrue(os.path.isdir(made.at("gen")) and not os.path.exists(made.at("other")))  # a flag over both
        self.ends_well(made)


    def discover(self, made, *args):
        return run("discover", "--resources", made.at("res"), *args)

    def test_discover_shows_what_would_be_applied(self):
        made = self.running()
        made.devices({"api-1": "100.64.0.1", "api-secret": "100.64.0.2", "laptop": "100.64.0.3", "api-far": "10.0.0.1"})
        told = self.discover(made, "--explain", "-o", "json")
        self.assertEqual((told.returncode, told.stderr), (0, ""))
        entry = json.loads(told.stdout)["entries"][0]
        found = {f["name"].split(".")[0]: f for f in entry["found"]}
        self.assertEqual({n: (f["taken"], f["rule"], f["reason"]) for n, f in found.items()},
                         {"api-1": (True, "pattern api-*", ""), "api-secret": (False, "", "Excluded"),
                          "laptop": (False, "", "NotSelected"), "api-far": (False, "", "AddressRefused")})
        self.assertEqual([e["service"] for e in found["api-1"]["endpoints"]], ["api-1"])
        rules = {r["field"]: (r["value"], r["matches"]) for r in entry["rules"]}
        self.assertEqual((rules["patterns[0]"], rules["excludePatterns[0]"]), (("api-*", 3), ("*-secret", 1)))
        self.assertFalse(os.path.exists(made.at("gen")))  # nothing is written
        table = self.discover(made, "corp").stdout
        self.assertIn("excludePatterns[0] *-secret matches", table)
        self.assertNotIn("Each rule by itself", table)
        self.assertIn(" api-1:80/HTTP by defaultPort ", table)
        other = self.discover(made, "-o", "json", "other")
        self.assertEqual((other.returncode, json.loads(other.stdout)["entries"]), (1, []))
        self.assertIn("no TailscaleGateway has a tailnet other", other.stderr)

    def test_discover_connects_to_no_device(self):
        """Though the manifests ask for probes and for open ports to be looked for."""
        with socket.create_server(("127.0.0.1", 0)) as proxy:
            proxy.settimeout(0)
            made = self.running()
            made.put("res/tailnet.yaml", TAILNET % f'["127.0.0.1:{proxy.getsockname()[1]}"]')
            made.ours(port="portProbing: {ports: 80}, probes: {type: TCP, interval: 1s, timeout: 1s}")
            told = self.discover(made, "-o", "json")
            self.assertEqual(told.returncode, 0)
            self.assertEqual({f["reason"] for f in json.loads(told.stdout)["entries"][0]["found"]} & {"NoPort"}, {"NoPort"})
            self.assertRaises(BlockingIOError, proxy.accept)

    def test_discover_says_what_is_wrong(self):
        made = self.running()
        os.unlink(made.at("res/devices.json"))
        told = self.discover(made)
        self.assertEqual(told.returncode, 1)
        self.assertIn("NeverSynced", told.stdout)
        self.assertIn("devices.json", told.stdout)
        made.put("res/ours.yaml", "kind: TailscaleGateway\n")
        self.assertEqual(self.discover(made).returncode, 1)
        self.assertIn("ours.yaml", self.discover(made).stderr)
        for args in (["--resources"], [], ["--resources", "/tmp", "-o", "xml"], ["--resources", "/tmp", "a", "b"]):
            self.assertEqual(run("discover", *args).returncode, 2, args)


class Directories(Case):
    def test_an_edit_is_in_force_within_a_second(self):
        made = self.running().start()
        self.assertEqual(made.hosts(), [f"api-{i}.ts.local" for i in range(6)])
        took = []
        for pattern, hosts in (("api-[01]", 2), ("api-*", 6), ("api-[0-2]", 3)):
            start = time.monotonic()
            made.ours(pattern=pattern)
            made.until(lambda n=hosts: len(made.hosts()) == n, f"{hosts} hosts")
            took.append(time.monotonic() - start)
        self.assertLess(min(took), PROMISED_SECONDS)
        self.assertRegex(made.log(), r"endpoint left gateway=gw .* service=api-5 .* reason=NotSelected")
        self.assertRegex(made.log(), r"endpoint joined gateway=gw .* service=api-5 .* rule=\"pattern api-\*\"")
        self.ends_well(made)

    def test_a_broken_file_changes_nothing_and_is_shown(self):
        made = self.running().start()
        before = made.until(lambda: len(made.generated()) == 2 and made.generated(), "TailscaleEndpoints and Binding are written")
        made.put("res/new.yaml", "apiVersion: gateway.tailscale.com/v1alpha1\nkind: TailscaleTailnet\nmetadata: {name: x}\nspec: {file: {path: d.json}, pollIntervall: 1s}\n")
        made.ours(pattern="nothing")  # good alone, but the directory takes effect whole or not at all
        fault = "new.yaml:4:30: spec: unknown field pollIntervall, did you mean pollInterval?"
        made.until(lambda: fault in made.state()["resources"]["error"], "/state tells the fault")
        self.assertEqual(made.metric('tailscale_gateway_resources_broken{directory="resources"}'), 1)
        self.assertIn(fault, made.log())
        status = made.command("status")
        self.assertEqual(status.returncode, 1)
        self.assertIn(fault, status.stdout)
        self.assertIn(fault, made.command("explain", "http://api-0.ts.local/").stdout)
        self.assertEqual(len(made.hosts()), 6)
        self.assertEqual(made.generated(), before)
        os.unlink(made.at("res/new.yaml"))
        made.until(lambda: made.hosts() == [], "what is good now is in force")
        self.assertEqual(made.metric('tailscale_gateway_resources_broken{directory="resources"}'), 0)
        self.ends_well(made)

    def test_other_kinds_are_one_debug_line(self):
        made = self.running("--log-level", "debug")
        made.put("res/other.yaml", "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: x}\n---\napiVersion: v1\nkind: Service\nmetadata: {name: y}\n")
        made.start()
        self.assertEqual(len([line for line in made.log().splitlines() if "not ours" in line and "dir=" + made.at("res") in line]), 1)
        self.ends_well(made)

    def test_descriptors_are_enough_for_its_caps(self):
        """What a shell gives is often 1,024; a process may raise that itself, up to the hard limit."""
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        self.addCleanup(resource.setrlimit, resource.RLIMIT_NOFILE, (soft, hard))
        resource.setrlimit(resource.RLIMIT_NOFILE, (256, hard))
        made = self.running("--log-level", "debug").start()
        with open(f"/proc/{made.proc.pid}/limits", encoding="ascii") as f:
            found = re.search(r"^Max open files +(\d+) +(\d+)", f.read(), re.M)
        self.assertGreaterEqual(int(found.group(1)), min(2000, hard))
        self.assertEqual(int(found.group(2)), hard)
        self.assertRegex(made.log(), r"descriptors wanted=\d+ before=256 now=\d+")
        self.ends_well(made)

    def test_started_again_it_writes_nothing(self):
        made = self.running().start()
        before = made.until(lambda: len(made.generated()) == 2 and made.generated(), "TailscaleEndpoints and Binding are written")
        made.proc.kill()
        made.proc.wait()
        made.start()
        time.sleep(1.5)  # polls of a second
        self.assertEqual(made.generated(), before)
        self.ends_well(made)
        self.assertEqual([n for n in ("ext", "admin", "metrics") if os.path.exists(made.at(n))], [])

    def test_the_removal_that_is_approved(self):
        made = self.running().start()
        made.devices({"web": DEVICES["web"]})
        held = made.until(lambda: made.state()["entries"][0]["held"]["digest"], "the removal is held")
        self.assertEqual(len(made.hosts()), 6)
        self.assertEqual(made.metric('tailscale_gateway_held_endpoints{tailscale_gateway="envoy-gateway-system/gw",tailnet="corp",reason="TooManyRemoved"}'), 6)
        self.assertRegex(made.command("status").stdout, f"6 [(]TooManyRemoved in [0-9]+ polls, digest {held}[)]")
        self.assertIn("removal guard", made.command("explain", "api-0.ts.local").stdout)
        where = "/approve-removal?namespace=envoy-gateway-system&gateway=gw&tailnet=corp&digest="
        self.assertEqual(made.get("admin", where + held)[0], 404)  # only POST changes anything
        self.assertNotEqual(made.get("admin", where + "0" * len(held), "POST")[0], 200)
        self.assertEqual(len(made.hosts()), 6)
        self.assertIn("no TailscaleGateway has a tailnet nobody", made.command("approve-removal", "nobody").stdout)
        approved = made.command("approve-removal", "corp", "-o", "json")
        self.assertEqual((approved.returncode, json.loads(approved.stdout)["removals"][0]["digest"]), (0, held))
        made.until(lambda: made.hosts() == [], "it took effect")
        again = made.command("approve-removal", "envoy-gateway-system/gw/corp")
        self.assertEqual((again.returncode, again.stdout.strip()), (1, "nothing is held for tailnet envoy-gateway-system/gw/corp"))
        self.ends_well(made)


class Addresses(Case):
    def test_each_answers_its_own_paths(self):
        made = self.running().start()
        for path, metrics, admin in (("/healthz", 200, 200), ("/readyz", 200, 200), ("/metrics", 200, 200), ("/state", 404, 200),
                                     ("/explain?url=x", 404, 200), ("/", 404, 404), ("/approve-removal?namespace=a", 404, 404)):
            self.assertEqual((made.get("metrics", path)[0], made.get("admin", path)[0]), (metrics, admin), path)
        for name in ("ext", "admin", "metrics"):
            self.assertEqual(stat.S_IMODE(os.stat(made.at(name)).st_mode), 0o600)
        self.ends_well(made)

    def test_secrets_are_nowhere(self):
        made = self.running("--log-level", "debug")
        made.put("res/tailnet.yaml", f"apiVersion: v1\nkind: Secret\nmetadata: {{name: key}}\nstringData: {{api_key: {PLACEHOLDER_KEY}}}\n---\n"
                 f"apiVersion: {GROUP}\nkind: TailscaleTailnet\nmetadata: {{name: corp}}\n"
                 "spec: {type: Headscale, apiURL: 'http://127.0.0.1:1', credentials: {secretRef: {name: key}}, proxyAddresses: ['127.0.0.1:3128']}\n")
        made.start()
        made.until(lambda: made.state()["tailnets"][0]["failures"] > 0, "the poll failed")
        shown = [made.log(), made.get("admin", "/state")[1], made.get("metrics", "/metrics")[1], made.command("status", "-o", "yaml").stdout,
                 str(made.generated())]
        with open(f"/proc/{made.proc.pid}/cmdline", encoding="utf-8") as f:
            shown.append(f.read())
        self.assertIn("ConnectFailed", shown[1])
        for text in shown:
            self.assertNotIn(PLACEHOLDER_KEY, text)
        self.ends_well(made)


class Explained(Case):
    """What stops a request is named, by explain and by status; nobody calls here, so nothing is served."""

    def told(self, made, url, step, text):
        def says():
            done = made.command("explain", url)
            last = [line for line in done.stdout.splitlines() if line.startswith("STOP")]
            return done.returncode == 1 and len(last) == 1 and last[0].split()[1] == step and text in last[0]
        made.until(says, f"explain {url} stops at {step} with {text}; it said {made.command('explain', url).stdout}")

    def test_devices(self):
        made = self.running().start()
        for name, text in (("web", "NotSelected: patterns: api-* does not match"), ("api-secret", "excludePatterns[0] *-secret"), ("api-far", "AddressRefused: 10.1.2.3")):
            self.told(made, f"http://{name}.ts.local/", "device", text)
            self.told(made, f"http://any.example/t/{name}/x", "device", text)
            self.assertIn(text.split(": ")[-1], made.command("status").stdout)
        self.told(made, "http://nobody.ts.local/", "route", "no service")
        self.told(made, "http://api-0.corp.ts.net/", "route", "no service")
        self.told(made, "https://api-0.ts.local/", "listener", "the URL says https")
        self.told(made, "ftp://api-0.ts.local/", "url", "expected")
        self.told(made, "http://api-0.ts.local/", "revision", "has not called")
        made.ours(port="ports: []")
        self.told(made, "http://api-0.ts.local/", "device", "NoPort")
        self.assertIn("no device is selected", made.command("status").stdout)
        self.ends_well(made)

    def test_gateways(self):
        made = self.running().start()
        made.put("eg/gateway.yaml", GATEWAY % f"{LISTENER}, {{name: internal, protocol: HTTP, port: 10081}}")
        self.told(made, "http://api-0.ts.local/", "route", "ListenerAmbiguous: 2 listeners fit (http, internal)")
        made.put("eg/gateway.yaml", GATEWAY % "{name: tls, protocol: HTTPS, port: 10443}")
        self.told(made, "http://api-0.ts.local/", "route", "NoMatchingListener")
        made.put("eg/gateway.yaml", GATEWAY % LISTENER)
        made.put("eg/route.yaml", USERS_ROUTE)
        self.told(made, "http://api-0.ts.local/", "conflict", "HTTPRoute envoy-gateway-system/web names the host")
        self.told(made, "http://api-1.ts.local/", "revision", "has not called")
        self.assertRegex(made.log(), r"nothing can be programmed .* reason=ListenerAmbiguous")
        self.assertRegex(made.log(), r"not programmed .* service=api-0 host=api-0.ts.local .* reason=Conflicted")
        made.ours(gateway="nosuch")
        self.told(made, "http://api-0.ts.local/", "route", "GatewayNotFound: there is no Gateway envoy-gateway-system/nosuch")
        made.ours(tailnet="nosuch")
        self.told(made, "http://api-0.ts.local/", "tailnet", "envoy-gateway-system/nosuch is not there")
        made.ours()
        made.put("res/tailnet.yaml", TAILNET % "[]")
        os.unlink(made.at("eg/route.yaml"))
        self.told(made, "http://api-0.ts.local/", "route", "NoProxy")
        self.assertIn("NoProxy", made.command("status").stdout)
        self.ends_well(made)


if __name__ == "__main__":
    if len(sys.argv) < 2 or sys.argv[1].startswith("-"):
        sys.exit(__doc__)
    PROGRAM = os.path.abspath(sys.argv.pop(1))
    os.environ.setdefault("UBSAN_OPTIONS", "halt_on_error=1:print_stacktrace=1")
    unittest.main()
