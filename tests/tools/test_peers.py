#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""tools/peers.py: a program on PATH is taken if its version fits; what is built is built once, whole or not at all."""

import os
import stat
import sys
import tempfile
import unittest
from unittest import mock

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "tools"))
import peers  # noqa: E402


class Recipe:
    """Builds a file `tool`; counts how often."""

    files, on_path = {"tool": "tool"}, {"tool": (["--version"], r"^1\.2\.")}

    def __init__(self, fails=False, empty=False):
        self.n, self.fails, self.empty = 0, fails, empty

    def digest(self):
        return "0123"

    def build(self, out, log):
        self.n += 1
        if self.fails:
            raise peers.PeerError("planted")
        if not self.empty:
            program(os.path.join(out, "tool"), "1.2.3")


def program(path, says):
    with open(path, "w", encoding="utf-8") as f:
        f.write(f"#!/bin/sh\necho {says}\n")
    os.chmod(path, stat.S_IRWXU)
    return path


class Peers(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.cache, self.bin = os.path.join(folder.name, "cache"), os.path.join(folder.name, "bin")
        os.mkdir(self.bin)
        changed = mock.patch.dict(os.environ, {"TSGW_CACHE": self.cache, "PATH": f"{self.bin}:/usr/bin:/bin"})
        changed.start()
        self.addCleanup(changed.stop)

    def get(self, recipe, name="tool"):
        with mock.patch.dict(peers.PEERS_BY_NAME, {n: recipe for n in recipe.files}):
            return peers.get(name)

    def test_on_path(self):
        recipe = Recipe()
        on_path = program(os.path.join(self.bin, "tool"), "1.2.9")
        self.assertEqual(self.get(recipe), on_path)
        program(on_path, "1.3.0")  # does not fit
        self.assertTrue(self.get(recipe).startswith(self.cache))
        self.assertEqual(recipe.n, 1)

    def test_parts_of_one_recipe_belong_together(self):
        recipe = Recipe()
        recipe.files, recipe.on_path = {"tool": "tool", "part": "tool"}, {**recipe.on_path, "part": recipe.on_path["tool"]}
        program(os.path.join(self.bin, "tool"), "1.2.9")
        self.assertTrue(self.get(recipe).startswith(self.cache))
        part = program(os.path.join(self.bin, "part"), "1.2.9")
        self.assertEqual(self.get(recipe, "part"), part)

    def test_built_once_and_whole(self):
        recipe = Recipe()
        first = self.get(recipe)
        self.assertTrue(os.access(first, os.X_OK))
        self.assertEqual((self.get(recipe), recipe.n), (first, 1))

    def test_there_builds_nothing(self):
        recipe = Recipe()
        with mock.patch.dict(peers.PEERS_BY_NAME, {"tool": recipe}):
            self.assertEqual((peers.there("tool"), recipe.n), (None, 0))
            built = peers.get("tool")
            self.assertEqual((peers.there("tool"), recipe.n), (built, 1))
            on_path = program(os.path.join(self.bin, "tool"), "1.2.9")
            self.assertEqual(peers.there("tool"), on_path)

    def test_a_failure_leaves_nothing(self):
        for recipe in (Recipe(fails=True), Recipe(empty=True)):
            with self.assertRaises(peers.PeerError):
                self.get(recipe)
            self.assertEqual([n for n in os.listdir(self.cache) if os.path.isdir(os.path.join(self.cache, n))], [])
        self.assertTrue(self.get(Recipe()).startswith(self.cache))

    def test_unknown(self):
        with self.assertRaises(peers.PeerError):
            peers.get("nobody")

    def test_every_pin_says_what_fits(self):
        for name, recipe in peers.PEERS_BY_NAME.items():
            self.assertIn(name, recipe.files)
            self.assertTrue(recipe.version())


if __name__ == "__main__":
    unittest.main()
