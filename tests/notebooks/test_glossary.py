"""The words of the lessons: each is in bold where its lesson introduces it, and in none before."""

from __future__ import annotations

import json
import re

import pytest

from tests.author import lessons
from tests.needs import ROOT

ENTRIES = json.loads((ROOT / "data/glossary.json").read_text(encoding="utf-8"))
NUMBERS = {lessons.number(path): path for path in lessons.paths()}


def bold(number: str) -> str:
    """Everything that a lesson prints in bold."""
    cells = lessons.read(NUMBERS[number]).cells
    words = (w for c in cells if c.cell_type == "markdown" for w in re.findall(r"\*\*(.+?)\*\*", c.source))
    return "\n".join(words)


@pytest.mark.parametrize("entry", ENTRIES, ids=[e["term"] for e in ENTRIES])
def test_a_word_is_introduced_by_its_lesson(entry):
    assert re.search(rf"\b{re.escape(entry['term'])}s?\b", bold(entry["lesson"]))


@pytest.mark.parametrize("entry", ENTRIES, ids=[e["term"] for e in ENTRIES])
def test_a_meaning_is_short_and_does_not_use_its_own_word(entry):
    assert len(entry["meaning"].split()) <= 15
    assert not re.search(rf"\b{re.escape(entry['term'])}\b", entry["meaning"], re.I)


def test_terms_stand_once_and_in_the_order_of_the_lessons():
    assert len({e["term"] for e in ENTRIES}) == len(ENTRIES)
    assert [e["lesson"] for e in ENTRIES] == sorted(e["lesson"] for e in ENTRIES)
