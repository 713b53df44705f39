"""What kube-proxy answers to load balancers that ask whether a node has endpoints.

Source: Kubernetes `pkg/proxy/healthcheck/service_health.go`.
"""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from labkit.kernel.netns import Socket
from labkit.proxy.services import ServicePort


class HealthAnswer(msgspec.Struct, frozen=True):
    """An HTTP answer: 200 where the node has ready endpoints, else 503."""

    status: int
    body: str
    weight: int  # header X-Load-Balancing-Endpoint-Weight


def health_answer(services: Iterable[ServicePort], port: int, node: str) -> HealthAnswer | None:
    """What a node answers on a health check node port; None if no Service has that port.

    Endpoints that are leaving do not count, although packets may still be sent to them.
    """
    asked = [s for s in services if s.health_check_node_port == port]
    if not asked:
        return None
    ready = {str(e.address) for s in asked for e in s.endpoints if e.ready and e.node == node}
    namespace, _, name = asked[0].name.partition(":")[0].partition("/")
    body = (
        "{\n"
        '\t"service": {\n'
        f'\t\t"namespace": "{namespace}",\n'
        f'\t\t"name": "{name}"\n'
        "\t},\n"
        f'\t"localEndpoints": {len(ready)},\n'
        '\t"serviceProxyHealthy": true\n'
        "}"
    )
    return HealthAnswer(200 if ready else 503, body, len(ready))


def health_sockets(services: Iterable[ServicePort]) -> tuple[Socket, ...]:
    """The ports that kube-proxy listens on for load balancers, each once."""
    ports = sorted({s.health_check_node_port for s in services if s.health_check_node_port})
    return tuple(Socket("TCP", port, None, "kube-proxy") for port in ports)
