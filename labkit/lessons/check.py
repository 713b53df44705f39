"""`check("L13-2", answer)`: keeps a guess, judges an exercise, keeps the last card.

Feedback is text: a first line with the id and how things stand, then at most one probe and
one hint. It never holds the answer.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from difflib import get_close_matches

import msgspec

from labkit.cluster import Cluster
from labkit.errors import LabError, NotFound
from labkit.given import checked
from labkit.lessons import progress as kept
from labkit.lessons.exercises import Exercise, Guess, Judgement, Lesson, lesson

_ID = re.compile(r"(L\d\d)-(P?\d|card)")


class Feedback(msgspec.Struct, frozen=True):
    """What a check has to say; its text is what a notebook shows."""

    id: str
    standing: str  # "SOLVED", "NOT YET", "YOU BROKE SOMETHING THAT WORKED", "kept", ...
    says: str = ""  # behind the standing, on the first line
    lines: tuple[str, ...] = ()
    misconception: str = ""

    def __bool__(self) -> bool:
        return self.standing in ("SOLVED", "kept")

    def __repr__(self) -> str:
        first = "  ".join(part for part in (self.id, self.standing, self.says) if part)
        return "\n".join((first, *self.lines))


@checked
def check(id: str, answer: object = ...) -> Feedback:
    """What the lab thinks of an answer; a guess or a card is kept and not judged.

    Args:
        id: `L13-P1` a guess, `L13-2` an exercise, `L13-card` the last card of a lesson.
        answer: what the task asks for; `...` while there is none.

    Raises:
        NotFound: no lesson has such an id.
    """
    form = _ID.fullmatch(id)
    if form is None:
        raise NotFound(f"check {id!r}: ids look like L13-P1, L13-2 or L13-card")
    number, part = form.groups()
    found = lesson(number)
    if part == "card":
        return _card(found, answer)
    items: dict[str, Guess | Exercise] = {g.id: g for g in found.guesses}
    items |= {e.id: e for e in found.exercises}
    if id not in items:
        near = get_close_matches(id, items, n=1) or list(items)[:1]
        raise NotFound(f"check {id!r}: {number} has no such id; did you mean {near[0]}?")
    item = items[id]
    return _guess(item, answer) if isinstance(item, Guess) else _exercise(item, answer)


def _guess(guess: Guess, answer: object) -> Feedback:
    cure = "and run this cell again. Any guess is welcome: it is kept, not marked."
    if not guess.accepts(answer):
        strange = "" if answer is ... else f"{answer!r} is not among the answers"
        lines = (f"Put {guess.asked} in place of ... {cure}",)
        return Feedback(guess.id, "no guess yet", strange, lines)
    book = kept.load()
    book.guesses[guess.id] = str(answer)
    kept.save(book)
    return Feedback(guess.id, "kept", f'"{answer}"', ("Now run the next cell.",))


def _card(found: Lesson, answer: object) -> Feedback:
    name = f"{found.number}-card"
    book = kept.load()
    guesses = (f"{g.id[4:]} {book.guesses.get(g.id) or 'none'}" for g in found.guesses)
    line = f"Your guesses: {', '.join(guesses)}." if found.guesses else "No guesses were asked."
    fields = answer if isinstance(answer, Mapping) else {}
    filled = {str(k): str(v) for k, v in fields.items() if v is not ...}
    if not filled:
        return Feedback(name, "not filled in yet", "", (line,))
    book.cards[name] = filled
    kept.save(book)
    return Feedback(name, "kept", "", (line,))


def _exercise(exercise: Exercise, answer: object) -> Feedback:
    missing = exercise.unfilled(answer)
    if missing is not None:
        return Feedback(exercise.id, "NOT YET", missing, (_hint(exercise, 1),))
    try:
        judged = exercise.judge(answer)
    except LabError as error:
        # What the API server refuses is an answer like any other: it is not there yet.
        judged = Judgement("NOT YET", str(error))
    book = kept.load()
    says, *more = judged.says.splitlines()
    if judged.standing == "SOLVED":
        book.solved = sorted({*book.solved, exercise.id})
        kept.save(book)
        return Feedback(exercise.id, "SOLVED", says, tuple(more))
    level = kept.keep_wrong(book, exercise.id, _digest(answer))
    kept.save(book)
    lines = (*more, _hint(exercise, min(level, 3)))
    return Feedback(exercise.id, judged.standing, says, lines, judged.misconception)


def _hint(exercise: Exercise, level: int) -> str:
    return f"Hint {level} of 3: {exercise.hints[level - 1]}"


def _digest(answer: object) -> str:
    if isinstance(answer, Cluster):
        return "\n".join(f"{key} {value!r}" for key, value in sorted(answer.state.objects.items()))
    return repr(answer)
