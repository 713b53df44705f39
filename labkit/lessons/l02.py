"""L02 · Inside a node: its guesses and how its exercises are judged."""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import ip_network
from typing import Any

from labkit.cluster import Cluster
from labkit.errors import LabError
from labkit.kernel.routes import Route
from labkit.kernel.text import route_lines
from labkit.lessons.exercises import (
    Exercise,
    Guess,
    Judgement,
    Lesson,
    Probe,
    always_filled,
    apply_changed,
    judge_probes,
    no_answer,
)
from labkit.lessons.scenarios import scenario
from labkit.traffic import faults

PODS = {"frontend": 8080, "backend": 8080, "db": 5432}
PAIRS = tuple(
    Probe(f"{one} -> {other}", f"pod/{one}", f"pod/{other}:{port}")
    for one in PODS
    for other, port in PODS.items()
)
OUT = tuple(Probe(f"{pod} -> outside", f"pod/{pod}", "outside:443") for pod in PODS)
NODES = ("node-1", "node-2", "node-3")
OWNERS = "10.244.2.128/25"


def _shop(nodes: int | str = 3) -> Cluster:
    return scenario("shop", cni="flannel/host-gw", proxy_mode="iptables", nodes=nodes)


# --- L02-1: routes by hand --------------------------------------------------------------------


def _without_rows() -> Cluster:
    lab = _shop()
    lab.delete("daemonset/kube-flannel/kube-flannel-ds")
    for node in NODES:
        lab.inject(faults.no_pod_routes(node))
    return lab


def _by_hand(answer: Any) -> Judgement:
    if not isinstance(answer, Cluster):
        return Judgement("NOT YET", "hand in the cluster in which you typed, not a text.")
    if (other := _other_nodes(answer)) is not None:
        return other
    if any(daemon.name == "kube-flannel-ds" for daemon in answer.list("ds", namespace="*")):
        says = "flannel runs in this cluster, and writes the rows. Hand in the one without it."
        return Judgement("NOT YET", says)
    before = _without_rows()
    judged = judge_probes(
        before, answer, (*OUT, *PAIRS), lambda probe, seen: _row_belief(before, answer, probe, seen)
    )
    if judged.standing != "SOLVED":
        return judged
    return (
        _new_pods(answer, "How much of a node's range do your rows cover?")
        or _detour(answer)
        or _too_many(answer)
        or Judgement("SOLVED", "all nine pairs answer, new pods too, and no row is idle.")
    )


def _row_belief(before: Cluster, answer: Cluster, probe: Probe, seen: str) -> tuple[str, str]:
    if _no_row_written(before, answer):
        if _written(answer.state) != _written(before.state):
            return "M03", (
                "Kubernetes taken for the carrier. You changed objects; the route tables are as"
                " before. Who reads them?"
            )
        return "", "Which row of `ip route` would this packet need on its node?"
    if probe in OUT:
        return "", "Which row did this packet use before? It is still needed."
    if seen == "unreachable":
        return "", (
            "Somebody asks on a cable for a pod that is not there. Which machine is the door to it?"
        )
    connection = answer.fork().connect(probe.source, probe.target)
    request, reply = connection.request, connection.reply
    if request.outcome == "delivered":
        if reply and reply.end != "router":
            return "", "The request arrives. Which row hands its answer to the wrong door?"
        return "", "The request arrives. Follow the answer: which table lacks a row for it?"
    if request.end == "router":
        last = [h.netns for h in request.hops if h.netns.startswith("node/")][-1]
        title = answer.network.namespaces[last].title
        return "", f"{title} hands the packet to the router, which knows no pods. Why there?"
    return "", "Step through this call: which row of which node sends it astray?"


def _other_nodes(lab: Cluster) -> Judgement | None:
    """None if the cluster has the shop's nodes and no other."""
    if {node.name for node in lab.list("nodes")} == set(NODES):
        return None
    return Judgement("NOT YET", "wanted the same three nodes: node-1, node-2 and node-3.")


def _written(state: Any) -> set[tuple[object, object]]:
    """What people wrote: names and specs, without what controllers add."""
    return {(key, repr(getattr(obj, "spec", None))) for key, obj in state.objects.items()}


def _no_row_written(before: Cluster, answer: Cluster) -> bool:
    return all(_rows(before, node) == _rows(answer, node) for node in NODES)


def _rows(lab: Cluster, node: str) -> frozenset[Route]:
    return frozenset(lab.network.namespaces[f"node/{node}"].routes)


def _new_pods(answer: Cluster, question: str) -> Judgement | None:
    """None if more pods of the backend, on every node, have addresses and are reached."""
    later = answer.fork()
    try:
        apply_changed(later, "deployment/backend", lambda m: m["spec"].update(replicas=20))
    except LabError:
        says = "20 pods of the backend: observed a node that is full, wanted room for them all."
        return Judgement("NOT YET", f"{says} {question}")
    for pod in later.list("pods", selector="app=backend"):
        for other in ("frontend", "db"):
            if not _answers(later, f"pod/{other}", f"pod/{pod.name}:8080"):
                return Judgement(
                    "NOT YET",
                    f"{other} -> a new pod of the backend: observed a failure, wanted the page."
                    f" Today's pods answer. {question}",
                )
    return None


def _answers(lab: Cluster, source: str, target: str) -> bool:
    try:
        return bool(lab.trace(source, target))
    except LabError:
        return False


