"""What kube-proxy answers to those that ask for health, as curl and wget show it.

Source: Kubernetes `pkg/proxy/healthcheck`; order of the headers, Go net/http.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from labkit.api.times import stamp
from labkit.commands.terminal import Terminal
from labkit.kernel.host import host
from labkit.kernel.sockets import listening
from labkit.proxy import service_ports
from labkit.proxy.health import HealthAnswer, health_answer, own_health
from labkit.traffic.connection import Connection
from labkit.traffic.machines import KUBE_PROXY_HEALTH

REASON = {200: "OK", 503: "Service Unavailable"}


def health_of(terminal: Terminal, connection: Connection, path: str | None) -> HealthAnswer | None:
    """The answer, if it was kube-proxy that took the connection; a Service's has any path."""
    kind, _, node = connection.request.end.partition("/")
    packet = connection.request.packet
    if kind != "node":
        return None
    socket = listening(host(terminal.network.namespaces[connection.request.end]), packet)
    if socket is None or socket.owner != "kube-proxy":
        return None
    if packet.dport == KUBE_PROXY_HEALTH and path == "/healthz":
        return own_health(stamp(terminal.lab.state.now))
    return health_answer(service_ports(terminal.lab.state), packet.dport, node)


def curl_page(terminal: Terminal, answer: HealthAnswer, flags: Mapping[str, str]) -> list[str]:
    """The body; with `-i` the headers above it, with `-o` neither, with `-w` its text below."""
    page = [*(_headers(terminal, answer) if "-i" in flags else ()), *answer.body.splitlines()]
    shown = [] if "-o" in flags else page
    wanted = flags.get("-w", "").replace("\\n", "").replace("%{http_code}", str(answer.status))
    return [*shown, wanted] if wanted else shown


def wget_refusal(answer: HealthAnswer) -> str:
    """What BusyBox says instead of a page; empty if there is a page."""
    if answer.status == 200:
        return ""
    return f"wget: server returned error: HTTP/1.1 {answer.status} {REASON[answer.status]}"


def _headers(terminal: Terminal, answer: HealthAnswer) -> list[str]:
    now = datetime.fromisoformat(stamp(terminal.lab.state.now))
    return [
        f"HTTP/1.1 {answer.status} {REASON[answer.status]}",
        "Content-Type: application/json",
        "X-Content-Type-Options: nosniff",
        *([] if answer.weight is None else [f"X-Load-Balancing-Endpoint-Weight: {answer.weight}"]),
        f"Date: {now:%a, %d %b %Y %H:%M:%S} GMT",
        f"Content-Length: {len(answer.body)}",
        "",
    ]
