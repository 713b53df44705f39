"""A packet's walk: the kernel's own order of routing, netfilter, neighbours and devices.

*Simplified*: reverse-path filtering (`rp_filter`) is off; ARP and ICMP errors are not limited
in rate, and neighbours are resolved at once; TCP is its first packet and the answer to it.

Source: Linux net/ipv4/{ip_input,ip_forward,ip_output,route,icmp}.c.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from labkit.kernel.answers import icmp_error
from labkit.kernel.at import At, remember_refused
from labkit.kernel.balancing import connected
from labkit.kernel.conntrack import Conntrack
from labkit.kernel.crossing import cross
from labkit.kernel.dice import Dice, FlowDice
from labkit.kernel.filtering import Decision, evaluate
from labkit.kernel.host import Host, Way, host, look_up, source_for
from labkit.kernel.journey import (
    Arrive,
    Bridge,
    Connect,
    Deliver,
    End,
    Input,
    Journey,
    Leave,
    Reroute,
    Send,
    Step,
    Transmit,
)
from labkit.kernel.layer2 import arrive, bridge, transmit
from labkit.kernel.matching import Seen
from labkit.kernel.netfilter import Chain, Dnat, Hook, RandomDnat, Rule, Table
from labkit.kernel.netns import Network
from labkit.kernel.packet import Address, IcmpKind, Packet
from labkit.kernel.rows import neighbour_row, route_row
from labkit.kernel.segment import answerer
from labkit.kernel.sockets import deliver, open_socket
from labkit.kernel.trace import Outcome, Trace

replace = msgspec.structs.replace
EQUAL_WAYS = "equal ways"  # a choice among the next hops of a route, which hashes decide
HASH_POLICY = "net.ipv4.fib_multipath_hash_policy"  # 1: ports count, too
MOST_STEPS = 5000  # no way is longer: the TTL ends every circle


def walk(
    network: Network,
    start: str,
    packet: Packet,
    dice: Dice,
    conntrack: Conntrack = {},  # noqa: B006 # never written to
    now: float = 0.0,
) -> Trace:
    """The way of a packet that a process in the namespace `start` sends."""

    def decide(table: Table, chain: Chain, seen: Seen, mark: int) -> Decision:
        thrown = FlowDice(seen.packet) if table.name == EQUAL_WAYS else dice
        return evaluate(table, chain, seen, mark, thrown)[0][1]

    journey = Journey(network, decide, conntrack, now)
    step: Step = Connect(start, packet)
    while not isinstance(step, End):
        step = advance(journey, step)
    return ended(journey, step)


def source_address(network: Network, netns: str, dst: Address) -> Address | None:
    """Which source the kernel picks for a packet to `dst`; None if the network is unreachable."""
    here = host(network.namespaces[netns])
    way = look_up(here, dst)
    return None if way is None else source_for(here, way, dst)


def advance(journey: Journey, step: Step) -> Step:
    """One step on, with netfilter's choices made by `journey.decide`."""
    journey.steps += 1
    assert journey.steps <= MOST_STEPS, "a packet walked for ever"
    return NEXT[type(step)](journey, step)


def ended(journey: Journey, step: End) -> Trace:
    """The whole walk, once it is over."""
    if step.outcome == "delivered":
        journey.shake_hands()
    return Trace(
        hops=tuple(journey.hops),
        frames=tuple(journey.frames),
        outcome=step.outcome,
        packet=step.packet,
        end=step.netns,
        answer=step.answer,
        conntrack=journey.conntrack(),
        rules=journey.rules,
    )


# --- out of the machine itself -----------------------------------------------------------


def connect(journey: Journey, step: Connect) -> Step:
    """The process asks; a program in its cgroup may put another address in place of its own."""
    begun = connected(journey, step.netns, step.packet)
    if isinstance(begun, End):
        return begun
    open_socket(journey, step.netns, begun)
    return Send(step.netns, begun)


def send(journey: Journey, step: Send) -> Step:
    """Local output: a route, OUTPUT, and a second look at the routes if it changed the packet."""
    here, packet = journey.host(step.netns), step.packet
    way = look_up(here, packet.dst, packet.src)
    if way is None or way.route.kind != "unicast":
        return nowhere(journey, step.netns, packet, way)
    tell_sending(journey, step, way)
    at = At(here, "OUTPUT", packet, None, out_device=way.dev)
    end = cross(journey, at)
    if end is not None:
        return end
    if (at.packet.dst, at.packet.mark) != (packet.dst, packet.mark):
        again = look_up(here, at.packet.dst, at.packet.src)
        if again is None or again.route.kind != "unicast":
            return nowhere(journey, step.netns, at.packet, again)
        if again != way:
            tell_route(journey, step.netns, again, at.packet, at.packet, "After the rewrite, ")
        way = again
    if at.packet.src.is_loopback and not way.local and not localnet(here):
        return martian(journey, step.netns, at.packet, "source")
    if at.packet.size > mtu(here, way) and at.packet.dont_fragment:
        says = f"{at.packet.size} bytes do not fit {way.dev}: Message too long."
        journey.hop(step.netns, "route", "drop", route_row(way.route), says, at.packet)
        return End("too-big", step.netns, at.packet)
    return Leave(step.netns, at.packet, way, at.tracked)