def _detour(answer: Cluster) -> Judgement | None:
    """None if every packet goes straight from its node to the target's."""
    for probe in PAIRS:
        hops = answer.trace(probe.source, probe.target).request.hops
        nodes = list(dict.fromkeys(h.netns for h in hops if h.netns.startswith("node/")))
        if len(nodes) > 2:
            passed = answer.network.namespaces[nodes[1]].title
            return Judgement(
                "NOT YET",
                f"{probe.says}: observed a detour by {passed}, wanted the straight way."
                " Which row sends it there, and for which range is that node the door?",
            )
    return None


def _too_many(answer: Cluster) -> Judgement | None:
    """None if each node has the rows of flannel and no other."""
    wanted = _shop()
    for node in NODES:
        needed = {(r.prefix, r.via, r.dev) for r in _rows(wanted, node)}
        extra = [r for r in _rows(answer, node) if (r.prefix, r.via, r.dev) not in needed]
        if extra:
            row = route_lines(min(extra, key=lambda r: str(r.prefix)))[0].split()[0]
            if row == "default":
                says = f"`default` of {node} no longer leads to the router; keep the old rows."
                return Judgement("NOT YET", f"all nine pairs answer. But {says}")
            return Judgement(
                "NOT YET",
                f"all nine pairs answer. But {node} has a row for `{row}` that they do not need."
                " Where would a packet go to an address that no pod has?",
            )
        if len(_rows(answer, node)) > len(needed):
            return Judgement("NOT YET", f"all nine pairs answer, but {node} has a row twice.")
    return None


# --- L02-2: two owners ------------------------------------------------------------------------


def _one_owner(answer: Any) -> Judgement:
    if not isinstance(answer, str):
        return Judgement("NOT YET", "hand in the text that describes the nodes.")
    if "".join(answer.split()) == "".join(_BROKEN.split()):
        return Judgement("NOT YET", "your text equals the old one. Did `replace` find the range?")
    lab = _shop(answer)
    if (other := _other_nodes(lab)) is not None:
        return other
    before = _shop(_BROKEN)
    judged = judge_probes(
        before, lab, (*PAIRS, *OUT), lambda probe, seen: _owner_belief(before, lab, probe)
    )
    if judged.standing != "SOLVED":
        return judged
    return (
        _overlap(lab)
        or _new_pods(lab, "How many addresses has each range?")
        or Judgement("SOLVED", "every range has one owner, and every pod its own name.")
    )


_BROKEN = "---\n".join(
    f"apiVersion: v1\nkind: Node\nmetadata: {{name: {name}}}\nspec: {{podCIDR: {cidr}}}\n"
    for name, cidr in zip(NODES, ("10.244.1.0/24", "10.244.2.0/24", OWNERS), strict=True)
)


def _owner_belief(before: Cluster, lab: Cluster, probe: Probe) -> tuple[str, str]:
    shared = next(_shared(lab), None)
    if probe in OUT and shared is None:
        return "", (
            "Among pods the pages arrive, some under a node's name. Which range do flannel's"
            " rows with MASQUERADE take for all pods?"
        )
    if shared is None:
        return "", "Does every node have a range, and its pods an address?"
    if _ranges(lab) == _ranges(before):
        return "", "On whose cable does the caller look, and who lives there?"
    return "", f"Still, {shared[0]} and {shared[1]} claim some of the same addresses."


def _ranges(lab: Cluster) -> list[tuple[str, Any]]:
    return [(n.name, ip_network(n.spec.pod_cidr)) for n in lab.list("nodes") if n.spec.pod_cidr]


def _shared(lab: Cluster) -> Iterator[tuple[str, str]]:
    ranges = _ranges(lab)
    for at, (one, first) in enumerate(ranges):
        for other, second in ranges[at + 1 :]:
            if first.overlaps(second):
                yield one, other


def _overlap(lab: Cluster) -> Judgement | None:
    """None if no address has two owners; today's pods may answer all the same."""
    shared = next(_shared(lab), None)
    if shared is None:
        return None
    one, other = shared
    return Judgement(
        "NOT YET",
        f"today's pods answer. But {one} and {other} still claim some of the same addresses."
        " Which pod will be the first to suffer?",
    )


LESSON = Lesson(
    number="L02",
    guesses=(
        Guess("L02-P1", ("bridge", "routes", "flannel")),
        Guess("L02-P2", ("stop", "go on", "takes over")),
        Guess("L02-P3", ("page", "refused", "timeout")),
    ),
    exercises=(
        Exercise(
            "L02-1",
            hints=(
                "compare the table of L02-32 with the one of L02-16: what did flannel write?",
                "for each node ask: which two ranges are not mine, and whose door leads there?",
                "trace one pair there and back; the last row that is right says who comes next."
                " `ip route get` with a pod's address shows what a node would do.",
            ),
            judge=_by_hand,
            unfilled=always_filled,
            leaks=("192.168.7.11", "192.168.7.12", "192.168.7.13", "route add 10"),
        ),
        Exercise(
            "L02-2",
            hints=(
                "compare the address of the db with the backend's own route table.",
                "two machines claim this address. Which of them does the backend believe?",
                '`kubectl(lab, "get pods -o wide")` and `ip route` on each node: which ranges'
                " are free, and which range holds them all?",
            ),
            judge=_one_owner,
            unfilled=no_answer,
            leaks=("10.244.3.0", "10.244.2.0/25"),
        ),
    ),
)
