"""What the stored notebooks have in common: their order, their cards, their links."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import nbformat

NOTEBOOKS = Path(__file__).parents[2] / "notebooks"
NUMBER = re.compile(r"L\d\d")
KERNEL = {
    "kernelspec": {"display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"},
    "language_info": {"name": "python"},
}


def paths() -> list[Path]:
    """The lessons' notebooks in their order."""
    return sorted(NOTEBOOKS.glob("L[0-9][0-9]-*.ipynb"))


def read(path: Path) -> nbformat.NotebookNode:
    return nbformat.read(path, as_version=4)


def number(path: Path) -> str:
    return path.name[:3]


def card_text(card: dict[str, Any]) -> str:
    """The first cell of a lesson: its card, as the metadata `labkit` of the notebook has it."""
    needs = ", ".join(f"{n['lesson']} ({n['idea']})" for n in card["needs"]) or "nothing"
    rows = [
        ("After this lesson you can", "; ".join(card["objectives"])),
        ("You need", needs),
        ("Time", f"{card['teach']} minutes of lesson, {card['exercise']} minutes of exercises"),
        ("Guide", card["guide"]),
        ("CKA", card["cka"]),
    ]
    table = "\n".join(f"| {name} | {words} |" for name, words in rows)
    return f"# {card['number']} · {card['title']}\n\n| | |\n|---|---|\n{table}"


def links_text(path: Path, order: list[Path]) -> str:
    """The last cell of a lesson: the way to its neighbours, as far as they are there."""
    at = order.index(path)
    parts = [f"[{number(p)}: {read(p).metadata['labkit']['title']}]({p.name})" for p in order]
    before = [f"Before: {parts[at - 1]}"] if at else []
    after = [f"Next: {parts[at + 1]}"] if at + 1 < len(order) else []
    return " · ".join([*before, *after]) or "This is the only lesson so far."