def tell_sending(journey: Journey, step: Send, way: Way) -> None:
    packet, row = step.packet, route_row(way.route)
    if step.tunnel:
        says = f"The outer packet goes out by {way.dev}."
        journey.hop(step.netns, "route", "route", row, says, packet, device=way.dev, quiet=True)
        return
    towards = "itself" if way.local else str(way.via or way.dev)
    says = f"The packet to {packet.destination} goes to {towards}."
    journey.hop(step.netns, "socket", "send", row, says, packet, device=way.dev)


def tell_route(
    journey: Journey, netns: str, way: Way, before: Packet, after: Packet, first: str = ""
) -> None:
    towards = f"to {way.via} " if way.via is not None else ""
    says = f"{first}the way to {after.dst} leads {towards}out of {way.dev}."
    says = says[0].upper() + says[1:]
    journey.hop(netns, "route", "route", route_row(way.route), says, before, after, device=way.dev)


def nowhere(journey: Journey, netns: str, packet: Packet, way: Way | None) -> End:
    """The machine itself has no way: its process hears so at once."""
    if way is None:
        why = no_row(packet)
        says = f"No route leads to {packet.dst}: the process hears Network is unreachable."
    else:
        why, says = route_row(way.route), f"The route to {packet.dst} says: {way.route.kind}."
    journey.hop(netns, "route", "drop", why, says, packet)
    silent = way is not None and way.route.kind == "blackhole"
    return End("dropped" if silent else "unreachable", netns, packet)


def no_row(packet: Packet) -> str:
    """What a hop quotes where a table has no line for the packet."""
    return f"(no row: no route matches {packet.dst})"


def leave(journey: Journey, step: Leave) -> Step:
    """POSTROUTING, then the MAC address of the next hop, then the device."""
    here, way = journey.host(step.netns), step.way
    at = At(here, "POSTROUTING", step.packet, step.tracked, "", way.dev, way)
    end = cross(journey, at)
    if end is not None:
        return end
    if way.local:
        return Transmit(step.netns, "lo", at.packet, at.tracked)
    packet = at.packet
    target = way.via or packet.dst
    mac = resolve(journey, here, way.dev, target)
    if mac is None:
        return nobody(journey, step, packet, target)
    return Transmit(step.netns, way.dev, replace(packet, mac=mac))


def resolve(journey: Journey, here: Host, dev: str, target: Address) -> str | None:
    """The next hop's MAC address: a configured row first, else who answers ARP."""
    for row in here.netns.neighbours:
        if row.dev == dev and row.address == target:
            return row.mac if row.state != "FAILED" else None
    if here.links[dev].kind in ("vxlan", "ipip"):
        return None  # no row, and a tunnel device asks nobody
    if here.links[dev].kind == "dummy":
        return here.links[dev].mac
    found = answerer(journey.network, here.netns.name, dev, target)
    return None if found is None else found.mac


def nobody(journey: Journey, step: Leave, packet: Packet, target: Address) -> End:
    why = neighbour_row(target, step.way.dev)
    says = f"Nobody on {step.way.dev} answers for {target}: no route to host."
    here = journey.host(step.netns)
    if not step.in_device:
        journey.hop(step.netns, "route", "drop", why, says, packet, device=step.way.dev)
        return End("unreachable", step.netns, packet)
    journey.hop(step.netns, "route", "reject", why, says, packet, device=step.way.dev)
    answer = icmp_error(here, packet, "host-unreachable")
    return End("unreachable", step.netns, packet, answer)


# --- into the machine --------------------------------------------------------------------


def take_in(journey: Journey, step: Input) -> Step:
    """PREROUTING, then the routes say: for this machine, or on to another."""
    here = journey.host(step.netns)
    at = At(here, "PREROUTING", step.packet, step.tracked, in_device=step.dev)
    if not step.prerouted:
        end = cross(journey, at)
        if end is not None:
            return end
    packet = at.packet
    kind = strange(here, step.dev, packet)
    if kind:
        return martian(journey, step.netns, packet, kind)
    way = look_up(here, packet.dst, packet.src)
    if way is not None and way.local:
        return Deliver(step.netns, step.dev, packet, at.tracked)
    return forward(journey, here, at, way)


def strange(here: Host, dev: str, packet: Packet) -> str:
    """ "source" or "destination" where the kernel takes an address for impossible (martian)."""
    if here.links[dev].kind == "loopback":
        return ""
    if not localnet(here):
        if packet.dst.is_loopback:
            return "destination"
        if packet.src.is_loopback:
            return "source"
    # Nobody else may speak with an address of this machine.
    return "source" if packet.src.version == 4 and here.is_local(packet.src) else ""


def localnet(here: Host) -> bool:
    return bool(here.sysctl("net.ipv4.conf.all.route_localnet"))


