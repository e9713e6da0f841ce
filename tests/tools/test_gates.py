#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""tools/gates.py: a digest changes with all that decides, and a failed file is looked at again."""

import argparse
import json
import os
import shutil
import sys
import tempfile
import unittest
from unittest import mock

ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..")
sys.path.insert(0, os.path.join(ROOT, "tools"))
import csource  # noqa: E402
import gates  # noqa: E402


class Gates(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.root = folder.name
        self.write("src/base/a.c", '#include "base/a.h"\n')
        self.write("src/base/a.h", '#include "base/b.h"\n')
        self.write("src/base/b.h", "int b;\n")
        self.write("src/base/c.c", "int c;\n")
        commands = [{"directory": os.path.join(self.root, "build"), "file": f"../src/base/{name}",
                     "command": f"cc -I../src -Wall -Werror -O2 '-DX=\"1\"' -c ../src/base/{name}"} for name in ("a.c", "c.c", "gone.c")]
        self.write("build/compile_commands.json", json.dumps(commands))
        for patch in (mock.patch.object(csource, "ROOT", self.root),
                      mock.patch.dict(os.environ, {"TSGW_CACHE": os.path.join(self.root, "cache")})):
            patch.start()
            self.addCleanup(patch.stop)
        self.seen = []

    def write(self, path, text):
        os.makedirs(os.path.dirname(os.path.join(self.root, path)), exist_ok=True)
        with open(os.path.join(self.root, path), "w", encoding="utf-8") as f:
            f.write(text)

    def looked_at(self, config="1", findings=(), no_cache=False):
        """The names of the files that a gate with this configuration looked at."""
        seen = []

        def command(unit):
            seen.append(os.path.basename(unit.path))
            return list(findings)

        found = gates.each_unit(argparse.Namespace(build="build", no_cache=no_cache), "x", config, command)
        self.assertEqual(found, list(findings) if seen else [])
        return sorted(seen)

    def test_passed_is_remembered(self):
        self.assertEqual(self.looked_at(), ["a.c", "c.c"])
        self.assertEqual(self.looked_at(), [])
        self.assertEqual(self.looked_at(no_cache=True), ["a.c", "c.c"])

    def test_failed_is_not(self):
        self.assertEqual(self.looked_at(findings=["bad"]), ["a.c", "c.c"])
        self.assertEqual(self.looked_at(findings=["bad"]), ["a.c", "c.c"])

    def test_what_changes_a_digest(self):
        self.looked_at()
        self.write("src/base/b.h", "long b;\n")
        self.assertEqual(self.looked_at(), ["a.c"])
        self.write("src/base/c.c", "long c;\n")
        self.assertEqual(self.looked_at(), ["c.c"])
        self.assertEqual(self.looked_at(config="2"), ["a.c", "c.c"])

    def test_flags(self):
        unit = gates.units(os.path.join(self.root, "build"))[0]
        self.assertEqual(unit.flags, ["-I" + os.path.join(self.root, "src"), "-Wall", '-DX="1"'])

    def planted(self, gate, body):
        shutil.copy(os.path.join(ROOT, ".clang-tidy"), self.root)
        self.write("src/base/c.c", "#include <stdlib.h>\nint f(int n);\n" + body)
        return "\n".join(gate(argparse.Namespace(build="build", no_cache=True)))

    @unittest.skipUnless(shutil.which("clang-tidy-14"), "clang-tidy-14 is missing")
    def test_tidy_finds(self):
        self.assertEqual(self.planted(gates.gate_tidy, "int f(int n)\n{\n        return n;\n}\n"), "")
        leak = "int f(int n)\n{\n        char *p = malloc(3);\n        return p != NULL ? n : 0;\n}\n"
        self.assertIn("src/base/c.c:6", self.planted(gates.gate_tidy, leak))
        self.assertIn("unused variable", self.planted(gates.gate_tidy, "int f(int n)\n{\n        int x;\n        return n;\n}\n"))

    @unittest.skipUnless(shutil.which("cppcheck"), "cppcheck is missing")
    def test_cppcheck_finds(self):
        self.assertEqual(self.planted(gates.gate_cppcheck, "int f(int n)\n{\n        return n;\n}\n"), "")
        beyond = "int f(int n)\n{\n        int a[3] = {0};\n        return a[3] + n;\n}\n"
        self.assertIn("src/base/c.c:6", self.planted(gates.gate_cppcheck, beyond))

    def test_without_a_build_folder(self):
        found = gates.each_unit(argparse.Namespace(build="none", no_cache=False), "x", "1", lambda unit: [])
        self.assertIn("none/compile_commands.json is not there", found[0])


if __name__ == "__main__":
    unittest.main()
