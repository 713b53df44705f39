"""Save, normalise and check lessons: `python -m tests.author notebooks/L00-*.ipynb`.

Each notebook is run from top to bottom in a fresh kernel and stored with its outputs, so that
a second run changes no byte: cell ids L00-01 ... in order, counts 1..n, no widget state, no
times, the card and the links written from the metadata.
"""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path

import nbformat
from nbclient import NotebookClient

from tests.author import lessons

VIEW = "application/vnd.jupyter.widget-view+json"


def prepare(notebook: nbformat.NotebookNode, path: Path) -> None:
    """Ids, tags and the two generated cells; the code stays as the author wrote it."""
    name = lessons.number(path)
    card = notebook.metadata["labkit"]
    cells = [c for c in notebook.cells if c.id != f"{name}-nav"]
    cells[0].source = lessons.card_text(card)
    for position, cell in enumerate(cells, start=1):
        new = f"{name}-{position:02d}"
        if cell.id != new:
            print(f"{path.name}: cell {cell.id} is now {new}; look at what names it")
        cell.id = new
    links = nbformat.v4.new_markdown_cell(lessons.links_text(path, lessons.paths()))
    links.id = f"{name}-nav"
    links.metadata = {"slideshow": {"slide_type": "skip"}}
    notebook.cells = [*cells, links]


def run(notebook: nbformat.NotebookNode, folder: Path) -> None:
    """Outputs from a fresh kernel and a learner who has answered nothing."""
    with tempfile.TemporaryDirectory() as empty:
        os.environ["LABKIT_PROGRESS"] = empty
        client = NotebookClient(
            notebook,
            kernel_name="python3",
            timeout=120,
            record_timing=False,
            resources={"metadata": {"path": str(folder)}},
        )
        client.execute()


def normalise(notebook: nbformat.NotebookNode) -> None:
    """Leave only what is the same in every run."""
    card = notebook.metadata["labkit"]
    notebook.metadata = nbformat.from_dict({**lessons.KERNEL, "labkit": card})
    for cell in notebook.cells:
        cell.metadata = nbformat.from_dict(
            {k: v for k, v in cell.metadata.items() if k in ("slideshow", "tags")}
        )
        if cell.cell_type == "code":
            cell.outputs = joined(cell.outputs)
        for output in cell.get("outputs", []):
            output.get("data", {}).pop(VIEW, None)
            output.pop("metadata", None) if output.output_type == "stream" else None
    nbformat.validate(notebook)


def joined(outputs: list[nbformat.NotebookNode]) -> list[nbformat.NotebookNode]:
    """Neighbouring pieces of one stream as one: where a kernel cuts them is chance."""
    found: list[nbformat.NotebookNode] = []
    for output in outputs:
        last = found[-1] if found else None
        if output.output_type == "stream" and last is not None and last.get("name") == output.name:
            last.text += output.text
        else:
            found.append(output)
    return found


def save(path: Path) -> bool:
    """Store the lesson; True if a byte of it changed."""
    before = path.read_text(encoding="utf-8")
    notebook = lessons.read(path)
    prepare(notebook, path)
    run(notebook, path.parent)
    normalise(notebook)
    after = nbformat.writes(notebook, version=4) + "\n"
    path.write_text(after, encoding="utf-8")
    return before != after


def main(names: list[str]) -> int:
    for path in (Path(name).resolve() for name in names):
        print(f"{path.name}: {'stored' if save(path) else 'unchanged'}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
