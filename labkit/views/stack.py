"""One packet's headers, to scale in bytes, over the whole packet on an MTU ruler."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from labkit.kernel.packet import ETHERNET, IP_HEADER, TRANSPORT_HEADER, VXLAN_HEADER, Packet
from labkit.views.svg import WIDTH, el, line, rect, text
from labkit.views.theme import FILL

HEIGHT = 150  # px, of every stack
SYN_HEADER = 40  # bytes: an opening TCP segment offers more options than later ones
EDGE = 12  # px left free at both ends


class Header(msgspec.Struct, frozen=True):
    name: str
    size: int  # bytes
    source: str = ""
    destination: str = ""
    outer: bool = False


class Scale(msgspec.Struct, frozen=True):
    """How bytes become px, one scale for all frames of a stepper so that nothing jumps.

    Headers end at `right`: wrapping adds in front and nothing that was there moves.
    """

    byte: float = 5.2
    right: float = 618.0
    span: int = 1540  # bytes on the ruler

    @property
    def ruler(self) -> float:
        return (WIDTH - 2 * EDGE) / self.span


def scale_for(packets: Iterable[Packet], mtus: Iterable[int]) -> Scale:
    """The scale in which the largest of the packets still fits."""
    known = tuple(packets)
    right = 618.0 if any(payload(p) for p in known) else 648.0
    most = max((sum(h.size for h in headers(p)) for p in known), default=0)
    span = max([1500, *mtus, *(p.size for p in known)])
    byte = min(5.2, (right - EDGE / 4) / most) if most else 5.2
    return Scale(byte, right, int(span * 1.027))


def headers(packet: Packet, *, outer: bool = False) -> tuple[Header, ...]:
    """The headers on the wire, outermost first; they and the payload sum to the frame's bytes."""
    ip = IP_HEADER[packet.src.version]
    first = (
        Header("Ethernet", ETHERNET, outer=outer or wrapped(packet)),
        Header("IP", ip, str(packet.src), str(packet.dst), wrapped(packet)),
    )
    if packet.inner is not None:
        tunnel = Header("VXLAN", VXLAN_HEADER, f"id {packet.vni}", outer=True)
        return (*first, _transport(packet), tunnel, *headers(packet.inner))
    return (*first, _transport(packet))


def wrapped(packet: Packet) -> bool:
    return packet.inner is not None


def _transport(packet: Packet) -> Header:
    size = TRANSPORT_HEADER[packet.protocol]
    if packet.protocol == "TCP" and "SYN" in packet.flags:
        size = SYN_HEADER
    room = packet.size - IP_HEADER[packet.src.version]
    if packet.protocol == "ICMP":
        kind = packet.icmp.kind if packet.icmp else ""
        return Header("ICMP", min(size, room), kind)
    ends = ("", str(packet.dport)) if wrapped(packet) else (str(packet.sport), str(packet.dport))
    return Header(packet.protocol, min(size, room), *ends, wrapped(packet))


def payload(packet: Packet) -> int:
    """Bytes that no header claims."""
    inside = packet.inner or packet
    return max(inside.size + ETHERNET - sum(h.size for h in headers(inside)), 0)


def total(packet: Packet) -> int:
    """Bytes of the IP packet: what an MTU limits. The first Ethernet header does not count."""
    return sum(h.size for h in headers(packet)) - ETHERNET + payload(packet)


def caption(packet: Packet, mtu: int | None) -> str:
    """The stack in words, for its name and for the twin."""
    names = ", ".join(f"{h.name} {h.size}" for h in headers(packet))
    fits = ""
    if mtu:
        fits = f"; the link's MTU is {mtu}: {'too big' if total(packet) > mtu else 'fits'}"
    return f"Bytes: {names}, payload {payload(packet)}. IP packet {total(packet)} bytes{fits}."


def stack(packet: Packet, mtu: int | None, scale: Scale, changed: frozenset[str]) -> str:
    """The SVG of one packet; `changed` names values to be marked as rewritten at this hop."""
    x, parts = scale.right, []
    for header in reversed(headers(packet)):
        width = header.size * scale.byte
        x -= width
        parts.append(_header(x, width, header, changed))
    parts.append(_payload(packet, scale))
    if packet.inner:
        edge = scale.right - sum(h.size for h in headers(packet.inner)) * scale.byte
        added = total(packet) - packet.inner.size
        parts.append(_bracket(x, edge - 3, f"outside: node to node, {added} bytes more", "wrap"))
        parts.append(_bracket(edge, WIDTH - EDGE, "inside: pod to pod, untouched", "soft"))
    parts.append(_ruler(packet, mtu, scale))
    return el("svg", *parts, xmlns="http://www.w3.org/2000/svg", role="img",
              aria_label=caption(packet, mtu), viewBox=f"0 0 {WIDTH} {HEIGHT}", width=WIDTH,
              height=HEIGHT)  # fmt: skip


