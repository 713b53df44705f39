"""The rules of one Service port, in the words of iptables.

Source: `syncProxyRules` in Kubernetes `pkg/proxy/iptables/proxier.go`.
"""

from __future__ import annotations

from base64 import b32encode
from hashlib import sha256
from ipaddress import ip_network

import msgspec

from labkit.kernel import netfilter as nf
from labkit.kernel.netfilter import Comment, Destination, DestinationPort, Jump, Proto, Rule, Source
from labkit.kernel.packet import Address
from labkit.kernel.routes import Prefix
from labkit.proxy.services import Endpoint, ServicePort, Usable

Rules = dict[str, list[Rule]]  # "nat KUBE-SVC-…" -> its rules
replace = msgspec.structs.replace
MARK_MASQ = Jump("KUBE-MARK-MASQ")


def suffix(service: ServicePort, endpoint: Endpoint | None = None) -> str:
    """The 16 characters behind `KUBE-SVC-`, or behind `KUBE-SEP-` for one of its endpoints."""
    words = service.name + service.protocol.lower() + (str(endpoint) if endpoint else "")
    return b32encode(sha256(words.encode()).digest())[:16].decode()


def host(address: Address) -> Prefix:
    """The network of this address alone: 10.96.0.1/32."""
    return ip_network((address.packed, address.max_prefixlen))


class Names(msgspec.Struct, frozen=True):
    """The chains that one Service port may have."""

    cluster: str  # all endpoints: KUBE-SVC-…
    local: str  # those on this node: KUBE-SVL-…
    external: str  # what came for an outside address: KUBE-EXT-…
    firewall: str  # only from allowed sources: KUBE-FW-…

    @classmethod
    def of(cls, service: ServicePort) -> Names:
        end = suffix(service)
        return cls(f"KUBE-SVC-{end}", f"KUBE-SVL-{end}", f"KUBE-EXT-{end}", f"KUBE-FW-{end}")

    def under(self, policy: str) -> str:
        return self.local if policy == "Local" else self.cluster


class Writer(msgspec.Struct, frozen=True, kw_only=True):
    """Writes Services for one node and family. `pods` None: nothing tells a pod's packet."""

    version: int
    pods: Source | nf.InDevice | None
    node_ip: Address | None
    masquerade_all: bool = False
    endpoint_comments: bool = True

    def write(self, rules: Rules, service: ServicePort, usable: Usable) -> None:
        """Append all rules of one Service port to the chains they belong in."""
        names = Names.of(service)
        inside, outside = (
            usable.under(service.internal_policy),
            usable.under(service.external_policy),
        )
        _catch_inside(rules, service, names, usable, bool(inside))
        _catch_outside(rules, service, names, usable, bool(outside))
        if not usable.anywhere:
            return
        if inside:
            self._masquerade_inside(rules, service, names)
        if service.external:
            self._external(rules, service, names, bool(outside))
        if service.source_ranges and service.load_balancer_ips:
            self._firewall(rules, service, names)
        heads = {e: Jump(f"KUBE-SEP-{suffix(service, e)}") for e in usable.reachable}
        if service.uses_cluster and usable.cluster:
            self._balance(rules, service, f"nat {names.cluster}", usable.cluster, heads)
        if service.uses_local and usable.local:
            self._balance(rules, service, f"nat {names.local}", usable.local, heads)
        for endpoint, head in heads.items():
            self._endpoint(rules, service, endpoint, head.chain)

    def _masquerade_inside(self, rules: Rules, service: ServicePort, names: Names) -> None:
        """A client of the ClusterIP that is no pod must be answered by way of this node."""
        to = _to(service, service.cluster_ip, "cluster IP")
        if not self.masquerade_all:
            if self.pods is None:
                return
            to = (replace(self.pods, negate=True), *to)
        _add(rules, f"nat {names.under(service.internal_policy)}", Rule(to, MARK_MASQ))

    def _external(self, rules: Rules, service: ServicePort, names: Names, usable: bool) -> None:
        chain = f"nat {names.external}"
        whom = f"{service.name} external destinations"
        if service.external_policy == "Cluster":
            note = Comment(f"masquerade traffic for {whom}")
            _add(rules, chain, Rule((note,), MARK_MASQ))
        else:
            cluster, here = Jump(names.cluster), nf.AddrType("src", "LOCAL")
            if self.pods is not None:
                # As if the packet had gone out to a load balancer and come back elsewhere.
                note = Comment(f"pod traffic for {whom}")
                _add(rules, chain, Rule((self.pods, note), cluster))
            note = Comment(f"masquerade LOCAL traffic for {whom}")
            _add(rules, chain, Rule((note, here), MARK_MASQ))
            note = Comment(f"route LOCAL traffic for {whom}")
            _add(rules, chain, Rule((note, here), cluster))
        if usable:
            _add(rules, chain, Rule((), Jump(names.under(service.external_policy))))

    def _firewall(self, rules: Rules, service: ServicePort, names: Names) -> None:
        chain, note = f"nat {names.firewall}", Comment(f"{service.name} loadbalancer IP")
        allowed = list(service.source_ranges)
        if any(self.node_ip in net for net in allowed if self.node_ip):
            # The balancer's address may be the node's own: then its packets come from there.
            allowed += [host(ip) for ip in service.load_balancer_ips]
        for net in allowed:
            _add(rules, chain, Rule((Source(net), note), Jump(names.external)))
        rest = f"other traffic to {service.name} will be dropped by KUBE-PROXY-FIREWALL"
        _add(rules, chain, Rule((Comment(rest),)))

    def _balance(
        self,
        rules: Rules,
        service: ServicePort,
        chain: str,
        endpoints: tuple[Endpoint, ...],
        heads: dict[Endpoint, Jump],
    ) -> None:
        """Known clients first; then rule i of n has the chance 1/(n-i), the last is certain."""
        rows = rules.setdefault(chain, [])
        notes = {e: self._note(f"{service.name} -> {e}") for e in endpoints}
        if service.affinity is not None:
            for e in endpoints:
                seen = nf.Recent(heads[e].chain, "rcheck", service.affinity)
                rows.append(Rule((*notes[e], seen), heads[e]))
        for left, e in zip(range(len(endpoints), 0, -1), endpoints, strict=True):
            dice = (nf.Statistic(left),) if left > 1 else ()
            rows.append(Rule((*notes[e], *dice), heads[e]))

    def _endpoint(self, rules: Rules, service: ServicePort, endpoint: Endpoint, name: str) -> None:
        note = self._note(service.name)
        # A pod that reaches itself must see another address than its own as the source.
        loop = Rule((Source(host(endpoint.address)), *note), MARK_MASQ)
        seen = (nf.Recent(name, "set", service.affinity),) if service.affinity is not None else ()
        proto = Proto(service.protocol.lower(), module=True)
        dnat = nf.Dnat(endpoint.address, endpoint.port)
        rules[f"nat {name}"] = [loop, Rule((*note, *seen, proto), dnat)]

    def _note(self, text: str) -> tuple[Comment, ...]:
        return (Comment(text),) if self.endpoint_comments else ()


