"""What time brings: the moments at which a cluster that nobody touches changes by itself."""

from __future__ import annotations

from collections.abc import Iterator

from labkit.api.core import Pod
from labkit.api.lifecycle import leaves_at
from labkit.api.state import Event, State
from labkit.api.times import seconds
from labkit.controllers.kubelet import carried, next_restart
from labkit.controllers.owned import FINISHED
from labkit.controllers.readiness import ready_after
from labkit.controllers.settle import settle


def due(state: State) -> float | None:
    """The next moment at which a controller has something to write; None if there is none."""
    moments = (m for pod in state.list(Pod) for m in _moments(pod))
    return min((m for m in moments if m > state.now), default=None)


def ripening(state: State) -> Iterator[tuple[State, tuple[Event, ...]]]:
    """Time passes until the last pod that is starting has become ready; nothing if none is."""
    moments = (m for pod in state.list(Pod) for m in _readiness(pod))
    until = max((m for m in moments if m > state.now), default=None)
    return iter(()) if until is None else passing(state, until)


def passing(state: State, until: float) -> Iterator[tuple[State, tuple[Event, ...]]]:
    """The states up to `until` with their events: time stops wherever something is due.

    So one wait of a minute leaves the same history as sixty of a second.
    """
    while True:
        moment = due(state)
        last = moment is None or moment >= until
        state = state.at_time(until if moment is None or last else moment)
        yield state, ()
        for after in settle(state):
            yield after
            state = after[0]
        if last:
            return


def _moments(pod: Pod) -> Iterator[float]:
    gone = leaves_at(pod)
    if gone is not None:
        yield gone
    yield from _readiness(pod)
    yield from _restarts(pod)


def _readiness(pod: Pod) -> Iterator[float]:
    if carried(pod) or pod.status.phase in FINISHED or not pod.status.start_time:
        return
    waiting = {s.name for s in pod.status.container_statuses if s.state.running and not s.ready}
    for container in pod.spec.containers:
        after = ready_after(pod, container)
        if container.name in waiting and after is not None:
            yield seconds(pod.status.start_time) + after


def _restarts(pod: Pod) -> Iterator[float]:
    statuses = pod.status.container_statuses + pod.status.init_container_statuses
    if carried(pod) or pod.status.phase in FINISHED:
        return
    if any(s.state.waiting and s.restart_count for s in statuses):
        start = seconds(pod.status.start_time)
        yield from (start + next_restart(s.restart_count) for s in statuses if s.restart_count)
