"""`tcpdump`: the frames of the last connection, as they passed one device.

*The lab simplifies*: it replays what `lab.last` left behind instead of waiting for packets; times,
sequence numbers, windows and TCP options are not modelled and do not show.
"""

from __future__ import annotations

from collections.abc import Callable
from ipaddress import ip_address

from labkit.commands.output import Output
from labkit.commands.terminal import Terminal, Unknown, options, whole
from labkit.errors import CommandError
from labkit.kernel.packet import IP_HEADER, TRANSPORT_HEADER, Icmp, Packet
from labkit.kernel.trace import Frame

Test = Callable[[Packet], bool]


def tcpdump(terminal: Terminal, words: list[str]) -> Output:
    """`tcpdump -i DEV [-n] [FILTER]`; DEV may be `any`."""
    try:
        flags, rest = options(words, "nNtveqlUpDA", ("-i", "-c", "-s", "-T"))
    except Unknown as unknown:
        raise CommandError(f"tcpdump {unknown}: the lab models -i DEV, -n and -c COUNT") from None
    if flags.get("-T", "vxlan") != "vxlan":
        raise CommandError("tcpdump -T: the lab models -T vxlan")
    device, count = flags.get("-i", ""), flags.get("-c", "")
    if count and not whole(count):
        return Output(f"tcpdump: invalid packet count {count}", 1)
    names = [link.name for link in terminal.netns.links]
    if not device:
        raise CommandError(f"tcpdump: say on which device: -i any or {', '.join(names)}")
    if device not in (*names, "any"):
        error = f"tcpdump: {device}: No such device exists"
        return Output(f"{error}\n(SIOCGIFHWADDR: No such device)", 1)
    test = _filter(rest)
    last = terminal.lab.last
    if last is None:
        return Output("# nothing was sent yet: make a connection (lab.connect, curl, ping) first")
    frames = [
        frame
        for trace in last.traces
        for frame in trace.frames
        if frame.netns == terminal.spot.netns
        and device in (frame.device, "any")
        and test(frame.packet)
    ]
    frames = frames[: whole(count)] if count else frames
    lines = [f"# frames of the last connection: {last.heading}", _listening(device)]
    for frame in frames:
        lines += _frame_lines(frame, device, vxlan="-T" in flags)
    shown = f"{len(frames)} packet{'' if len(frames) == 1 else 's'}"
    lines += [f"{shown} captured", f"{shown} received by filter", "0 packets dropped by kernel"]
    return Output("\n".join(lines))


def _listening(device: str) -> str:
    kind = "LINUX_SLL2 (Linux cooked v2)" if device == "any" else "EN10MB (Ethernet)"
    return f"listening on {device}, link-type {kind}, snapshot length 262144 bytes"


def _frame_lines(frame: Frame, device: str, *, vxlan: bool) -> list[str]:
    way = f"{frame.device:<5} {frame.direction.capitalize():<3} " if device == "any" else ""
    first, *more = packet_lines(frame.packet, vxlan=vxlan)
    return [way + first, *more]


def packet_lines(packet: Packet, *, vxlan: bool = False) -> list[str]:
    """One line, and for a tunnel's packet those of the packet inside.

    tcpdump takes UDP port 8472, which Linux and flannel use for VXLAN, for OTV, a protocol
    with the same header, unless `-T vxlan` tells it better.
    """
    head = "IP6" if packet.src.version == 6 else "IP"
    if packet.protocol == "ICMP":
        ends = f"{head} {packet.src} > {packet.dst}"
    else:
        ends = f"{head} {packet.src}.{packet.sport} > {packet.dst}.{packet.dport}"
    return [f"{ends}: {_payload(packet, vxlan)}", *_inside(packet, vxlan)]


def _inside(packet: Packet, vxlan: bool) -> list[str]:
    return packet_lines(packet.inner, vxlan=vxlan) if packet.inner else []


TCP_FLAGS = {"SYN": "S", "FIN": "F", "RST": "R", "PSH": "P", "ACK": "."}


def _payload(packet: Packet, vxlan: bool) -> str:
    if packet.inner is not None and packet.vni is not None:
        if packet.dport == 8472 and not vxlan:
            return f"OTV, flags [I] (0x08), overlay 0, instance {packet.vni}"
        return f"VXLAN, flags [I] (0x08), vni {packet.vni}"
    length = packet.size - IP_HEADER[packet.src.version] - TRANSPORT_HEADER[packet.protocol]
    if packet.protocol == "TCP":
        letters = "".join(TCP_FLAGS[flag] for flag in packet.flags.split(",") if flag)
        empty = "SYN" in packet.flags or "RST" in packet.flags  # a SYN carries more options
        return f"Flags [{letters}], length {0 if empty else max(length, 0)}"
    if packet.icmp is not None:
        total = max(packet.size - IP_HEADER[packet.src.version], 0)
        return (
            f"{'ICMP6' if packet.src.version == 6 else 'ICMP'} {_icmp(packet.icmp)}, length {total}"
        )
    return f"{packet.protocol}, length {max(length, 0)}"


def _icmp(icmp: Icmp) -> str:
    about = icmp.about
    if icmp.kind in ("echo-request", "echo-reply"):
        return icmp.kind.replace("-", " ")
    if icmp.kind == "time-exceeded" or about is None:
        return "time exceeded in-transit"
    texts = {
        "port-unreachable": f"{about.dst} {about.protocol.lower()} port {about.dport} unreachable",
        "host-unreachable": f"host {about.dst} unreachable",
        "net-unreachable": f"net {about.dst} unreachable",
        "admin-prohibited": f"host {about.dst} unreachable - admin prohibited filter",
        "fragmentation-needed": f"{about.dst} unreachable - need to frag (mtu {icmp.mtu})",
    }
    return texts[icmp.kind]


# --- filters ---------------------------------------------------------------------------


def _filter(words: list[str]) -> Test:
    """`tcp port 80 and host 10.244.1.2`: protocols, hosts and ports, all of which must hold.

    As in life a filter sees the outer packet of a tunnel only.
    """
    left = [w for w in " ".join(words).split() if w != "and"]
    tests: list[Test] = []
    while left:
        ends = ("src", "dst")
        if left[0] in ends:
            ends = (left.pop(0),)  # type: ignore[assignment]  # one end in place of two
        word = left.pop(0) if left else ""
        if word in ("tcp", "udp", "icmp", "ip"):
            tests.append(lambda p, w=word: w in ("ip", p.protocol.lower()))  # type: ignore[misc]
        elif word in ("host", "port") and left:
            tests.append(_end_test(word, left.pop(0), ends))
        else:
            shown = " ".join(words)
            raise CommandError(
                f"tcpdump {shown}: the lab filters by tcp, udp, icmp, host X, port N"
            )
    return lambda packet: all(test(packet) for test in tests)


def _end_test(word: str, value: str, ends: tuple[str, ...]) -> Test:
    try:
        wanted = ip_address(value) if word == "host" else int(value[:9])
    except ValueError:
        raise CommandError(f"tcpdump {word} {value}: write an address or a number") from None
    names = [end if word == "host" else f"{end[0]}port" for end in ends]
    return lambda packet: any(getattr(packet, name) == wanted for name in names)