def _header(x: float, w: float, header: Header, changed: frozenset[str]) -> str:
    fill, stroke = ("wrap-tint", "wrap") if header.outer else ("wash", "line")
    left = 5 if w > 50 else 3
    parts = [
        rect(x + 0.5, 24, w - 1.5, 62, fill, stroke, rx=2),
        text(x + left, 38, header.name, "b t", style=None if w > 50 else "font-size:9.5px"),
        text(x + left, 51, f"{header.size} B", "s t"),
    ]
    ends = [(e, "→ " * (i == 1 and bool(header.source)))
            for i, e in enumerate((header.source, header.destination)) if e]  # fmt: skip
    for i, (value, arrow) in enumerate(ends):
        y = 66 + 13 * i if len(ends) > 1 else 72
        hot = value in changed
        if hot:
            parts.append(rect(x + 3, y - 10.5, w - 7, 13, "edit-tint"))
            parts.append(line(f"M{x + 3:.1f} {y + 3}h{w - 7:.1f}", "edit", 2))
        size = min(10.5, (w - left - 3) / (0.602 * len(arrow + value)))
        style = None if size == 10.5 else f"font-size:{size:.1f}px"
        parts.append(text(x + left, y, arrow + value, "m t" + " b" * hot, style=style))
    return "".join(parts)


def _payload(packet: Packet, scale: Scale) -> str:
    x, end, size = scale.right, WIDTH - EDGE, payload(packet)
    if not size:
        return text(x + 7, 51, "no payload", "s t", style="font-size:9.5px")
    torn = f"M{x + 0.5} 24.5H{end}l-6 10l6 10l-6 10l6 10l-6 10l6 11.5H{x + 0.5}z"
    shape = el("path", d=torn, fill=FILL["wash"], stroke=FILL["line"])
    cut = ", cut" if size * scale.byte > end - x else ""
    return shape + text(x + 8, 39, "payload", "b x") + text(x + 8, 52, f"{size} B{cut}", "s t")


def _bracket(x0: float, x1: float, words: str, colour: str) -> str:
    cls = "x wrap" if colour == "wrap" else "x s"
    return line(f"M{x0:.1f} 20v-5H{x1:.1f}v5", colour, 1.5) + text(x0 + 2, 10.5, words, cls)


def _ruler(packet: Packet, mtu: int | None, scale: Scale) -> str:
    """The same packet whole, from the first byte that counts against the MTU."""
    px, y, size = scale.ruler, 118, total(packet)
    head = size - payload(packet)
    parts = [
        rect(EDGE, y - 9, head * px, 14, "wrap" if packet.inner else "line"),
        rect(EDGE + head * px, y - 9, payload(packet) * px, 14, "wash", "line"),
        line(f"M{EDGE} {y + 12}H{WIDTH - EDGE}"),
    ]
    step = 500 if scale.span < 4000 else 2000
    for at in range(0, scale.span, step):
        if mtu and abs(at - mtu) * px < 90 and at < mtu:
            continue
        x = EDGE + at * px
        if at != mtu and x < WIDTH - 60:
            words = text(x, y + 29, str(at), "s x" + (" mid" if at else ""))
            parts.append(line(f"M{x:.1f} {y + 9}v6") + words)
    if mtu:
        limit = EDGE + mtu * px
        parts.append(line(f"M{limit:.1f} {y - 16}v34", "stop" if size > mtu else "ink", 2.5))
        parts.append(text(limit - 4, y + 29, f"MTU {mtu}", "b x end"))
    words = f"IP packet {size} bytes" + (
        f" of {mtu}: {'too big' if size > mtu else 'fits'}" if mtu else ""
    )
    if payload(packet) * px > 260:
        parts.append(text(EDGE + (head + payload(packet) / 2) * px, y + 2, words, "x mid"))
    else:
        parts.append(text(EDGE + size * px + 8, y + 2, words, "x"))
    return "".join(parts)
