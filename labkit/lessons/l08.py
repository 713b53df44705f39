"""L08 · NodePort, LoadBalancer and the lost client IP: its guesses and how answers are judged."""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction

from labkit.api.core import Service
from labkit.api.datafiles import DATA
from labkit.cluster import Cluster
from labkit.kernel.dice import SeededDice
from labkit.lessons.exercises import (
    Exercise,
    Guess,
    Judgement,
    Lesson,
    always_filled,
    open_fields,
)
from labkit.lessons.scenarios import scenario
from labkit.traffic.balancer import rotations

LESSONS = DATA.parent / "notebooks" / "lessons"
FRONT, MOVE = LESSONS / "L08-front.yaml", LESSONS / "L08-move.yaml"
VIRTUAL, NODE_2 = "198.51.100.10:80", "192.168.7.12:30080"
CLIENT, BALANCER = "203.0.113.9", "192.168.7.5"
DOORS = {"node-1", "node-2", "node-3"}
TRIES = 24  # connections with other dice; three nodes are all met


def _shop(load_balancer: str = "", mode: str = "iptables") -> Cluster:
    return scenario("shop", cni="flannel", proxy_mode=mode, load_balancer=load_balancer)


def seen(lab: Cluster, target: str) -> set[str]:
    """What pods see of a client outside, or what the client sees in their place."""
    found = set()
    for number in range(TRIES):
        tried = lab.trace("outside", target, dice=SeededDice(number))
        if tried:
            source = str(tried.request.packet.src)
            found.add({CLIENT: "client", BALANCER: "balancer"}.get(source, "node"))
        else:
            found.add({"timed out": "timeout"}.get(tried.outcome, tried.outcome))
    return found


# --- L08-1: type and policy -------------------------------------------------------------------

CASES = {  # letter: (balancer, policy)
    "a": ("", "Cluster"),
    "b": ("", "Local"),
    "c": ("aws-nlb-instance", "Cluster"),
    "d": ("aws-nlb-instance", "Local"),
    "e": ("aws-clb", "Cluster"),
    "f": ("aws-clb", "Local"),
}
CHOICES = ("client", "node", "balancer", "timeout")


def _with_policy(lab: Cluster, policy: str) -> Cluster:
    """The lesson's Service under a policy."""
    text = FRONT.read_text(encoding="utf-8").replace(": Local", f": {policy}")
    if policy != "Local":
        text = text.replace("  healthCheckNodePort: 30081\n", "")
    lab.apply(text)
    return lab


def arrives(letter: str) -> str:
    """Whose address the pod on node-1 sees in a case: computed by walking packets."""
    balancer, policy = CASES[letter]
    lab = _with_policy(_shop(balancer), policy)
    (found,) = seen(lab, VIRTUAL if balancer else NODE_2)
    return found


def _arrivals(answer: Mapping[str, object]) -> Judgement:
    wrong = {}
    for letter in CASES:
        given = str(answer.get(letter, "")).strip().lower()
        if given != (key := arrives(letter)):
            wrong[letter] = (given, key)
    if not wrong:
        return Judgement("SOLVED", "six cases, and each address has its author.")
    letter, (given, key) = next(iter(wrong.items()))
    belief, words = _arrival_belief(letter, given, key)
    if given not in CHOICES:
        says = f'{letter}: "{given}" is none of the four words: {", ".join(CHOICES)}.'
        return Judgement("NOT YET", says)
    looks = f"This looks like {belief}: {words}" if belief else words
    right = ", ".join(x for x in CASES if x not in wrong)
    praise = f" Right so far: {right}." if right else ""
    says = f'{letter}: you say "{given}"; the packet says otherwise. {looks}{praise}'
    return Judgement("NOT YET", says, belief)


