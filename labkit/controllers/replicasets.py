"""ReplicaSet -> Pod: as many as it says, no more.

Source: Kubernetes `pkg/controller/replicaset/replica_set.go`, `controller_utils.go`
(`ActivePodsWithRanks`: which pods go first).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from itertools import islice

from labkit.api.apps import ReplicaSet
from labkit.api.core import Pod
from labkit.api.state import State, key_of
from labkit.api.store import Delete, Write
from labkit.controllers.owned import fresh_names, pods_of, stencil


def replicasets(state: State) -> Iterator[Write]:
    """Makes the pods that are missing, deletes those that are too many."""
    for rs in state.list(ReplicaSet):
        pods = pods_of(state, rs)
        missing = rs.spec.replicas - len(pods)
        if missing > 0:
            template = stencil(rs)
            names = fresh_names(state, "Pod", rs.namespace, rs.name)
            yield from (template.pod(name, labels={}) for name in islice(names, missing))
        elif missing < 0:
            yield from (Delete(key_of(pod)) for pod in _first_to_go(pods)[:-missing])


def _first_to_go(pods: tuple[Pod, ...]) -> list[Pod]:
    """Unplaced before placed, unready before ready, from the fullest node, the youngest first."""
    crowd = Counter(pod.spec.node_name for pod in pods)
    return sorted(
        pods,
        key=lambda p: (bool(p.spec.node_name), p.ready, -crowd[p.spec.node_name], -_age(p), p.name),
    )


def _age(pod: Pod) -> int:
    version = pod.metadata.resource_version
    return int(version) if version.isdecimal() else 0
