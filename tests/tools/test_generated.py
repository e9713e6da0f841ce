#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""tools/generated.py: what differs from what the program prints is named, and written where that is asked for."""

import contextlib
import io
import os
import sys
import tempfile
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "tools"))
import generated  # noqa: E402

PROGRAM = "#!/bin/sh\necho \"$@\"\n"


class Generated(unittest.TestCase):
    def test_drift(self):
        with tempfile.TemporaryDirectory() as root, contextlib.redirect_stdout(io.StringIO()) as said:
            program = os.path.join(root, "program")
            with open(program, "w", encoding="ascii") as f:
                f.write(PROGRAM)
            os.chmod(program, 0o755)
            self.assertEqual(len(generated.check(program, root)), len(generated.KINDS) + 1)
            self.assertEqual(generated.main([program, root]), 1)
            self.assertEqual(generated.main([program, root, "--write"]), 0)
            self.assertEqual(generated.main([program, root]), 0)
            page = os.path.join(root, "docs", "reference.md")
            with open(page, encoding="ascii") as f:
                self.assertEqual(f.read(), "render --reference\n")
            os.unlink(page)
            with open(os.path.join(root, "deploy", "crds", "old.yaml"), "w", encoding="ascii"):
                pass
            self.assertEqual(generated.check(program, root), ["docs/reference.md", "deploy/crds/old.yaml (nothing prints it)"])
        self.assertIn("docs/reference.md: is not what the program prints", said.getvalue())


if __name__ == "__main__":
    unittest.main()
