"""What all tests share: missing pieces of the machine, and who runs beside whom."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from tests.needs import MAY_NOT_SKIP, first_missing

# The same examples everywhere, and no verdict by the clock: a busy machine is no bug.
settings.register_profile(
    "labkit", derandomize=True, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("labkit")

# A learner who has answered nothing; the progress of whoever runs the tests is not touched.
NEWCOMER = tempfile.TemporaryDirectory()
os.environ["LABKIT_PROGRESS"] = NEWCOMER.name

TOGETHER = ("kernel", "browser")
"""Folders of tests whose tests share one machine-wide thing (namespaces, a browser)."""


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


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Under `-n 2 --dist loadgroup`, tests of one file, notebook or folder stay together."""
    for item in items:
        item.add_marker(pytest.mark.xdist_group(group_of(item.path)))


def group_of(path: Path) -> str:
    folder = path.parent.name
    return folder if folder in TOGETHER else "/".join(path.parts[-3:])
