"""Controllers in a fixed order, to the fixpoint: the state in which none wants anything."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence

import msgspec

from labkit.api.apps import DaemonSet, Deployment, Job, ReplicaSet, StatefulSet
from labkit.api.state import Event, Key, State
from labkit.api.store import Write, write
from labkit.controllers import (
    adoption,
    daemonsets,
    deployments,
    endpoints,
    endpointslices,
    garbage,
    jobs,
    kubelet,
    loadbalancers,
    namespaces,
    nodes,
    replicasets,
    scheduler,
    statefulsets,
    statuses,
)
from labkit.errors import NotSettled

ROUNDS = 50  # passes in which nothing new appears and nothing old goes


class Controller(msgspec.Struct, frozen=True):
    """A named step `State -> writes`; of several with something to do the lowest `stage` acts.

    Stages make the outcome free of the order within a stage: nobody counts pods before all are
    claimed, no pod is placed before all are there, none gets an address before all are placed,
    no slice is cut before all are wired. In life all run at once and meet
    only through the API server.
    """

    name: str
    stage: int
    run: Callable[[State], Iterable[Write]]


CONTROLLERS: tuple[Controller, ...] = (
    Controller("namespace-controller", 1, namespaces.namespaces),
    Controller("garbage-collector", 1, garbage.garbage),
    Controller("node-controller", 1, nodes.nodes),
    Controller("service-controller", 1, loadbalancers.loadbalancers),
    Controller("deployment-controller", 2, adoption.claims(Deployment)),
    Controller("replicaset-controller", 2, adoption.claims(ReplicaSet)),
    Controller("statefulset-controller", 2, adoption.claims(StatefulSet)),
    Controller("daemonset-controller", 2, adoption.claims(DaemonSet)),
    Controller("job-controller", 2, adoption.claims(Job)),
    Controller("deployment-controller", 3, deployments.deployments),
    Controller("replicaset-controller", 3, replicasets.replicasets),
    Controller("statefulset-controller", 3, statefulsets.statefulsets),
    Controller("daemonset-controller", 3, daemonsets.daemonsets),
    Controller("job-controller", 3, jobs.jobs),
    Controller("scheduler", 4, scheduler.schedule),
    Controller("kubelet", 5, kubelet.kubelet),
    Controller("endpointslice-controller", 6, endpointslices.endpointslices),
    Controller("endpoints-controller", 6, endpoints.endpoints),
    Controller("replicaset-controller", 7, statuses.replicasets),
    Controller("deployment-controller", 7, statuses.deployments),
    Controller("statefulset-controller", 7, statuses.statefulsets),
    Controller("daemonset-controller", 7, statuses.daemonsets),
    Controller("job-controller", 7, statuses.jobs),
)


def step(
    state: State, controllers: Sequence[Controller] = CONTROLLERS
) -> tuple[State, tuple[Event, ...]]:
    """One pass of the first controller that has something to write; no events if none has."""
    for controller in sorted(controllers, key=lambda c: c.stage):
        after, events = write(state, controller.name, controller.run(state))
        if events:
            return after, events
    return state, ()


def settle(
    state: State, controllers: Sequence[Controller] = CONTROLLERS
) -> Iterator[tuple[State, tuple[Event, ...]]]:
    """Each pass that wrote something: the state after it and its events. Ends at the fixpoint.

    Raises:
        NotSettled: the controllers keep rewriting each other's work.
    """
    known: set[tuple[Key, str]] = set()
    quiet: list[Event] = []
    passes = 0
    while True:
        state, events = step(state, controllers)
        if not events:
            return
        yield state, events
        new = {(e.key, e.verb) for e in events if e.verb != "configured"} - known
        known |= new
        passes, quiet = (0, []) if new else (passes + 1, [*quiet, *events])
        if passes > ROUNDS:
            raise NotSettled(_quarrel(quiet[-20:]))


def _quarrel(events: Sequence[Event]) -> str:
    actors = " and ".join(dict.fromkeys(e.actor for e in events))
    keys = ", ".join(dict.fromkeys(f"{e.key.kind.lower()}/{e.key.name}" for e in events))
    return f"controllers did not settle in {ROUNDS} rounds; {actors} keep rewriting {keys}"
