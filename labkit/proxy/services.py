"""What every proxy mode starts from: each port of each Service, and where it may be sent.

The choice of endpoints is made here once; the modes only write it down in their own tables.

Source: Kubernetes `pkg/proxy/serviceport.go`, `pkg/proxy/endpointslicecache.go`,
`pkg/proxy/topology.go`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from ipaddress import ip_address, ip_network
from typing import Literal

import msgspec

from labkit.api.core import PortProtocol, Service, ServicePortSpec
from labkit.api.discovery import SERVICE_NAME, EndpointSlice
from labkit.api.discovery import Endpoint as SliceEndpoint
from labkit.api.state import State
from labkit.kernel.packet import Address
from labkit.kernel.packet import endpoint as address_and_port
from labkit.kernel.routes import Prefix

TrafficPolicy = Literal["Cluster", "Local"]
PROXY_NAME = "service.kubernetes.io/service-proxy-name"  # label: another proxy's Service
HEADLESS = "service.kubernetes.io/headless"  # label: a slice that only DNS reads


class Endpoint(msgspec.Struct, frozen=True):
    """One address behind a Service. `for_zones` and `for_nodes` are its hints, often empty."""

    address: Address
    port: int
    node: str = ""
    ready: bool = True
    serving: bool = True
    terminating: bool = False
    for_zones: tuple[str, ...] = ()
    for_nodes: tuple[str, ...] = ()

    def __str__(self) -> str:
        return address_and_port(self.address, self.port)

    @property
    def leaving(self) -> bool:
        """It shuts down and still answers."""
        return self.serving and self.terminating


class ServicePort(msgspec.Struct, frozen=True, kw_only=True):
    """One port of one Service in one address family: what kube-proxy programs in any mode.

    `name` is `namespace/service:port`, the same text that kube-proxy writes in its rule
    comments and hashes into its chain names; an unnamed port has no colon. All addresses are
    of the family of `cluster_ip`; `endpoints` are sorted by their text. `affinity` is in
    seconds, None without. `load_balancer_ips` are only those that the node itself answers for.
    """

    name: str
    protocol: PortProtocol
    cluster_ip: Address
    port: int
    endpoints: tuple[Endpoint, ...] = ()
    internal_policy: TrafficPolicy = "Cluster"
    external_policy: TrafficPolicy = "Cluster"
    node_port: int | None = None
    external_ips: tuple[Address, ...] = ()
    load_balancer_ips: tuple[Address, ...] = ()
    source_ranges: tuple[Prefix, ...] = ()
    affinity: int | None = None
    health_check_node_port: int | None = None

    @property
    def external(self) -> bool:
        """It has an address that is meant for clients outside the cluster."""
        return bool(self.node_port or self.external_ips or self.load_balancer_ips)

    @property
    def uses_cluster(self) -> bool:
        """Endpoints of all nodes count: by policy, or for pods that take the outside address."""
        return self.internal_policy == "Cluster" or self.external

    @property
    def uses_local(self) -> bool:
        return self.internal_policy == "Local" or (
            self.external_policy == "Local" and self.external
        )


# --- which endpoints ---------------------------------------------------------------------


class Usable(msgspec.Struct, frozen=True):
    """Endpoints that packets on one node may be sent to, under either traffic policy.

    `anywhere` is false when the whole cluster has none: then a packet is refused, not dropped.
    """

    cluster: tuple[Endpoint, ...]
    local: tuple[Endpoint, ...]
    anywhere: bool

    @property
    def reachable(self) -> tuple[Endpoint, ...]:
        """Either policy's endpoints, each once."""
        known = set(self.cluster)
        return self.cluster + tuple(e for e in self.local if e not in known)

    def under(self, policy: TrafficPolicy) -> tuple[Endpoint, ...]:
        return self.local if policy == "Local" else self.cluster


def usable_endpoints(service: ServicePort, node: str, zone: str = "") -> Usable:
    """The endpoints that a packet arriving on `node` may be sent to.

    Ready endpoints are used if there are any; else those that still serve while they
    terminate; else none. Hints narrow the choice under the policy Cluster only. Under Local
    only endpoints on `node` count, so the choice can be empty although the Service has some.

    Source: `CategorizeEndpoints` in Kubernetes `pkg/proxy/topology.go`; KEP-1669, KEP-2433.
    """
    cluster: tuple[Endpoint, ...] = ()
    local: tuple[Endpoint, ...] = ()
    if service.uses_cluster:
        ready = tuple(e for e in service.endpoints if e.ready)
        cluster = hinted(ready, node, zone) or _leaving(service.endpoints)
    if service.uses_local:
        near = tuple(e for e in service.endpoints if e.node == node)
        local = tuple(e for e in near if e.ready) or _leaving(near)
    anywhere = any(e.ready or e.leaving for e in service.endpoints)
    return Usable(cluster, local, anywhere)


