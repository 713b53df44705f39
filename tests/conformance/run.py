"""Foreign tables of cases, run through pure functions of the lab.

A case is one line of JSON with a `name`, what is given, and `expect`. Each subject is a module
beside this one with `answers(case)`: the lab's answer, once for each way (a proxy mode, a
dialect) that the case names. Fields of `expect` are compared one by one; a field for which the
subject has no answer makes the case disagree.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from importlib import import_module
from pathlib import Path
from typing import Any, Literal, NamedTuple, TextIO

SUBJECTS = ("networkpolicy", "dns", "proxy", "ingress", "gateway")
UNORDERED = {"answer", "additional", "backends", "options"}
"""Lists whose order means nothing."""

Case = Mapping[str, Any]
Answer = Mapping[str, Any]


class NotBuilt(Exception):
    """The lab has no such behaviour yet; the text says which."""


class Outcome(NamedTuple):
    """How one case went; `text` is the line to print, empty where it agrees."""

    kind: Literal["agree", "disagree", "skip"]
    text: str = ""


class Subject(NamedTuple):
    """`answers` yields (way, answer); `agrees(name, expected, got)` compares one field."""

    answers: Callable[[Case], Iterable[tuple[str, Answer]]]
    agrees: Callable[[str, Any, Any], bool]


def main(words: list[str], out: TextIO | None = None) -> int:
    """The command: 1 if a case disagrees, 2 for a command that says nothing to run."""
    if len(words) != 2 or words[0] not in SUBJECTS:
        say(f"usage: python -m tests.conformance {{{','.join(SUBJECTS)}}} FILE.jsonl", out)
        return 2
    try:
        lines = Path(words[1]).read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        say(f"{words[1]}: cannot be read: {error}", out)
        return 2
    outcomes = [outcome_of_line(words[0], number, line) for number, line in enumerate(lines, 1)]
    for outcome in outcomes:
        if outcome.text:
            say(outcome.text, out)
    count = {kind: sum(o.kind == kind for o in outcomes) for kind in ("agree", "disagree", "skip")}
    tally = ", ".join((f"{count['agree']} agree", f"{count['disagree']} disagree"))
    say(f"{words[0]}: {tally}, {count['skip']} skipped", out)
    return 1 if count["disagree"] else 0


def say(line: str, out: TextIO | None) -> None:
    print(line, file=out)


def outcome_of_line(subject: str, number: int, line: str) -> Outcome:
    try:
        case = json.loads(line)
    except ValueError as error:
        return Outcome("disagree", f"line {number}: expected a case in JSON, got {error}")
    if not isinstance(case, dict) or not isinstance(expectation(case), dict):
        return Outcome(
            "disagree", f"line {number}: expected an object with `expect`, got {line[:60]}"
        )
    return run_case(subject, case)


def run_case(subject: str, case: Case) -> Outcome:
    """One case, in every way that it names. What the lab cannot do yet is skipped."""
    name = case.get("name", "?")
    faults: list[str] = []
    reason = ""
    try:
        found = subject_of(subject)
        for way, answer in found.answers(case):
            faults += (f"{way}: {f}" if way else f for f in differences(found, case, answer))
    except NotBuilt as missing:
        reason = str(missing)
    except Exception as error:  # one broken case must not hide the others
        faults.append(f"expected {short(expectation(case))} got {type(error).__name__}: {error}")
    if faults:
        return Outcome("disagree", f"{name}: {'; '.join(faults)}")
    return Outcome("skip", f"{name}: skipped, {reason}") if reason else Outcome("agree")


def expectation(case: Case) -> Any:
    """What a case expects, by field; networkpolicy's cases have their one field outside."""
    allowed = {"allowed": case["allowed"]} if "allowed" in case else {}
    expect = case.get("expect", {}) if allowed else case.get("expect")
    return {**allowed, **expect} if isinstance(expect, dict) else expect


def subject_of(name: str) -> Subject:
    """The module that answers for a subject.

    Raises:
        NotBuilt: there is none yet.
    """
    try:
        module = import_module(f"tests.conformance.{name}")
    except ModuleNotFoundError as missing:
        if missing.name != f"tests.conformance.{name}":
            raise
        raise NotBuilt("subject not built yet") from None
    return Subject(module.answers, getattr(module, "agrees", agrees))


def differences(subject: Subject, case: Case, answer: Answer) -> Iterator[str]:
    """What is expected and not so, in words."""
    for field, expected in expectation(case).items():
        if field not in answer:
            yield f"unknown expectation {field}"
        elif not subject.agrees(field, expected, answer[field]):
            yield f"expected {field} {short(expected)} got {short(answer[field])}"


def agrees(field: str, expected: Any, got: Any) -> bool:
    """Equal, with fractions to one millionth, and some lists in any order."""
    if isinstance(expected, bool) or isinstance(got, bool) or expected is None:
        return expected is got
    if isinstance(expected, int | float) and isinstance(got, int | float):
        return abs(expected - got) <= 1e-6
    if isinstance(expected, Mapping) and isinstance(got, Mapping):
        return expected.keys() == got.keys() and all(
            agrees(key, value, got[key]) for key, value in expected.items()
        )
    if isinstance(expected, list) and isinstance(got, list | tuple):
        if field in UNORDERED:
            return same_in_any_order(expected, list(got))
        return len(expected) == len(got) and all(
            agrees("", one, other) for one, other in zip(expected, got, strict=True)
        )
    return bool(expected == got)


def same_in_any_order(expected: list[Any], got: list[Any]) -> bool:
    for wanted in expected:
        place = next((i for i, found in enumerate(got) if agrees("", wanted, found)), None)
        if place is None:
            return False
        del got[place]
    return not got


def short(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, default=str, separators=(",", ":"))
