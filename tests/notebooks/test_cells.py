"""A lesson's cells run twice with the same result, and every widget shows each of its values."""

from __future__ import annotations

import pytest

from labkit.lessons import progress
from labkit.lessons.exercises import lesson
from tests.author import lessons
from tests.notebooks.shell import Lesson, quiet

PATHS = lessons.paths()
each_lesson = pytest.mark.parametrize("path", PATHS, ids=[p.stem for p in PATHS])


pytestmark = pytest.mark.usefixtures("a_new_learner")


@each_lesson
def test_a_second_run_of_the_whole_lesson_shows_the_same(path):
    with Lesson(path) as running:
        first = [running.plain(ran) for ran in running.run_all()]
        second = [running.plain(ran) for ran in running.run_all()]
    assert second == first


TEACHING = [path for path in PATHS if lesson(lessons.number(path)).guesses]
"""All but the reviews, which ask and show nothing new."""


@pytest.mark.parametrize("path", TEACHING, ids=[p.stem for p in TEACHING])
def test_every_widget_takes_each_of_its_values(path):
    with Lesson(path) as running:
        widgets = [ran.value for ran in running.run_all() if hasattr(ran.value, "moves")]
        assert widgets, "a lesson without anything to move"
        for widget in widgets:
            words = [
                part
                for trait, values in widget.moves.items()
                for part in visit(widget, trait, values)
            ]
            assert len(words) == len(set(words)) > 1, "two values of a control show the same"


def visit(widget, trait, values):
    """What a control says at each of its values, in order; it may not print anything."""
    for value in values:
        with quiet() as printed:
            setattr(widget, trait, value)
        assert getattr(widget, trait) == value
        assert not printed.getvalue()
        yield f"{trait} {shown(widget, trait, value)!r}"


def shown(widget, trait, value):
    if hasattr(widget, "picture"):  # made by the kernel for each value
        return widget.picture
    return widget.frames[value] if trait == "step" else dict_of(widget.options)[value]


def dict_of(options):
    return {name: html for name, html, _ in options}
