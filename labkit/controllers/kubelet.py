"""Pods that have a node are run there: address, containers, readiness, and their end.

A pod whose manifest brought a status (a dump of a real cluster) keeps it.

*The lab simplifies*: containers start at once and never end by themselves. A pod that is deleted
is gone as soon as its last program has ended; how long that takes says `api/lifecycle.py`.

Source: Kubernetes `pkg/kubelet/status/generate.go`, `pkg/kubelet/kubelet_pods.go`.
"""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import ip_address

import msgspec

from labkit.api.core import (
    Container,
    ContainerState,
    ContainerStatus,
    Node,
    Pod,
    PodIP,
    PodStatus,
    StateDetail,
)
from labkit.api.lifecycle import leaves_at
from labkit.api.meta import Address, Condition
from labkit.api.state import State, key_of
from labkit.api.store import Delete, Write
from labkit.api.times import seconds, stamp
from labkit.cni import cni_of
from labkit.controllers.binding import clashes
from labkit.controllers.owned import FINISHED
from labkit.controllers.readiness import ready_after
from labkit.dns.process import fatal, is_coredns, probe_door
from labkit.errors import Exhausted

READY = "labkit.dev/ready"
BACK_OFF = (10, 20, 40, 80, 160, 300)  # seconds between restarts; the last one for all later
CONDITIONS = (
    "PodReadyToStartContainers",
    "Initialized",
    "Ready",
    "ContainersReady",
    "PodScheduled",
)


def carried(pod: Pod) -> bool:
    """Did the manifest itself say how the pod fares?"""
    return bool(pod.manifest.get("status", {}).get("phase"))


def kubelet(state: State) -> Iterator[Write]:
    """Each pod whose status is not yet what its node would report, and each that has ended."""
    nodes = {node.name: node for node in state.list(Node)}
    wiring = _Wiring(state)
    for pod in state.list(Pod):
        node = nodes.get(pod.spec.node_name)
        gone = leaves_at(pod)
        if gone is not None and gone <= state.now:
            yield Delete(key_of(pod), grace=0)
            continue
        if node is None or carried(pod) or pod.status.phase in FINISHED:
            continue
        addresses = pod.addresses or wiring.addresses(pod, node)
        dead = last_words(state, pod)
        status = _status(state, pod, node, addresses, dead)
        if status != pod.status:
            yield msgspec.structs.replace(pod, status=status)


def last_words(state: State, pod: Pod) -> dict[str, str]:
    """Container -> what it wrote into its log before it ended in an error."""
    return state.cached(clashes).get((pod.namespace, pod.name), {}) or dead_servers(state, pod)


def dead_servers(state: State, pod: Pod) -> dict[str, str]:
    """Container -> its last words, for a CoreDNS that cannot start or ends itself."""
    if not is_coredns(pod):
        return {}
    message = fatal(state, pod)
    return {pod.spec.containers[0].name: message} if message else {}


class _Wiring:
    """Hands out addresses within one pass; those of deleted pods come last."""

    def __init__(self, state: State) -> None:
        self.state = state
        self.cni = cni_of(state.config)
        self.live: set[Address] | None = None
        self.past: set[Address] = set()

    def addresses(self, pod: Pod, node: Node) -> tuple[Address, ...]:
        if pod.spec.host_network:
            internal = (a.address for a in node.status.addresses if a.type == "InternalIP")
            return tuple(ip_address(text) for text in internal)
        if self.live is None:
            self.live = _addresses(self.state.list(Pod))
            self.past = _addresses(o for o in self.state.gone.values() if isinstance(o, Pod))
        try:
            found = self.cni.addresses(self.state, node, self.live | self.past)
        except Exhausted:
            found = self.cni.addresses(self.state, node, self.live)
        self.live.update(found)
        return found


def _addresses(pods: object) -> set[Address]:
    assert hasattr(pods, "__iter__")
    return {a for pod in pods if not pod.spec.host_network for a in pod.addresses}