def martian(journey: Journey, netns: str, packet: Packet, kind: str) -> End:
    address = packet.src if kind == "source" else packet.dst
    why = f"martian {kind} {address}"
    says = f"{address} cannot be the {kind} of a packet here: thrown away in silence."
    journey.hop(netns, "route", "drop", why, says, packet)
    return End("dropped", netns, packet)


def reroute(journey: Journey, step: Reroute) -> Step:
    """What IPVS took at INPUT and turned passes OUTPUT, as if the machine had sent it."""
    here, packet = journey.host(step.netns), step.packet
    at = At(here, "INPUT", packet, step.tracked, in_device=step.dev)
    way = look_up(here, packet.dst, packet.src)
    return forward(journey, here, at, way, "OUTPUT")


def forward(journey: Journey, here: Host, at: At, way: Way | None, hook: Hook = "FORWARD") -> Step:
    """Forwarding: allowed at all? a way? time left? small enough? then FORWARD."""
    name, packet = here.netns.name, at.packet
    switch = FORWARDING[packet.dst.version]
    if not here.sysctl(switch):
        says = "The packet is for somebody else, and this machine does not forward."
        journey.hop(name, "route", "drop", f"{switch} = 0", says, packet, device=at.in_device)
        return End("dropped", name, packet)
    if packet.dst.is_multicast or packet.dst.is_link_local:
        says = f"{packet.dst} belongs to one segment only: it is not forwarded."
        journey.hop(name, "route", "drop", f"{packet.dst}", says, packet, device=at.in_device)
        return End("dropped", name, packet)
    if way is None:
        says = f"No route leads to {packet.dst}: its sender is told Network is unreachable."
        return complain(journey, at, "net-unreachable", "unreachable", no_row(packet), says)
    row = route_row(way.route)
    if way.route.kind == "blackhole":
        says = f"The route to {packet.dst} says: blackhole."
        journey.hop(name, "route", "drop", row, says, packet)
        return End("dropped", name, packet)
    if way.route.kind == "unreachable":
        says = f"The route to {packet.dst} says: unreachable."
        return complain(journey, at, "host-unreachable", "unreachable", row, says)
    if packet.ttl <= 1:
        says = "The packet's time to live is used up."
        return complain(journey, at, "time-exceeded", "ttl-exceeded", row, says)
    most = mtu(here, way)
    if packet.size > most and packet.dont_fragment:
        says = f"{packet.size} bytes do not fit {way.dev}, which takes {most}."
        return complain(journey, at, "fragmentation-needed", "too-big", row, says, most)
    at.packet = replace(packet, ttl=packet.ttl - 1)
    way = drawn(journey, here, way, packet)
    tell_route(journey, name, way, packet, at.packet)
    device = at.in_device
    at.hook, at.out_device = hook, way.dev
    if hook == "OUTPUT":
        at.in_device = ""
    end = cross(journey, at)
    if end is not None:
        return end
    return Leave(name, at.packet, way, at.tracked, device)


def drawn(journey: Journey, here: Host, way: Way, packet: Packet) -> Way:
    """A forwarded connection's way, if several are equal and ports count: each as likely.

    Source: `fib_multipath_hash_policy` in Linux Documentation/networking/ip-sysctl.rst.
    """
    hops = tuple(hop for hop in way.route.nexthops for _ in range(hop.weight) if hop.via)
    if not hops or not here.sysctl(HASH_POLICY):
        return way
    equal = RandomDnat(tuple(Dnat(hop.via, i) for i, hop in enumerate(hops) if hop.via))
    chain = Chain(name=str(way.route.prefix), rules=(Rule((), equal),))
    table = Table(name=EQUAL_WAYS, chains={chain.name: chain}, tool="nft")
    seen = Seen(here, packet, int(packet.src), int(packet.dst), packet.protocol.lower())
    target = journey.decide(table, chain, seen, packet.mark).target
    assert isinstance(target, Dnat)
    chosen = hops[target.port or 0]
    return replace(way, dev=chosen.dev, via=chosen.via)


FORWARDING: Mapping[int, str] = {4: "net.ipv4.ip_forward", 6: "net.ipv6.conf.all.forwarding"}


def complain(
    journey: Journey,
    at: At,
    kind: IcmpKind,
    outcome: Outcome,
    why: str,
    says: str,
    most: int = 0,
) -> End:
    """The packet ends here, and an ICMP error tells its sender why."""
    name, packet = at.here.netns.name, at.packet
    journey.hop(name, "route", "reject", why, says, packet)
    remember_refused(journey, at)
    return End(outcome, name, packet, icmp_error(at.here, packet, kind, most))


def mtu(here: Host, way: Way) -> int:
    """Bytes that a packet may have on this way."""
    return way.route.mtu or here.links[way.dev].mtu


NEXT: Mapping[type, Callable[[Journey, Any], Step]] = {
    Connect: connect,
    Send: send,
    Leave: leave,
    Transmit: transmit,
    Arrive: arrive,
    Bridge: bridge,
    Input: take_in,
    Deliver: deliver,
    Reroute: reroute,
}
