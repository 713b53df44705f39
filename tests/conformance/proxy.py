"""Subject `proxy`: one packet meets kube-proxy's rules on one node, and nothing else."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from fractions import Fraction
from ipaddress import ip_address, ip_interface
from typing import Any

import msgspec

from labkit.api.core import Node
from labkit.api.meta import Meta
from labkit.api.state import ClusterConfig
from labkit.kernel.balancing import frontends, named, virtual_servers
from labkit.kernel.bpf import Backend, Frontend
from labkit.kernel.filtering import Decision, evaluate
from labkit.kernel.host import Base, Host, Stage, host, key
from labkit.kernel.links import Link
from labkit.kernel.matching import Seen
from labkit.kernel.netfilter import Dnat, Masquerade, Reject, Verdict
from labkit.kernel.netns import Netns, merge
from labkit.kernel.packet import Packet
from labkit.proxy import MODES, mode_of, node_view, service_ports
from labkit.proxy.base import FAMILIES
from tests.conformance.objects import state_of
from tests.conformance.run import Answer, Case, NotBuilt

replace = msgspec.structs.replace
LOCAL_IPS = "x-local-ips"
CONFIG = {
    "clusterCIDR",
    "serviceCIDR",
    "detectLocalMode",
    "masqueradeAll",
    "localhostNodePorts",
}


def answers(case: Case) -> Iterator[tuple[str, Answer]]:
    missing = [mode for mode in case["modes"] if mode not in MODES]
    for mode in case["modes"]:
        if mode in MODES:
            yield mode, answer(case, mode)
    if missing:
        raise NotBuilt(f"proxy mode {missing[0]} not built yet")


def answer(case: Case, mode: str) -> Answer:
    """The verdict on the case's packet and where it may go, with exact chances."""
    asked = case["packet"]
    node = machine(case, mode, asked["at_node"])
    came = asked["from"]
    packet = Packet(
        src=ip_address(came["ip"]),
        dst=ip_address(asked["dst"]),
        protocol=asked["proto"],
        sport=41000,
        dport=asked.get("port") or 0,
    )
    here = came.get("node") == asked["at_node"] and came["kind"] != "external"
    own = here and came["kind"] == "node"
    device = "" if own else "cni0" if here else "eth0"
    crossing = Crossing(host(node), device)
    if node.maps is not None:
        return summary(looked_up(crossing, packet, here, own))
    return summary(crossing.first(packet, "OUTPUT" if own else "PREROUTING"))


# --- the node ------------------------------------------------------------------------------


def machine(case: Case, mode: str, name: str) -> Netns:
    """The node with its own addresses and what kube-proxy, in this mode, puts on it."""
    config = configuration(case["config"], mode)
    plain = [{k: v for k, v in o.items() if k != LOCAL_IPS} for o in case["objects"]]
    state = state_of(plain, config)
    node = state.get(Node, name) or Node(metadata=Meta(name=name))
    view = node_view(node, config)
    own = next((o[LOCAL_IPS] for o in case["objects"] if is_node(o, name) and LOCAL_IPS in o), None)
    if own is None:
        own = [*map(str, view.addresses), "127.0.0.1", "::1"]
    part = mode_of(config).program(service_ports(state), view)
    net = merge(f"node/{name}", name, [part])
    return replace(net, links=(*devices(own), *net.links))


def is_node(manifest: Mapping[str, Any], name: str) -> bool:
    return manifest["kind"] == "Node" and manifest["metadata"]["name"] == name


def devices(addresses: list[str]) -> tuple[Link, Link]:
    loopback = tuple(ip_interface("127.0.0.1/8" if a == "127.0.0.1" else a) for a in addresses)
    inside = tuple(a for a in loopback if a.is_loopback)
    outside = tuple(a for a in loopback if not a.is_loopback)
    return (
        Link(name="lo", kind="loopback", addresses=inside),
        Link(name="eth0", kind="veth", addresses=outside),
    )


def configuration(given: Mapping[str, Any], mode: str) -> ClusterConfig:
    unknown = given.keys() - CONFIG
    if unknown:
        raise ValueError(f"unknown configuration {', '.join(sorted(unknown))}")
    options = {
        name: str(value).lower() if isinstance(value, bool) else str(value)
        for name, value in given.items()
        if name in ("detectLocalMode", "masqueradeAll", "localhostNodePorts")
    }
    return ClusterConfig(
        pod_cidrs=tuple(c for c in given.get("clusterCIDR", "").split(",") if c),
        service_cidrs=tuple(c for c in given.get("serviceCIDR", "").split(",") if c),
        proxy_mode=mode,
        proxy_options=options,
    )


# --- the packet's way ----------------------------------------------------------------------


class Fate(msgspec.Struct, frozen=True):
    """One thing that may happen: a refusal, or the packet goes on to where it is now addressed."""

    chance: Fraction
    packet: Packet
    dnat: bool = False
    masquerade: bool = False
    refusal: str = ""


