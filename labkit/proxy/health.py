"""What kube-proxy answers to load balancers that ask about a node.

Source: Kubernetes `pkg/proxy/healthcheck`, service_health.go and proxy_health.go; the form by IP
family: kubernetes/kubernetes#129271.
"""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from labkit.kernel.netns import Socket
from labkit.proxy.services import ServicePort


class HealthAnswer(msgspec.Struct, frozen=True):
    """An HTTP answer: 200 where the node can take connections, else 503."""

    status: int
    body: str
    weight: int | None = None  # header X-Load-Balancing-Endpoint-Weight, of a Service's answer


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


def own_health(now: str) -> HealthAnswer:
    """What kube-proxy says of itself on port 10256: its rules here are always up to date.

    A real one also tells of IPv6, and of the time to the nanosecond.
    """
    ipv4 = f'"IPv4":{{"lastUpdated":"{now}","healthy":true}}'
    times = f'"lastUpdated":"{now}","currentTime":"{now}"'
    body = f'{{{times},"nodeEligible":true,"healthy":true,"status":{{{ipv4}}}}}'
    return HealthAnswer(200, body)


def health_sockets(services: Iterable[ServicePort]) -> tuple[Socket, ...]:
    """The ports that kube-proxy listens on for load balancers, each once."""
    ports = sorted({s.health_check_node_port for s in services if s.health_check_node_port})
    return tuple(Socket("TCP", port, None, "kube-proxy") for port in ports)
