"""Deployment -> ReplicaSet: one for each pod template, resized step by step in a rollout.

Source: Kubernetes `pkg/controller/deployment/{sync,rolling,recreate}.go`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import count
from math import ceil, floor
from typing import Any

import msgspec

from labkit.api.apps import Deployment, ReplicaSet, RollingUpdate
from labkit.api.core import Pod
from labkit.api.meta import Meta, Object
from labkit.api.names import owner_of
from labkit.api.objects import decode
from labkit.api.state import State
from labkit.controllers.owned import active_pods, digest, pods_of, reference_to, replicasets_of

HASH = "pod-template-hash"
REVISION = "deployment.kubernetes.io/revision"


def deployments(state: State) -> Iterator[Object]:
    """The next step of every rollout; nothing for a Deployment that is where it should be."""
    for deployment in state.list(Deployment):
        yield from _rollout(state, deployment)


def _rollout(state: State, deployment: Deployment) -> Iterator[Object]:
    sets = replicasets_of(state, deployment)
    current = next((rs for rs in sets if _template(rs) == _template(deployment)), None)
    olds = [rs for rs in sets if rs is not current]
    if current is None and deployment.spec.paused:
        return
    if deployment.spec.strategy.type == "Recreate" and any(pods_of(state, rs) for rs in olds):
        yield from (_sized(rs, 0) for rs in olds if rs.spec.replicas)
        return
    revision = _revision(current, olds)
    if deployment.annotations.get(REVISION) != revision:
        yield _noted(deployment, revision)
    if current is None:
        size = _room(deployment, sum(rs.spec.replicas for rs in olds), 0)
        yield _new(state, deployment, size, revision)
        return
    yield from _resize(state, deployment, current, olds, revision)


def _resize(
    state: State, deployment: Deployment, current: ReplicaSet, olds: list[ReplicaSet], revision: str
) -> Iterator[Object]:
    desired = deployment.spec.replicas
    total = current.spec.replicas + sum(rs.spec.replicas for rs in olds)
    size = min(current.spec.replicas, desired)
    if size < desired:
        size += _room(deployment, total, current.spec.replicas)
    if size != current.spec.replicas or current.annotations.get(REVISION) != revision:
        yield _noted(_sized(current, size), revision)
        return
    if any(rs.spec.replicas for rs in olds):
        yield from _shrink(state, deployment, current, olds)


def _shrink(
    state: State, deployment: Deployment, current: ReplicaSet, olds: list[ReplicaSet]
) -> Iterator[ReplicaSet]:
    """Takes replicas from the old sets, the unready first, never below what must be available."""
    _, unavailable = _limits(deployment)
    ready = {rs.name: _ready(state, rs) for rs in (current, *olds)}
    total = current.spec.replicas + sum(rs.spec.replicas for rs in olds)
    least = deployment.spec.replicas - unavailable
    may_go = (
        total - least - (current.spec.replicas - min(current.spec.replicas, ready[current.name]))
    )
    spare = sum(ready.values()) - least
    for rs in olds:
        unready = min(max(rs.spec.replicas - ready[rs.name], 0), max(may_go, 0))
        healthy = min(rs.spec.replicas - unready, max(min(spare, may_go - unready), 0))
        may_go -= unready + healthy
        spare -= healthy
        if unready + healthy:
            yield _sized(rs, rs.spec.replicas - unready - healthy)


def _ready(state: State, rs: ReplicaSet) -> int:
    return sum(pod.ready for pod in active_pods(state, rs))


def _room(deployment: Deployment, total: int, have: int) -> int:
    """How many replicas the newest set may gain now."""
    surge, _ = _limits(deployment)
    return max(0, min(deployment.spec.replicas + surge - total, deployment.spec.replicas - have))


def _limits(deployment: Deployment) -> tuple[int, int]:
    """(maxSurge, maxUnavailable) in pods: a percentage is rounded up for the first, else down."""
    if deployment.spec.strategy.type == "Recreate":
        return 0, deployment.spec.replicas
    rolling = deployment.spec.strategy.rolling_update or RollingUpdate()
    surge = ceil(_part(rolling.max_surge, deployment.spec.replicas))
    unavailable = floor(_part(rolling.max_unavailable, deployment.spec.replicas))
    return surge, unavailable if surge or unavailable else 1


def _part(value: int | str, whole: int) -> float:
    if isinstance(value, int):
        return value
    return int(value.removesuffix("%")) * whole / 100


def _template(owner: Deployment | ReplicaSet) -> Mapping[str, Any]:
    """The pod template as it was written, without the label that tells the sets apart."""
    template = dict(owner.manifest["spec"].get("template", {}))
    meta = {k: v for k, v in template.get("metadata", {}).items() if k != "creationTimestamp"}
    meta["labels"] = {k: v for k, v in meta.get("labels", {}).items() if k != HASH}
    return {**template, "metadata": meta}


def _revision(current: ReplicaSet | None, olds: list[ReplicaSet]) -> str:
    newest = max((_number(rs) for rs in olds), default=0)
    if current is not None and _number(current) > newest:
        return str(_number(current))
    return str(newest + 1)


def _number(rs: ReplicaSet) -> int:
    text = rs.annotations.get(REVISION, "0")
    return int(text) if text.isdecimal() else 0


def _sized(rs: ReplicaSet, replicas: int) -> ReplicaSet:
    return msgspec.structs.replace(rs, spec=msgspec.structs.replace(rs.spec, replicas=replicas))


def _noted(obj: Any, revision: str) -> Any:
    notes = {**obj.annotations, REVISION: revision}
    return msgspec.structs.replace(
        obj, metadata=msgspec.structs.replace(obj.metadata, annotations=notes)
    )


def _new(state: State, deployment: Deployment, replicas: int, revision: str) -> ReplicaSet:
    name, hashed = _name(state, deployment)
    template = _template(deployment)
    meta = template["metadata"]
    labels = {**meta["labels"], HASH: hashed}
    selector = deployment.manifest["spec"]["selector"]
    plain = {
        "apiVersion": "apps/v1",
        "kind": "ReplicaSet",
        "spec": {
            "replicas": replicas,
            "selector": {
                **selector,
                "matchLabels": {**selector.get("matchLabels", {}), HASH: hashed},
            },
            "template": {**template, "metadata": {**meta, "labels": labels}},
        },
    }
    made = decode(plain)
    assert isinstance(made, ReplicaSet)
    return msgspec.structs.replace(
        made,
        metadata=Meta(
            name=name,
            namespace=deployment.namespace,
            labels=labels,
            annotations={REVISION: revision},
            owner_references=(reference_to(deployment),),
        ),
    )


def _name(state: State, deployment: Deployment) -> tuple[str, str]:
    """Name and hash of the set to make: those that a dump's pods already carry, if any do.

    Where a set of that name is there and belongs to somebody else, the next hash is tried.
    """
    for pod in state.list(Pod, deployment.namespace):
        label = pod.labels.get(HASH, "")
        name = f"{deployment.name}-{label}"
        if owner_of(pod) == f"ReplicaSet/{name}" and not _taken(state, deployment, name):
            return name, label
    template = _template(deployment)
    hashes = (digest(template, collisions) for collisions in count())
    named = ((f"{deployment.name}-{hashed}", hashed) for hashed in hashes)
    return next(pair for pair in named if not _taken(state, deployment, pair[0]))


def _taken(state: State, deployment: Deployment, name: str) -> bool:
    return state.get(ReplicaSet, name, deployment.namespace) is not None
