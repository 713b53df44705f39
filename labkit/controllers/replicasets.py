"""ReplicaSet -> Pod: as many as it says, no more.

Source: Kubernetes `pkg/controller/replicaset/replica_set.go`.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice

from labkit.api.apps import ReplicaSet
from labkit.api.state import State, key_of
from labkit.api.store import Delete, Write
from labkit.controllers.owned import active_pods, first_to_go, fresh_names, stencil


def replicasets(state: State) -> Iterator[Write]:
    """Makes the pods that are missing, deletes those that are too many."""
    for rs in state.list(ReplicaSet):
        pods = active_pods(state, rs)
        missing = rs.spec.replicas - len(pods)
        if missing > 0:
            template = stencil(rs)
            names = fresh_names(state, "Pod", rs.namespace, rs.name)
            yield from (template.pod(name, labels={}) for name in islice(names, missing))
        elif missing < 0:
            yield from (Delete(key_of(pod)) for pod in first_to_go(state, rs, pods)[:-missing])
