# SPDX-License-Identifier: Apache-2.0
"""What every end-to-end test gets: namespaces of its own, a short work directory, logs that are shown on failure."""

import os
import shutil
import tempfile

import pytest

from tests.lib import netns
from tests.lib.stack import Stack

FIGURES = []


def pytest_addoption(parser):
    parser.addoption("--soak", action="store_true", help="run the long forms too")


def pytest_collection_modifyitems(config, items):
    if not config.getoption("--soak"):
        items[:] = [i for i in items if not i.get_closest_marker("soak")]


def pytest_sessionstart(session):
    netns.isolate()


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    outcome = yield
    report = outcome.get_result()
    stack = next((v for v in getattr(item, "funcargs", {}).values() if isinstance(v, Stack)), None)
    if report.failed:
        item.module.__dict__["_tsgw_failed"] = True
        if stack:
            report.sections.append(("logs of the peers", stack.logs()))


@pytest.fixture(scope="module")
def workdir(request):
    """Short, because unix sockets live in it. Kept where a test of the module failed."""
    path = tempfile.mkdtemp(prefix="tsgw-", dir="/tmp")
    yield path
    if getattr(request.module, "_tsgw_failed", False) or os.environ.get("TSGW_KEEP"):
        print(f"\nlogs and state are kept in {path}")
    else:
        shutil.rmtree(path, ignore_errors=True)


@pytest.fixture(scope="module")
def stack(request, workdir):
    """The module's stack: nothing runs yet, the module's own fixture starts what it needs."""
    made = Stack(request.module.__name__.rsplit(".", 1)[-1].replace("test_", "")[:8], workdir)
    yield made
    made.close()


@pytest.fixture
def figure(request):
    """figure("text"): a measured value, shown at the end of the run."""
    return lambda text: FIGURES.append(f"{request.node.name}: {text}")


def pytest_terminal_summary(terminalreporter):
    if FIGURES:
        terminalreporter.section("figures")
        for line in FIGURES:
            terminalreporter.write_line(line)
