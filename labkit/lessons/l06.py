"""L06 · Connections are not requests: its guesses and how its exercises are judged."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from labkit.api.apps import Deployment
from labkit.api.core import Service
from labkit.cluster import Cluster
from labkit.lessons.exercises import (
    Exercise,
    Guess,
    Judgement,
    Lesson,
    Probe,
    always_filled,
    apply_changed,
    judge_probes,
)
from labkit.lessons.scenarios import scenario
from labkit.traffic.load import Load

# --- L06-1: a spread under 10 % ---------------------------------------------------------------

SETTINGS = ("per_connection", "max_age", "chooses")
SALE: dict[str, Any] = {"clients": 1000, "rate": 1, "seconds": 240}
LIMIT, DEAR = 0.1, 300.0  # the spread; new connections a second


class Friday(msgspec.Struct, frozen=True):
    """A sale: its chance, and the pods before and after second 60."""

    seed: int
    before: int
    after: int


FRIDAYS = (Friday(1, 3, 6), Friday(11, 3, 6), Friday(12, 2, 5), Friday(13, 4, 7))


def sale(friday: Friday, settings: Mapping[str, Any]) -> Load:
    """What came of a sale with these settings of the clients."""
    lab = scenario("shop", cni="flannel", proxy_mode="iptables", seed=friday.seed)
    _scale(lab, "frontend", 4)
    _scale(lab, "backend", friday.before)
    more = lab.fork()
    _scale(more, "backend", friday.after)
    how = SALE | dict(settings)
    return lab.load("deployment/frontend", "svc/backend:80", after={60: more}, **how)


def _scale(lab: Cluster, name: str, count: int) -> None:
    apply_changed(lab, f"deployment/{name}", lambda m: m["spec"].update(replicas=count))


def _settings(answer: object) -> str | None:
    """What is missing of an answer that is a dict of settings; None is a value like any other."""
    if not isinstance(answer, dict) or ... in answer.values():
        return "no answer yet"
    lacks = [name for name in SETTINGS if name not in answer]
    return f"`{lacks[0]}` is missing" if lacks else None


def _even(answer: Mapping[str, Any]) -> Judgement:
    strange = [name for name in answer if name not in SETTINGS]
    if strange:
        says = f"`{strange[0]}` is not yours to set: the load is the sale's."
        return Judgement("NOT YET", f"{says} Which of the three settings end a connection?")
    for friday in FRIDAYS:
        run = sale(friday, answer)
        spread, new = run.spread(since=120), sum(run.opened) / run.demand.seconds
        if new > DEAR:
            says = f"observed {new:.0f} new connections a second, wanted at most {DEAR:.0f}."
            return Judgement("NOT YET", f"{says} How long could each live, at that price?")
        if spread >= LIMIT:
            return _uneven(friday, run, spread)
    again = "Which other way would have done it?"
    if answer["chooses"] != "node":
        again = "Now find a way in which the node chooses."
    return Judgement("SOLVED", f"every pod has its part, on every Friday that we played. {again}")


def _uneven(friday: Friday, run: Load, spread: float) -> Judgement:
    """A spread of 10 % and more: nothing was drawn anew, or too little."""
    pods = f"{friday.before} pods, then {friday.after}"
    says = f"{pods}: observed a spread of {spread:.0%} from second 120 on, wanted under 10 %."
    new = sum(run.connections[end] for end, since in zip(run.ends, run.since, strict=True) if since)
    if spread > 0.5:
        belief = "requests taken for what a Service spreads"
        asks = f"The new pods got {new} connections. Look again at L06-18."
        return Judgement("NOT YET", f"{says} This looks like M10: {belief}. {asks}", "M10")
    asks = "By second 120, how many of the old connections should have ended?"
    return Judgement("NOT YET", f"{says} {asks}")


# --- L06-2: sixty tills behind one address ----------------------------------------------------

DOOR = ("outside", "node/node-1:30080")
TILLS: dict[str, Any] = {"clients": 60, "rate": 1, "per_connection": 5}
SHOP = (
    Probe("tills -> port 30080 of node-1", *DOOR, by="backend"),
    Probe("tills -> port 30080 of node-2", "outside", "node/node-2:30080", by="backend"),
    Probe("frontend -> http://backend", "pod/frontend", "svc/backend:80", by="backend"),
    Probe("frontend -> db", "pod/frontend", "svc/db:5432", by="db"),
    Probe("monitoring -> frontend", "pod/ops/monitoring", "svc/frontend:8080", by="frontend"),
)
PODS = 3
MOST = 0.5  # of all requests on one pod; an even part is a third


def saturday() -> Cluster:
    lab = scenario("shop", cni="flannel", proxy_mode="iptables")
    _scale(lab, "backend", PODS)
    service = {"type": "NodePort", "sessionAffinity": "ClientIP"}
    apply_changed(lab, "svc/backend", lambda m: m["spec"].update(service))
    apply_changed(lab, "svc/backend", lambda m: m["spec"]["ports"][0].update(nodePort=30080))
    return lab


def _tills(answer: Cluster) -> Judgement:
    judged = judge_probes(saturday(), answer, SHOP)
    if judged.standing != "SOLVED":
        return judged
    for seed in (1, 21, 22):
        played = answer.fork()
        played.seed = seed
        for door in ("node/node-1:30080", "node/node-2:30080"):
            run = played.load("outside", door, **TILLS)
            busiest = max(run.totals.values()) / sum(run.totals.values())
            if busiest > MOST:
                return _crowded(answer, door, busiest)
    if _sizes(answer) != _sizes(saturday()):
        says = "a Deployment is not as it was, and the tills do not need that."
        return Judgement("NOT YET", f"{says} Which object decides who meets whom?")
    return Judgement("SOLVED", "three pods share the tills, by either door.")


def _crowded(lab: Cluster, door: str, busiest: float) -> Judgement:
    says = f"tills -> {door.partition(':')[0]}: observed {busiest:.0%} of the load on one pod,"
    says += f" wanted at most {MOST:.0%}."
    service = lab.state.get(Service, "backend", "default")
    if service is None or service.spec.session_affinity != "ClientIP":
        return Judgement("NOT YET", f"{says} Which pods may this node send them to?")
    belief = "This looks like M17: a source address taken for a customer."
    if service.spec.session_affinity_config.client_ip.timeout_seconds < 3600:
        asks = "How many seconds pass between two new connections of sixty tills?"
    else:
        asks = "How many senders does the rule in L06-34 see?"
    return Judgement("NOT YET", f"{says} {belief} {asks}", "M17")


def _sizes(lab: Cluster) -> dict[tuple[str, str], int]:
    """The Deployments that there are, each with the number of pods that it wants."""
    return {(d.namespace, d.name): d.spec.replicas for d in lab.state.list(Deployment)}


LESSON = Lesson(
    number="L06",
    guesses=(
        Guess("L06-P1", ("one", "some", "three")),
        Guess("L06-P2", ("third", "half", "all")),
        Guess("L06-P3", ("a", "b", "c"), letters=True),
        Guess("L06-P4", ("a", "b", "c"), letters=True),
        Guess("L06-P5", ("own", "one", "random")),
    ),
    exercises=(
        Exercise(
            "L06-1",
            hints=(
                "look at the old pods from second 60 on: what keeps their requests there?",
                "either connections must end in time, or somebody else must choose. Which of"
                " the three settings does what?",
                "try one of the cures of L06-27, and read both numbers that the cell prints.",
            ),
            judge=_even,
            unfilled=_settings,
            leaks=('"max_age": 10', '"chooses": "client"', '"chooses": "proxy"'),
        ),
        Exercise(
            "L06-2",
            hints=(
                "compare the Service with the rules of L06-34: which field makes them?",
                "for whom was that field once needed, and what does the story say about it now?",
                "take one line of the text away, run the cell, and look for `--rcheck` on the"
                " node as L06-34 does. Which line brings these rules?",
            ),
            judge=_tills,
            unfilled=always_filled,
            leaks=("sessionAffinity: None", "without affinity"),
        ),
    ),
)
