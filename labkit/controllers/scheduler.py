"""Pods without a node get one: the best of those that take it.

Best is: fewest pods of the same owner, then what the pod prefers, then fewest pods, then by
name. *The lab simplifies*: the real scheduler adds up a dozen weighted scores (spread, node
affinity, free memory, images, ...); here these four are asked one after the other.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

import msgspec

from labkit.api.core import Node, Pod, PodStatus
from labkit.api.meta import Condition
from labkit.api.names import owner_of
from labkit.api.state import State
from labkit.api.times import stamp
from labkit.controllers.owned import FINISHED
from labkit.controllers.placing import host_ports, objection, preference


def schedule(state: State) -> Iterator[Pod]:
    """Each waiting pod with its node, or with the condition that says why there is none."""
    waiting = [
        p for p in state.list(Pod) if not p.spec.node_name and p.status.phase not in FINISHED
    ]
    if not waiting:
        return
    placed = [p for p in state.list(Pod) if p.spec.node_name and p.status.phase not in FINISHED]
    crowd = Counter(p.spec.node_name for p in placed)
    staying = (p for p in placed if not p.metadata.deletion_timestamp)
    siblings = Counter((_family(p), p.spec.node_name) for p in staying)
    ports = {(p.spec.node_name, port) for p in placed for port in host_ports(p)}
    for pod in waiting:
        asked = host_ports(pod)
        why: Counter[str] = Counter()
        best: tuple[int, int, int, str] | None = None
        for node in state.list(Node):
            against = objection(pod, node) or _port_taken(node.name, asked, ports)
            if against:
                why[against] += 1
                continue
            near = siblings[_family(pod), node.name] if owner_of(pod) else 0
            rank = (near, -preference(pod, node), crowd[node.name], node.name)
            best = min(best or rank, rank)
        if best is None:
            yield _unplaced(state, pod, why)
            continue
        chosen = best[-1]
        crowd[chosen] += 1
        siblings[_family(pod), chosen] += 1
        ports |= {(chosen, port) for port in asked}
        yield msgspec.structs.replace(pod, spec=msgspec.structs.replace(pod.spec, node_name=chosen))


def _family(pod: Pod) -> tuple[str, str]:
    return pod.namespace, owner_of(pod)


def _port_taken(
    node: str, asked: frozenset[tuple[str, int]], ports: set[tuple[str, tuple[str, int]]]
) -> str:
    free = not any((node, port) in ports for port in asked)
    return "" if free else "node(s) didn't have free ports for the requested pod ports"


def _unplaced(state: State, pod: Pod, why: Counter[str]) -> Pod:
    count = len(state.list(Node))
    reasons = ", ".join(sorted(f"{n} {reason}" for reason, n in why.items()))
    message = (
        f"0/{count} nodes are available: {reasons}."
        if why
        else "no nodes available to schedule pods"
    )
    old = next((c for c in pod.status.conditions if c.type == "PodScheduled"), None)
    since = old.last_transition_time if old else stamp(state.now)
    condition = Condition(
        type="PodScheduled",
        status="False",
        reason="Unschedulable",
        message=message,
        last_transition_time=since,
    )
    return msgspec.structs.replace(pod, status=PodStatus(phase="Pending", conditions=(condition,)))
