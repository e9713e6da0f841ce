#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""tools/budgets.py: what is within the budgets passes, and each planted excess fails with a line that names it."""

import os
import sys
import tempfile
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "tools"))
import budgets  # noqa: E402
import csource  # noqa: E402

HEAD = "/* SPDX-License-Identifier: Apache-2.0 */\n"
NESTED_3 = """
int f(int a)
{
        for (int i = 0; i < a; i++) {
                if (a > 1)
                        while (a--)
                                g("}", '{');
                else if (a > 2)
                        a = (int[]){1, 2}[0];
        }
        switch (a) {
        case 1:
        case 2:
                if (a)
                        if (a)
                                return 1;
                break;
        default:
                break;
        }
        do {
                a--;
        } while (a > 0);
        return a;
}
"""


class Budgets(unittest.TestCase):
    def problems(self, files):
        with tempfile.TemporaryDirectory() as root:
            for path, text in files.items():
                os.makedirs(os.path.join(root, os.path.dirname(path)), exist_ok=True)
                with open(os.path.join(root, path), "w", encoding="utf-8") as f:
                    f.write(text)
            return budgets.check(root)

    def planted(self, path, text, expected):
        found = self.problems({path: HEAD + text})
        self.assertEqual(len(found), 1, found)
        self.assertIn(expected, found[0])

    def clean(self, path, text):
        self.assertEqual(self.problems({path: HEAD + text}), [])

    def test_nesting(self):
        self.clean("src/base/a.c", NESTED_3)
        self.planted("src/base/a.c", NESTED_3.replace("g(\"}\", '{');", "if (a)\n g();"), "a.c:8: f: nested 4 deep")
        self.planted("src/base/a.c", "int f(int a)\n{\nif (a) { if (a) { TABLE_FOREACH(T, x, t) { do { a--; } while (a); } } }\nreturn 0;\n}\n",
                     "nested 4 deep")
        self.planted("src/base/a.c", "DEFINE_CLEANUP(A, b, c)\nint f(int a)\n{\nfail:\nif (a) while (a) for (;;) if (a) a--;\nreturn 0;\n}\n", "nested 4 deep")

    def test_function_lines(self):
        self.clean("src/base/a.c", "void f(void)\n{\n" + "        g();\n" * 97 + "}\n")
        self.planted("src/base/a.c", "void f(void)\n{\n" + "        g();\n" * 98 + "}\n", "f: 101 lines, at most 100")

    def test_complexity(self):
        def body(n):
            return "int f(int a)\n{\n" + "".join(f"        if (a == {i})\n                return {i};\n" for i in range(n)) + "        return 0;\n}\n"
        self.clean("src/base/a.c", body(19))
        self.planted("src/base/a.c", body(20), "f: complexity 21, at most 20")

    def test_a_switch_counts_once(self):
        cases = "".join(f"        case {i}:\n                return {i};\n" for i in range(30))
        self.clean("src/base/a.c", f"int f(int a)\n{{\n        switch (a) {{\n{cases}        }}\n        return 0;\n}}\n")

    def test_parameters(self):
        self.clean("src/base/a.c", "int f(int a, int b, int c, int d, int (*e)(int, int), const char *fmt, ...)\n{\n        return 0;\n}\n")
        self.planted("src/base/a.c", "int f(int a, int b, int c, int d, int e, int g, int h)\n{\n        return 0;\n}\n", "f: 7 parameters")
        self.planted("src/base/a.c", "int f(int a, int b, int c, int d, int e, int g, int h);\n", "f: 7 parameters")
        self.clean("src/base/a.c", "static int on_f(int a, int b, int c, int d, int e, int g, int h)\n{\n        return 0;\n}\n")

    def test_file_lines(self):
        self.clean("src/base/a.h", "\n" * 299)
        self.planted("src/base/a.h", "\n" * 300, "301 lines, at most 300")
        self.planted("src/base/a.c", "\n" * 1000, "1001 lines, at most 1000")

    def test_header_comments(self):
        self.clean("src/base/a.h", "#pragma once\n/* Two of a kind. */\nint a_one(int x);\nint a_two(\n        int x) MUST_USE;\n\nvoid a_done(A *a);\n"
                                   "static inline int a_x(void)\n{\n        return 1;\n}\nstruct A {\n        int (*f)(int);\n};\n#define A(x) b(x)\n")
        self.planted("src/base/a.h", "#pragma once\n/* About all. */\n\nint a_one(int x);\n", "a_one: no comment")
        self.planted("src/base/a.h", "#pragma once\nstruct B *a_one(int x) MUST_USE;\n", "a_one: no comment")

    def test_calls(self):
        self.clean("src/base/a.c", '/* strcpy(a, b) */\nvoid f(A *a)\n{\n        a->system(1);\n        log("atoi(x)");\n}\n')
        self.planted("src/base/a.c", "void f(void)\n{\n        strcpy(a, b);\n}\n", "a.c:4: strcpy is not used here")
        self.planted("src/base/a.c", "void f(void)\n{\n        x = clock_gettime(CLOCK_MONOTONIC, &t);\n}\n", "clock_gettime is not used here")
        self.planted("src/net/a.c", "void f(void)\n{\n        p = malloc(3);\n}\n", "malloc is not used here")
        self.clean("src/base/mem.c", "void f(void)\n{\n        p = malloc(3);\n}\n")

    def test_first_line(self):
        self.assertIn("a.c:1: the first line must say SPDX", self.problems({"src/base/a.c": "\n" + HEAD})[0])
        self.assertEqual(self.problems({"tools/a.py": "#!/usr/bin/env python3\n# SPDX-License-Identifier: Apache-2.0\n"}), [])
        self.assertIn("tools/a.py:1:", self.problems({"tools/a.py": "#!/usr/bin/env python3\nimport os\n"})[0])

    def test_unfinished(self):
        self.planted("src/base/a.c", "/* TO" "DO: later */\n", "a.c:2: unfinished work")

    def test_fuzz_table(self):
        files = {"tests/fuzz/fuzz_wire.c": HEAD, "tests/fuzz/corpus/wire/one": "x",
                 "tests/fuzz/meson.build": "# SPDX-License-Identifier: Apache-2.0\nfuzzers = {\n  'wire': ['proto'],\n}\n"}
        self.assertEqual(self.problems(files), [])
        found = self.problems({**files, "tests/fuzz/fuzz_yaml.c": HEAD})
        self.assertEqual(len(found), 2, found)

    def test_strip(self):
        self.assertEqual(csource.strip('a /* "x" */ b "c\\"/*" d // e\nf'), 'a           b "" d     \nf')
        self.assertEqual(csource.includes('/* #include <a.h> */\n# include <b.h>\n#include "c/d.h"\n'), [(2, "b.h", False), (3, "c/d.h", True)])


if __name__ == "__main__":
    unittest.main()
