"""A real JupyterLab in a real Chromium, for tests: one server, one page, documents come and go.

Everything is done through JupyterLab's own commands (`window.jupyterapp`), never by clicking
menus, so that a new version of its looks does not break a test of ours.
"""

from __future__ import annotations

import json
import os
import secrets
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import axe_playwright_python
from playwright.sync_api import Page, sync_playwright

from tests.needs import ROOT, chromium

SHOTS = ROOT / "shots"
THEMES = {"light": "JupyterLab Light", "dark": "JupyterLab Dark"}
AXE = Path(axe_playwright_python.__file__).parent / "axe.min.js"
OUTPUTS = ".jp-Notebook .jp-OutputArea-output"
"""Where what our code shows is found; the rest of the page is JupyterLab's."""

SETTINGS = {
    # Cells out of sight are otherwise not in the page at all.
    "@jupyterlab/notebook-extension/tracker": {"windowingMode": "none"},
    "@jupyterlab/apputils-extension/notification": {
        "fetchNews": "false",
        "checkForUpdates": False,
    },
}
CHROMIUM_FLAGS = ["--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-sync"]
CHROMIUM_FLAGS += ["--disable-background-networking", "--disable-component-update"]

SECOND = 1000  # Playwright counts in milliseconds
PATIENCE = 60 * SECOND
TALLEST = 16_000  # pixels; Chromium draws no taller picture


class Server:
    """JupyterLab on loopback, with nothing of the user's own settings, serving `root`."""

    def __init__(self, root: Path, private: Path) -> None:
        self.token = secrets.token_hex(16)
        self.base = f"http://127.0.0.1:{free_port()}"
        self._log = private / "lab.log"
        write_settings(private / "settings")
        with self._log.open("w") as log:
            self._process = subprocess.Popen(
                self._command(root), env=private_environment(private), stdout=log, stderr=log
            )

    def _command(self, root: Path) -> list[str]:
        command = [sys.executable, "-m", "jupyterlab", "--no-browser", "--ip=127.0.0.1"]
        command += [f"--port={self.base.rsplit(':', 1)[1]}", "--ServerApp.port_retries=0"]
        command += [f"--IdentityProvider.token={self.token}", f"--ServerApp.root_dir={root}"]
        command += ["--LabApp.expose_app_in_browser=True", "--LabApp.news_url=None"]
        command += ["--LabApp.check_for_updates_class=jupyterlab.NeverCheckForUpdate"]
        command += ["--LabApp.extension_manager=readonly"]
        return [*command, "--allow-root"] if os.geteuid() == 0 else command

    def wait(self, seconds: int = 90) -> None:
        for _ in range(seconds * 10):
            try:
                urllib.request.urlopen(f"{self.base}/api?token={self.token}", timeout=5).close()
                return
            except OSError:
                assert self._process.poll() is None, self._log.read_text()
                time.sleep(0.1)
        raise AssertionError(f"JupyterLab is not up after {seconds} s: {self._log.read_text()}")

    def stop(self) -> None:
        self._process.terminate()
        try:
            self._process.wait(15)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def private_environment(private: Path) -> dict[str, str]:
    names = {
        "JUPYTER_CONFIG_DIR": "config",
        "JUPYTER_DATA_DIR": "data",
        "JUPYTER_RUNTIME_DIR": "runtime",
        "JUPYTERLAB_SETTINGS_DIR": "settings",
        "JUPYTERLAB_WORKSPACES_DIR": "workspaces",
        "IPYTHONDIR": "ipython",
    }
    places = {name: str(private / folder) for name, folder in names.items()}
    # Kernels find labkit also where it is not installed: the tests run beside it.
    path = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))
    return os.environ | places | {"PYTHONPATH": path, "JUPYTER_PREFER_ENV_PATH": "1"}


def write_settings(folder: Path) -> None:
    for name, values in SETTINGS.items():
        path = folder / f"{name}.jupyterlab-settings"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(values))


