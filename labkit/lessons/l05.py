"""L05 · kube-proxy: its guesses and how its exercises are judged."""

from __future__ import annotations

import ast
import operator
from collections.abc import Callable, Mapping
from fractions import Fraction
from typing import Any

from labkit.api.core import Node, Pod
from labkit.cluster import Cluster
from labkit.errors import LabError
from labkit.lessons.exercises import (
    Exercise,
    Guess,
    Judgement,
    Lesson,
    always_filled,
    open_fields,
)
from labkit.lessons.scenarios import scenario
from labkit.traffic.branches import tree
from labkit.traffic.chances import FAILURES
from labkit.traffic.spread import spread

TARGET = "svc/backend:80"
ZERO, ONE = Fraction(0), Fraction(1)


def three_pods(**config: Any) -> Cluster:
    """The shop with three pods behind the backend's Service."""
    lab = scenario("shop", cni="flannel", **{"proxy_mode": "iptables", **config})
    manifest = lab.get("deployment/backend").manifest
    lab.apply([{**manifest, "spec": {**manifest["spec"], "replicas": 3}}])
    return lab


# --- L05-1: fair chances ----------------------------------------------------------------------

RULES, FORMULA = 4, "rule k of n"
HIDDEN = (2, 3, 7, 12)  # numbers of pods for which the formula is tried
DO: Mapping[type, Callable[[Fraction, Fraction], Fraction]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
}


def value(text: object, **names: int) -> Fraction | None:
    """`"1/(n - 2)"` reckoned exactly; None for what is no such text, or no chance from 0 to 1."""
    typed = str(text).strip().lower().replace("\u2212", "-")  # a minus sign, as phones write it
    try:
        found = _reckoned(ast.parse(typed, mode="eval").body, names)
    except (SyntaxError, ValueError, ZeroDivisionError, KeyError):
        return None
    return found if 0 <= found <= 1 else None


def _reckoned(node: ast.expr, names: Mapping[str, int]) -> Fraction:
    match node:
        case ast.BinOp(left=left, op=op, right=right) if type(op) in DO:
            return DO[type(op)](_reckoned(left, names), _reckoned(right, names))
        case ast.UnaryOp(op=ast.USub(), operand=operand):
            return -_reckoned(operand, names)
        case ast.Constant(value=int() | float() as number):
            return Fraction(str(number)).limit_denominator(10**6)  # 1/3 without quotes is a float
        case ast.Name(id=name):
            return Fraction(names[name])
    raise ValueError(node)


def shares(chances: list[Fraction]) -> tuple[list[Fraction], Fraction]:
    """What each rule of a chain takes of all connections, and what falls out behind the last."""
    left, taken = ONE, []
    for chance in chances:
        taken.append(left * chance)
        left -= taken[-1]
    return taken, left


def _fair(answer: Mapping[str, object]) -> Judgement:
    texts = [answer.get(f"rule {k}", "") for k in range(1, RULES + 1)]
    chances = [value(text) for text in texts]
    if None in chances:
        wrong = chances.index(None) + 1
        says = f'rule {wrong}: write a chance from 0 to 1 as a fraction, such as "3/7".'
        return Judgement("NOT YET", says)
    judged = _unfair([c for c in chances if c is not None], "")
    return judged or _formula(str(answer.get(FORMULA, "")))


def _unfair(chances: list[Fraction], lead: str) -> Judgement | None:
    """The first rule whose pod gets another share than the others, if there is one."""
    n = len(chances)
    taken, lost = shares(chances)
    wanted = Fraction(1, n)
    wrong = next((k for k, share in enumerate(taken) if share != wanted), None)
    if wrong is None:
        return None
    reaches = ONE - sum(taken[:wrong])
    says = f"{lead}rule {wrong + 1}: observed {taken[wrong]} of all connections, wanted {wanted}."
    if lost:
        says += f" {lost} of all fall out of the chain."
    if len(set(chances)) == 1:
        looks = (
            "This looks like M09: one chance for all, as if it were a share of all connections."
            f" How many still reach rule {wrong + 1}? Look again at L05-14."
        )
        return Judgement("NOT YET", f"{says} {looks}", "M09")
    if chances == sorted(chances, reverse=True):
        looks = (
            "This looks like M09: the first rules made strong to be fair."
            f" Only {reaches} of all reach this rule. Which part of them is fair?"
        )
        return Judgement("NOT YET", f"{says} {looks}", "M09")
    return Judgement("NOT YET", f"{says} {reaches} of all reach it. Which part of them is fair?")