def _arrival_belief(letter: str, given: str, key: str) -> tuple[str, str]:
    """What a wrong line says about its author; never the right one."""
    if letter in "ace" and given == "timeout":
        return "M14", "a door only where the pod is. Who else has the rule? Look again at L08-09."
    if letter in "ac" and given == "client":
        return "M02", (
            "no address changes on the way in. Which row comes before the tunnel in L08-15?"
        )
    if letter == "b":
        return "M14", "a node port that always leads on. What does node-2 lack? See L08-21."
    if letter in "df" and given == "timeout":
        return "M15", "Local loses packets everywhere. Who asked the nodes first? See L08-30."
    if letter in "ef" and given == "client":
        return "M14", "the client's address kept whoever stands between. Who opened the connection?"
    if letter in "ce":
        return "", "Under this policy the node that takes the packet adds something. See L08-15."
    return "", "Who was the last to write a source address into the packet?"


# --- L08-2: a fair place for pods ---------------------------------------------------------------

ROOM = {"node-1": 4, "node-2": 4, "node-3": 1}
LEAST = 4
POD = """apiVersion: v1
kind: Pod
metadata: {name: f%d, labels: {app: frontend}, annotations: {labkit.dev/listens: "8080/TCP"}}
spec: {nodeName: %s, containers: [{name: frontend, image: f}]}
"""


def shares(counts: Mapping[str, int], mode: str = "iptables") -> Mapping[str, Fraction]:
    """What each pod gets, and what is lost, with so many pods on each node under Local."""
    lab = _with_policy(_shop("aws-nlb-instance", mode), "Local")
    lab.delete("deployment/frontend")
    places = [node for node, count in counts.items() for _ in range(count)]
    if places:
        lab.apply("---\n".join(POD % (i, node) for i, node in enumerate(places, start=1)))
    return lab.outcomes("outside", VIRTUAL).ends


def _fair(answer: Mapping[str, object]) -> Judgement:
    counts = {node: _count(answer.get(node)) for node in ROOM}
    if fault := _room(counts):
        return Judgement("NOT YET", fault)
    for gone in ("", *ROOM):
        left = {node: 0 if node == gone else count for node, count in counts.items()}
        when = f"with {gone} switched off" if gone else "with all nodes up"
        for mode in ("iptables", "nftables"):
            if judged := _uneven(shares(left, mode), when):
                return judged
    return Judgement("SOLVED", "equal shares, with all nodes and with any one of them gone.")


def _count(value: object) -> int:
    return value if isinstance(value, int) and value >= 0 else -1


def _room(counts: Mapping[str, int]) -> str:
    for node, count in counts.items():
        if not 0 <= count <= ROOM[node]:
            return f"{node}: write a whole number from 0 to {ROOM[node]}; there is no more room."
    total = sum(counts.values())
    return f"{total} pods: observed too few, wanted {LEAST} or more." if total < LEAST else ""


def _uneven(ends: Mapping[str, Fraction], when: str) -> Judgement | None:
    lost = [end for end in ends if end in ("refused", "timed out")]
    if lost:
        says = f'{when}: observed "{lost[0]}", wanted a page. Who is left to answer?'
        return Judgement("NOT YET", says)
    if len(set(ends.values())) > 1:
        most, least = max(ends.values()), min(ends.values())
        says = f"{when}: one pod gets {most}, another {least}; wanted equal shares."
        belief = "Local comes free of charge. What does the balancer count? See L08-33."
        return Judgement("NOT YET", f"{says} This looks like M15: {belief}", "M15")
    return None


# --- L08-3: pods on one node, behind a naive balancer -------------------------------------------


def evening() -> Cluster:
    """The lab of the exercise before anybody mends it."""
    lab = _shop("naive")
    lab.apply(FRONT)
    lab.apply(MOVE)
    return lab


