"""What all tests share: missing pieces of the machine, and who runs beside whom."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from xdist.scheduler import LoadFileScheduling

from labkit.lessons import progress
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


@pytest.fixture
def a_new_learner(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder of progress of this test's own, empty."""
    monkeypatch.setenv("LABKIT_PROGRESS", str(tmp_path))
    progress.reset()


class NewLearner:
    """Each stored notebook begins with a learner who has tried nothing.

    Other tests of the same worker may have tried an exercise in the same folder; one more
    try would move the hint on. A plugin, since this file's hooks do not reach notebooks/.
    """

    def __init__(self) -> None:
        self.notebook = Path()

    def pytest_runtest_setup(self, item: pytest.Item) -> None:
        if item.path.suffix == ".ipynb" and item.path != self.notebook:
            self.notebook = item.path
            Path(NEWCOMER.name, "progress.json").unlink(missing_ok=True)


def pytest_configure(config: pytest.Config) -> None:
    config.pluginmanager.register(NewLearner())


def pytest_runtest_setup(item: pytest.Item) -> None:
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
