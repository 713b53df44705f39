"""Does a container's readiness probe find somebody listening, and from when on?

Source: Kubernetes `pkg/kubelet/prober/worker.go`.
"""

from __future__ import annotations

from math import ceil

from labkit.api.core import Container, Pod, Probe
from labkit.api.lifecycle import starts_in
from labkit.api.listens import declared


def ready_after(pod: Pod, container: Container) -> float | None:
    """Seconds from the container's start until it counts as ready; None for never.

    Without a probe that is at once: the kubelet does not know whether the program listens. With
    one, the first `successThreshold` probes in a row that find it; a startup probe comes first.
    *The lab simplifies*: the first probe comes `initialDelaySeconds` after the start, the others
    `periodSeconds` apart; the real kubelet's clock ticks by itself, so that it may come up to one
    period later. No container is restarted for a probe.
    """
    begun = _passed(pod, container, container.startup_probe, 0)
    return None if begun is None else _passed(pod, container, container.readiness_probe, begun)


def _passed(pod: Pod, container: Container, probe: Probe | None, since: float) -> float | None:
    """Seconds until a probe that nobody makes before `since` has passed."""
    if probe is None:
        return since
    if not answers(pod, container, probe):
        return None
    first, period = probe.initial_delay_seconds, max(probe.period_seconds, 1)
    failed = max(ceil((max(starts_in(pod), since) - first) / period), 0)
    return first + (failed + probe.success_threshold - 1) * period


def answers(pod: Pod, container: Container, probe: Probe) -> bool:
    """Is the probe's port one that the pod will listen on?

    A probe by command (`exec`) counts as passed: nothing runs in the lab.
    """
    action = probe.http_get or probe.tcp_socket or probe.grpc
    if not action:
        return True
    port = action.port
    if isinstance(port, str):
        named = {p.name: p.container_port for p in container.ports}
        port = int(port) if port.isdecimal() else named.get(port, 0)
    return any(listen.protocol == "TCP" and listen.port == port for listen in declared(pod))
