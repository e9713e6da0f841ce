#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What of test_sources.py takes minutes: deadlines, the life of a token, and a server that fails in another way every second. `make soak` runs it.

    tests/system/soak_sources.py PROGRAM [unittest's arguments]
"""

import os
import random
import re
import sys
import time
import unittest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import test_sources as sources  # noqa: E402
from test_sources import FAULTS, HOSTS, SLOW, exposed, oauth, setUpModule, tailnet  # noqa: E402, F401

POLL_SECONDS = 60  # the deadline of a poll
TOKEN_SECONDS = 60  # the shortest life of a token that is believed; it is renewed at 80 % of it
CHAOS_SECONDS = 120


class Soak(sources.Case):
    def test_deadlines(self):
        """What never ends is given up after a minute, wherever it hangs: at the same time, so that it takes one minute."""
        waiting = []
        for where, how in (("devices", "hang"), ("devices", "drip"), ("token", "hang"), ("tls", "silent")):
            made, api, _ = self.usual()
            if where == "token":
                api.revoke()
            api.set_tls(how) if where == "tls" else api.fail(how, where)
            made.poll()
            waiting.append((f"{how} at {where}", made, api))
        end = time.monotonic() + POLL_SECONDS + 15
        while time.monotonic() < end and not all(m.tailnet()["reason"] for _, m, _ in waiting):
            for what, made, _ in waiting:
                self.assertEqual(made.hosts(), HOSTS, what)
            time.sleep(0.5)
        for what, made, api in waiting:
            with self.subTest(what):
                self.assertEqual((made.tailnet()["reason"], made.hosts()), ("Timeout", HOSTS))
                api.heal()
                made.poll()
                made.synced()
                self.ends_well(made)

    def test_token_is_renewed_before_it_ends(self):
        """At 80 % of its life, and no call is refused because of it."""
        made, api, _ = self.usual()
        api.life = TOKEN_SECONDS
        api.revoke()
        made.until(lambda: len(api.asked("token")) == 2, "it has a token of a minute")
        first = api.asked("token")[1].at
        end = time.monotonic() + TOKEN_SECONDS + 10
        while time.monotonic() < end and len(api.asked("token")) == 2:
            time.sleep(0.5)
        self.assertAlmostEqual(api.asked("token")[2].at - first, 0.8 * TOKEN_SECONDS, delta=3)
        self.assertEqual([r for r in api.asked("devices", first) if r.status != 200], [])
        self.assertEqual((made.tailnet()["failures"], made.hosts()), (0, HOSTS))
        self.ends_well(made)

    def test_a_server_that_fails_in_every_way(self):
        """Another fault every moment, at whatever is asked; then it is well again, and so is all else."""
        made, api, _ = self.usual()
        api.add_service("web", ["tcp:443"], hosts=[1])
        api.redirect_to = api.url
        chance, before, end = random.Random(4), made.endpoints(), time.monotonic() + CHAOS_SECONDS
        faults = [f for f in FAULTS if f not in SLOW and f not in ("endless", "empty")] + ["401", "403", "404", "500", "503"]
        n = 0
        while time.monotonic() < end:
            api.fail(chance.choice(faults), chance.choice(["devices", "services", "hosts", "token", "*"]))
            if chance.random() < 0.2:
                api.revoke()
            if chance.random() < 0.1:
                api.set_tls(chance.choice(["expired", "good", "garbage"]))
            made.poll()
            time.sleep(chance.random())
            if chance.random() < 0.5:
                api.heal()
            self.assertEqual(made.hosts(), HOSTS)
            n += 1
        api.heal()
        made.poll()
        made.synced()
        self.assertEqual([e for e in made.endpoints() if e[0] != "web"], before)
        self.assertEqual([line for line in made.log().splitlines() if re.search("endpoint left", line)], [])
        print(f"{n} faults, {len(api.requests)} requests", file=sys.stderr)
        self.ends_well(made)


if __name__ == "__main__":
    if len(sys.argv) < 2 or sys.argv[1].startswith("-"):
        sys.exit(__doc__)
    sources.runner.PROGRAM = os.path.abspath(sys.argv.pop(1))
    os.environ.setdefault("UBSAN_OPTIONS", "halt_on_error=1:print_stacktrace=1")
    unittest.main()