# --- where packets are caught ------------------------------------------------------------


def _add(rules: Rules, chain: str, rule: Rule) -> None:
    rules.setdefault(chain, []).append(rule)


def _to(service: ServicePort, address: Address, what: str) -> tuple[nf.Match, ...]:
    """The matches for one of the Service's addresses, with a comment."""
    return (
        Destination(host(address)),
        Comment(f"{service.name} {what}"),
        Proto(service.protocol.lower(), module=True),
        DestinationPort(service.port),
    )


def _refusal(service: ServicePort, usable: Usable) -> tuple[str, nf.Target]:
    """Refused at once when nobody can answer; silence when others could, but not from here."""
    if not usable.anywhere:
        return "has no endpoints", nf.Reject(REASON[service.cluster_ip.version])
    return "has no local endpoints", nf.Verdict("DROP")


REASON = {4: "icmp-port-unreachable", 6: "icmp6-port-unreachable"}


def _catch_inside(
    rules: Rules, service: ServicePort, names: Names, usable: Usable, some: bool
) -> None:
    if some:
        chain, what = "nat KUBE-SERVICES", "cluster IP"
        target: nf.Target = Jump(names.under(service.internal_policy))
    else:
        chain = "filter KUBE-SERVICES"
        what, target = _refusal(service, usable)
    _add(rules, chain, Rule(_to(service, service.cluster_ip, what), target))


def _catch_outside(
    rules: Rules, service: ServicePort, names: Names, usable: Usable, some: bool
) -> None:
    """externalIPs, load balancer addresses, node ports and the health check's port."""
    guarded = bool(service.source_ranges and service.load_balancer_ips) and usable.anywhere
    behind = names.firewall if guarded else names.external
    ways = [(ip, "external IP", names.external) for ip in service.external_ips]
    ways += [(ip, "loadbalancer IP", behind) for ip in service.load_balancer_ips]
    why, refusal = _refusal(service, usable)
    for address, what, to in ways:
        if usable.anywhere:
            _add(rules, "nat KUBE-SERVICES", Rule(_to(service, address, what), Jump(to)))
        if to == names.firewall:
            note = f"traffic not accepted by {names.firewall}"
            drop = Rule(_to(service, address, note), nf.Verdict("DROP"))
            _add(rules, "filter KUBE-PROXY-FIREWALL", drop)
        if not some:
            _add(rules, "filter KUBE-EXTERNAL-SERVICES", Rule(_to(service, address, why), refusal))
    _catch_node_port(rules, service, names, (why, refusal), caught=usable.anywhere, served=some)


def _catch_node_port(
    rules: Rules,
    service: ServicePort,
    names: Names,
    refusal: tuple[str, nf.Target],
    *,
    caught: bool,
    served: bool,
) -> None:
    why, target = refusal
    if service.node_port:
        port = Proto(service.protocol.lower(), module=True), DestinationPort(service.node_port)
        if caught:
            own = Rule((Comment(service.name), *port), Jump(names.external))
            _add(rules, "nat KUBE-NODEPORTS", own)
        if not served:
            here = Comment(f"{service.name} {why}"), nf.AddrType("dst", "LOCAL")
            _add(rules, "filter KUBE-EXTERNAL-SERVICES", Rule((*here, *port), target))
    if service.health_check_node_port:
        check = Proto("tcp", module=True), DestinationPort(service.health_check_node_port)
        note = Comment(f"{service.name} health check node port")
        _add(rules, "filter KUBE-NODEPORTS", Rule((note, *check), nf.Verdict("ACCEPT")))
