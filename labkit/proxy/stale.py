"""What kube-proxy itself does to conntrack: UDP connections to endpoints that are gone.

TCP notices by itself that the other end has left; UDP would be sent there until the entry
expires.

Source: Kubernetes `pkg/proxy/conntrack/cleanup.go`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from labkit.kernel.conntrack import Conntrack, Entry
from labkit.kernel.packet import Address
from labkit.proxy.services import ServicePort

End = tuple[Address, int]


def without_stale(services: Iterable[ServicePort], conntrack: Conntrack) -> Conntrack:
    """The table without UDP entries to a Service that lead to none of its serving endpoints.

    Entries that were never rewritten go too: the Service had no endpoint then.
    """
    udp = [s for s in services if s.protocol == "UDP"]
    if not udp:
        return conntrack
    inside = {end: _ends(s) for s in udp for end in _addresses(s)}
    ports = {s.node_port: _ends(s) for s in udp if s.node_port}
    return {
        netns: tuple(e for e in entries if not _stale(e, inside, ports))
        if netns.startswith("node/")
        else entries
        for netns, entries in conntrack.items()
    }


def _ends(service: ServicePort) -> frozenset[End]:
    return frozenset((e.address, e.port) for e in service.endpoints if e.serving)


def _addresses(service: ServicePort) -> Iterable[End]:
    ips = (service.cluster_ip, *service.external_ips, *service.load_balancer_ips)
    return ((ip, service.port) for ip in ips)


def _stale(
    entry: Entry, inside: Mapping[End, frozenset[End]], ports: Mapping[int, frozenset[End]]
) -> bool:
    asked = entry.original
    if asked.protocol != "UDP" or entry.member_of or entry.socket:
        return False
    ends = inside.get((asked.dst, asked.dport), ports.get(asked.dport))
    return ends is not None and (entry.reply.src, entry.reply.sport) not in ends
