"""One JupyterLab for all browser tests, over a copy of the lessons; one page for each file.

`open_copy` lets a test bring a notebook of its own.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from tests.needs import MAY_NOT_SKIP, ROOT, missing


@pytest.fixture(scope="session")
def served(tmp_path_factory) -> Path:
    """The folder that JupyterLab shows: opening and running a lesson changes no stored one."""
    if (lack := missing("chromium")) and not os.environ.get(MAY_NOT_SKIP):
        pytest.skip(lack)
    folder = tmp_path_factory.mktemp("served")
    shutil.copytree(ROOT / "notebooks", folder / "notebooks")
    return folder


@pytest.fixture(scope="session")
def server(served, tmp_path_factory):
    from tests.browser.lab import Server

    server = Server(served, tmp_path_factory.mktemp("jupyter"))
    try:
        server.wait()
        yield server
    finally:
        server.stop()


@pytest.fixture(scope="module")
def jupyter(server):
    """A `Browser`. Closed with each file: Playwright's event loop is in the way of others."""
    from tests.browser.lab import browser

    with browser(server) as page:
        yield page
