"""ClusterIPs and node ports: what is taken, what is free, what the API server refuses.

*The lab simplifies*: the real allocators pick at random within the upper band; here the
lowest free one is taken, so that the same manifests give the same numbers.

Source: Kubernetes `pkg/registry/core/service/{ipallocator,portallocator}`, KEP-3070 and
KEP-3668 (the lower band is left to hand-picked numbers while the upper has room).
"""

from __future__ import annotations

from collections.abc import Iterator, Set
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network

from labkit.api.core import Service
from labkit.api.meta import Address
from labkit.api.state import State
from labkit.errors import Exhausted

Network = IPv4Network | IPv6Network
MANY = 1 << 20  # an IPv6 range is not looked through to its end


def service_ranges(state: State) -> tuple[Network, ...]:
    """The ranges of ClusterIPs, one a family, the cluster's first family first."""
    return tuple(ip_network(cidr) for cidr in state.config.service_cidrs)


def taken_addresses(state: State, but: str = "") -> Set[Address]:
    """The ClusterIPs of all Services (except the one with the uid `but`), and the DNS one."""
    services = (s for s in state.list(Service) if not but or s.metadata.uid != but)
    texts = (ip for s in services for ip in s.spec.cluster_ips if ip != "None")
    return {ip_address(ip) for ip in texts}


def reserved_addresses(state: State) -> Set[Address]:
    """What the allocator leaves to the cluster's own two Services."""
    first = {net[1] for net in service_ranges(state)}
    return first | {ip_address(state.config.dns_ip)}


def free_address(network: Network, taken: Set[Address]) -> Address:
    """The lowest free address of the dynamic band, then of the static one.

    Raises:
        Exhausted: all are taken.
    """
    size = min(network.num_addresses, MANY) - (2 if network.version == 4 else 1)
    band = static_band(size, 16, 256)
    for i in _band_order(size, band):
        address = network[i + 1]
        if address not in taken:
            return address
    raise Exhausted(
        f"no ClusterIP is left in {network} ({size} of {size} used); delete Services, or give "
        "the cluster a larger range in service_cidrs"
    )


def static_band(size: int, divisor: int, most: int) -> int:
    """How many of `size` numbers are left to hand-picked ones; 0 in a range under 16."""
    band = min(max(16, size // divisor), most)
    return band if band < size else 0


def _band_order(size: int, band: int) -> Iterator[int]:
    yield from range(band, size)
    yield from range(band)


def taken_ports(state: State, but: str = "") -> Set[int]:
    """The node ports of all Services, health checks included."""
    services = [s for s in state.list(Service) if not but or s.metadata.uid != but]
    ports = {p.node_port for s in services for p in s.spec.ports if p.node_port}
    return ports | {p for s in services if (p := s.spec.health_check_node_port)}


def owner(state: State, wanted: str | int) -> str:
    """`default/web`: the Service that has this address or node port, or `another Service`."""
    for service in state.list(Service):
        ports = {p.node_port for p in service.spec.ports} | {service.spec.health_check_node_port}
        if wanted in service.spec.cluster_ips or wanted in ports:
            return f"{service.namespace}/{service.name}"
    return "another Service"


def free_port(state: State, taken: Set[int]) -> int:
    """The lowest free node port of the dynamic band, then of the static one.

    Raises:
        Exhausted: all are taken.
    """
    low, high = state.config.node_port_range
    size = high - low + 1
    for i in _band_order(size, static_band(size, 32, 128)):
        if low + i not in taken:
            return low + i
    raise Exhausted(f"no node port is left in {low}-{high}; delete Services of type NodePort")
