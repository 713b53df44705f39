"""Probes of policies: who may open which port of whom, and whether the page arrives.

A door is a verdict of the policies, asked of every pod of a workload: whether somebody listens
behind it plays no part. Where nobody enforces policies every door is open. A page is a packet
sent, at the Service's address.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import permutations

import msgspec

from labkit.api.core import Service
from labkit.api.names import SYSTEM
from labkit.api.networking import NetworkPolicy
from labkit.api.objects import encode
from labkit.cluster import Cluster
from labkit.lessons.exercises import SEEN, Judgement, Standing
from labkit.lessons.scenarios import scenario
from labkit.policy.portmap import words as port_words
from labkit.policy.spans import Span

POD = """apiVersion: v1
kind: Pod
metadata: {name: %s, namespace: %s, labels: {app: %s}}
spec: {containers: [{name: c, image: nginx}]}
"""
NEWCOMERS = (("frontend", "pay"), ("monitoring", "default"), ("shell", "ops"))
OUTSIDE = "203.0.113.9"


class Door(msgspec.Struct, frozen=True):
    """`source` at one port of each pod labelled `app: target` in `namespace`; wanted open or not.

    With `page` a packet goes to port 80 of the Service of that name, and the page is wanted.
    """

    source: str
    target: str
    port: int = 80
    wanted: str = "closed"
    namespace: str = "default"
    page: bool = False

    @property
    def says(self) -> str:
        return f"{self.source} -> {self.target}"


class Found(msgspec.Struct, frozen=True):
    """What a door showed, and whether it was right before."""

    door: Door
    seen: str
    broke: bool

    def told(self, says: str) -> str:
        """`frontend -> db, port 22: it was closed, now it is open.`"""
        if self.broke:
            return f"{says}: it was {self.door.wanted}, now it is {self.seen}."
        return f"{says}: observed {self.seen}, wanted {self.door.wanted}."


def look(lab: Cluster, door: Door) -> str:
    """`open` or `closed` for all pods of the target; of a page, what the client sees."""
    if door.page:
        return _page(lab, door)
    source = place(door.source)
    pods = lab.list("pods", selector=f"app={door.target}", namespace=door.namespace)
    goals = (f"pod/{p.namespace}/{p.name}:{door.port}" for p in pods)
    found = [lab.allowed(source, goal) for goal in goals]
    verdicts = [one.allowed or not one.enforced for one in found]
    opens = all(verdicts) if door.wanted == "open" else any(verdicts)
    return "open" if opens and verdicts else "closed"


def _page(lab: Cluster, door: Door) -> str:
    service = lab.state.get(Service, door.target, door.namespace)
    if service is None:
        return "no Service of that name"
    seen = lab.trace(place(door.source), f"{service.spec.cluster_ip}:{door.port}").outcome
    return SEEN.get(seen, seen)


def place(text: str) -> str:
    """`ops/shell` as a place of the lab; an address is one by itself."""
    return text if text[0].isdigit() else f"pod/{text}"


def wrong_doors(before: Cluster | None, after: Cluster, doors: Iterable[Door]) -> list[Found]:
    """The doors that are not as wanted, those that were right before in front."""
    wrong = [(door, seen) for door in doors if (seen := look(after, door)) != door.wanted]
    found = [
        Found(door, seen, before is not None and look(before, door) == door.wanted)
        for door, seen in wrong
    ]
    return sorted(found, key=lambda one: not one.broke)


def senders(lab: Cluster, target: str, port: int, namespace: str = "default") -> set[str]:
    """The titles of the pods that may open a port of each pod of a workload, its own left out."""
    reach = lab.reachability(port)
    goals = [
        n
        for n, p in enumerate(reach.pods)
        if p.namespace == namespace and p.labels.get("app") == target
    ]
    return {
        name
        for n, name in enumerate(reach.names)
        if n not in goals and goals and all(reach.open(n, goal) for goal in goals)
    }


# --- every port ---------------------------------------------------------------------------------


def port_pairs(lab: Cluster) -> Iterator[tuple[str, str, tuple[Span, ...]]]:
    """Each pair of different pods by their titles, with all ports between them."""
    found = lab.port_map()
    for source, into in permutations(found.pods, 2):
        yield source, into, found.between(source, into)


def loose(lab: Cluster, target: str, port: int, standing: Standing) -> Judgement | None:
    """What is said if somebody may open another port of `default/target` than TCP `port`."""
    for source, into, found in port_pairs(lab):
        if into == f"default/{target}" and (more := [x for y in found for x in _but(y, port)]):
            says = f"{source} -> {target}: observed open on {port_words(tuple(more))} as well."
            return Judgement(standing, f"{says} How many ports does this visitor need?")
    return None


def _but(span: Span, port: int) -> Iterator[Span]:
    """A span without one TCP port."""
    if span.protocol != "TCP" or not span.first <= port <= span.last:
        yield span
        return
    if span.first < port:
        yield Span("TCP", span.first, port - 1)
    if port < span.last:
        yield Span("TCP", port + 1, span.last)


# --- the answer, put into a shop --------------------------------------------------------------


def no_policy(answer: object) -> str | None:
    """For an answer that is a manifest's text, or a cluster."""
    if answer is ...:
        return "no answer yet"
    return None if isinstance(answer, str | Cluster) else "hand in the manifest as text"


