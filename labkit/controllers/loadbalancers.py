"""Who writes a Service's EXTERNAL-IP: a cloud's service controller, or MetalLB's.

Without either nobody does, and `kubectl` shows `<pending>` for ever.

*The lab simplifies*: the address is there at once, where a cloud needs minutes.
"""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import IPv4Address, IPv4Network, ip_address

import msgspec

from labkit.api.core import LoadBalancerIngress, LoadBalancerStatus, Service
from labkit.api.state import State
from labkit.edge.loadbalancer import VIRTUAL, Balancer, balancer_of
from labkit.errors import Exhausted

OF_PROVIDER, OF_METALLB = 10, 240
"""The hosts that come first: 198.51.100.10, and 192.168.7.240 in the nodes' own network."""


def loadbalancers(state: State) -> Iterator[Service]:
    """The Services whose status has to change; one that keeps its type keeps its address."""
    taken = {i.ip for s in state.list(Service) for i in s.status.load_balancer.ingress if i.ip}
    for service in state.list(Service):
        balancer = balancer_of(service.spec, state.config.load_balancer)
        have = service.status.load_balancer.ingress
        if balancer is not None and "IPv4" in service.spec.ip_families:
            wanted = _ingress(state, balancer, have, taken)
            taken.add(wanted.ip)
            if have != (wanted,):
                yield _with(service, (wanted,))
        elif have and service.spec.type != "LoadBalancer":
            yield _with(service, ())


def _ingress(
    state: State, balancer: Balancer, have: tuple[LoadBalancerIngress, ...], taken: set[str]
) -> LoadBalancerIngress:
    network = VIRTUAL if balancer.own_machine else IPv4Network(state.config.node_cidr)
    kept = next((i.ip for i in have if i.ip and ip_address(i.ip) in network), "")
    first = OF_PROVIDER if balancer.own_machine else OF_METALLB
    return LoadBalancerIngress(
        ip=kept or str(_free(network, first, taken)), ip_mode=balancer.ip_mode
    )


def _free(network: IPv4Network, first: int, taken: set[str]) -> IPv4Address:
    """The first address of the pool that no Service has.

    Raises:
        Exhausted: all are taken.
    """
    for number in range(first, network.num_addresses - 1):
        if str(network[number]) not in taken:
            return network[number]
    raise Exhausted(f"no load balancer address is left in {network}; delete a Service of that type")


def _with(service: Service, ingress: tuple[LoadBalancerIngress, ...]) -> Service:
    status = msgspec.structs.replace(service.status, load_balancer=LoadBalancerStatus(ingress))
    return msgspec.structs.replace(service, status=status)
