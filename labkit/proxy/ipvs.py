"""kube-proxy's deprecated third way: every Service is a virtual server of the kernel's balancer.

All Service addresses lie on the dummy device `kube-ipvs0`, so that packets for them are the
node's own and meet IPVS at INPUT. What still needs rules (masquerade, source ranges) asks
ipsets. *The lab simplifies*: node ports are virtual servers on the node's own addresses only,
not on those of its bridges and tunnels.

Source: Kubernetes `pkg/proxy/ipvs/proxier.go`; KEP-5495 (deprecated in 1.35).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from ipaddress import ip_interface

import msgspec

from labkit.kernel.ipvs import RealServer, VirtualServer
from labkit.kernel.links import Link
from labkit.kernel.netfilter import Ipset, Table
from labkit.kernel.netns import Part
from labkit.kernel.packet import Address
from labkit.proxy.base import FAMILIES, NodeView
from labkit.proxy.health import health_sockets
from labkit.proxy.ipvs_rules import SETS, Sets, ipvs_tables, set_name
from labkit.proxy.services import Endpoint, ServicePort, Usable, usable_endpoints

DEVICE = "kube-ipvs0"
SYSCTLS = {
    "net.ipv4.vs.conntrack": 1,
    "net.ipv4.vs.conn_reuse_mode": 0,
    "net.ipv4.vs.expire_nodest_conn": 1,
    "net.ipv4.vs.expire_quiescent_template": 1,
    "net.ipv4.ip_forward": 1,
}
STRICT_ARP = {"net.ipv4.conf.all.arp_ignore": 1, "net.ipv4.conf.all.arp_announce": 2}


class Ipvs(msgspec.Struct, frozen=True):
    """kube-proxy --proxy-mode=ipvs. `strict_arp`: the node does not answer ARP for Services."""

    scheduler: str = "rr"
    strict_arp: bool = False
    name: str = "ipvs"

    def program(self, services: tuple[ServicePort, ...], node: NodeView) -> Part:
        mine = tuple(s for s in services if _family(s) in node.families)
        sets: dict[str, Ipset] = {}
        tables: list[Table] = []
        servers: list[VirtualServer] = []
        for family, version in FAMILIES:
            if family not in node.families:
                continue
            own: Sets = {name: [] for name in SETS}
            for service in (s for s in mine if s.cluster_ip.version == version):
                usable = usable_endpoints(service, node.name, node.zone)
                servers += self.virtual_servers(service, node, usable)
                _fill(own, service, node, usable)
            tables += ipvs_tables(family, version, node, own)
            sets |= {set_name(name, version): _ipset(name, version, own[name]) for name in SETS}
        return Part(
            links=(_dummy(mine),),
            tables=tuple(tables),
            sets=sets,
            virtual_servers=tuple(servers),
            sysctls=SYSCTLS | (STRICT_ARP if self.strict_arp else {}),
            sockets=health_sockets(services),
        )

    def virtual_servers(
        self, service: ServicePort, node: NodeView, usable: Usable
    ) -> Iterator[VirtualServer]:
        """One for each address and port of the Service, with its real servers."""
        inside, outside = service.internal_policy, service.external_policy
        ways = [(service.cluster_ip, service.port, _served(usable, inside))]
        ips = (*service.external_ips, *service.load_balancer_ips)
        ways += [(ip, service.port, _served(usable, outside)) for ip in ips]
        primary = node.address(service.cluster_ip.version)
        if service.node_port and primary:
            ways.append((primary, service.node_port, _served(usable, outside)))
        for address, port, endpoints in ways:
            yield VirtualServer(
                protocol=service.protocol,
                address=address,
                port=port,
                scheduler=self.scheduler,
                persistent=service.affinity,
                servers=tuple(RealServer(e.address, e.port) for e in endpoints),
            )


def _family(service: ServicePort) -> str:
    return "ip" if service.cluster_ip.version == 4 else "ip6"


def _served(usable: Usable, policy: str) -> tuple[Endpoint, ...]:
    """Under Local those of this node; if it has none all, unlike in the other modes.

    kube-proxy does so that pods of the node still reach the Service.
    """
    return (usable.local or usable.cluster) if policy == "Local" else usable.cluster


def _addresses(service: ServicePort) -> tuple[Address, ...]:
    """The Service's addresses that lie on `kube-ipvs0`."""
    return (service.cluster_ip, *service.external_ips, *service.load_balancer_ips)


def _dummy(services: Iterable[ServicePort]) -> Link:
    """Down and silent: its addresses only make the kernel take packets for its own."""
    ips = sorted({ip for s in services for ip in _addresses(s)}, key=lambda ip: (ip.version, ip))
    hosts = tuple(ip_interface((ip, ip.max_prefixlen)) for ip in ips)
    return Link(name=DEVICE, kind="dummy", mac="0e:00:69:70:76:73", addresses=hosts, up=False)


def _ipset(name: str, version: int, members: list[str]) -> Ipset:
    return Ipset(set_name(name, version), SETS[name].kind, tuple(sorted(set(members))))


def _fill(own: Sets, service: ServicePort, node: NodeView, usable: Usable) -> None:
    """Enter the Service's addresses in the sets that rules ask for."""
    protocol = service.protocol.lower()
    local = service.external_policy == "Local"

    def entry(address: Address) -> str:
        return f"{address},{protocol}:{service.port}"

    own["KUBE-CLUSTER-IP"].append(entry(service.cluster_ip))
    own["KUBE-IPVS-IPS"] += map(str, _addresses(service))
    outside = "KUBE-EXTERNAL-IP-LOCAL" if local else "KUBE-EXTERNAL-IP"
    own[outside] += map(entry, service.external_ips)
    own["KUBE-LOAD-BALANCER"] += map(entry, service.load_balancer_ips)
    if local:
        own["KUBE-LOAD-BALANCER-LOCAL"] += map(entry, service.load_balancer_ips)
    if service.source_ranges:
        _guard(own, service, node, [entry(ip) for ip in service.load_balancer_ips])
    if service.node_port:
        _node_port(own, service, node, local)
    if service.health_check_node_port:
        own["KUBE-HEALTH-CHECK-NODE-PORT"].append(str(service.health_check_node_port))
    own["KUBE-LOOP-BACK"] += [
        f"{e.address},{protocol}:{e.port},{e.address}"
        for e in usable.reachable
        if e.node == node.name
    ]


def _guard(own: Sets, service: ServicePort, node: NodeView, entries: list[str]) -> None:
    own["KUBE-LOAD-BALANCER-FW"] += entries
    ranges = service.source_ranges
    own["KUBE-LOAD-BALANCER-SOURCE-CIDR"] += [f"{e},{net}" for e in entries for net in ranges]
    mine = node.address(service.cluster_ip.version)
    if mine and any(mine in net for net in ranges):
        own["KUBE-LOAD-BALANCER-SOURCE-IP"] += [f"{e},{e.split(',')[0]}" for e in entries]


def _node_port(own: Sets, service: ServicePort, node: NodeView, local: bool) -> None:
    end, member = f"-{service.protocol}", str(service.node_port)
    if service.protocol == "SCTP":
        primary = node.address(service.cluster_ip.version)
        if primary is None:
            return
        end, member = "-SCTP-HASH", f"{primary},sctp:{service.node_port}"
    own[f"KUBE-NODE-PORT{end}"].append(member)
    if local:
        own[f"KUBE-NODE-PORT-LOCAL{end}"].append(member)
