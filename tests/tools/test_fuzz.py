#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""tests/fuzz/replay.c: each file is fed once, from a block of its size; a corpus without files is a failure."""

import os
import shutil
import subprocess
import tempfile
import unittest

ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..")
# Reads one byte too many where the first is an `x`; refuses an `a`.
TARGET = """
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        printf("fed %zu\\n", size);
        if (size > 0 && data[0] == 'a')
                abort();
        return size > 0 && data[0] == 'x' ? *(const volatile uint8_t *)(data + size) & 0 : 0;
}
"""


@unittest.skipUnless(shutil.which("gcc"), "gcc is missing")
class Replay(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.TemporaryDirectory()
        cls.program = os.path.join(cls.folder.name, "replay")
        source = os.path.join(cls.folder.name, "target.c")
        with open(source, "w", encoding="utf-8") as f:
            f.write(TARGET)
        subprocess.run(["gcc", "-std=gnu17", "-D_GNU_SOURCE", "-fsanitize=address", "-o", cls.program, source,
                        os.path.join(ROOT, "tests/fuzz/replay.c")], check=True)

    @classmethod
    def tearDownClass(cls):
        cls.folder.cleanup()

    def replay(self, files):
        with tempfile.TemporaryDirectory() as corpus:
            for name, content in files.items():
                with open(os.path.join(corpus, name), "wb") as f:
                    f.write(content)
            done = subprocess.run([self.program, corpus], capture_output=True, text=True, check=False)
        return done.returncode, done.stdout + done.stderr

    def test_each_file_once(self):
        code, out = self.replay({"2": b"22", "1": b"1", "3": b"", ".hidden": b"aaaa"})
        self.assertEqual(code, 0, out)
        self.assertIn("fed 1\nfed 2\nfed 0\n3 inputs", out)

    def test_failures_are_seen(self):
        self.assertNotEqual(self.replay({"1": b"abort"})[0], 0)
        code, out = self.replay({"1": b"x"})
        self.assertNotEqual(code, 0)
        self.assertIn("heap-buffer-overflow", out)

    def test_nothing_to_feed(self):
        self.assertNotEqual(self.replay({})[0], 0)
        self.assertNotEqual(subprocess.run([self.program, "/nonexistent"], capture_output=True, check=False).returncode, 0)
        self.assertNotEqual(subprocess.run([self.program], capture_output=True, check=False).returncode, 0)


if __name__ == "__main__":
    unittest.main()
