"""What a picture of a load balancer tells: which node gets how much, and what its pods then see."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import msgspec

from labkit.api.apps import Deployment
from labkit.api.core import Service
from labkit.api.names import title_of
from labkit.api.objects import encode
from labkit.errors import CommandError
from labkit.kernel.dice import FirstDice
from labkit.kernel.outcomes import outcomes
from labkit.kernel.packet import Address
from labkit.kernel.trace import Trace
from labkit.traffic.balancer import Rotation, rotations
from labkit.traffic.connect import Medium, asked, seen
from labkit.traffic.places import find_service

if TYPE_CHECKING:
    from labkit.cluster import Cluster

MOST = 60  # letters of a list of addresses


class PodShare(msgspec.Struct, frozen=True):
    """One pod behind the balancer: its node, what part of all connections it gets, whom it sees."""

    title: str
    node: str
    share: Fraction = Fraction(0)
    sees: tuple[Address, ...] = ()


class Door(msgspec.Struct, frozen=True):
    """One node: the part of all connections that comes in by it, and where that part ends.

    `to` is a pod's title, or what the client sees instead (`timed out`, `refused`).
    """

    node: str
    failing: bool
    share: Fraction
    to: Mapping[str, Fraction]


class Front(msgspec.Struct, frozen=True, kw_only=True):
    """A balanced Service as its clients meet it."""

    service: str
    policy: str
    rotation: Rotation
    client: Address
    doors: tuple[Door, ...]
    pods: tuple[PodShare, ...]
    lost: Mapping[str, Fraction]  # "timed out": 2/3

    @property
    def kept(self) -> bool:
        """Every pod that is reached sees the client's own address."""
        return all(sees == self.client for pod in self.pods for sees in pod.sees)

    @property
    def reached(self) -> tuple[PodShare, ...]:
        return tuple(pod for pod in self.pods if pod.share)


def front(lab: Cluster, target: str, source: str = "outside") -> Front:
    """All ways of a new connection to the Service's first balanced port, counted exactly.

    Raises:
        CommandError: the Service has no balancer.
    """
    service = find_service(lab.state, target.removeprefix("svc/"), lab.namespace)
    own = [r for r in rotations(lab.state) if r.service is service]
    if not own:
        raise CommandError(
            f"{target}: it has no load balancer; give it type LoadBalancer, and the cluster one: "
            'load_balancer="naive"'
        )
    rotation = own[0]
    where = f"{rotation.address}:{rotation.port.port}"
    question = asked(lab.state, lab.network, source, where, protocol=rotation.port.protocol)
    found = outcomes(lab.network, question.spot.netns, question.packet, {}, lab.state.now)
    medium = Medium(lab.network, FirstDice(), lab.state.now)
    ends = [(chance, trace, _end(question.spot.netns, medium, trace)) for chance, trace in found]
    return Front(
        service=f"{service.namespace}/{service.name}".removeprefix("default/"),
        policy=rotation.port.external_policy,
        rotation=rotation,
        client=question.packet.src,
        doors=tuple(_door(view.name, rotation, ends) for view in rotation.nodes),
        pods=_pods(lab, rotation, ends),
        lost=_summed((end, chance) for chance, _, end in ends if " " in end or end == "refused"),
    )


Ends = list[tuple[Fraction, Trace, str]]


def _end(client: str, medium: Medium, request: Trace) -> str:
    outcome = seen(client, *medium.answer(request))
    return medium.network.namespaces[request.end].title if outcome == "answered" else outcome


def _summed(parts: Any) -> dict[str, Fraction]:
    found: dict[str, Fraction] = {}
    for end, chance in parts:
        found[end] = found.get(end, Fraction(0)) + chance
    return found


def _door(node: str, rotation: Rotation, ends: Ends) -> Door:
    mine = [(end, chance) for chance, trace, end in ends if _first_node(trace) == node]
    share = sum((chance for _, chance in mine), Fraction(0))
    return Door(node, node in rotation.failing, share, _summed(mine))


def _first_node(trace: Trace) -> str:
    nodes = (frame.netns for frame in trace.frames if frame.netns.startswith("node/"))
    return next(nodes, "").removeprefix("node/")


def _pods(lab: Cluster, rotation: Rotation, ends: Ends) -> tuple[PodShare, ...]:
    """Every pod with an endpoint, by node and name, reached or not."""
    by_address = {a: pod for pod in lab.list("pods", namespace="*") for a in pod.addresses}
    found = []
    for endpoint in rotation.port.endpoints:
        pod = by_address.get(endpoint.address)
        title = title_of(lab.state, pod) if pod else str(endpoint.address)
        mine = [(chance, trace) for chance, trace, end in ends if end == title]
        sees = dict.fromkeys(trace.packet.src for _, trace in mine)
        share = sum((chance for chance, _ in mine), Fraction(0))
        found.append(PodShare(title, endpoint.node, share, tuple(sorted(sees, key=int))))
    return tuple(sorted(found, key=lambda pod: (pod.node, pod.title)))


# --- other placements -------------------------------------------------------------------------


def placed(lab: Cluster, target: str, counts: Sequence[int], policy: str) -> Cluster:
    """A fork in which the Service has so many pods on each node, by name, and that policy.

    The pods are copies of the template of the Deployment behind the Service, without owners.

    Raises:
        CommandError: there is no Deployment behind the Service, or not one number for each node.
    """
    fork = lab.fork()
    service = find_service(lab.state, target.removeprefix("svc/"), lab.namespace)
    nodes = [node.name for node in lab.list("nodes")]
    if len(counts) != len(nodes):
        raise CommandError(f"{target}: a placement has {len(nodes)} numbers, one for each node")
    behind = _deployments(lab, service)
    if not behind:
        raise CommandError(f"{target}: no Deployment is behind it; apply one")
    for deployment in behind:
        fork.delete(f"deployment/{deployment.namespace}/{deployment.name}")
    manifest = encode(service)
    manifest.pop("status", None)
    manifest["spec"]["externalTrafficPolicy"] = policy
    if policy == "Cluster":
        manifest["spec"].pop("healthCheckNodePort", None)
    fork.apply([manifest])
    where = [node for node, count in zip(nodes, counts, strict=True) for _ in range(count)]
    pods = [_copy(behind[0], i, node) for i, node in enumerate(where, start=1)]
    if pods:
        fork.apply(pods)
    return fork


def _deployments(lab: Cluster, service: Service) -> list[Deployment]:
    return [
        found
        for found in lab.list("deployments", namespace=service.namespace)
        if service.spec.selects(found.spec.template.metadata.labels)
    ]


def _copy(deployment: Deployment, number: int, node: str) -> dict[str, Any]:
    template = deployment.manifest["spec"]["template"]
    spec = {k: v for k, v in template["spec"].items() if k not in ("affinity", "nodeSelector")}
    name = f"{deployment.name}-{number}"
    meta = {**template.get("metadata", {}), "name": name, "namespace": deployment.namespace}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": meta,
        "spec": {**spec, "nodeName": node},
    }
