"""Writing to a state: what becomes of the objects that somebody wants stored or deleted."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from labkit.api.admission import stamped
from labkit.api.lifecycle import parting
from labkit.api.meta import Object
from labkit.api.state import Event, Key, State, key_of


class Delete(msgspec.Struct, frozen=True):
    """The wish that an object be gone; `grace` in seconds, None for what a pod says itself."""

    key: Key
    grace: int | None = None


Write = Object | Delete


def write(state: State, actor: str, writes: Iterable[Write]) -> tuple[State, tuple[Event, ...]]:
    """The state after the writes, and one event each; what changes nothing is no write.

    Each write has its own revision, which is the object's `resourceVersion`. The delete of a pod
    whose programs need time to stop is a write: the pod stays and is terminating.
    """
    events: list[Event] = []
    objects, gone = dict(state.objects), dict(state.gone)
    revision = state.revision
    for wish in writes:
        key = wish.key if isinstance(wish, Delete) else key_of(wish)
        old = objects.get(key)
        if isinstance(wish, Delete):
            if old is None:
                continue
            wish = parting(old, wish.grace, state.now) or wish
        if isinstance(wish, Delete):
            gone[key] = objects.pop(key)
            revision += 1
            events.append(Event(revision, actor, "deleted", key, old, None))
        elif old is None or old != wish:
            revision += 1
            new = objects[key] = stamped(state, wish, revision)
            events.append(Event(revision, actor, "configured" if old else "created", key, old, new))
    if not events:
        return state, ()
    return State(state.config, objects, revision, state.now, gone), tuple(events)
