"""What all tests share: missing pieces of the machine, and who runs beside whom."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from xdist.scheduler import LoadFileScheduling

from tests.needs import MAY_NOT_SKIP, first_missing

# The same examples everywhere, and no verdict by the clock: a busy machine is no bug.
settings.register_profile(
    "labkit", derandomize=True, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("labkit")

# A learner who has answered nothing; the progress of whoever runs the tests is not touched.
NEWCOMER = tempfile.TemporaryDirectory()
os.environ["LABKIT_PROGRESS"] = NEWCOMER.name

TOGETHER = ("tests/kernel/", "tests/browser/")
"""Folders of tests whose tests share one machine-wide thing (namespaces, a browser)."""


RUNNING = {"notebook": Path()}  # whose cells nbval runs now


def pytest_runtest_setup(item: pytest.Item) -> None:
    if item.path.suffix == ".ipynb" and item.path != RUNNING["notebook"]:
        RUNNING["notebook"] = item.path
        # The browser's lessons run in this folder, too: their wrong tries would change hints.
        Path(NEWCOMER.name, "progress.json").unlink(missing_ok=True)
    pieces = tuple(name for mark in item.iter_markers("needs") for name in mark.args)
    lack = first_missing(pieces)
    if lack is None:
        return
    if os.environ.get(MAY_NOT_SKIP):
        pytest.fail(f"{lack} ({MAY_NOT_SKIP} is set)", pytrace=False)
    pytest.skip(lack)


def pytest_unconfigure() -> None:
    NEWCOMER.cleanup()


class Together(LoadFileScheduling):
    """Under `-n 2`: tests of one file stay together, and those of some folders as well."""

    def _split_scope(self, nodeid: str) -> str:
        file = nodeid.split("::", 1)[0]
        return next((folder for folder in TOGETHER if file.startswith(folder)), file)


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Together:
    return Together(config, log)
