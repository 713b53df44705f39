"""What must follow when something was deleted: dependents, contents of a namespace, a node's pods.

Only what was there and went counts. An owner that was never there (a dump often has the pods
without their ReplicaSet) takes nobody with it.

*The lab simplifies*: a namespace's pods go with it at once; in life it waits for them.
"""

from __future__ import annotations

from collections.abc import Iterator

from labkit.api.core import Pod
from labkit.api.meta import Object
from labkit.api.state import Key, State
from labkit.api.store import Delete


def garbage(state: State) -> Iterator[Delete]:
    """Deletes what has lost its last owner, its namespace or its node."""
    if not state.gone:
        return
    for key, obj in state.objects.items():
        if _homeless(state, key, obj) or _nameless(state, key):
            yield Delete(key, grace=0)
        elif _orphaned(state, obj):
            yield Delete(key)


def _went(state: State, key: Key) -> bool:
    return key in state.gone and key not in state.objects


def _homeless(state: State, key: Key, obj: Object) -> bool:
    if key.namespace and _went(state, Key("Namespace", "", key.namespace)):
        return True
    node = obj.spec.node_name if isinstance(obj, Pod) else ""
    return bool(node) and _went(state, Key("Node", "", node))


def _nameless(state: State, key: Key) -> bool:
    """Endpoints have no owner: they go with the Service of their name."""
    return key.kind == "Endpoints" and _went(state, key._replace(kind="Service"))


def _orphaned(state: State, obj: Object) -> bool:
    owners = obj.metadata.owner_references
    return bool(owners) and all(_lost(state, obj, o.kind, o.name, o.uid) for o in owners)


def _lost(state: State, obj: Object, kind: str, name: str, uid: str) -> bool:
    """Is that owner gone, even if another of its name has come since?"""
    for namespace in (obj.metadata.namespace, ""):
        key = Key(kind, namespace, name)
        went, here = state.gone.get(key), state.objects.get(key)
        if went and (not here or (uid and uid == went.metadata.uid != here.metadata.uid)):
            return True
    return False
