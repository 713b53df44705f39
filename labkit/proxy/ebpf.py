"""No kube-proxy at all: Cilium's replacement, with maps that eBPF programs look into.

A process of the cluster is given a backend when it calls connect(2), so no packet ever carries
a ClusterIP; what comes from the network for a node port is turned at tc, before netfilter.
Backends are drawn at random. *The lab simplifies*: a node knows its own node ports at
connect(2), those of other nodes are turned where they arrive; SNAT mode only, no DSR.

Source: Cilium Documentation/network/kubernetes/kubeproxy-free.rst, `bpf/bpf_sock.c`,
`bpf/lib/nodeport.h`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import msgspec

from labkit.kernel.bpf import Backend, Frontend, FrontendKind, Maps
from labkit.kernel.netns import Part
from labkit.kernel.packet import Address
from labkit.proxy.base import FAMILIES, NodeView
from labkit.proxy.health import health_sockets
from labkit.proxy.services import Endpoint, ServicePort, Usable, usable_endpoints
from labkit.proxy.tables import BASES, iptables_table

UPLINK = "eth0"
Numbers = dict[tuple[str, Address, int], int]  # backend -> its number in the map


class Ebpf(msgspec.Struct, frozen=True):
    """kubeProxyReplacement=true"""

    name: str = "ebpf"

    def program(self, services: tuple[ServicePort, ...], node: NodeView) -> Part:
        families = [(name, version) for name, version in FAMILIES if name in node.families]
        versions = {version for _, version in families}
        numbers: Numbers = {}
        rows = (
            row
            for service in services
            if service.cluster_ip.version in versions
            for row in frontends(service, node, numbers)
        )
        return Part(
            # The kubelet keeps its iptables chains in every mode.
            tables=tuple(iptables_table(name, f) for f, _ in families for name in BASES),
            maps=Maps(frontends=tuple(rows), own=node.addresses, devices=(UPLINK,)),
            sockets=health_sockets(services),
        )


def frontends(service: ServicePort, node: NodeView, numbers: Numbers) -> Iterator[Frontend]:
    """The rows of one Service port: one for each of its addresses, and one for its node port."""
    usable = usable_endpoints(service, node.name, node.zone)
    inside = _backends(service, usable.under(service.internal_policy), node, numbers)
    ways: list[tuple[Address, int, FrontendKind]] = [
        (service.cluster_ip, service.port, "ClusterIP"),
        *((ip, service.port, "ExternalIPs") for ip in service.external_ips),
        *((ip, service.port, "LoadBalancer") for ip in service.load_balancer_ips),
    ]
    primary = node.address(service.cluster_ip.version)
    if service.node_port and primary:
        ways.append((primary, service.node_port, "NodePort"))
    for address, port, kind in ways:
        external = kind != "ClusterIP"
        yield Frontend(
            protocol=service.protocol,
            address=address,
            port=port,
            kind=kind,
            # Who asks from inside for an outside address is bound by neither policy.
            inside=_backends(service, usable.cluster, node, numbers) if external else inside,
            outside=_outside(service, usable, node, numbers) if external else (),
            hides=service.external_policy == "Cluster",
            affinity=service.affinity,
            source_ranges=service.source_ranges if kind == "LoadBalancer" else (),
        )


def _outside(
    service: ServicePort, usable: Usable, node: NodeView, numbers: Numbers
) -> tuple[Backend, ...]:
    return _backends(service, usable.under(service.external_policy), node, numbers)


def _backends(
    service: ServicePort, endpoints: Iterable[Endpoint], node: NodeView, numbers: Numbers
) -> tuple[Backend, ...]:
    """Backends have one number in the whole map, whichever Services they stand behind."""
    found = []
    for e in endpoints:
        number = numbers.setdefault((service.protocol, e.address, e.port), len(numbers) + 1)
        found.append(Backend(number, e.address, e.port, e.node == node.name))
    return tuple(found)
