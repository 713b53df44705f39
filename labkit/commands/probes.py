"""Programs that send packets: ping, nc, traceroute.

Each try is a connection of the lab, so that `conntrack -L` and `tcpdump` show it afterwards.
*The lab simplifies*: the network has no delays, so times are left out where a program prints
the time of an answer.
"""

from __future__ import annotations

import msgspec

from labkit.commands.output import Output
from labkit.commands.terminal import (
    Named,
    Program,
    Terminal,
    Unknown,
    connect,
    look_up,
    options,
    told,
    unreachable,
    whole,
)
from labkit.errors import CommandError
from labkit.kernel.dice import SeededDice
from labkit.kernel.packet import Icmp, Packet, Protocol
from labkit.kernel.walk import source_address
from labkit.traffic.connect import Medium
from labkit.traffic.connection import Connection

# --- ping ------------------------------------------------------------------------------

MOST_PINGS = 100
PINGS = 4  # without -c, where ping goes on for ever
COMPLAINTS = {
    "port-unreachable": "Destination Port Unreachable",
    "host-unreachable": "Destination Host Unreachable",
    "net-unreachable": "Destination Net Unreachable",
    "admin-prohibited": "Packet filtered",
    "time-exceeded": "Time to live exceeded",
}


def ping(terminal: Terminal, words: list[str]) -> Output:
    """`ping [-c COUNT] HOST`; without -c it sends 4."""
    try:
        flags, rest = options(words, "nq46", ("-c", "-W", "-w", "-i"))
        count = whole(flags.get("-c", str(PINGS)))
    except Unknown:
        raise CommandError(f"ping {' '.join(words)}: the lab models ping [-c COUNT] HOST") from None
    if not 1 <= count <= MOST_PINGS:
        raise CommandError(f"ping -c {count}: the lab sends 1 to {MOST_PINGS} packets")
    if len(rest) != 1:
        return Output("ping: usage error: Destination address required", 2)
    to = look_up(terminal, rest[0])
    if to is None:
        return Output(f"ping: {rest[0]}: Name or service not known", 2)
    lines = [f"PING {rest[0]} ({to.address}) 56(84) bytes of data."]
    received = errors = 0
    for number in range(1, count + 1):
        try:
            line, good = _pinged(connect(terminal, to, None, "ICMP"), number)
        except _Unreachable:
            return told(to, ["ping: connect: Network is unreachable"], 2)
        lines += [line] if line else []
        received += good
        errors += bool(line) and not good
    lost = 100 * (count - received) // count if count else 0
    more = f", +{errors} errors" if errors else ""
    lines += ["", f"--- {rest[0]} ping statistics ---"]
    lines += [f"{count} packets transmitted, {received} received{more}, {lost}% packet loss"]
    return told(to, lines, 0 if received else 1)


class _Unreachable(Exception):
    """No route: the packet did not leave the client."""


def _pinged(connection: Connection, number: int) -> tuple[str, bool]:
    """What ping prints for one try ("" for silence), and whether it was answered."""
    if connection.outcome == "unreachable" and connection.reply is None:
        raise _Unreachable
    came = came_back(connection)
    if came is None or came.icmp is None:
        return "", False
    if connection:
        return f"64 bytes from {came.src}: icmp_seq={number} ttl={came.ttl}", True
    text = COMPLAINTS.get(came.icmp.kind, "")
    if came.icmp.kind == "fragmentation-needed":
        text = f"Frag needed and DF set (mtu = {came.icmp.mtu})"
    return f"From {came.src} icmp_seq={number} {text}", False


def came_back(connection: Connection) -> Packet | None:
    """The packet that reached the client again; None after silence."""
    reply, client = connection.reply, connection.request.hops[0].netns
    if reply is None or reply.outcome != "delivered" or reply.end != client:
        return None
    return reply.packet


# --- nc --------------------------------------------------------------------------------

SERVICES = {22: "ssh", 53: "domain", 80: "http", 443: "https", 5432: "postgresql", 8080: "http-alt"}


