"""What people call a pod: by its workload where that is clear, by its own name where not."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

from labkit.api.apps import Deployment, ReplicaSet
from labkit.api.core import Pod
from labkit.api.meta import Object
from labkit.api.state import State

FINISHED = ("Succeeded", "Failed")
SYSTEM = ("kube-system", "kube-flannel", "kube-public", "kube-node-lease")  # whose pods run it


def owner_of(obj: Object) -> str:
    """`ReplicaSet/web-6f7d`: the controlling owner; empty without one."""
    owners = obj.metadata.owner_references
    main = next((o for o in owners if o.controller), owners[0] if owners else None)
    return f"{main.kind}/{main.name}" if main else ""


def workload_of(state: State, pod: Pod) -> str:
    """Name of the workload that a pod belongs to: its Deployment's, StatefulSet's, ... or its own.

    Owners that are not in the state count too, as dumps often leave them out: a ReplicaSet's
    name ends in the hash that its pods carry as a label.
    """
    kind, _, name = owner_of(pod).partition("/")
    if kind == "Node":  # a static pod: the kubelet's own
        return pod.name
    if kind != "ReplicaSet":
        return name or pod.name
    replicas = state.get(ReplicaSet, name, pod.namespace)
    above = owner_of(replicas) if replicas else ""
    if above:
        return above.partition("/")[2]
    tail = "-" + pod.labels.get("pod-template-hash", "\0")
    stem = name.removesuffix(tail)
    known = replicas is None or state.get(Deployment, stem, pod.namespace)
    return stem if known else name


def workloads(state: State) -> Mapping[tuple[str, str], tuple[Pod, ...]]:
    """(namespace, workload) -> its pods by name, finished ones left out."""
    return state.cached(_workloads)


def _workloads(state: State) -> Mapping[tuple[str, str], tuple[Pod, ...]]:
    found: dict[tuple[str, str], list[Pod]] = {}
    for pod in state.list(Pod):
        if pod.status.phase not in FINISHED:
            found.setdefault((pod.namespace, workload_of(state, pod)), []).append(pod)
    return {key: tuple(pods) for key, pods in found.items()}


def titles(state: State) -> Mapping[tuple[str, str], str]:
    """(namespace, pod name) -> what traces and pictures call the pod, without its namespace.

    The only pod of a workload goes by the workload's name, if no other pod has that title.
    """
    return state.cached(_titles)


def _titles(state: State) -> Mapping[tuple[str, str], str]:
    short = {
        (pods[0].namespace, pods[0].name): name
        for (_, name), pods in workloads(state).items()
        if len(pods) == 1
    }
    wanted = {
        key: short.get(key, key[1]) for key in ((p.namespace, p.name) for p in state.list(Pod))
    }
    asked = Counter((key[0], title) for key, title in wanted.items())
    return {key: title if asked[key[0], title] == 1 else key[1] for key, title in wanted.items()}


def title_of(state: State, pod: Pod) -> str:
    """`frontend`, `pay/payments`: the namespace in front unless it is `default`."""
    title = titles(state).get((pod.namespace, pod.name), pod.name)
    return title if pod.namespace == "default" else f"{pod.namespace}/{title}"
