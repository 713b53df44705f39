"""Every lesson keeps the shape that makes the next one easy to read."""

from __future__ import annotations

import ast
import json
import re
from pathlib import Path
from statistics import mean

import pytest

from labkit.lessons.exercises import lesson
from tests.author import lessons

PATHS = lessons.paths()
BOARDS = lessons.NOTEBOOKS / "instructor"
IDS = re.compile(r"\bL\d\d-(?:P?\d\b|\d\d\b|card\b)")
UNKIND = re.compile(r"\b(simply|just|obviously|of course|silly|stupid|trivial)\b|!(?!\[)", re.I)
REGISTRY = json.loads((Path(__file__).parents[2] / "data/misconceptions.json").read_text())

each_lesson = pytest.mark.parametrize("path", PATHS, ids=[p.stem for p in PATHS])


def prose(source: str) -> str:
    """A markdown cell without what is not read as sentences: tables, code, folded heads."""
    source = re.sub(r"```.*?```", "", source, flags=re.DOTALL)
    source = re.sub(r"</?(details|summary)[^>]*>", "", source)
    return "\n".join(row for row in source.splitlines() if not row.startswith(("|", "#")))


def sentences(text: str) -> list[str]:
    plain = re.sub(r"`[^`]*`", "x", text)
    plain = re.sub(r"^\s*(?:[*-]|\d+\.)\s+", "", plain, flags=re.MULTILINE)
    return [s for s in re.split(r"(?<=[.?:;])\s+|\n\s*\n|\n(?=\S)", plain) if re.search(r"\w", s)]


def checks(notebook) -> list[tuple[str, str]]:
    """(cell id, check id) of each check, in order."""
    found = []
    for cell in notebook.cells:
        if cell.cell_type == "code":
            found += [(cell.id, i) for i in re.findall(r'check\("([^"]+)"', cell.source)]
    return found


@each_lesson
def test_ids_run_in_order_and_counts_run_from_one(path):
    notebook = lessons.read(path)
    name = lessons.number(path)
    *cells, last = notebook.cells
    assert [c.id for c in cells] == [f"{name}-{n:02d}" for n in range(1, len(cells) + 1)]
    assert last.id == f"{name}-nav"
    counts = [c.execution_count for c in notebook.cells if c.cell_type == "code"]
    assert counts == list(range(1, len(counts) + 1))
    assert "widgets" not in notebook.metadata


@each_lesson
def test_card_and_links_are_what_the_metadata_says(path):
    notebook = lessons.read(path)
    assert notebook.cells[0].source == lessons.card_text(notebook.metadata["labkit"])
    assert notebook.cells[-1].source == lessons.links_text(path, PATHS)


@each_lesson
def test_code_cells_are_short_and_define_nothing(path):
    for cell in lessons.read(path).cells:
        if cell.cell_type != "code":
            continue
        source = "\n".join(r for r in cell.source.splitlines() if not r.startswith("%"))
        outside_text = re.sub(r'""".*?"""', '""', source, flags=re.DOTALL)
        assert cell.source.strip(), cell.id
        assert len(outside_text.splitlines()) <= 6, cell.id
        for node in ast.walk(ast.parse(source)):
            assert not isinstance(node, ast.FunctionDef | ast.ClassDef | ast.Lambda), cell.id
            if isinstance(node, ast.Import | ast.ImportFrom):
                module = getattr(node, "module", None) or node.names[0].name
                assert module.split(".")[0] in {"labkit", "pandas", "networkx"}, cell.id


@each_lesson
def test_prose_is_short_and_kind(path):
    lengths = []
    for cell in lessons.read(path).cells[1:-1]:
        if cell.cell_type != "markdown":
            continue
        text = prose(cell.source)
        assert len(text.split()) < 90, f"{cell.id} has {len(text.split())} words"
        assert not UNKIND.search(text), f"{cell.id}: {UNKIND.search(text)}"
        assert not re.search(r"\bM\d\d\b", text), f"{cell.id} names a misconception"
        for sentence in sentences(text):
            lengths.append(len(sentence.split()))
            assert lengths[-1] <= 25, f"{cell.id}: {sentence}"
    assert mean(lengths) <= 13


@each_lesson
def test_each_guess_stands_alone_before_its_run(path):
    cells = lessons.read(path).cells
    for at, cell in enumerate(cells):
        if cell.cell_type == "code" and "-P" in cell.source and "check(" in cell.source:
            assert re.fullmatch(r'check\("L\d\d-P\d", \.\.\.\)', cell.source), cell.id
            assert "uess" in cells[at - 1].source, f"{cells[at - 1].id} asks for no guess"


@each_lesson
def test_the_lesson_asks_all_that_its_checks_know_and_nothing_else(path):
    known = lesson(lessons.number(path))
    asked = [i for _, i in checks(lessons.read(path))]
    wanted = [*(g.id for g in known.guesses), *(e.id for e in known.exercises)]
    assert sorted(asked) == sorted([*wanted, f"{known.number}-card"])
    assert [i for i in asked if "-P" in i] == [g.id for g in known.guesses]


@each_lesson
def test_every_cell_that_is_named_exists(path):
    notebook = lessons.read(path)
    name = lessons.number(path)
    there = {c.id for c in notebook.cells} | {i for _, i in checks(notebook)}
    pages = [c.source for c in notebook.cells]
    pages.append((BOARDS / f"{name}.md").read_text(encoding="utf-8"))
    for item in lesson(name).exercises:
        pages += item.hints
    named = {i for page in pages for i in IDS.findall(page) if i.startswith(name)}
    assert named <= there


@each_lesson
def test_no_hint_holds_a_token_of_the_solution(path):
    for exercise in lesson(lessons.number(path)).exercises:
        for hint in exercise.hints:
            assert not [t for t in exercise.leaks if t.lower() in hint.lower()], exercise.id


@each_lesson
def test_every_slide_is_marked(path):
    kinds = {"slide", "subslide", "fragment", "skip"}
    for cell in lessons.read(path).cells:
        assert cell.metadata["slideshow"]["slide_type"] in kinds, cell.id


def test_the_registry_names_each_belief_once():
    assert [row["id"] for row in REGISTRY] == [f"M{n:02d}" for n in range(1, 41)]
    assert all(row["belief"] and row["lessons"] for row in REGISTRY)