def _status(
    state: State, pod: Pod, node: Node, addresses: tuple[Address, ...], refused: dict[str, str]
) -> PodStatus:
    old = pod.status
    now = stamp(state.now)
    start = old.start_time or now
    willing = pod.annotations.get(READY) != "false"
    statuses = tuple(
        _container(
            state, pod, c, start, refused.get(c.name), willing and _ready(state, pod, c, start)
        )
        for c in pod.spec.containers
    )
    init = tuple(
        _container(state, pod, c, start, refused[c.name], False)
        if c.name in refused
        else _init(c, start)
        for c in pod.spec.init_containers
    )
    dead = [c.name for c in pod.spec.init_containers if c.name in refused]
    unready = [*dead, *(s.name for s in statuses if not s.ready)]
    host = next((a.address for a in node.status.addresses if a.type == "InternalIP"), "")
    return PodStatus(
        phase="Running",
        conditions=_conditions(old, unready, now),
        pod_ip=addresses[0] if addresses else None,
        pod_ips=tuple(PodIP(ip=a) for a in addresses),
        host_ip=host,
        start_time=start,
        container_statuses=statuses,
        init_container_statuses=init,
    )


def _ready(state: State, pod: Pod, container: Container, start: str) -> bool:
    """Once passed, the probe goes on to pass, also while the pod is terminating.

    CoreDNS opens the door that is knocked at by a line of its Corefile.
    """
    if is_coredns(pod) and not probe_door(state, pod):
        return False
    after = ready_after(pod, container)
    return after is not None and state.now >= seconds(start) + after


def _conditions(old: PodStatus, unready: list[str], now: str) -> tuple[Condition, ...]:
    had = {c.type: c for c in old.conditions}
    made = []
    for type_ in CONDITIONS:
        bad = bool(unready) and type_ in ("Ready", "ContainersReady")
        status = "False" if bad else "True"
        before = had.get(type_)
        since = before.last_transition_time if before and before.status == status else now
        made.append(
            Condition(
                type=type_,
                status=status,
                reason="ContainersNotReady" if bad else "",
                message=f"containers with unready status: [{' '.join(unready)}]" if bad else "",
                last_transition_time=since,
            )
        )
    return tuple(made)


def _container(
    state: State, pod: Pod, container: Container, start: str, refused: str | None, ready: bool
) -> ContainerStatus:
    if refused is None:
        return ContainerStatus(
            name=container.name,
            ready=ready,
            started=True,
            image=container.image,
            state=ContainerState(running=StateDetail(started_at=start)),
        )
    restarts, since = _restarts(state.now - seconds(start))
    at = stamp(seconds(start) + since)
    wait = BACK_OFF[min(restarts, len(BACK_OFF) - 1)]
    text = f"{wait // 60}m{wait % 60}s" if wait >= 60 else f"{wait}s"
    message = (
        f"back-off {text} restarting failed container={container.name} "
        f"pod={pod.name}_{pod.namespace}({pod.metadata.uid})"
    )
    # What a container printed is its log's; the status has what it wrote to /dev/termination-log.
    told = refused if container.termination_message_policy == "FallbackToLogsOnError" else ""
    died = StateDetail(reason="Error", exit_code=1, message=told, started_at=at, finished_at=at)
    return ContainerStatus(
        name=container.name,
        restart_count=restarts,
        image=container.image,
        state=ContainerState(waiting=StateDetail(reason="CrashLoopBackOff", message=message)),
        last_state=ContainerState(terminated=died),
    )


def _restarts(elapsed: float) -> tuple[int, float]:
    """How often a container that dies at once has been restarted, and when last (seconds)."""
    count, at = 1, 0.0
    while at + BACK_OFF[min(count, len(BACK_OFF) - 1)] <= elapsed:
        at += BACK_OFF[min(count, len(BACK_OFF) - 1)]
        count += 1
    return count, at


def next_restart(count: int) -> float:
    """Seconds from a pod's start to the restart that follows the one of number `count`."""
    return float(sum(BACK_OFF[min(i, len(BACK_OFF) - 1)] for i in range(1, count + 1)))


def _init(container: Container, start: str) -> ContainerStatus:
    if container.restart_policy == "Always":
        state = ContainerState(running=StateDetail(started_at=start))
    else:
        done = StateDetail(reason="Completed", exit_code=0, started_at=start, finished_at=start)
        state = ContainerState(terminated=done)
    return ContainerStatus(
        name=container.name, ready=True, started=True, image=container.image, state=state
    )