def nc(terminal: Terminal, words: list[str]) -> Output:
    """`nc [-z] [-v] [-u] [-w SECONDS] HOST PORT`, as OpenBSD's netcat prints it."""
    try:
        flags, rest = options(words, "zvun46", ("-w",))
    except Unknown as unknown:
        raise CommandError(f"nc {unknown}: the lab models nc -zv [-u] [-w S] HOST PORT") from None
    port = whole(rest[1]) if len(rest) == 2 else 0
    if not 0 < port < 65536:
        raise CommandError(f"nc {' '.join(words)}: write nc -zv HOST PORT")
    name = rest[0]
    protocol: Protocol = "UDP" if "-u" in flags else "TCP"
    to = look_up(terminal, name)
    if to is None:
        error = f'nc: getaddrinfo for host "{name}" port {port}: Name or service not known'
        return Output(error, 1)
    connection = connect(terminal, to, port, protocol)
    line, code = _nc_line(connection, name, port, "-w" in flags)
    return told(to, [line] if line and "-v" in flags else [], code)


def _nc_line(connection: Connection, name: str, port: int, limited: bool) -> tuple[str, int]:
    """netcat's line and exit code. For UDP silence counts as success: nobody refused."""
    protocol, outcome = connection.protocol.lower(), connection.outcome
    if outcome == "answered" or (protocol == "udp" and outcome == "timed out"):
        service = f"{protocol}/{SERVICES.get(port, '*')}"
        return f"Connection to {name} {port} port [{service}] succeeded!", 0
    if protocol == "udp" and outcome == "refused":
        return "", 1
    if outcome == "timed out" and limited:
        return (
            f"nc: connect to {name} port {port} ({protocol}) timed out: Operation now in progress",
            1,
        )
    why = {
        "refused": "Connection refused",
        "timed out": "Connection timed out",
        "unreachable": unreachable(connection),
    }[outcome]
    return f"nc: connect to {name} port {port} ({protocol}) failed: {why}", 1


# --- traceroute ------------------------------------------------------------------------

FIRST_PROBE = 33434
FLAGS = {"net-unreachable": " !N", "host-unreachable": " !H", "admin-prohibited": " !X"}


def traceroute(terminal: Terminal, words: list[str]) -> Output:
    """`traceroute [-I] [-m HOPS] HOST`: who answers when a packet's TTL runs out.

    *The lab simplifies*: one probe for each hop, and no names; where nobody answers it prints
    the usual three stars.
    """
    try:
        flags, rest = options(words, "nI4", ("-m", "-q", "-w"))
        most = whole(flags.get("-m", "30"))
    except Unknown:
        text = " ".join(words)
        raise CommandError(f"traceroute {text}: the lab models -n, -I and -m HOPS") from None
    if not 1 <= most <= 255:
        return Output("max hops cannot be more than 255", 2)
    if len(rest) != 1:
        raise CommandError("traceroute: write traceroute HOST")
    to = look_up(terminal, rest[0])
    if to is None:
        return Output(f"{rest[0]}: Name or service not known", 2)
    lines = [f"traceroute to {rest[0]} ({to.address}), {most} hops max, 60 byte packets"]
    for number in range(1, most + 1):
        came = _probe(terminal, to, number, "-I" in flags)
        if came == "unreachable":
            return told(to, [*lines, "connect: Network is unreachable"], 1)
        if not isinstance(came, Packet) or came.icmp is None:
            lines.append(f"{number:2}  * * *")
            continue
        lines.append(f"{number:2}  {came.src}{FLAGS.get(came.icmp.kind, '')}")
        if came.icmp.kind != "time-exceeded":
            break
    return told(to, lines)


def _probe(terminal: Terminal, to: Named, ttl: int, icmp: bool) -> Packet | str:
    """What comes back for a packet with this TTL; "" for silence."""
    lab, network, start = terminal.lab, terminal.network, terminal.spot.netns
    src = source_address(network, start, to.address)
    if src is None:
        return "unreachable"
    packet = Packet(src=src, dst=to.address, protocol="ICMP", ttl=ttl, icmp=Icmp("echo-request"))
    if not icmp:
        packet = msgspec.structs.replace(
            packet, protocol="UDP", icmp=None, sport=FIRST_PROBE, dport=FIRST_PROBE + ttl - 1
        )
    medium = Medium(network, SeededDice(lab.seed), lab.state.now)
    request, reply = medium.exchange(start, packet, lab.conntrack)
    if request.outcome == "unreachable" and request.end == start and reply is None:
        return "unreachable"
    arrived = reply is not None and reply.outcome == "delivered" and reply.end == start
    return reply.packet if reply is not None and arrived else ""


PROBES: dict[str, Program] = {"ping": ping, "nc": nc, "traceroute": traceroute}
