"""Who is selected by which policy, and whom each of its rules lets pass.

A policy stands in the middle. On the right are the pods that it isolates; on the left is whom
its ingress rules let in, below that, where its egress rules let go.
"""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from labkit.api.cluster_policy import ClusterNetworkPolicy
from labkit.api.core import Pod
from labkit.api.names import SYSTEM
from labkit.api.networking import NetworkPolicy
from labkit.api.state import State
from labkit.cluster import Cluster
from labkit.policy.ends import pod_end
from labkit.policy.matcher import DEFAULT, Direction, policy_types
from labkit.policy.parts import rules_of, selects
from labkit.policy.sentences import described
from labkit.policy.told import some
from labkit.views.figure import Figure, figure
from labkit.views.svg import WIDTH, fit, line, rect, text

LINE, PAD, GAP = 18.0, 12.0, 14.0
BOX, BOX_X, CHIP = 168.0, 336.0, 196.0  # px: the policy, where it stands, a pod's chip
MOST = 6  # pods that are drawn by name


class Drawn(msgspec.Struct, frozen=True):
    """One policy: whom it isolates in which directions, and its rules in words."""

    name: str
    namespace: str
    types: tuple[Direction, ...]
    guarded: tuple[str, ...]
    ingress: tuple[str, ...]
    egress: tuple[str, ...]

    @property
    def rows(self) -> list[tuple[str, str]]:
        """(direction, words) of each line that is drawn at the left."""
        found: list[tuple[str, str]] = []
        for kind, rules in (("Ingress", self.ingress), ("Egress", self.egress)):
            if kind in self.types:
                nobody = "nobody may enter" if kind == "Ingress" else "it may go nowhere"
                found += [(kind, words) for words in rules or (nobody,)]
        return found


def policies(lab: Cluster) -> Figure:
    """All NetworkPolicies of a cluster, and the pods that none of them selects."""
    drawn, free, beside = _drawn(lab.state), _free(lab.state), _beside(lab.state)
    body, y = [], 6.0
    for one in drawn:
        body.append(_policy(one, y))
        y += _tall(one) + GAP
    if free:
        body.append(text(2, y + 14, f"no policy selects: {some(free)}", "s"))
        y += 26
    if beside:
        body.append(text(2, y + 14, fit(beside, WIDTH - 4), "s"))
        y += 26
    twin = "\n".join(filter(None, (_twin(drawn, free), beside)))
    return figure("Who is guarded by which policy.", twin, y, *body)


def _drawn(state: State) -> list[Drawn]:
    return [
        Drawn(
            name=policy.name,
            namespace=policy.namespace,
            types=policy_types(policy),
            guarded=tuple(_titles(state, policy)),
            ingress=tuple(map(described, rules_of(policy, "Ingress"))),
            egress=tuple(map(described, rules_of(policy, "Egress"))),
        )
        for policy in state.list(NetworkPolicy)
    ]


def _pods(state: State) -> list[Pod]:
    return [
        p
        for p in state.list(Pod)
        if p.addresses and p.namespace not in SYSTEM and not p.spec.host_network
    ]


def _titles(state: State, policy: NetworkPolicy) -> Iterator[str]:
    for pod in _pods(state):
        if selects(policy, pod):
            yield pod_end(state, pod, DEFAULT).title


def _free(state: State) -> list[str]:
    guarded = {title for policy in state.list(NetworkPolicy) for title in _titles(state, policy)}
    titles = (pod_end(state, pod, DEFAULT).title for pod in _pods(state))
    return [title for title in titles if title not in guarded]


def _beside(state: State) -> str:
    """The policies that stand in other tiers, and are not drawn."""
    names = [policy.name for policy in state.list(ClusterNetworkPolicy)]
    return f"Not drawn: ClusterNetworkPolicy {some(names)}." if names else ""


# --- the picture -------------------------------------------------------------------------


def _tall(one: Drawn) -> float:
    rows = max(_lines(one), min(len(one.guarded), MOST + 1), 2)
    return rows * LINE + PAD


def _lines(one: Drawn) -> int:
    return sum(len(_wrapped(words)) for _, words in one.rows)


