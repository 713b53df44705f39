"""A lesson's cells run twice with the same result, and every widget shows each of its values."""

from __future__ import annotations

import pytest

from labkit.lessons import progress
from tests.author import lessons
from tests.notebooks.shell import Lesson

PATHS = lessons.paths()
each_lesson = pytest.mark.parametrize("path", PATHS, ids=[p.stem for p in PATHS])


@pytest.fixture(autouse=True)
def a_new_learner(tmp_path, monkeypatch):
    monkeypatch.setenv("LABKIT_PROGRESS", str(tmp_path))
    progress.reset()


@each_lesson
def test_a_second_run_of_the_whole_lesson_shows_the_same(path):
    with Lesson(path) as running:
        first = [running.plain(ran) for ran in running.run_all()]
        second = [running.plain(ran) for ran in running.run_all()]
    assert second == first


@each_lesson
def test_every_widget_shows_each_of_its_values(path):
    with Lesson(path) as running:
        widgets = [ran.value for ran in running.run_all() if hasattr(ran.value, "visit")]
    for widget in widgets:
        seen = list(widget.visit())
        assert len(seen) == len(set(seen)) > 1, "two values of a control show the same"
        assert all(words.strip() for words in seen)
