# SPDX-License-Identifier: Apache-2.0
"""Processes of a test: started in a namespace, with a log file, stopped by their pid."""

import os
import re
import signal
import subprocess
import time

SANITIZER = re.compile(r"ERROR: (Address|Leak|Thread)Sanitizer|runtime error:|SUMMARY: \w+Sanitizer")
LOG_TAIL = 25
LOG_LINE = 300


class Timeout(AssertionError):
    """Something that was waited for did not happen."""


def eventually(check, seconds, what, every=0.05):
    """Waits until `check` returns something true and returns that. An AssertionError or OSError of it counts as not yet."""
    end = time.monotonic() + seconds
    last = None
    while True:
        try:
            got = check()
            if got:
                return got
            last = got
        except (AssertionError, OSError, ValueError) as e:
            last = e
        if time.monotonic() >= end:
            raise Timeout(f"not within {seconds} s: {what} (last: {last!r})")
        time.sleep(every)


def holds(check, seconds, what, every=0.1):
    """The opposite: `check` must be true all the time."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        got = check()
        assert got, f"did not hold: {what} (got {got!r})"
        time.sleep(every)


class Process:
    """One program, in a session of its own so that Ctrl-C reaches us alone. It dies with us even if we are killed. Start processes from the main thread only:
    the kernel ties the death signal to the thread that forked."""

    def __init__(self, name, argv, log_dir, ns=None, env=None, cwd=None):
        self.name, self.argv, self.ns, self.cwd = name, [str(a) for a in argv], ns, cwd
        self.env = dict(os.environ, **(env or {}))
        self.log = os.path.join(log_dir, f"{name}.log")
        self.proc = None

    def start(self):
        assert not self.running(), f"{self.name} runs already"
        enter = ["nsenter", f"--net={self.ns.path}"] if self.ns and self.ns.path else []
        with open(self.log, "ab") as log:
            log.write(f"--- {time.strftime('%H:%M:%S')} {' '.join(self.argv)}\n".encode())
            log.flush()
            self.proc = subprocess.Popen([*enter, "setpriv", "--pdeathsig", "KILL", *self.argv], cwd=self.cwd, env=self.env,
                                         stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True)
        return self

    @property
    def pid(self):
        return self.proc.pid

    def running(self):
        return self.proc is not None and self.proc.poll() is None

    def check(self):
        assert self.running(), f"{self.name} ended with {self.proc.returncode if self.proc else 'no start'}\n{self.tail()}"
        return True

    def signal(self, number):
        self.proc.send_signal(number)

    def kill(self):
        """SIGKILL, and gone when this returns."""
        if self.running():
            self.proc.kill()
            self.proc.wait()

    def stop(self, seconds=20):
        """SIGTERM and the exit code; SIGKILL and an error if that takes too long."""
        if self.proc is None:
            return 0
        if self.running():
            self.proc.send_signal(signal.SIGTERM)
            self.proc.send_signal(signal.SIGCONT)
            try:
                self.proc.wait(seconds)
            except subprocess.TimeoutExpired:
                self.kill()
                raise Timeout(f"{self.name} did not end within {seconds} s after SIGTERM\n{self.tail()}") from None
        return self.proc.returncode

    def text(self):
        try:
            with open(self.log, encoding="utf-8", errors="replace") as f:
                return f.read()
        except FileNotFoundError:
            return ""

    def tail(self, lines=LOG_TAIL, without=None):
        kept = [line for line in self.text().splitlines() if not without or without not in line]
        return f"--- {self.log}\n" + "\n".join(line[:LOG_LINE] for line in kept[-lines:])

    def sanitizer_report(self):
        text = self.text()
        m = SANITIZER.search(text)
        return text[max(0, m.start() - 200):m.start() + 4000] if m else None