def _mended(answer: Cluster) -> Judgement:
    service, kept = (x.state.get(Service, "frontend", "default") for x in (answer, evening()))
    if service is None or service.spec.type != "LoadBalancer" or _doors(answer) != DOORS:
        says = "the balancer, its three nodes and the Service are as they are: keep them."
        return Judgement("NOT YET", says)
    now = seen(answer, VIRTUAL)
    if "node" in now:
        says = "the guard sees: it was the client, now it is a node."
        looks = "This looks like M14: a policy taken to keep the client's address. See L08-15."
        return Judgement("YOU BROKE SOMETHING THAT WORKED", f"{says} {looks}", "M14")
    if kept and service.spec != kept.spec:
        return Judgement("NOT YET", "the Service is another team's: leave it as it is.")
    if lost := _lost(answer):
        says = f"outside -> http://198.51.100.10: observed {lost}, wanted the page."
        belief, words = _why_lost(answer, lost)
        return Judgement("NOT YET", f"{says} {words}", belief)
    later = answer.fork()
    for pod in later.list("pods", selector="app=frontend"):
        later.delete(f"pod/{pod.name}")
    if lost := _lost(later):
        says = f"today every page comes; once the pods are new, {lost}. What places them?"
        return Judgement("NOT YET", says)
    return Judgement("SOLVED", "every customer gets the page, and the guard sees customers.")


def _doors(lab: Cluster) -> set[str]:
    """The nodes that the naive balancer sends to; empty behind any other."""
    found = rotations(lab.state) if lab.config.load_balancer == "naive" else ()
    return {node.name for rotation in found for node in rotation.takers}


def _lost(lab: Cluster) -> str:
    """`a timeout for 2/3`: what part of all connections gets no page; empty if none."""
    ends = lab.outcomes("outside", VIRTUAL).ends
    words = {"timed out": "a timeout", "refused": "a refusal"}
    found = [(words[end], ends[end]) for end in words if end in ends]
    return " and ".join(f"{word} for {'all' if part == 1 else part}" for word, part in found)


def _why_lost(lab: Cluster, lost: str) -> tuple[str, str]:
    """The belief behind a loss, and what to say about it."""
    if "refusal" in lost:
        return "", "Somebody says no: is there a pod, and does it listen?"
    pods = lab.list("pods", selector="app=frontend")
    nodes = {pod.spec.node_name for pod in pods}
    if len(pods) > 3 and len(nodes) == 1:
        says = "more pods on one node open no other door. Count doors."
    else:
        says = "Local comes free of charge. Which doors have nobody behind them?"
    return "M15", f"This looks like M15: {says}"


LESSON = Lesson(
    number="L08",
    guesses=(
        Guess("L08-P1", ("page", "refused", "timeout")),
        Guess("L08-P2", ("same", "customer", "node")),
        Guess("L08-P3", ("page", "refused", "timeout")),
        Guess("L08-P4", ("bug", "slow", "nobody")),
        Guess("L08-P5", ("1/4", "1/3", "1/2")),
    ),
    exercises=(
        Exercise(
            "L08-1",
            hints=(
                "for each line, ask who takes the packet first, and whether it has the pod.",
                "which machines write a source address of their own, and under which policy?",
                "make the case: apply a Service as in L08-25 to a fork, then curl from outside and"
                ' read "you are".',
            ),
            judge=_arrivals,
            unfilled=open_fields,
            leaks=('"b": "timeout"', '"d": "client"', '"f": "balancer"', '"c": "node"'),
        ),
        Exercise(
            "L08-2",
            hints=(
                "the balancer counts doors. How much comes in by each door that is open?",
                "which doors must have the same number of pods behind them, and which need none?",
                'try numbers as in L08-33: `views.placements(cloud, "svc/frontend", [...])`.',
            ),
            judge=_fair,
            unfilled=open_fields,
            leaks=("3 3 0", "2 2 0", "4 4 0", "leave node-3 empty"),
        ),
        Exercise(
            "L08-3",
            hints=(
                "read the last row of the trace in L08-46: which node dropped it, and why?",
                "which three doors does the balancer use, and behind how many of them is a pod?",
                '`kubectl(lab, "get pods -o wide")` shows where the pods are. Which lines of the'
                " manifest decide that?",
            ),
            judge=_mended,
            unfilled=always_filled,
            leaks=("nodeSelector", "DaemonSet", "remove the"),
        ),
    ),
)
