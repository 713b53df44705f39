"""Runs a lesson's cells in this process: what a kernel would show, without a kernel."""

from __future__ import annotations

import contextlib
import io
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import nbformat
from IPython.core.interactiveshell import InteractiveShell
from IPython.utils.capture import RichOutput, capture_output

from tests.author import lessons


class Ran:
    """One code cell that ran: its text, its displayed values, its last value."""

    def __init__(self, text: str, shown: list[Any], value: Any) -> None:
        self.text, self.shown, self.value = text, shown, value


class Lesson:
    """A lesson in a shell of its own; use it as a context manager: it changes the folder."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.notebook = lessons.read(path)
        self.code = [c for c in self.notebook.cells if c.cell_type == "code"]
        self.shell = InteractiveShell()

    def __enter__(self) -> Lesson:
        self._folder = Path.cwd()
        os.chdir(self.path.parent)
        return self

    def __exit__(self, *exc: object) -> None:
        os.chdir(self._folder)

    def run(self, cell: nbformat.NotebookNode, source: str | None = None) -> Ran:
        """Run one cell (or other text in its place) and fail as the cell fails."""
        with capture_output() as captured:
            result = self.shell.run_cell(cell.source if source is None else source)
        result.raise_error()
        # A second %load_ext says so; no lesson's own words are lost with that.
        text = "" if "is already loaded" in captured.stdout else captured.stdout
        return Ran(text, list(captured.outputs), result.result)

    def run_all(self) -> Iterator[Ran]:
        for cell in self.code:
            yield self.run(cell)

    def plain(self, ran: Ran) -> str:
        """The text of a cell's outputs: what it printed, then its value as plain text."""
        data: dict[str, str] = {}
        if ran.value is not None:
            data, _ = self.shell.display_formatter.format(ran.value)
        shown = [o.data.get("text/plain", "") for o in ran.shown if isinstance(o, RichOutput)]
        return "\n".join(part for part in (ran.text, *shown, data.get("text/plain", "")) if part)


@contextlib.contextmanager
def quiet() -> Iterator[io.StringIO]:
    with contextlib.redirect_stdout(io.StringIO()) as out:
        yield out
