"""What workloads report about themselves: counts of pods, and the conditions of a Deployment."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec

from labkit.api.apps import DaemonSet, Deployment, Job, ReplicaSet, StatefulSet
from labkit.api.meta import Condition
from labkit.api.state import State
from labkit.api.times import stamp
from labkit.controllers.daemonsets import eligible
from labkit.controllers.owned import active_pods, pods_of, replicasets_of, template_hash


def _with_status(obj: Any, **fields: Any) -> Iterator[Any]:
    """The object with these fields of its status, if that changes it."""
    status = msgspec.structs.replace(obj.status, **fields)
    if status != obj.status:
        yield msgspec.structs.replace(obj, status=status)


def replicasets(state: State) -> Iterator[ReplicaSet]:
    for rs in state.list(ReplicaSet):
        pods = active_pods(state, rs)
        ready = sum(pod.ready for pod in pods)
        yield from _with_status(
            rs,
            replicas=len(pods),
            fully_labeled_replicas=len(pods),
            ready_replicas=ready,
            available_replicas=ready,
            observed_generation=rs.metadata.generation,
        )


def deployments(state: State) -> Iterator[Deployment]:
    for deployment in state.list(Deployment):
        sets = replicasets_of(state, deployment)
        newest = max(sets, key=_revision, default=None)
        count = {rs.name: len(active_pods(state, rs)) for rs in sets}
        ready = sum(pod.ready for rs in sets for pod in active_pods(state, rs))
        desired = deployment.spec.replicas
        yield from _with_status(
            deployment,
            replicas=sum(count.values()),
            updated_replicas=count[newest.name] if newest else 0,
            ready_replicas=ready,
            available_replicas=ready,
            unavailable_replicas=max(desired - ready, 0),
            observed_generation=deployment.metadata.generation,
            conditions=_conditions(state, deployment, ready, newest),
        )


def _revision(rs: ReplicaSet) -> int:
    text = rs.annotations.get("deployment.kubernetes.io/revision", "0")
    return int(text) if text.isdecimal() else 0


def _conditions(
    state: State, deployment: Deployment, ready: int, newest: ReplicaSet | None
) -> tuple[Condition, ...]:
    enough = ready >= deployment.spec.replicas - _may_lack(deployment)
    available = (
        ("True", "MinimumReplicasAvailable", "Deployment has minimum availability.")
        if enough
        else (
            "False",
            "MinimumReplicasUnavailable",
            "Deployment does not have minimum availability.",
        )
    )
    name = newest.name if newest else ""
    done = ready >= deployment.spec.replicas
    word, reason = (
        ("has successfully progressed", "NewReplicaSetAvailable")
        if done
        else ("is progressing", "ReplicaSetUpdated")
    )
    progress = ("True", reason, f'ReplicaSet "{name}" {word}.')
    return tuple(
        _condition(state, deployment, type_, *text)
        for type_, text in (("Available", available), ("Progressing", progress))
    )


def _may_lack(deployment: Deployment) -> int:
    rolling = deployment.spec.strategy.rolling_update
    if rolling is None:
        return 0
    value = rolling.max_unavailable
    if isinstance(value, int):
        return value
    return int(value.removesuffix("%")) * deployment.spec.replicas // 100


def _condition(
    state: State, deployment: Deployment, type_: str, status: str, reason: str, message: str
) -> Condition:
    old = next((c for c in deployment.status.conditions if c.type == type_), None)
    since = old.last_transition_time if old and old.status == status else stamp(state.now)
    return Condition(
        type=type_, status=status, reason=reason, message=message, last_transition_time=since
    )


def statefulsets(state: State) -> Iterator[StatefulSet]:
    for sts in state.list(StatefulSet):
        pods = pods_of(state, sts)
        ready = sum(pod.ready for pod in pods)
        digest = template_hash(sts)
        yield from _with_status(
            sts,
            replicas=len(pods),
            ready_replicas=ready,
            available_replicas=ready,
            current_replicas=sum(
                pod.labels.get("controller-revision-hash", digest) == digest for pod in pods
            ),
            observed_generation=sts.metadata.generation,
        )


def daemonsets(state: State) -> Iterator[DaemonSet]:
    for ds in state.list(DaemonSet):
        pods = pods_of(state, ds)
        ready = sum(pod.ready for pod in pods)
        yield from _with_status(
            ds,
            desired_number_scheduled=len(eligible(state, ds)),
            current_number_scheduled=len(pods),
            number_ready=ready,
            number_available=ready,
            updated_number_scheduled=len(pods),
            observed_generation=ds.metadata.generation,
        )


def jobs(state: State) -> Iterator[Job]:
    for job in state.list(Job):
        pods = pods_of(state, job)
        yield from _with_status(job, active=len(pods), ready=sum(pod.ready for pod in pods))
