"""Who owns what: by kind and name of the controlling owner, as dumps may lack the owner."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from hashlib import sha256
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
Owner = tuple[str, str, str]  # kind, namespace, name


def pods_of(state: State, owner: Object) -> tuple[Pod, ...]:
    """The pods that an object controls and that have not ended, by name."""
    return state.cached(_pods_by_owner).get(_owner(owner), ())


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
    i = 0
    while True:
        name = f"{stem}-{safe_name(f'{namespace}/{stem}/{i}')}"
        key = Key(kind, namespace, name)
        if key not in state.objects and key not in state.gone:
            yield name
        i += 1


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
    text = msgspec.json.encode(owner.manifest["spec"].get("template", {}), order="sorted")
    return f"{owner.name}-{sha256(text).hexdigest()[:10]}"
