"""L12 · NetworkPolicy: isolation, union, enforcement: its guesses and how answers are judged."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from labkit.api.core import Pod
from labkit.api.networking import NetworkPolicy
from labkit.cluster import Cluster
from labkit.cni import cni_of
from labkit.lessons.doors import OUTSIDE, no_policy, port_pairs, put, scaled, shop
from labkit.lessons.exercises import (
    Exercise,
    Guess,
    Judgement,
    Lesson,
    Probe,
    always_filled,
    judge_probes,
    wrong_probes,
)
from labkit.policy.matcher import isolating
from labkit.policy.portmap import words as port_words

# --- L12-1: hit the target --------------------------------------------------------------------

PORTS = (8080, 5432, 22)


class Cell(msgspec.Struct, frozen=True):
    """One cell of the truth table; an end is None where it is the world outside."""

    source: str
    destination: str
    port: int
    wanted: bool
    start: Pod | None
    goal: Pod | None

    @property
    def says(self) -> str:
        ends = (end.removeprefix("default/") for end in (self.source, self.destination))
        return f"{' -> '.join(ends)}, port {self.port}"


def table(lab: Cluster) -> Iterator[tuple[Cell, bool]]:
    """Every cell with what is seen: all pairs of pods, and to and from the world outside."""
    for port in PORTS:
        reach = lab.reachability(port)
        named = list(zip(reach.names, reach.pods, strict=True))
        for j, (into, goal) in enumerate(named):
            for i, (name, start) in enumerate(named):
                wanted = i == j or _wanted(start, goal)
                yield Cell(name, into, port, wanted, start, goal), reach.open(i, j)
        for name, pod in named:
            place = f"pod/{pod.namespace}/{pod.name}"
            enters = lab.allowed(OUTSIDE, f"{place}:{port}").allowed
            leaves = lab.allowed(place, f"{OUTSIDE}:{port}").allowed
            yield Cell(OUTSIDE, name, port, pod.namespace != "default", None, pod), enters
            yield Cell(name, OUTSIDE, port, True, pod, None), leaves


def _wanted(start: Pod, goal: Pod) -> bool:
    """What the table of the exercise says about two different pods."""
    if goal.namespace != "default":
        return True
    friend = {"backend": "frontend", "db": "backend"}.get(goal.labels.get("app", ""))
    return start.namespace == "default" and start.labels.get("app") == friend


def _shops() -> Iterator[tuple[str, Cluster]]:
    """The lesson's shop, then some that the learner has not seen, with a few words each."""
    yield "", shop()
    yield "With a pod that came later", shop(("cart", "default"))
    yield "With namesakes elsewhere", shop(("frontend", "ops"), ("backend", "pay"))
    yield "With two pods of each", scaled(scaled(shop(), "frontend", 2), "backend", 2)


def _hit(answer: str | Cluster) -> Judgement:
    for words, lab in _shops():
        put(answer, lab)
        wrong = [cell for cell, seen in table(lab) if seen != cell.wanted]
        wrong.sort(key=lambda cell: not cell.wanted)  # a door that was open before comes first
        if wrong:
            return _judged(lab, wrong[0], f"{words}: " if words else "")
        if partly := _partly(lab):
            return Judgement("NOT YET", partly)
    return Judgement("SOLVED", "every cell is right, also with pods that you have not seen.")


def _partly(lab: Cluster) -> str:
    """The first pair that may connect on some ports and not on all; empty if there is none."""
    for source, into, found in port_pairs(lab):
        ports = port_words(found)
        if ports not in ("every port", "none"):
            says = f"{source} -> {into}: observed open on {ports} only, wanted on every port."
            return f"{says} Which line of your rule asks for ports?"
    return ""


def _judged(lab: Cluster, cell: Cell, where: str) -> Judgement:
    number, words = _shut(lab, cell) if cell.wanted else _ajar(lab, cell)
    looks = f"This looks like {number}: {words}" if number else words
    if cell.wanted:
        says = f"{where}{cell.says}: it was open, now it is closed. {looks}"
        return Judgement("YOU BROKE SOMETHING THAT WORKED", says, number)
    says = f"{where}{cell.says}: observed open, wanted closed. {looks}"
    return Judgement("NOT YET", says, number)


def _shut(lab: Cluster, cell: Cell) -> tuple[str, str]:
    """Why a pair that should connect does not."""
    if cell.start is not None and isolating(lab.state, cell.start, "Egress"):
        return "", "The way out is shut. Of which of a pod's two doors does the table speak?"
    if cell.goal is not None and cell.goal.namespace != "default":
        if not any(p.spec.ingress for p in isolating(lab.state, cell.goal, "Ingress")):
            return "", "A policy guards that namespace. Of which one do rows one to three speak?"
        words = "an allowing policy taken to open only. It selects the pod, so it isolates it."
        return "M26", words
    return "", "The door is guarded. Which of your rules lets this one in?"