def _formula(text: str) -> Judgement:
    for n in HIDDEN:
        found = [value(text, k=k, n=n) for k in range(1, n + 1)]
        if None in found:
            k = found.index(None) + 1
            says = f'the four rules are right. "{FORMULA}" gives no chance from 0 to 1 for'
            return Judgement("NOT YET", f"{says} k = {k} and n = {n}.")
        judged = _unfair([c for c in found if c is not None], f"the four are right. With n = {n}, ")
        if judged:
            return judged
    return Judgement("SOLVED", "every pod gets the same, for four pods and for any number.")


# --- L05-2: four histograms -------------------------------------------------------------------

WAYS = ("random", "rr", "lc", "sticky")
MEASURED = {"a": "lc", "b": "random", "c": "rr", "d": "sticky"}
SEEDS = {"random": 3, "sticky": 4}
TURNING = "mode of rr and lc"
STICKY = {"sessionAffinity": "ClientIP"}


def measured(way: str) -> dict[str, int]:
    """600 connections of five clients to three pods of which the last is slow, in one way."""
    mode, options = ("ipvs", {"scheduler": way}) if way in ("rr", "lc") else ("iptables", {})
    lab = three_pods(proxy_mode=mode, proxy_options=options)
    if way == "sticky":
        manifest = lab.get("svc/backend").manifest
        lab.apply([{**manifest, "spec": {**manifest["spec"], **STICKY}}])
    found = tree(lab.state, lab.network, TARGET, "node-1")
    titles = [found.title(b) for b in found.choices]
    counts = spread(found, 600, seed=SEEDS.get(way, 1), clients=5, slow={titles[-1]})
    return dict(zip(("one", "two", "slow"), counts.values(), strict=True))


def _histograms(answer: Mapping[str, object]) -> Judgement:
    given = {x: " ".join(str(answer.get(x, "")).lower().split()) for x in (*MEASURED, TURNING)}
    key = _key()
    wrong = [x for x in MEASURED if given[x] != key[x]]
    right = ", ".join(x for x in MEASURED if x not in wrong)
    praise = f" Right so far: {right}." if right else ""
    if wrong:
        belief, words = _way_belief(given[wrong[0]], key[wrong[0]])
        looks = f"This looks like {belief}: {words}" if belief else words
        says = f'{wrong[0]}: you say "{given[wrong[0]]}"; such a run looks otherwise.'
        return Judgement("NOT YET", f"{says} {looks}{praise}", belief)
    if given[TURNING].removesuffix(" mode") != "ipvs":
        says = f'"{given[TURNING]}" has neither. This looks like M08: turns expected of a mode that'
        return Judgement("NOT YET", f"{says} throws dice. Look again at L05-27.{praise}", "M08")
    return Judgement("SOLVED", "each picture has its way, and the mode its name.")


def _key() -> dict[str, str]:
    """Which way made which picture: the runs are made again and compared."""
    runs = {way: measured(way) for way in WAYS}
    shown = {letter: runs[way] for letter, way in MEASURED.items()}
    return {x: way for x, counts in shown.items() for way in WAYS if runs[way] == counts}


def _way_belief(given: str, key: str) -> tuple[str, str]:
    if given not in WAYS:
        return "", f"Choose one of {', '.join(WAYS)}."
    if {given, key} == {"random", "rr"}:
        return "M08", "dice taken for turns. After 600 turns, how far apart can two pods be?"
    if {given, key} == {"lc", "sticky"}:
        return "", "Both are uneven. Which of them can leave a pod with no connection at all?"
    if "lc" in (given, key):
        return "", "Who knows that a pod is slow: dice, turns, or a count of open connections?"
    return "", "Five clients with 120 calls each: which numbers are then possible for one pod?"


# --- L05-3: a pod that does not reach itself --------------------------------------------------

CALLS = (  # of a pod to another one, which no rebuilt node disturbs
    ("pod/frontend", TARGET),
    ("pod/ops/monitoring", TARGET),
    ("pod/frontend", "svc/db:5432"),
    ("pod/frontend", "svc/ops/monitoring:9090"),
)


