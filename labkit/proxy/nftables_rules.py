"""The chains and map elements of one Service port, in the words of nft.

Source: `syncProxyRules` in Kubernetes `pkg/proxy/nftables/proxier.go`, 1.37.
"""

from __future__ import annotations

from base64 import b32encode
from collections.abc import Iterable
from hashlib import sha256
from ipaddress import ip_network

import msgspec

from labkit.kernel import netfilter as nf
from labkit.kernel.netfilter import Comment, Element, Jump, Key, Rule
from labkit.kernel.packet import Address
from labkit.proxy.base import MASQUERADE_MARK
from labkit.proxy.services import Endpoint, ServicePort, Usable

LONGEST = 240  # characters of a name without its prefix
MARK = nf.SetMark(MASQUERADE_MARK, MASQUERADE_MARK)
HERE = nf.AddrType("src", "LOCAL")
DROP = nf.Verdict("DROP")
REFUSE = Jump("reject-chain", goto=True)  # a map holds verdicts only, and reject is none


class Writing(msgspec.Struct):
    """What Services put into the table: chains, elements of sets and maps, sets of clients."""

    chains: dict[str, list[Rule]] = {}
    elements: dict[str, dict[Key, Element]] = {}
    clients: dict[str, int] = {}  # name -> seconds

    def add(self, name: str, key: Key, target: nf.Target | None = None, comment: str = "") -> None:
        self.elements.setdefault(name, {})[key] = Element(target, comment)


def base_name(service: ServicePort, endpoint: Endpoint | None = None) -> str:
    """`ULMVA6XW-ns1/svc1/tcp/p80`: the name, and in front of it 8 characters of its hash."""
    whole, _, port = service.name.partition(":")
    name = f"{whole}/{service.protocol.lower()}/{port}"
    if endpoint:
        name += f"__{str(endpoint.address).replace(':', '.')}/{endpoint.port}"
    name = b32encode(sha256(name.encode()).digest())[:8].decode() + "-" + name
    return name if len(name) <= LONGEST else name[: LONGEST - 3] + "..."


class Writer(msgspec.Struct, frozen=True, kw_only=True):
    """Writes Services for one node and family. `pods` None: nothing tells a pod's packet."""

    node: str
    pods: nf.Source | nf.InDevice | None
    node_ip: Address | None

    def write(self, own: Writing, service: ServicePort, usable: Usable) -> None:
        """Enter one Service port everywhere that it belongs."""
        name = base_name(service)
        protocol = service.protocol.lower()
        own.add("cluster-ips", (service.cluster_ip,))
        inside, outside = (
            usable.under(policy) for policy in (service.internal_policy, service.external_policy)
        )
        _catch_inside(own, service, name, usable, bool(inside))
        _catch_outside(own, service, name, usable, bool(outside))
        if service.load_balancer_ips and service.source_ranges:
            self._firewall(own, service, name)
        if not usable.anywhere:
            return
        if service.external:
            self._external(own, service, name, bool(outside))
        if service.uses_cluster and usable.cluster:
            _balance(own, service, f"service-{name}", usable.cluster)
        if service.uses_local and usable.local:
            _balance(own, service, f"local-{name}", usable.local)
        for e in usable.reachable:
            if e.node == self.node:
                own.add("hairpin-connections", (e.address, e.address, protocol, e.port))
            if service.affinity is not None:
                _sticky(own, service, e)

    def _external(self, own: Writing, service: ServicePort, name: str, some: bool) -> None:
        rules = own.chains.setdefault(f"external-{name}", [])
        cluster = Jump(f"service-{name}", goto=True)
        if service.external_policy == "Cluster":
            rules += [Rule((), MARK), Rule((), cluster)]
            return
        if self.pods is not None:
            # As if the packet had gone out to a load balancer and come back elsewhere.
            rules.append(Rule((self.pods, Comment("short-circuit pod traffic")), cluster))
        rules.append(Rule((HERE, Comment("masquerade local traffic")), MARK))
        rules.append(Rule((HERE, Comment("short-circuit local traffic")), cluster))
        if some:
            rules.append(Rule((), Jump(f"local-{name}", goto=True)))

    def _firewall(self, own: Writing, service: ServicePort, name: str) -> None:
        allowed = list(service.source_ranges)
        if self.node_ip and any(self.node_ip in net for net in allowed):
            # The balancer's address may be the node's own: then its packets come from there.
            ips = service.load_balancer_ips
            allowed += [ip_network((ip.packed, ip.max_prefixlen)) for ip in ips]
        rule = Rule((nf.OneOf("saddr", tuple(allowed), negate=True),), DROP)
        own.chains[f"firewall-{name}"] = [rule]
        for key in _keys(service, service.load_balancer_ips):
            own.add("firewall-ips", key, Jump(f"firewall-{name}", goto=True))


