"""Who owns what: by kind and name of the controlling owner, as dumps may lack the owner."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from itertools import chain, count, islice
from typing import Any

import msgspec

from labkit.api.admission import safe_name
from labkit.api.apps import PodTemplate, ReplicaSet
from labkit.api.core import Pod, PodSpec, Toleration
from labkit.api.defaults import running_pod_spec
from labkit.api.kinds import BY_TYPE
from labkit.api.meta import Meta, Object, OwnerReference
from labkit.api.state import Key, State

FINISHED = ("Succeeded", "Failed")
HASH_LENGTH = 10
Owner = tuple[str, str, str]  # kind, namespace, name


def pods_of(state: State, owner: Object) -> tuple[Pod, ...]:
    """The pods that an object controls and that have not ended, by name."""
    return state.cached(_pods_by_owner).get(_owner(owner), ())


def active_pods(state: State, owner: Object) -> tuple[Pod, ...]:
    """Those of its pods that are to stay: who is terminating counts for nobody any more.

    Source: Kubernetes `pkg/controller/controller_utils.go` (`FilterActivePods`).
    """
    return tuple(p for p in pods_of(state, owner) if not p.metadata.deletion_timestamp)


def replicasets_of(state: State, owner: Object) -> tuple[ReplicaSet, ...]:
    """The ReplicaSets that a Deployment controls, by name."""
    return state.cached(_replicasets_by_owner).get(_owner(owner), ())


def _owner(obj: Object) -> Owner:
    return type(obj).__name__, obj.metadata.namespace, obj.metadata.name


def _pods_by_owner(state: State) -> Mapping[Owner, tuple[Pod, ...]]:
    found: dict[Owner, list[Pod]] = {}
    for pod in state.list(Pod):
        if pod.status.phase not in FINISHED:
            for owner in _controllers(pod):
                found.setdefault(owner, []).append(pod)
    return {owner: tuple(pods) for owner, pods in found.items()}


def _replicasets_by_owner(state: State) -> Mapping[Owner, tuple[ReplicaSet, ...]]:
    found: dict[Owner, list[ReplicaSet]] = {}
    for replicaset in state.list(ReplicaSet):
        for owner in _controllers(replicaset):
            found.setdefault(owner, []).append(replicaset)
    return {owner: tuple(sets) for owner, sets in found.items()}


def _controllers(obj: Object) -> Iterator[Owner]:
    for reference in obj.metadata.owner_references:
        if reference.controller:
            yield reference.kind, obj.metadata.namespace, reference.name


def reference_to(owner: Object) -> OwnerReference:
    """The owner reference that a controller writes into what it makes."""
    kind = BY_TYPE[type(owner)]
    return OwnerReference(
        api_version=kind.api_version,
        kind=kind.kind,
        name=owner.name,
        uid=owner.metadata.uid,
        controller=True,
        block_owner_deletion=True,
    )


def fresh_names(state: State, kind: str, namespace: str, stem: str) -> Iterator[str]:
    """`stem-x7k2p`, ...: names that no object has or ever had, always in the same order."""
    for name in _names(namespace, stem):
        key = Key(kind, namespace, name)
        if key not in state.objects and key not in state.gone:
            yield name


def _names(namespace: str, stem: str) -> Iterator[str]:
    return (f"{stem}-{safe_name(f'{namespace}/{stem}/{i}')}" for i in count())


def first_to_go(state: State, owner: Object, pods: Sequence[Pod]) -> list[Pod]:
    """Unplaced before placed, unready before ready, from the fullest node, the youngest first.

    Source: Kubernetes `pkg/controller/controller_utils.go` (`ActivePodsWithRanks`).
    """
    crowd = Counter(pod.spec.node_name for pod in pods)
    youngest_first = oldest_first(state, owner, pods)[::-1]
    return sorted(
        youngest_first,
        key=lambda p: (bool(p.spec.node_name), p.ready, -crowd[p.spec.node_name]),
    )


def oldest_first(state: State, owner: Object, pods: Sequence[Pod]) -> list[Pod]:
    """By time of creation; within one second by the turn in which the owner's names are given.

    A pod that was adopted passes for the oldest of its second.
    """
    stem = f"{owner.name}-"
    keys = chain(state.objects, state.gone)
    given = sum(k.kind == "Pod" and k.name.startswith(stem) for k in keys)
    turns = {name: i for i, name in enumerate(islice(_names(owner.namespace, owner.name), given))}

    def age(pod: Pod) -> tuple[str, int, str]:
        return pod.metadata.creation_timestamp, turns.get(pod.name, -1), pod.name

    return sorted(pods, key=age)


class Stencil(msgspec.Struct, frozen=True):
    """What all pods of one template have in common: the spec, decoded and plain, and its owner."""

    owner: OwnerReference
    namespace: str
    template: PodTemplate
    spec: PodSpec
    plain: Mapping[str, Any]

    def pod(self, name: str, *, labels: Mapping[str, str], spec: PodSpec | None = None) -> Pod:
        """A pod of the template with these labels added."""
        meta = self.template.metadata
        return Pod(
            metadata=Meta(
                name=name,
                namespace=self.namespace,
                generate_name=name.rpartition("-")[0] + "-",
                labels={**meta.labels, **labels},
                annotations=meta.annotations,
                owner_references=(self.owner,),
            ),
            spec=spec or self.spec,
            manifest={"apiVersion": "v1", "kind": "Pod", "spec": self.plain},
        )


def stencil(owner: Any) -> Stencil:
    """The stencil of a workload's template, with what admission adds to every pod."""
    plain = running_pod_spec(owner.manifest["spec"]["template"].get("spec", {}))
    typed = owner.spec.template.spec
    admitted = msgspec.convert(plain["tolerations"], tuple[Toleration, ...])
    return Stencil(
        owner=reference_to(owner),
        namespace=owner.namespace,
        template=owner.spec.template,
        spec=msgspec.structs.replace(
            typed, tolerations=admitted, service_account_name=plain["serviceAccountName"]
        ),
        plain=plain,
    )


def template_hash(owner: Any) -> str:
    """`web-6f7d8c9b5d`: value of the label that tells the pods of two templates apart."""
    return f"{owner.name}-{digest(owner.manifest['spec'].get('template', {}))}"


def digest(template: Mapping[str, Any], collisions: int = 0) -> str:
    """`6f7d8c9b5d`: the hash of a pod template, in letters that make no words.

    *The lab simplifies*: Kubernetes hashes its own print-out of the template with FNV-32a, so
    that a real cluster has other letters for the same template.

    Source: Kubernetes `pkg/controller/controller_utils.go` (`ComputeHash`).
    """
    text = msgspec.json.encode(template, order="sorted").decode()
    return safe_name(f"{text}{collisions or ''}", HASH_LENGTH)