def _wrapped(words: str) -> list[str]:
    """Words on lines that fit the left column, broken at blanks."""
    room, lines = 46, [""]
    for word in words.split():
        if len(lines[-1]) + len(word) + 1 > room and lines[-1]:
            lines.append("")
        lines[-1] = f"{lines[-1]} {word}".strip()
    return lines


def _policy(one: Drawn, y: float) -> str:
    tall = _tall(one)
    middle = y + tall / 2
    box = rect(BOX_X, y, BOX, tall, "wash", "line", rx=4, stroke_width=1.5)
    name = text(BOX_X + BOX / 2, middle - 2, fit(one.name, BOX - 12), "m b mid")
    kinds = " and ".join(kind.lower() for kind in one.types)
    says = text(BOX_X + BOX / 2, middle + 15, f"isolates for {kinds}", "x s mid")
    return box + name + says + _rules(one, y) + _guarded(one, y)


def _rules(one: Drawn, y: float) -> str:
    parts, at = [], y + PAD / 2
    for kind, words in one.rows:
        lines = _wrapped(words)
        shut = words in ("nobody may enter", "it may go nowhere")
        centre = at + len(lines) * LINE / 2
        for n, words in enumerate(lines):
            parts.append(text(2, at + 13 + n * LINE, words, "x b stop" if shut else "x"))
        parts.append(_bar(centre) if shut else _arrow(centre, kind == "Ingress"))
        at += len(lines) * LINE
    return "".join(parts)


def _arrow(y: float, inward: bool) -> str:
    """From the peers into the policy, or out of it."""
    start, end = BOX_X - 52, BOX_X - 4
    tip, back = (end, -7) if inward else (start, 7)
    head = f"M{tip + back:g} {y - 4:g}L{tip:g} {y:g}l{back:g} 4"
    return line(f"M{start:g} {y:g}H{end:g}", "go", 2) + line(head, "go", 2)


def _bar(y: float) -> str:
    """A way that nobody takes."""
    way = line(f"M{BOX_X - 52:g} {y:g}H{BOX_X - 12:g}", "line", 1.5, stroke_dasharray="3 3")
    return way + line(f"M{BOX_X - 10:g} {y - 7:g}v14", "stop", 4)


def _guarded(one: Drawn, y: float) -> str:
    shown = list(one.guarded[:MOST])
    if len(one.guarded) > MOST:
        shown.append(f"and {len(one.guarded) - MOST} more")
    start, x = y + _tall(one) / 2, WIDTH - CHIP
    if not shown:
        return text(x + 8, start + 4, "selects no pod", "x stop b")
    parts, top = [], y + (_tall(one) - len(shown) * LINE) / 2
    for n, name in enumerate(shown):
        at = top + n * LINE + LINE / 2
        parts.append(line(f"M{BOX_X + BOX:g} {start:g}L{x - 4:g} {at:g}", "line", 1.5))
        chip = rect(x - 4, at - 8, CHIP + 2, 16, "paper", "line", rx=4)
        parts.append(chip + text(x + 4, at + 4, fit(name, CHIP - 12, 11.5), "m x"))
    return "".join(parts)


# --- words -------------------------------------------------------------------------------


def _twin(drawn: list[Drawn], free: list[str]) -> str:
    count = f"{len(drawn)} polic{'y' if len(drawn) == 1 else 'ies'}"
    alone = f"; no policy selects {some(free)}" if free else "; every pod is selected"
    lines = [f"{count}{alone}."]
    for one in drawn:
        kinds = " and ".join(kind.lower() for kind in one.types)
        whom = some(one.guarded) if one.guarded else "no pod"
        lines.append(f"{one.namespace}/{one.name} isolates {whom} for {kinds}.")
        for kind, words in one.rows:
            if words in ("nobody may enter", "it may go nowhere"):
                lines.append(f"{one.name}: {words}.")
            else:
                verb = "lets in" if kind == "Ingress" else "lets them go to"
                lines.append(f"{one.name} {verb} {words}.")
    return "\n".join(lines)