# --- where packets are caught ------------------------------------------------------------


def _keys(service: ServicePort, addresses: Iterable[Address]) -> Iterable[Key]:
    return ((address, service.protocol.lower(), service.port) for address in addresses)


def _catch_inside(
    own: Writing, service: ServicePort, name: str, usable: Usable, some: bool
) -> None:
    for key in _keys(service, (service.cluster_ip,)):
        if some:
            chain = "local" if service.internal_policy == "Local" else "service"
            own.add("service-ips", key, Jump(f"{chain}-{name}", goto=True))
        else:
            own.add("no-endpoint-services", key, _refusal(usable), service.name)


def _catch_outside(
    own: Writing, service: ServicePort, name: str, usable: Usable, some: bool
) -> None:
    external = Jump(f"external-{name}", goto=True)
    for key in _keys(service, (*service.external_ips, *service.load_balancer_ips)):
        if usable.anywhere:
            own.add("service-ips", key, external)
        if not some:
            own.add("no-endpoint-services", key, _refusal(usable), service.name)
    if service.node_port:
        port: Key = (service.protocol.lower(), service.node_port)
        if usable.anywhere:
            own.add("service-nodeports", port, external)
        if not some:
            own.add("no-endpoint-nodeports", port, _refusal(usable), service.name)


def _refusal(usable: Usable) -> nf.Target:
    """Refused at once when nobody can answer; silence when others could, but not from here."""
    return DROP if usable.anywhere else REFUSE


# --- choosing an endpoint ----------------------------------------------------------------


def _balance(
    own: Writing, service: ServicePort, chain: str, endpoints: tuple[Endpoint, ...]
) -> None:
    """Every endpoint with the same chance; clients that are known go where they went before."""
    rules = own.chains.setdefault(chain, [])
    if service.affinity is None:
        rules.append(_dnat(service, endpoints))
        return
    names = [base_name(service, e) for e in endpoints]
    jumps = tuple(Jump(f"endpoint-{name}", goto=True) for name in names)
    for name, jump in zip(names, jumps, strict=True):
        rules.append(Rule((nf.Lookup(("saddr",), f"affinity-{name}"),), jump))
    rules.append(Rule((), nf.RandomJump(jumps)))


def _dnat(service: ServicePort, endpoints: tuple[Endpoint, ...]) -> Rule:
    ends = tuple(nf.Dnat(e.address, e.port) for e in endpoints)
    protocol = nf.Proto(service.protocol.lower())
    return Rule((protocol,), ends[0] if len(ends) == 1 else nf.RandomDnat(ends))


def _sticky(own: Writing, service: ServicePort, endpoint: Endpoint) -> None:
    """An endpoint's own chain, which remembers the client before it rewrites."""
    assert service.affinity is not None
    name = base_name(service, endpoint)
    own.clients[f"affinity-{name}"] = service.affinity
    remember = Rule((), nf.Update(f"affinity-{name}"))
    own.chains[f"endpoint-{name}"] = [remember, _dnat(service, (endpoint,))]
