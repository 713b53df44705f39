"""Right answers are right, and each known wrong one is met by name.

`answers/L00.py` and its neighbours hold SOLVED and WRONG: rows of (name, code, ...) where the
code is what a learner would type into the cell, ending in a value; it runs in the lesson's
own shell after the cells above the check have run.
"""

from __future__ import annotations

import re
from importlib import import_module
from pathlib import Path

import pytest

from labkit.lessons import progress
from labkit.lessons.exercises import lesson
from tests.author import lessons
from tests.notebooks.shell import Lesson

PATHS = lessons.paths()
THERE = Path(__file__).parent / "answers"
ANSWERS = {
    path: import_module(f"tests.notebooks.answers.{lessons.number(path)}")
    for path in PATHS
    if (THERE / f"{lessons.number(path)}.py").exists()
}
SOLVED = [(path, *row) for path, rows in ANSWERS.items() for row in rows.SOLVED]
WRONG = [(path, *row) for path, rows in ANSWERS.items() for row in rows.WRONG]


pytestmark = pytest.mark.usefixtures("a_new_learner")


def answer(path, exercise, code):
    """The check's feedback when the cell of `exercise` holds the learner's code."""
    with Lesson(path) as running:
        for cell in running.code:
            if f'check("{exercise}"' in cell.source:
                break
            running.run(cell)
        else:
            raise AssertionError(f"{path.name} has no cell for {exercise}")
        running.run(cell, code)
        return running.run(cell, f'check("{exercise}", answer)').value


@pytest.mark.parametrize(
    ("path", "exercise", "name", "code"), SOLVED, ids=[f"{r[1]} {r[2]}" for r in SOLVED]
)
def test_a_right_answer_is_solved(path, exercise, name, code):
    feedback = answer(path, exercise, code)
    assert feedback.standing == "SOLVED", feedback
    assert exercise in progress.load().solved


@pytest.mark.parametrize(
    ("path", "exercise", "name", "code", "standing", "belief"),
    WRONG,
    ids=[f"{r[1]} {r[2]}" for r in WRONG],
)
def test_a_wrong_answer_meets_its_belief(path, exercise, name, code, standing, belief):
    feedback = answer(path, exercise, code)
    assert (feedback.standing, feedback.misconception) == (standing, belief), feedback
    text = repr(feedback)
    item = next(e for e in lesson(lessons.number(path)).exercises if e.id == exercise)
    assert not [t for t in item.leaks if t.lower() in text.lower()], text
    assert len(text.partition("Hint")[0].split()) <= 60, text
    if belief:
        assert f"This looks like {belief}: " in text
    for named in re.findall(r"\bL\d\d-\d\d\b", text):
        assert named in {c.id for c in lessons.read(path).cells}


@pytest.mark.parametrize("path", PATHS, ids=[p.stem for p in PATHS])
def test_each_exercise_has_a_variant_and_three_wrong_answers(path):
    rows = ANSWERS[path]
    for exercise in lesson(lessons.number(path)).exercises:
        assert sum(r[0] == exercise.id for r in rows.SOLVED) >= 2, exercise.id
        assert sum(r[0] == exercise.id for r in rows.WRONG) >= 3, exercise.id