class Crossing(msgspec.Struct, frozen=True):
    """All the ways of a new connection's first packet through one machine's hooks."""

    here: Host
    device: str

    def first(self, packet: Packet, hook: str) -> list[Fate]:
        """From PREROUTING or OUTPUT to a local socket, or out of the machine."""
        fates = self.hook([Fate(Fraction(1), packet)], hook)
        if hook == "OUTPUT":
            fates = self.hook(fates, "POSTROUTING")
            local, passing = self.parted(fates)
            return self.hook(local, "INPUT") + passing
        local, passing = self.parted(fates)
        passing = self.hook(self.hook(passing, "FORWARD"), "POSTROUTING")
        # What IPVS took at INPUT is addressed to a pod now, and leaves the machine.
        local, taken = self.parted(self.hook(local, "INPUT"))
        return local + self.hook(taken, "POSTROUTING") + passing

    def parted(self, fates: list[Fate]) -> tuple[list[Fate], list[Fate]]:
        local = [f for f in fates if self.here.is_local(f.packet.dst)]
        return local, [f for f in fates if f not in local]

    def hook(self, fates: list[Fate], hook: str) -> list[Fate]:
        for family, version in FAMILIES:
            for stage in self.here.hooks.get(key(hook, family), ()):
                fates = [
                    after
                    for fate in fates
                    for after in (
                        self.stage(fate, stage, hook)
                        if fate.packet.dst.version == version and not fate.refusal
                        else [fate]
                    )
                ]
        return fates

    def stage(self, fate: Fate, stage: Stage, hook: str) -> list[Fate]:
        if stage.kind == "ipvs":
            return self.balanced(fate)
        if hook == "INPUT" and fate.dnat and not self.here.is_local(fate.packet.dst):
            return [fate]  # no longer here: IPVS sent it on
        fates = [fate]
        for base in stage.bases:
            fates = [
                after
                for one in fates
                for after in ([one] if one.refusal else self.chain(one, base, hook))
            ]
        return fates

    def balanced(self, fate: Fate) -> list[Fate]:
        """The real servers of a virtual one: who is next is not said, so each has its share."""
        packet = fate.packet
        asked = packet.protocol, packet.dst, packet.dport
        service = virtual_servers(self.here.netns).get(asked)
        if service is None or fate.dnat:
            return [fate]
        if not service.servers:
            return [replace(fate, refusal="REJECT")]
        ends = [(server.address, server.port) for server in service.servers]
        return shared(fate, ends)

    def chain(self, fate: Fate, base: Base, hook: str) -> list[Fate]:
        packet = fate.packet
        seen = Seen(
            self.here,
            packet,
            int(packet.src),
            int(packet.dst),
            packet.protocol.lower(),
            self.device if hook in ("PREROUTING", "FORWARD") else "lo" if hook == "INPUT" else "",
            "",
            frozenset({"NEW", "DNAT"} if fate.dnat else {"NEW"}),
        )
        if base.nat and fate.dnat and hook in ("PREROUTING", "OUTPUT"):
            return [fate]
        found = evaluate(base.table, base.chain, seen, packet.mark)
        return [after(fate, chance, decision) for chance, decision in found]


def shared(fate: Fate, ends: list[tuple[Any, int]]) -> list[Fate]:
    """The packet rewritten to each of the ends, all with one chance."""
    return [
        replace(
            fate,
            chance=fate.chance / len(ends),
            packet=replace(fate.packet, dst=address, dport=port),
            dnat=True,
        )
        for address, port in ends
    ]


def looked_up(crossing: Crossing, packet: Packet, here: bool, own: bool) -> list[Fate]:
    """A packet and the maps of eBPF: connect(2) for this node's processes, tc for the network.

    `here`: it comes from this node or a pod of it, `own`: from the node itself. A backend's
    `near` says whether the sender's address is kept on the way to it.
    """
    netns = crossing.here.netns
    assert netns.maps is not None
    fate = Fate(Fraction(1), packet)
    maps = netns.maps if own else replace(netns.maps, devices=())
    key = (
        named(crossing.here, maps, packet) if here else (packet.protocol, packet.dst, packet.dport)
    )
    found = frontends(netns).get(key)
    if found is None or (not here and found.kind == "ClusterIP"):
        return [fate]
    if here:
        return served(fate, found, found.inside)
    if found.source_ranges and not any(packet.src in net for net in found.source_ranges):
        return [replace(fate, refusal="DROP")]
    if not found.outside:
        return [replace(fate, refusal="DROP" if found.inside else "REJECT")]
    return [
        replace(end, masquerade=found.hides and not backend.near)
        for end, backend in zip(served(fate, found, found.outside), found.outside, strict=True)
    ]


def served(fate: Fate, found: Frontend, backends: tuple[Backend, ...]) -> list[Fate]:
    """Each backend with the same chance; without one connect(2) fails where the process is."""
    if not backends:
        return [replace(fate, refusal="REJECT")]
    return shared(fate, [(b.address, b.port) for b in backends])


def after(fate: Fate, chance: Fraction, decision: Decision) -> Fate:
    packet = replace(fate.packet, mark=decision.mark)
    fate = replace(fate, chance=fate.chance * chance, packet=packet)
    match decision.target:
        case Dnat(address=address, port=port):
            packet = replace(packet, dst=address, dport=port or packet.dport)
            return replace(fate, packet=packet, dnat=True)
        case Masquerade():
            return replace(fate, masquerade=True)
        case Reject():
            return replace(fate, refusal="REJECT")
        case Verdict(name="DROP"):
            return replace(fate, refusal="DROP")
    assert decision.target == Verdict("ACCEPT"), decision.target
    return fate


def summary(fates: list[Fate]) -> Answer:
    """The case's `verdict` and `backends`; several verdicts are joined by `+`."""
    verdicts = {f.refusal or ("DNAT" if f.dnat else "NONE") for f in fates}
    chances: dict[tuple[str, int, bool], Fraction] = {}
    for fate in fates:
        if fate.dnat and not fate.refusal:
            row = str(fate.packet.dst), fate.packet.dport, fate.masquerade
            chances[row] = chances.get(row, Fraction(0)) + fate.chance
    backends = [
        {"ip": ip, "port": port, "probability": float(chance), "masquerade": masquerade}
        for (ip, port, masquerade), chance in chances.items()
    ]
    return {"verdict": "+".join(sorted(verdicts)), "backends": backends}
