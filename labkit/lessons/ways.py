"""Probes of policies that know protocols: who may open which port of whom, outside included."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from ipaddress import ip_address

import msgspec

from labkit.api.core import PortProtocol
from labkit.api.names import SYSTEM
from labkit.cluster import Cluster
from labkit.errors import NotFound
from labkit.lessons.exercises import Judgement, Standing
from labkit.policy.ends import address_end, pod_end
from labkit.policy.matcher import Flow
from labkit.policy.matcher import judge as verdict
from labkit.policy.reading import DEFAULT

Belief = tuple[str, str]


class Way(msgspec.Struct, frozen=True):
    """A connection as the policies judge it; `target` is a place, or `dns` for each CoreDNS pod."""

    says: str
    source: str
    target: str
    port: int
    protocol: PortProtocol = "TCP"
    wanted: str = "open"


def seen(lab: Cluster, way: Way) -> str:
    """`open` if every pod meant is open to it, `closed` if none is, `half open` between.

    Raises:
        NotFound: a place that the way names is gone.
    """
    goals = [way.target]
    if way.target == "dns":
        pods = lab.list("pods", selector="k8s-app=kube-dns", namespace="kube-system")
        goals = [f"pod/kube-system/{pod.name}" for pod in pods]
        if not goals:
            raise NotFound("kube-system has no pod of CoreDNS any more; start from a new scenario")
    verdicts = {_allows(lab, way, goal) for goal in goals}
    return "half open" if len(verdicts) > 1 else "open" if verdicts == {True} else "closed"


def _allows(lab: Cluster, way: Way, goal: str) -> bool:
    """Whether the policies let the connection open; an address may be anybody's."""
    if not goal[0].isdigit():
        return bool(lab.allowed(way.source, f"{goal}:{way.port}", protocol=way.protocol))
    source = pod_end(lab.state, lab.get(way.source), DEFAULT)
    target = address_end(lab.state, ip_address(goal), DEFAULT)
    return verdict(lab.state, Flow(source, target, way.protocol, way.port)).allowed


def judge(
    before: Cluster, after: Cluster, ways: Iterable[Way], belief: Callable[[Way], Belief]
) -> Judgement | None:
    """The judgement on the first wrong way, one that was right before in front; None if none is."""
    wrong = [(way, now) for way in ways if (now := seen(after, way)) != way.wanted]
    broken = [pair for pair in wrong if seen(before, pair[0]) == pair[0].wanted]
    if not wrong:
        return None
    way, now = (broken or wrong)[0]
    standing: Standing = "YOU BROKE SOMETHING THAT WORKED" if broken else "NOT YET"
    was = f"it was {way.wanted}, now it is {now}." if broken else ""
    number, words = belief(way)
    looks = f"This looks like {number}: {words}" if number else words
    told = was or f"observed {now}, wanted {way.wanted}."
    return Judgement(standing, f"{way.says}: {told} {looks}".strip(), number)


def dns(source: str, wanted: str = "open") -> tuple[Way, Way]:
    """Questions to CoreDNS, over UDP and over TCP."""
    name = source.removeprefix("pod/").removeprefix("pay/")
    udp = Way(f"{name} -> DNS, UDP", source, "dns", 53, "UDP", wanted)
    return udp, Way(f"{name} -> DNS, TCP", source, "dns", 53, "TCP", wanted)


def closed(says: str, source: str, target: str, port: int, protocol: PortProtocol = "TCP") -> Way:
    return Way(says, source, target, port, protocol, "closed")


def renewed(lab: Cluster) -> Cluster:
    """A copy with a new pod, at a new address, in the place of each pod that has an owner."""
    copy = lab.fork()
    for pod in copy.list("pods", namespace="*"):
        moves = pod.namespace not in SYSTEM or pod.labels.get("k8s-app") == "kube-dns"
        if moves and pod.metadata.owner_references:
            copy.delete(f"pod/{pod.namespace}/{pod.name}")
    return copy


def with_pods(lab: Cluster, *pods: tuple[str, str, dict[str, str]]) -> Cluster:
    """A copy with more pods: namespace, name and labels of each."""
    copy = lab.fork()
    container = {"name": "c", "image": "shop.example/x:1.0"}
    for namespace, name, labels in pods:
        meta = {"name": name, "namespace": namespace, "labels": labels}
        spec = {"containers": [container]}
        copy.apply([{"apiVersion": "v1", "kind": "Pod", "metadata": meta, "spec": spec}])
    return copy