def _itself(answer: Cluster) -> Judgement:
    if not any(moment.faults for moment in answer.history) and answer.config.proxy_mode != "ebpf":
        says = "in this cluster no node was rebuilt: it is another one, or its past was undone."
        return Judgement("NOT YET", f"{says} Mend the `lab` of L05-55 itself.")
    lost = _lost(answer, three_pods())
    if lost:
        return Judgement("YOU BROKE SOMETHING THAT WORKED", lost)
    failing = ((pod, _failures(answer, f"pod/{pod}", TARGET)) for pod in _pods(answer))
    pod, seen = next(((pod, seen) for pod, seen in failing if seen), ("", ZERO))
    if pod:
        part = "all" if seen == ONE else seen
        says = f"{pod} -> http://backend: observed {part} of its calls failing, wanted none."
        looks = (
            "This looks like M13: a pod expected to reach itself without help."
            " Which row ends such a call? Look again at L05-51."
        )
        return Judgement("NOT YET", f"{says} {looks}", "M13")
    return _doors(answer)


def _lost(answer: Cluster, before: Cluster) -> str:
    """What is gone, or fails, although it was right before; empty if nothing is."""
    there = {node.name for node in answer.state.list(Node)}
    gone = [node.name for node in before.state.list(Node) if node.name not in there]
    if gone:
        return f"{gone[0]} is gone. Its pods found another place; who mends the node?"
    pods, wanted = _pods(answer), _pods(before)
    if len(pods) < len(wanted):
        says = f"{len(pods)} pods of the backend, it was {len(wanted)}."
        return f"{says} Which of them was healthy?"
    for source, target in CALLS:
        if _failures(answer, source, target):
            says = f"{source} -> {target}: it was always an answer, now it fails at times."
            return f"{says} What did you change?"
    return ""


def _doors(answer: Cluster) -> Judgement:
    """The other Services whose pods share a node with the backend's: do they reach themselves?"""
    for source, target in (("pod/db", "svc/db:5432"), ("pod/ops/monitoring", "svc/ops/monitoring")):
        if _failures(answer, source, target):
            says = f"the backend is whole. {source} -> {target}: observed a timeout, wanted the"
            looks = "This looks like M13: one pod mended, and the node has others."
            return Judgement("NOT YET", f"{says} page. {looks} How many ports has node-3?", "M13")
    return Judgement("SOLVED", "every pod reaches itself, and nobody has lost anything.")


def _pods(lab: Cluster) -> list[str]:
    return [p.name for p in lab.state.list(Pod, "default") if p.labels.get("app") == "backend"]


def _failures(lab: Cluster, source: str, target: str) -> Fraction:
    """The part of new connections that are not answered."""
    try:
        ends = lab.outcomes(source, target).ends
    except LabError:
        return ONE
    return sum((chance for end, chance in ends.items() if end in FAILURES), ZERO)


LESSON = Lesson(
    number="L05",
    guesses=(
        Guess("L05-P1", ("page", "refused", "timeout")),
        Guess("L05-P2", ("first", "second", "third", "equal")),
        Guess("L05-P3", ("a", "b", "c", "d"), letters=True),
        Guess("L05-P4", ("a", "b", "c", "d"), letters=True),
        Guess("L05-P5", ("0.2 ms", "20 ms", "2 s")),
        Guess("L05-P6", ("none", "about 30", "all")),
    ),
    exercises=(
        Exercise(
            "L05-1",
            hints=(
                "begin at the top of the picture in L05-14, and imagine 400 connections.",
                "how many of the 400 reach rule 2, and how many of these may it take?",
                "scale the backend to four pods and read `views.outcomes` again.",
            ),
            judge=_fair,
            unfilled=open_fields,
            leaks=("n-k+1", "n - k + 1", "1+n-k", "n+1-k"),
        ),
        Exercise(
            "L05-2",
            hints=(
                "look for the one run in which no number could be another.",
                "which way looks at the pods' load, and which way looks at the client?",
                "draw each yourself: L05-27 for dice and turns, and L05-29 with another scheduler.",
            ),
            judge=_histograms,
            unfilled=open_fields,
            leaks=('"a": "lc"', '"d": "sticky"', "is sticky", "is lc"),
        ),
        Exercise(
            "L05-3",
            hints=(
                "ask `lab.outcomes` for each of the three pods: which one sees failures?",
                "trace from that pod until a call fails: which device stands in the last row?",
                '`on(lab, "node-3", "ip -d link show")` shows every port and its hairpin mode.',
            ),
            judge=_itself,
            unfilled=always_filled,
            leaks=("hairpin on",),
        ),
    ),
)
