"""Does a container's readiness probe find somebody listening, and from when on?

Source: Kubernetes `pkg/kubelet/prober/worker.go`.
"""

from __future__ import annotations

from math import ceil

from labkit.api.core import Container, Pod
from labkit.api.lifecycle import starts_in
from labkit.api.listens import declared


def ready_after(pod: Pod, container: Container) -> float | None:
    """Seconds from the container's start until it counts as ready; None for never.

    Without a probe that is at once: the kubelet does not know whether the program listens. With
    one, the first `successThreshold` probes in a row that find it. *The lab simplifies*: the first
    probe comes `initialDelaySeconds` after the start, the others `periodSeconds` apart; the real
    kubelet's clock ticks by itself, so that it may come up to one period later.
    """
    probe = container.readiness_probe
    if probe is None:
        return 0
    if not answers(pod, container):
        return None
    first, period = probe.initial_delay_seconds, max(probe.period_seconds, 1)
    failed = max(ceil((starts_in(pod) - first) / period), 0)
    return first + (failed + probe.success_threshold - 1) * period


def answers(pod: Pod, container: Container) -> bool:
    """True without a probe; else whether the probe's port is one that the pod will listen on.

    A probe by command (`exec`) counts as passed: nothing runs in the lab.
    """
    probe = container.readiness_probe
    action = probe and (probe.http_get or probe.tcp_socket or probe.grpc)
    if not action:
        return True
    port = action.port
    if isinstance(port, str):
        named = {p.name: p.container_port for p in container.ports}
        port = int(port) if port.isdecimal() else named.get(port, 0)
    return any(listen.protocol == "TCP" and listen.port == port for listen in declared(pod))
