#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""tools/floors.py: it passes a small clean tree, and each planted violation fails it with a line that names it."""

import os
import sys
import tempfile
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "tools"))
import floors  # noqa: E402

ARCHITECTURE = """
| folder | promise | may include |
|---|---|---|
| `base` | lowest | nothing of ours |
| `io` | waits | `base` |
| `kube` | not there | `base` `io` |
| `model` | pure | `base` |
| `app` | main | all |

| folder | outside headers |
|---|---|
| `io` | `event2/*` |
| `model` | `tokens.h` |
"""
MESON = """
outside = {
  'io': [dep_event],
}
floors = {
  'base': [],
  'io': ['base'],
  'model': ['base'],
}
"""
CLEAN = {
    "ARCHITECTURE.md": ARCHITECTURE,
    "meson.build": MESON,
    "src/base/str.h": "#pragma once\n#include <string.h>\n",
    "src/base/str.c": '/* #include "io/loop.h" */\n#include "base/str.h"\n',
    "src/base/str_test.c": '#include <cmocka.h>\n#include "base/str.h"\n',
    "src/io/loop.h": '#pragma once\n#include "base/str.h"\n',
    "src/io/loop.c": '#include "io/loop.h"\n#include <event2/event.h>\n#include <sys/socket.h>\n',
    "src/model/world.h": '#pragma once\n#include "base/str.h"\n',
    "src/app/main.c": '#include "io/loop.h"\n#include "model/world.h"\n',
}


class Floors(unittest.TestCase):
    def problems(self, changes=None):
        with tempfile.TemporaryDirectory() as root:
            for path, text in {**CLEAN, **(changes or {})}.items():
                os.makedirs(os.path.join(root, os.path.dirname(path)), exist_ok=True)
                with open(os.path.join(root, path), "w", encoding="utf-8") as f:
                    f.write(text)
            return floors.check(root)

    def planted(self, changes, expected):
        found = self.problems(changes)
        self.assertEqual(len(found), 1, found)
        self.assertIn(expected, found[0])

    def test_clean(self):
        self.assertEqual(self.problems(), [])

    def test_upward_include(self):
        self.planted({"src/base/buf.c": '#include "base/str.h"\n#include "io/loop.h"\n'}, "src/base/buf.c:2: `base` may not include `io`")

    def test_brother_include(self):
        self.planted({"src/model/cidr.c": '#include <stdio.h>\n#  include "io/loop.h"\n'}, "src/model/cidr.c:2: `model` may not include `io`")

    def test_test_files_are_held_too(self):
        self.planted({"src/base/up_test.c": '#include "io/loop.h"\n'}, "src/base/up_test.c:1")

    def test_outside_header(self):
        self.planted({"src/model/cidr.c": "#include <event2/event.h>\n"}, "<event2/event.h> is an outside header")
        self.planted({"src/base/json.c": "#include <yajl/yajl_parse.h>\n"}, "<yajl/yajl_parse.h> is an outside header")

    def test_a_test_may_play_the_peer(self):
        may = ARCHITECTURE.replace("| `model` | pure | `base` |", "| `model` | pure | `base` `io` |")
        meson = MESON.replace("'model': ['base']", "'model': ['base', 'io']")
        both = {"ARCHITECTURE.md": may, "meson.build": meson}
        self.assertEqual(self.problems({**both, "src/model/peer_test.c": "#include <event2/event.h>\n"}), [])
        self.planted({**both, "src/model/peer.c": "#include <event2/event.h>\n"}, "<event2/event.h> is an outside header")

    def test_cmocka_only_in_tests(self):
        self.planted({"src/base/buf.c": "#include <cmocka.h>\n"}, "<cmocka.h>")

    def test_relative_include(self):
        self.planted({"src/base/buf.c": '#include "str.h"\n'}, '"floor/module.h"')
        self.planted({"src/model/a.c": '#include "../io/loop.h"\n'}, '"floor/module.h"')

    def test_generated_header(self):
        self.assertEqual(self.problems({"src/model/a.c": '#include "tokens.h"\n'}), [])
        self.planted({"src/base/a.c": '#include "tokens.h"\n'}, '"floor/module.h"')

    def test_own_header_first(self):
        self.planted({"src/base/str.c": '#include <stdio.h>\n#include "base/str.h"\n'}, "the first include must be")

    def test_names_are_unique(self):
        self.planted({"src/model/loop.h": "#pragma once\n"}, "module name `loop` is used in src/io and src/model")

    def test_secret_reveal(self):
        self.planted({"src/model/a.c": "int a(void)\n{\n        return secret_reveal(s).n;\n}\n"}, "src/model/a.c:3: secret_reveal")
        self.assertEqual(self.problems({"src/model/a.c": "/* never secret_reveal here */\n", "src/net/x.h": ""})[:1],
                         ["src/net: not in the table of ARCHITECTURE.md"])

    def test_meson_differs(self):
        self.planted({"meson.build": MESON.replace("'model': ['base']", "'model': ['base', 'io']")}, "`floors` says model")
        self.planted({"meson.build": MESON.replace("  'model': ['base'],\n", "")}, "`floors` lacks `model`")
        self.planted({"meson.build": MESON.replace("'io': [dep_event]", "'base': [dep_event]")}, "`outside` has `base`")

    def test_table_is_a_ladder(self):
        found = self.problems({"ARCHITECTURE.md": ARCHITECTURE.replace("| `io` | waits | `base` |", "| `io` | waits | `base` `model` |")})
        self.assertIn("`io` may include `model`, which does not stand above it", found[0])

    def test_no_table(self):
        self.assertIn("no table of floors", self.problems({"ARCHITECTURE.md": "# nothing\n"})[0])


if __name__ == "__main__":
    unittest.main()
