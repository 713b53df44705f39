"""The picture of the lab in README.md: `python -m tests.browser.picture` takes it again."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

from tests.browser.lab import OUTPUTS, Server, browser
from tests.needs import ROOT

LESSON = "notebooks/L00-follow-one-packet.ipynb"
PICTURE = ROOT / "notebooks" / "images" / "lab.png"
WIDTH, HEIGHT = 1280, 860


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        served, private = Path(folder, "served"), Path(folder, "private")
        shutil.copytree(ROOT / "notebooks", served / "notebooks")
        private.mkdir()
        server = Server(served, private)
        try:
            server.wait()
            take(server)
        finally:
            server.stop()


def take(server: Server) -> None:
    """The first stepper of the first lesson, three steps into the packet's way."""
    with browser(server) as jupyter:
        jupyter.width(WIDTH, HEIGHT)
        jupyter.open_notebook(LESSON)
        jupyter.run_all()
        stepper = jupyter.page.locator(f"{OUTPUTS} [data-step]").first
        stepper.locator("input[type=range]").first.focus()
        for _ in range(3):
            jupyter.page.keyboard.press("ArrowRight")
        stepper.evaluate("e => e.closest('.jp-Cell').scrollIntoView()")
        jupyter.settle()
        PICTURE.parent.mkdir(exist_ok=True)
        jupyter.page.screenshot(path=PICTURE)


if __name__ == "__main__":
    main()
