"""Does a container's readiness probe find somebody listening?"""

from __future__ import annotations

from labkit.api.core import Container, Pod
from labkit.api.listens import declared


def answers(pod: Pod, container: Container) -> bool:
    """True without a probe; else whether the probe's port is one that the pod listens on.

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