class Browser:
    """One page with JupyterLab in it, and what went wrong in it so far."""

    def __init__(self, page: Page, server: Server) -> None:
        self.page = page
        self.page_errors: list[str] = []
        self.strangers: set[str] = set()
        self._own = server.base
        page.set_default_timeout(PATIENCE)
        page.on("pageerror", lambda error: self.page_errors.append(str(error)))
        page.on("request", lambda request: self._note_stranger(request.url))
        page.goto(f"{server.base}/lab?token={server.token}&reset")
        page.wait_for_function("() => window.jupyterapp !== undefined")
        page.evaluate("async () => { await window.jupyterapp.restored }")
        self.run_command("application:toggle-left-area")  # the whole width for the document

    def _note_stranger(self, url: str) -> None:
        own = self._own.split("://")[1]
        if not url.startswith(("data:", "blob:")) and url.split("/")[2] != own:
            self.strangers.add(url)

    def run_command(self, name: str, **words: Any) -> None:
        """One of JupyterLab's commands, to its end; its value is not brought back."""
        self.page.evaluate(
            "async ([name, words]) => { await window.jupyterapp.commands.execute(name, words) }",
            [name, words],
        )

    # --- documents ---

    def open_notebook(self, path: str) -> None:
        """Open `path` (counted from the server's root) and wait until its kernel answers."""
        self.page_errors.clear()
        self.page.evaluate(
            """async path => {
                const panel = await window.jupyterapp.commands.execute(
                    'docmanager:open', {path, factory: 'Notebook'});
                await panel.context.ready;
                await panel.revealed;
                await panel.sessionContext.ready;
                await panel.sessionContext.session.kernel.info;
                window.labkitPanel = panel;
            }""",
            path,
        )
        self.page.wait_for_selector(".jp-Notebook .jp-Cell", state="attached")

    def close_notebook(self) -> None:
        """Stop the kernel and close, without a question about saving."""
        self.page.evaluate(
            """async () => {
                const panel = window.labkitPanel;
                await panel.sessionContext.shutdown();
                panel.context.model.dirty = false;
                panel.dispose();
            }"""
        )

    def run_all(self) -> None:
        """Run every cell, then wait until the kernel is idle and the widgets are drawn."""
        self.run_command("notebook:run-all-cells")
        self.page.wait_for_function(
            "() => window.labkitPanel.sessionContext.session.kernel.status === 'idle'"
        )
        self.page.wait_for_load_state("networkidle")
        self.settle()

    def settle(self) -> None:
        """Wait until what is shown has not changed for a quarter of a second."""
        self.page.evaluate(
            """() => new Promise(done => {
                let timer = setTimeout(finish, 250);
                const watch = new MutationObserver(() => {
                    clearTimeout(timer); timer = setTimeout(finish, 250);
                });
                function finish() { watch.disconnect(); done(); }
                const shown = window.labkitPanel?.content.node ?? document.body;
                watch.observe(shown, {subtree: true, childList: true, attributes: true});
            })"""
        )

    def cells(self) -> list[dict[str, Any]]:
        """The notebook as it stands now, cell by cell, in the form of an .ipynb file."""
        return self.page.evaluate("() => window.labkitPanel.context.model.toJSON().cells")

    def error_outputs(self) -> list[str]:
        """`cell id: Name: message` of every output that is an error nobody announced."""
        return [
            f"{cell.get('id')}: {output['ename']}: {output['evalue']}"
            for cell in self.cells()
            if "raises-exception" not in cell["metadata"].get("tags", [])
            for output in cell.get("outputs", [])
            if output["output_type"] == "error"
        ]

    # --- what a person with a screen reader, or other eyes, meets ---

    def axe(self, selector: str = OUTPUTS) -> list[str]:
        """What axe-core finds inside `selector`: `rule (impact): target`."""
        if not self.page.evaluate("() => 'axe' in window"):
            self.page.add_script_tag(path=str(AXE))
        return self.page.evaluate(
            """async selector => {
                if (!document.querySelector(selector)) return [];
                const found = await axe.run({include: [[selector]]});
                return found.violations.flatMap(rule => rule.nodes.map(
                    node => `${rule.id} (${rule.impact}): ${node.html.slice(0, 160)}`));
            }""",
            selector,
        )

    def theme(self, name: str) -> None:
        """`light` or `dark`."""
        self.run_command("apputils:change-theme", theme=THEMES[name])
        light = "true" if name == "light" else "false"
        self.page.wait_for_selector(f'body[data-jp-theme-light="{light}"]', state="attached")
        self.settle()

    def width(self, pixels: int, height: int = 1000) -> None:
        self.page.set_viewport_size({"width": pixels, "height": height})
        self.settle()

    def screenshot(self, name: str, theme: str, width: int) -> Path:
        """The whole notebook in one picture, kept in `shots/` for a person to look at."""
        self.theme(theme)
        self.width(width)
        # From the top of the page to the end of the last cell, of whatever length that is.
        needed = self.page.evaluate(
            """() => {
                const panel = window.labkitPanel.content;
                const boxes = panel.widgets.map(cell => cell.node.getBoundingClientRect());
                const top = panel.node.getBoundingClientRect().top;
                return Math.ceil(top + boxes.at(-1).bottom - boxes[0].top) + 80;
            }"""
        )
        self.width(width, min(needed, TALLEST))
        self.page.evaluate(
            "() => document.querySelectorAll('.jp-Notebook, .jp-WindowedPanel-outer')"
            ".forEach(panel => { panel.scrollTop = 0 })"
        )
        SHOTS.mkdir(exist_ok=True)
        path = SHOTS / f"{name}-{theme}-{width}.png"
        self.page.screenshot(path=path)
        self.width(width)
        return path


@contextmanager
def browser(server: Server) -> Iterator[Browser]:
    with sync_playwright() as playwright:
        chrome = playwright.chromium.launch(executable_path=chromium(), args=CHROMIUM_FLAGS)
        yield Browser(chrome.new_page(viewport={"width": 1280, "height": 1000}), server)
        chrome.close()
