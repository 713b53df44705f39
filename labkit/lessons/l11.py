"""L11 · Packet detective: how a closed case is judged: mended, the cause named, few questions."""

from __future__ import annotations

from typing import Any

from labkit.cluster import Cluster
from labkit.lessons.detective import (
    CALLS,
    CASES,
    CAUSES,
    ENOUGH,
    WELL,
    Call,
    Case,
    calls_after_a_restart,
    not_ready,
)
from labkit.lessons.exercises import Exercise, Judgement, Lesson

BELIEFS = {
    # (the cause, what was named) -> the belief that it looks like, and what to look at
    ("d", "a"): ("M11", "a Running pod receives traffic. Which column of `get pods` says more?"),
    ("d", "b"): ("M11", "a Running pod receives traffic. Which column of `get pods` says more?"),
    ("d", "c"): ("M11", "a Running pod receives traffic. Which column of `get pods` says more?"),
    ("g", "h"): ("M22", "a name that fails means broken DNS. Who answered, and what?"),
    ("e", "h"): ("M22", "a name that fails means broken DNS. Did the question arrive?"),
    ("a", "c"): ("M06", "a declared port is an open one. What does `ss` in the pod list?"),
    ("c", "a"): ("M06", "all those port numbers are one. Compare the Service with the pod."),
    ("c", "b"): ("M06", "all those port numbers are one. Is the list of endpoints empty?"),
    ("f", "e"): ("M15", "`Local` is free. Which nodes run a pod of that Service?"),
    ("f", "c"): ("M15", "`Local` is free. Which nodes run a pod of that Service?"),
    ("f", "b"): ("M15", "`Local` is free. Which nodes run a pod of that Service?"),
    **{
        ("e", said): ("M40", "refused and timed out mean the same. Who could have said no?")
        for said in "abcd"
    },
    **{
        (truth, "e"): ("M40", "refused and timed out mean the same. Who said no here?")
        for truth in "abd"
    },
}


def _unfilled(number: int, answer: Any) -> str | None:
    if not isinstance(answer, Case):
        return f'hand in `case.closed("a")`, with the case from `open_case({number})`'
    if answer.number != number:
        return f"this is case {answer.number}; hand in case {number}"
    if answer.said is ...:
        return "no cause named yet"
    if str(answer.said) not in CAUSES:
        return f"name one letter of {', '.join(CAUSES)}"
    return None


def _judge(case: Case) -> Judgement:
    """First the calls, now and after a restart; then the pods, the cause, and the count."""
    wrong = _wrong(case, case.lab)
    if wrong is not None:
        return wrong
    later = _first_failing(calls_after_a_restart(case.lab))
    if later is not None:
        call, seen = later
        says = f"{call.says}: once the pods are replaced: {seen}, wanted {WELL}. Mend the cause."
        return Judgement("NOT YET", says)
    if pods := not_ready(case.lab):
        says = f"every call works, and {pods[0]} is still not ready. Mend the cause."
        return Judgement("NOT YET", says)
    if case.said != case.truth:
        number, words = BELIEFS.get((case.truth, case.said), ("", "What did your mend change?"))
        looks = f"This looks like {number}: {words}" if number else words
        return Judgement("NOT YET", f"every call works, but the cause was another. {looks}", number)
    if case.cost > ENOUGH:
        says = f"mended and named, with {case.cost} questions; {ENOUGH} are enough. Try a new seed."
        return Judgement("NOT YET", says)
    return Judgement("SOLVED", f"mended and named, with {case.cost} of {ENOUGH} questions")


def _first_failing(lab: Cluster) -> tuple[Call, str] | None:
    return next(((c, seen) for c in CALLS if (seen := c.seen(lab)) != WELL), None)


def _wrong(case: Case, lab: Cluster) -> Judgement | None:
    """The judgement on a call that fails; those that worked before come first."""
    failing = [(call, seen) for call in CALLS if (seen := call.seen(lab)) != WELL]
    broken = [(call, seen) for call, seen in failing if call.seen(case.start) == WELL]
    if broken:
        call, seen = broken[0]
        says = f"{call.says}: it was {WELL}, now it is {seen}."
        return Judgement("YOU BROKE SOMETHING THAT WORKED", says)
    if failing:
        call, seen = failing[0]
        return Judgement("NOT YET", f"{call.says}: observed {seen}, wanted {WELL}.")
    return None


HINTS = (
    "say first what came back: a refusal, silence, or no name. Each has other senders.",
    "take the ladder's next rung: the name, the Service, its list of endpoints, the pod, the node. "
    "Which of them have you not looked at?",
    "compare two outputs side by side: what the Service asks for and what `get pods --show-labels` "
    "and `ss -tuln` in the pod offer; on a node, what `ip route` lists for each podCIDR.",
)
LESSON = Lesson(
    number="L11",
    guesses=(),
    exercises=tuple(
        Exercise(
            id=f"L11-{number}",
            hints=HINTS,
            judge=_judge,
            unfilled=lambda answer, number=number: _unfilled(number, answer),  # type: ignore[misc]
        )
        for number in range(1, CASES + 1)
    ),
)
