"""The load balancer as a machine: `lb` on the nodes' network, its health checks, its rules.

It stands where the provider's own network would do the work: the router hands it all packets
for `198.51.100.0/24`. Where the client's address is kept, the nodes' answers must pass it again,
so there the nodes' default route leads through it.

*The lab simplifies*: a change of health is known at once, where a real check needs a few failures
in a row; a node that is not Ready is still asked.

Source: data/loadbalancers.json; node selection, Kubernetes
`staging/src/k8s.io/cloud-provider/controllers/service/controller.go`; MetalLB's choice of a node,
`speaker/layer2_controller.go`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from hashlib import sha256
from ipaddress import IPv4Address, IPv4Network, ip_address

import msgspec

from labkit.api.core import Node, Service
from labkit.api.state import State
from labkit.cni import base
from labkit.cni.base import View
from labkit.edge.loadbalancer import (
    VIRTUAL,
    Balancer,
    Listener,
    Target,
    balancer_of,
    routes,
    tables,
)
from labkit.kernel.netns import Part
from labkit.kernel.packet import Address
from labkit.kernel.routes import Route
from labkit.kernel.walk import HASH_POLICY
from labkit.proxy import service_ports
from labkit.proxy.health import health_answer
from labkit.proxy.services import ServicePort

EXCLUDED = "node.kubernetes.io/exclude-from-external-load-balancers"  # label: never a target
HOST = 5  # the balancer is 192.168.7.5


class Rotation(msgspec.Struct, frozen=True, kw_only=True):
    """One port of a balanced Service: who is asked for health, and who gets connections.

    `failing` are nodes that answer 503 or that the speakers pass over; they get nothing, unless
    the product sends to all when nobody is healthy (`open`).
    """

    service: Service
    port: ServicePort
    balancer: Balancer
    address: Address
    nodes: tuple[View, ...]
    failing: frozenset[str] = frozenset()

    @property
    def healthy(self) -> tuple[View, ...]:
        return tuple(v for v in self.nodes if v.name not in self.failing)

    @property
    def open(self) -> bool:
        """Nobody is healthy, so all get connections."""
        return not self.healthy and self.balancer.value("none healthy") == "all"

    @property
    def takers(self) -> tuple[View, ...]:
        """The nodes that connections may be sent to."""
        return self.nodes if self.open else self.healthy


def rotations(state: State) -> tuple[Rotation, ...]:
    """Every port of every Service that a balancer has given an IPv4 address to, by name."""
    return state.cached(_rotations)


def _rotations(state: State) -> tuple[Rotation, ...]:
    labels = {node.name: node.labels for node in state.list(Node)}
    nodes = tuple(v for v in base.views(state) if EXCLUDED not in labels[v.name] and v.address(4))
    return tuple(
        Rotation(
            service=service,
            port=port,
            balancer=balancer,
            address=ip_address(entry.ip),
            nodes=nodes,
            failing=_failing(state, port, balancer, nodes),
        )
        for service, port, balancer in _balanced(state)
        for entry in service.status.load_balancer.ingress
        if entry.ip
    )


def _balanced(state: State) -> Iterator[tuple[Service, ServicePort, Balancer]]:
    """The IPv4 ports of the Services that a balancer takes care of."""
    for port in service_ports(state):
        namespace, _, rest = port.name.partition("/")
        service = state.get(Service, rest.partition(":")[0], namespace)
        balancer = balancer_of(service.spec, state.config.load_balancer) if service else None
        if service and balancer and port.cluster_ip.version == 4:
            yield service, port, balancer


def _failing(
    state: State, port: ServicePort, balancer: Balancer, nodes: tuple[View, ...]
) -> frozenset[str]:
    """The nodes that a check finds without an endpoint of their own, under the policy Local.

    Under Cluster a check asks whether the node port opens, and every node forwards it.
    """
    if balancer.value("checks") not in ("healthCheckNodePort", "speaker"):
        return frozenset()
    number = port.health_check_node_port
    if number is None:
        return frozenset()
    mine = state.cached(_checked)[number]
    asked = {v.name: health_answer(mine, number, v.name) for v in nodes}
    return frozenset(name for name, answer in asked.items() if answer and answer.status != 200)


def _checked(state: State) -> Mapping[int, list[ServicePort]]:
    """Health check node port -> the ports of its Service."""
    found: dict[int, list[ServicePort]] = {}
    for port in service_ports(state):
        found.setdefault(port.health_check_node_port or 0, []).append(port)
    return found


# --- the machine ----------------------------------------------------------------------------


def listeners(state: State) -> tuple[Listener, ...]:
    """What the machine `lb` listens for; empty without one."""
    return tuple(
        Listener(
            name=r.port.name,
            address=r.address,
            port=r.port.port,
            protocol=r.port.protocol,
            targets=_targets(r),
            hides_client=r.balancer.hides_client,
            direct=r.balancer.direct,
            sources=r.port.source_ranges,
        )
        for r in rotations(state)
        if r.balancer.own_machine and _targets(r)
    )


def _targets(rotation: Rotation) -> tuple[Target, ...]:
    if rotation.balancer.value("targets") == "pod":
        ready = (e for e in rotation.port.endpoints if e.ready)
        return tuple(Target(e.address, e.port) for e in ready)
    direct = rotation.balancer.direct
    number = rotation.port.port if direct else rotation.port.node_port
    addresses = (v.address(4) for v in rotation.takers)
    return tuple(Target(a, number) for a in addresses if number and a)


def balancer_address(state: State, network: IPv4Network) -> IPv4Address | None:
    """Where the machine stands in the nodes' network; None where no Service needs it."""
    needed = any(r.balancer.own_machine for r in rotations(state))
    return network[HOST] if needed else None


def keeps_clients(state: State) -> bool:
    """Whether answers to clients must pass the machine again, to get its address back."""
    return any(not x.direct and not x.hides_client for x in listeners(state))


def balancer_part(state: State) -> Part:
    """The machine's rules; it drops what it does not listen for, and finds pods by their nodes."""
    found = listeners(state)
    to_pods = tuple(
        Route(prefix=cidr, via=via, dev="eth0")
        for view in base.views(state)
        if (cidr := view.cidr(4)) and (via := view.address(4))
    )
    return Part(
        routes=(*routes(found), Route(prefix=VIRTUAL, kind="blackhole"), *to_pods),
        tables=tables(found),
        sysctls={"net.ipv4.ip_forward": 1, HASH_POLICY: 1},
    )


# --- MetalLB, layer 2 ------------------------------------------------------------------------


def announced(state: State) -> Mapping[str, tuple[Address, ...]]:
    """Node -> the addresses that MetalLB's speaker on it answers ARP for.

    Of the nodes that may announce the one wins whose name and the address have the least hash.
    """
    found: dict[str, list[Address]] = {}
    for address, able in dict(_contested(state)).items():
        winner = min(able, key=lambda n: sha256(f"{n}#{address}".encode()).digest())
        found.setdefault(winner, []).append(address)
    return {name: tuple(addresses) for name, addresses in found.items()}


def _contested(state: State) -> Iterator[tuple[Address, list[str]]]:
    """Each address without a machine of its own, and the nodes that may announce it."""
    for rotation in rotations(state):
        able = rotation.healthy if any(e.ready for e in rotation.port.endpoints) else ()
        if able and not rotation.balancer.own_machine:
            yield rotation.address, [view.name for view in able]