def _ajar(lab: Cluster, cell: Cell) -> tuple[str, str]:
    """Why a pair that should not connect does."""
    assert cell.goal is not None, "nothing is wanted closed towards the outside"
    found = isolating(lab.state, cell.goal, "Ingress")
    if not found:
        return "M23", "a pod that no policy selects is open to all. Whom do yours select?"
    if any(_forbids(policy) for policy in found):
        return "M25", "a policy meant to forbid. Policies only add up; look again at L12-22."
    if cell.destination.startswith("default/frontend"):
        return "", "Whom does a `podSelector` under `spec` guard: who sends, or who receives?"
    return "", "Which of your rules lets it in, and whom does that rule describe?"


def _forbids(policy: NetworkPolicy) -> bool:
    """It selects some pods by name and lets nobody in."""
    chosen = policy.spec.pod_selector
    return not policy.spec.ingress and bool(chosen.match_labels or chosen.match_expressions)


# --- L12-2: the policy is there, and so is the stranger ---------------------------------------

DB = "svc/db:5432"
BRANCH = (
    Probe("backend -> db", "pod/backend", DB, by="db"),
    Probe("frontend -> http://backend", "pod/frontend", "svc/backend:80", by="backend"),
    Probe("frontend -> payments", "pod/frontend", "svc/pay/payments:8443", by="pay/payments"),
    Probe("monitoring -> frontend", "pod/ops/monitoring", "svc/frontend:8080", by="frontend"),
    Probe("ops/monitoring -> db", "pod/ops/monitoring", DB, wanted="a timeout"),
    Probe("pay/payments -> db", "pod/pay/payments", DB, wanted="a timeout"),
    Probe("frontend -> db", "pod/frontend", DB, wanted="a timeout"),
)


def _held(answer: Cluster) -> Judgement:
    before = shop(cni="flannel")
    judged = judge_probes(before, answer, BRANCH, lambda probe, seen: _open_door(answer, probe))
    if judged.standing != "SOLVED":
        says = judged.says.replace("the page", "an answer")  # a database has no pages
        return msgspec.structs.replace(judged, says=says)
    later = scaled(answer.fork(), "db", 3)
    if wrong := wrong_probes(later, BRANCH):
        probe, seen = wrong[0]
        says = f"{probe.says}: right today; observed {seen} with more database pods."
        return Judgement("NOT YET", f"{says} Whom does your policy select?")
    return Judgement("SOLVED", "the same objects, and somebody who enforces them.")


def _open_door(lab: Cluster, probe: Probe) -> tuple[str, str]:
    if probe.wanted != "a timeout":
        return "", "What did that door have to do with the stranger's?"
    policies = lab.state.list(NetworkPolicy)
    if cni_of(lab.config).enforces_policies:
        return "M23", "a pod that no policy selects is open to all. Where has the policy gone?"
    if len(policies) == 1 and not lab.faults:
        return "", "The policy is there. Whose work is it to carry it out?"
    return "M24", "a policy taken to act by itself. Whose work is it to carry it out?"


LESSON = Lesson(
    number="L12",
    guesses=(
        Guess("L12-P1", ("backend", "default", "all")),
        Guess("L12-P2", ("answer", "refused", "timeout")),
        Guess("L12-P3", ("yes", "no", "order")),
        Guess("L12-P4", ("out", "in", "both")),
        Guess("L12-P5", ("answer", "timeout")),
    ),
    exercises=(
        Exercise(
            "L12-1",
            hints=(
                "start with the third row of the table: which pods does it speak of?",
                "for each of the other two rows: whom must the policy guard, and whom must it let"
                " in?",
                'make `trial = scenario("shop", cni="calico")`, apply your answer to it and show'
                " `views.matrix(trial.reachability(port=8080))`. Which cell differs?",
            ),
            judge=_hit,
            unfilled=no_policy,
            leaks=("podSelector: {}", "app: frontend", "app: backend", "app: db"),
        ),
        Exercise(
            "L12-2",
            hints=(
                "the policy is an object. Look for the program on the nodes that would obey it.",
                'which pods run on every node? `kubectl(lab, "get pods -A")` names them.',
                "compare the last rows of this trace with those in L12-14. Which place is missing,"
                " and which program would have written its rules?",
            ),
            judge=_held,
            unfilled=always_filled,
            leaks=("calico",),
        ),
    ),
)