def hinted(ready: tuple[Endpoint, ...], node: str, zone: str) -> tuple[Endpoint, ...]:
    """Those of the ready endpoints that the hints give to this node, all of them without hints.

    A hint counts only if every ready endpoint carries one of its kind and this node, or its
    zone, has at least one. The node is asked before the zone.
    """
    if all(e.for_nodes for e in ready):
        mine = tuple(e for e in ready if node in e.for_nodes)
        if mine:
            return mine
    if zone and all(e.for_zones for e in ready):
        return tuple(e for e in ready if zone in e.for_zones) or ready
    return ready


def _leaving(endpoints: Iterable[Endpoint]) -> tuple[Endpoint, ...]:
    return tuple(e for e in endpoints if e.leaving)


# --- from objects ------------------------------------------------------------------------


def service_ports(state: State) -> tuple[ServicePort, ...]:
    """All Service ports of the cluster, both families, by name, protocol and family.

    Headless and ExternalName Services have none: they live in DNS alone. *The lab simplifies*:
    kube-proxy walks its Services in no order; here they stand sorted.
    """
    return state.cached(_service_ports)


def _service_ports(state: State) -> tuple[ServicePort, ...]:
    slices: dict[tuple[str, str], list[EndpointSlice]] = {}
    for found in state.list(EndpointSlice):
        if HEADLESS not in found.labels:
            owner = found.namespace, found.labels.get(SERVICE_NAME, "")
            slices.setdefault(owner, []).append(found)
    ports = (
        port
        for service in state.list(Service)
        for port in _ports(service, slices.get((service.namespace, service.name), ()))
    )
    return tuple(sorted(ports, key=lambda p: (p.name, p.protocol, p.cluster_ip.version)))


def _ports(service: Service, slices: Iterable[EndpointSlice]) -> Iterator[ServicePort]:
    spec = service.spec
    if (
        spec.type == "ExternalName"
        or spec.cluster_ip in ("", "None")
        or PROXY_NAME in service.labels
    ):
        return
    for text in spec.cluster_ips or (spec.cluster_ip,):
        cluster_ip = ip_address(text)
        for port in spec.ports:
            endpoints = _endpoints(slices, port.name, port.protocol, cluster_ip.version)
            yield _port(service, port, cluster_ip, endpoints)


def _port(
    service: Service, port: ServicePortSpec, cluster_ip: Address, endpoints: tuple[Endpoint, ...]
) -> ServicePort:
    spec = service.spec
    outside = spec.type in ("NodePort", "LoadBalancer") or bool(spec.external_ips)
    local = outside and spec.external_traffic_policy == "Local"
    balanced = spec.type == "LoadBalancer"
    version = cluster_ip.version
    sticky = spec.session_affinity == "ClientIP"
    return ServicePort(
        name=f"{service.namespace}/{service.name}" + (f":{port.name}" if port.name else ""),
        protocol=port.protocol,
        cluster_ip=cluster_ip,
        port=port.port,
        endpoints=endpoints,
        internal_policy=spec.internal_traffic_policy,
        external_policy="Local" if local else "Cluster",
        node_port=port.node_port or None,
        external_ips=_of_family(spec.external_ips, version),
        load_balancer_ips=_virtual_ips(service, version),
        source_ranges=_ranges(spec.load_balancer_source_ranges, version),
        affinity=spec.session_affinity_config.client_ip.timeout_seconds if sticky else None,
        health_check_node_port=(spec.health_check_node_port or None)
        if balanced and local
        else None,
    )


def _of_family(texts: Iterable[str], version: int) -> tuple[Address, ...]:
    return tuple(a for text in texts if (a := ip_address(text)).version == version)


def _virtual_ips(service: Service, version: int) -> tuple[Address, ...]:
    """Addresses of the load balancer that packets still carry when they reach a node.

    With `ipMode: Proxy` the balancer speaks to the node from its own address, so the node must
    not shortcut the way to it (KEP-1860).
    """
    ingress = service.status.load_balancer.ingress
    return _of_family((i.ip for i in ingress if i.ip and i.ip_mode != "Proxy"), version)


def _ranges(texts: Iterable[str], version: int) -> tuple[Prefix, ...]:
    networks = (ip_network(text.strip(), strict=False) for text in texts)
    return tuple(net for net in networks if net.version == version)


def _endpoints(
    slices: Iterable[EndpointSlice], port: str, protocol: str, version: int
) -> tuple[Endpoint, ...]:
    """The endpoints for a Service's port of that name, each address and port once."""
    family = f"IPv{version}"
    found: dict[str, Endpoint] = {}
    for part in slices:
        if part.address_type != family:
            continue
        numbers = [
            p.port
            for p in part.ports
            if (p.name or "") == port and p.protocol == protocol and p.port
        ]
        for item in part.endpoints:
            for number in numbers:
                made = _endpoint(item, number)
                found.setdefault(str(made), made)
    return tuple(found[text] for text in sorted(found))


def _endpoint(item: SliceEndpoint, port: int) -> Endpoint:
    """Only the first address of an item counts; the API allows one alone in new slices."""
    told, hints = item.conditions, item.hints
    return Endpoint(
        ip_address(item.addresses[0]),
        port,
        item.node_name or "",
        told.ready is not False,
        told.serving is not False,
        told.terminating is True,
        tuple(h.name for h in hints.for_zones) if hints else (),
        tuple(h.name for h in hints.for_nodes) if hints else (),
    )
