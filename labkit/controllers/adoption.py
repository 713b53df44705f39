"""Who owns whom: a controller releases what its selector no longer matches and adopts orphans.

A release takes the owner reference away, no more: the released object goes on as it was.
An orphan has no controlling owner at all; one whose owner is missing is nobody's orphan.

*The lab simplifies*: of several selectors that match one orphan the first by kind and name
gets it; in life the fastest controller does.

Source: Kubernetes `pkg/controller/controller_ref_manager.go` (`ClaimObject`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import msgspec

from labkit.api.apps import DaemonSet, Deployment, Job, ReplicaSet, StatefulSet
from labkit.api.core import Pod
from labkit.api.meta import Object, OwnerReference
from labkit.api.state import State
from labkit.controllers.owned import FINISHED, reference_to

OWNED: Mapping[type[Object], type[Object]] = {
    Deployment: ReplicaSet,
    ReplicaSet: Pod,
    StatefulSet: Pod,
    DaemonSet: Pod,
    Job: Pod,
}
Workloads = Mapping[tuple[str, str], tuple[Any, ...]]  # (kind of the owned, namespace) -> owners


def claims(kind: type[Object]) -> Callable[[State], Iterator[Object]]:
    """The controller step in which the workloads of a kind release and adopt."""

    def run(state: State) -> Iterator[Object]:
        return iter(state.cached(_claims).get(kind, ()))

    return run


def _claims(state: State) -> Mapping[type[Object], list[Object]]:
    """Kind of the owner -> the objects as it wants them written."""
    found: dict[type[Object], list[Object]] = {}
    workloads = _workloads(state)
    for child in (Pod, ReplicaSet):
        for obj in state.list(child):
            owners = workloads.get((child.__name__, obj.namespace), ())
            claim = _claim(obj, owners) if owners and _alive(obj) else None
            if claim:
                found.setdefault(type(claim[0]), []).append(claim[1])
    return found


def _workloads(state: State) -> Workloads:
    found: dict[tuple[str, str], tuple[Any, ...]] = {}
    for kind, child in OWNED.items():
        for owner in state.list(kind):
            if not owner.metadata.deletion_timestamp and _can_claim(owner):
                place = child.__name__, owner.namespace
                found[place] = (*found.get(place, ()), owner)
    return found


def _can_claim(owner: Any) -> bool:
    """The API server lets no selector through that is empty or misses its own template."""
    selector = owner.spec.selector
    if not selector or not (selector.match_labels or selector.match_expressions):
        return False
    return bool(selector.matches(owner.spec.template.metadata.labels))


def _alive(obj: Object) -> bool:
    ended = isinstance(obj, Pod) and obj.status.phase in FINISHED
    return not ended and not obj.metadata.deletion_timestamp


def _claim(obj: Object, owners: tuple[Any, ...]) -> tuple[Object, Object] | None:
    """(owner, the object as that owner leaves it), if one of the owners has to act."""
    reference = next((r for r in obj.metadata.owner_references if r.controller), None)
    for owner in owners:
        matches = _matches(owner, obj)
        if reference is None and matches:
            return owner, _with(obj, (*obj.metadata.owner_references, reference_to(owner)))
        if reference is not None and _names(reference, owner):
            others = tuple(r for r in obj.metadata.owner_references if r is not reference)
            return None if matches else (owner, _with(obj, others))
    return None


def _matches(owner: Any, obj: Object) -> bool:
    if isinstance(owner, StatefulSet):
        stem, _, ordinal = obj.name.rpartition("-")
        if stem != owner.name or not ordinal.isdecimal():
            return False
    return bool(owner.spec.selector.matches(obj.labels))


def _names(reference: OwnerReference, owner: Object) -> bool:
    same = (reference.kind, reference.name) == (type(owner).__name__, owner.name)
    return same and reference.uid in ("", owner.metadata.uid)


def _with(obj: Object, references: tuple[OwnerReference, ...]) -> Object:
    meta = msgspec.structs.replace(obj.metadata, owner_references=references)
    return msgspec.structs.replace(obj, metadata=meta)
