"""What the model expects of a flow, in the words in which the real network answers."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable
from fractions import Fraction
from ipaddress import ip_address

import msgspec

from labkit.kernel.dice import FirstDice
from labkit.kernel.netns import Network
from labkit.kernel.outcomes import outcomes
from labkit.kernel.packet import Icmp, Packet
from labkit.kernel.trace import Trace
from labkit.kernel.walk import source_address, walk

Seen = tuple  # ("answered", namespace, address seen, TTL on arrival) or (one word,)
WORDS = {
    "port-unreachable": "refused",
    "host-unreachable": "unreachable",
    "net-unreachable": "unreachable",
    "fragmentation-needed": "too-big",
}


class Flow(msgspec.Struct, frozen=True):
    """A client's question: from a namespace to an address and a port."""

    start: str
    address: str
    port: int
    protocol: str = "TCP"

    def __str__(self) -> str:
        return f"{self.start} -> {self.address}:{self.port}/{self.protocol}"


def first_packet(network: Network, flow: Flow, sport: int = 45678, **more) -> Packet | None:
    """None where the machine itself says that the network is unreachable."""
    dst = ip_address(flow.address)
    src = source_address(network, flow.start, dst)
    if src is None:
        return None
    if flow.protocol == "ICMP":
        icmp = Icmp("echo-request")
        return Packet(src=src, dst=dst, protocol="ICMP", sport=7, icmp=icmp, **more)
    flags = "SYN" if flow.protocol == "TCP" else ""
    return Packet(
        src=src, dst=dst, protocol=flow.protocol, sport=sport, dport=flow.port, flags=flags, **more
    )


def expected(network: Network, flow: Flow, **more) -> dict[Seen, Fraction]:
    """Every outcome that the client may see, with its chance."""
    packet = first_packet(network, flow, **more)
    if packet is None:
        return {("unreachable",): Fraction(1)}
    found: dict[Seen, Fraction] = {}
    for chance, trace in outcomes(network, flow.start, packet):
        seen = verdict(network, flow.start, trace)
        found[seen] = found.get(seen, Fraction(0)) + chance
    return found


def verdict(network: Network, start: str, trace: Trace) -> Seen:
    """What the client hears of a packet's end."""
    if trace.answer is None:
        told = trace.end == start and trace.outcome in ("unreachable", "too-big")
        return (trace.outcome if told else "timed out",)
    reply = walk(network, trace.end, trace.answer, FirstDice(), trace.conntrack)
    if reply.outcome != "delivered":
        return ("timed out",)
    answer = trace.answer
    if answer.icmp is not None and answer.icmp.about is not None:
        if trace.packet.protocol == "UDP" and WORDS.get(answer.icmp.kind) == "unreachable":
            return ("timed out",)  # a UDP socket is told of no error that may pass
        return (WORDS.get(answer.icmp.kind, answer.icmp.kind),)
    if answer.flags == "RST":
        return ("refused",)
    return ("answered", trace.end, str(trace.packet.src), trace.packet.ttl)


def complaints(want: dict[Seen, Fraction], got: Counter) -> list[str]:
    """Where the real network contradicts the model: the impossible, and odds far off."""
    found = [f"{seen} happened, the model excludes it" for seen in got if not want.get(seen)]
    if found:
        return found
    far = surprise(want, got)
    if far > bearable(len(want) - 1):
        found.append(f"odds {dict(got)} against {want}, G = {far:.1f}")
    return found


def contradictions(want: dict[Seen, Fraction], ask: Callable[[], Counter]) -> list[str]:
    """The complaints about what `ask` hears; odds must be far off twice in a row.

    Of some ten thousand right answers one is as odd as that by chance, and the suite asks
    for thousands: a wrong model is as far off the second time.
    """
    found = complaints(want, ask())
    return complaints(want, ask()) if found and found[0].startswith("odds") else found


def surprise(want: dict[Seen, Fraction], got: Counter) -> float:
    """G of the likelihood-ratio test: how ill the odds explain what was counted."""
    total = sum(got.values())
    return 2 * sum(n * math.log(n / (total * float(want[seen]))) for seen, n in got.items() if n)


def bearable(freedom: int) -> float:
    """The largest surprise that chance may bring, six deviations above the mean and some."""
    return freedom + 6 * math.sqrt(2 * max(freedom, 1)) + 6