def shop(*more: tuple[str, str], cni: str = "calico") -> Cluster:
    """A fresh shop with pods `(name, namespace)`, each labelled with its name."""
    lab = scenario("shop", cni=cni, proxy_mode="iptables")
    spaces = {space for _, space in more} - {n.name for n in lab.list("namespaces")}
    for space in sorted(spaces):
        lab.apply(f"apiVersion: v1\nkind: Namespace\nmetadata: {{name: {space}}}\n")
    if more:
        lab.apply("---\n".join(POD % (name, space, name) for name, space in more))
    return lab


def put(answer: str | Cluster, lab: Cluster) -> Cluster:
    """`lab` with what an answer says: its text applied, or a cluster's policies and Services."""
    if isinstance(answer, str):
        if answer.strip():
            lab.apply(answer)
        return lab
    kinds = (*answer.state.list(NetworkPolicy), *answer.state.list(Service, "default"))
    objects = [encode(x) for x in kinds if x.name != "kubernetes"]
    for one in objects:
        one.pop("status", None)
        for own in ("uid", "resourceVersion", "creationTimestamp", "generation"):
            one["metadata"].pop(own, None)
        one["spec"].pop("clusterIP", None)
        one["spec"].pop("clusterIPs", None)
    lab.apply(objects)
    return lab


def scaled(lab: Cluster, name: str, replicas: int) -> Cluster:
    """The same cluster with another number of pods of a Deployment in `default`."""
    manifest = encode(lab.get(f"deployment/{name}"))
    manifest.pop("status", None)
    manifest["spec"]["replicas"] = replicas
    lab.apply([manifest])
    return lab


def renewed(lab: Cluster) -> Cluster:
    """The same cluster with a new pod, at a new address, in the place of each that has an owner."""
    for pod in lab.list("pods", namespace="*"):
        if pod.metadata.owner_references and pod.namespace not in SYSTEM:
            lab.delete(f"pod/{pod.namespace}/{pod.name}")
    return lab


class Belief(msgspec.Struct, frozen=True):
    """What a wrong door betrays: words before it, words after it, and the known belief."""

    opening: str = ""
    lead: str = ""
    number: str = ""
    words: str = ""


def judged(first: Found, says: str, belief: Belief, also: str = "") -> Judgement:
    """The judgement on the first wrong door; `says` names it, `also` ends its sentence."""
    standing: Standing = "YOU BROKE SOMETHING THAT WORKED" if first.broke else "NOT YET"
    told = first.told(says).removesuffix(".") + f"{also}."
    looks = f"This looks like {belief.number}: {belief.words}" if belief.number else belief.words
    said = " ".join(part for part in (f"{belief.opening}{told}", belief.lead, looks) if part)
    return Judgement(standing, said, belief.number)
