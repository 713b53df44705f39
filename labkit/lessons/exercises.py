"""What a lesson asks: guesses that are kept, exercises that are judged by behaviour.

An exercise never compares text. Its judge runs the learner's answer in the model, looks at
it through probes, and gives a `Judgement`; the belief behind a known wrong answer is named
by its number in `data/misconceptions.json`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from importlib import import_module
from typing import Any, Literal

import msgspec

from labkit.api.objects import encode
from labkit.cluster import Cluster
from labkit.errors import LabError, NotFound

Standing = Literal["NOT YET", "YOU BROKE SOMETHING THAT WORKED", "SOLVED"]


class Guess(msgspec.Struct, frozen=True):
    """A prediction: a closed question whose answers are `choices`.

    With `letters` an answer is any selection of the choices' letters, such as "ab" or "".
    """

    id: str
    choices: tuple[str, ...]
    letters: bool = False

    def accepts(self, answer: object) -> bool:
        if not isinstance(answer, str):
            return False
        if self.letters:
            return set(answer) <= set(self.choices) and len(set(answer)) == len(answer)
        return answer in self.choices

    @property
    def asked(self) -> str:
        """What to put in place of `...`, in words."""
        if self.letters:
            return f'letters such as "{"".join(self.choices[:2])}"'
        *most, last = (f'"{c}"' for c in self.choices)
        return f"{', '.join(most)} or {last}" if most else last


class Judgement(msgspec.Struct, frozen=True):
    """How an answer stands: one probe, observed against wanted, and the belief it looks like."""

    standing: Standing
    says: str
    misconception: str = ""


class Exercise(msgspec.Struct, frozen=True):
    """One task. `judge` gets the learner's answer, never an unfilled one.

    `unfilled` says what is missing while the answer still holds `...` (None: judge it).
    `leaks` are tokens of the solution: no hint and no feedback may contain one.
    """

    id: str
    hints: tuple[str, str, str]
    judge: Callable[[Any], Judgement]
    unfilled: Callable[[Any], str | None]
    leaks: tuple[str, ...] = ()


class Lesson(msgspec.Struct, frozen=True):
    """Everything of one lesson that can be checked."""

    number: str  # "L00"
    guesses: tuple[Guess, ...]
    exercises: tuple[Exercise, ...]
    card: tuple[str, ...] = ("surprised by", "look first at", "still foggy")


def lesson(number: str) -> Lesson:
    """The lesson's checks, from `labkit/lessons/l00.py` and so on.

    Raises:
        NotFound: the lab has no such lesson.
    """
    try:
        module = import_module(f"labkit.lessons.{number.lower()}")
    except ModuleNotFoundError:
        raise NotFound(f"lesson {number!r} does not exist; ids look like L00-1") from None
    found: Lesson = module.LESSON
    return found


# --- what a value that is not filled in looks like --------------------------------------------


def no_answer(answer: object) -> str | None:
    """For an answer that is one value: `...` is none."""
    return "no answer yet" if answer is ... else None


def open_fields(answer: object) -> str | None:
    """For an answer that is a dict of fields: how many still hold `...`."""
    if not isinstance(answer, dict) or not answer:
        return "no answer yet"
    filled = sum(value is not ... for value in answer.values())
    return f"{filled} of {len(answer)} filled in" if filled < len(answer) else None


def always_filled(answer: object) -> str | None:
    """For an answer that is the learner's cluster: it can always be judged."""
    if isinstance(answer, Cluster):
        return None
    return "no answer yet" if answer is ... else "hand in a cluster, such as `lab` or `answer`"


def apply_changed(lab: Cluster, name: str, change: Callable[[dict[str, Any]], None]) -> None:
    """Applies an object again with its manifest changed, as somebody with an editor would.

    Raises:
        LabError: there is no such object, or the API server refuses the change.
    """
    manifest = encode(lab.get(name))
    manifest.pop("status", None)
    change(manifest)
    lab.apply([manifest])


# --- probes -----------------------------------------------------------------------------------


class Probe(msgspec.Struct, frozen=True):
    """One connection that is tried: `says` is how feedback calls it.

    `wanted` is an outcome of `observe`; `by` names the workload that must have answered.
    """

    says: str
    source: str
    target: str
    wanted: str = "the page"
    protocol: str = "TCP"
    by: str = ""


SEEN = {"answered": "the page", "refused": '"refused"', "timed out": "a timeout"}


def observe(lab: Cluster, probe: Probe) -> str:
    """What a person at `probe.source` would notice: the page, "refused", a timeout, or an error."""
    try:
        connection = lab.trace(probe.source, probe.target, protocol=probe.protocol)
    except LabError as error:
        return f"an error ({str(error).splitlines()[0]})"
    seen = SEEN.get(connection.outcome, connection.outcome)
    if seen == "the page" and probe.by:
        title = connection.places[connection.request.end].title
        if title != probe.by and not title.startswith(f"{probe.by}-"):
            return f"a page from {title}"
    return seen


def wrong_probes(lab: Cluster, probes: Iterable[Probe]) -> list[tuple[Probe, str]]:
    """The probes that do not see what is wanted, each with what it sees, in the order given."""
    return [(p, seen) for p in probes if (seen := observe(lab, p)) != p.wanted]


def judge_probes(
    before: Cluster,
    after: Cluster,
    probes: tuple[Probe, ...],
    beliefs: Callable[[Probe, str], tuple[str, str]] = lambda probe, seen: ("", ""),
) -> Judgement:
    """SOLVED if every probe sees what is wanted; a wall or door that stood before comes first.

    `beliefs` turns the first wrong probe and what it saw into (misconception, sentence);
    ("", "") where no known belief explains it.
    """
    worked = {p for p in probes if observe(before, p) == p.wanted}
    wrong = wrong_probes(after, probes)
    if not wrong:
        return Judgement("SOLVED", "every probe sees what it should")
    broken = [(p, seen) for p, seen in wrong if p in worked]
    probe, seen = (broken or wrong)[0]
    standing: Standing = "YOU BROKE SOMETHING THAT WORKED" if broken else "NOT YET"
    number, words = beliefs(probe, seen)
    looks = f" This looks like {number}: {words}" if number else f" {words}" if words else ""
    was = f"it was {probe.wanted}, now it is {seen}." if broken else ""
    tail = was or f"observed {seen}, wanted {probe.wanted}."
    return Judgement(standing, f"{probe.says}: {tail}{looks}", number)
