#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""tools/docs.py: a clean set of pages passes, each planted fault is named."""

import os
import sys
import tempfile
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "tools"))
import docs  # noqa: E402

CLEAN = {
    "README.md": "[a](docs/README.md) [b](https://example.com/x) [c](docs/loop.md#rules)\n```\n[d](nowhere)\n```\n",
    "docs/README.md": "[loop](loop.md) [metrics](metrics.md) [more](metrics-more.md) [up](../README.md)\n",
    "docs/loop.md": "# Loop\n",
    "docs/metrics.md": "`tailscale_gateway_hosts`\n", "docs/metrics-more.md": "`tailscale_gateway_ready`\n",
    "src/a/a.c": 'x("tailscale_gateway_hosts"); y("tailscale_gateway_grpc_" name);\n',
}


class Docs(unittest.TestCase):
    def problems(self, changes=None):
        with tempfile.TemporaryDirectory() as root:
            for path, text in {**CLEAN, **(changes or {})}.items():
                os.makedirs(os.path.join(root, os.path.dirname(path)), exist_ok=True)
                with open(os.path.join(root, path), "w", encoding="utf-8") as f:
                    f.write(text)
            return docs.check(root)

    def planted(self, changes, expected):
        found = self.problems(changes)
        self.assertEqual(len(found), 1, found)
        self.assertIn(expected, found[0])

    def test_pages(self):
        self.assertEqual(self.problems(), [])
        self.planted({"docs/new.md": "# New\n"}, "docs/new.md: is not in docs/README.md")
        self.planted({"docs/loop.md": "line\n" * 151}, "docs/loop.md: 151 lines")
        self.assertEqual(self.problems({"docs/loop.md": "<!-- Made by `x`. -->\n" + "line\n" * 151}), [])
        self.planted({"docs/loop.md": "[x](gone.md)\n"}, "docs/loop.md: the link to gone.md")
        self.planted({"src/a/b.c": '"tailscale_gateway_new_total"\n'}, "src/a/b.c: tailscale_gateway_new_total")
        self.planted({"src/a/b.c": '#define P "tailscale_gateway_"\nP "ready", P "new"\n'}, "src/a/b.c: tailscale_gateway_new is")

    def test_conditions(self):
        index = {"docs/README.md": CLEAN["docs/README.md"] + "[conditions](conditions.md)\n"}
        code = {"src/model/condition.c": '{"Synced", "Good"}, {"Synced", "Bad"}, {"Held", "Good"}'}
        page = "| condition | reason | means |\n|---|---|---|\n| `Synced` | `Good`, `Bad` | x |\n| `Held` | `Good` | y |\n"
        self.assertEqual(self.problems({**index, **code, "docs/conditions.md": page}), [])
        self.planted({**index, **code, "docs/conditions.md": page.replace(", `Bad`", "")}, "Synced Bad is not told of")
        self.planted({**index, **code, "docs/conditions.md": page + "| | `New` | z |\n"}, "Held New is not in src/model/condition.c")


if __name__ == "__main__":
    unittest.main()
