"""Programs that send packets: ping, curl, nc, traceroute.

Each try is a connection of the lab, so that `conntrack -L` and `tcpdump` show it afterwards.
*The lab simplifies*: the network has no delays, so times are left out where a program prints
the time of an answer.
"""

from __future__ import annotations

import re

import msgspec

from labkit.api.core import Pod
from labkit.api.names import workload_of
from labkit.commands.output import Output
from labkit.commands.terminal import Named, Program, Terminal, Unknown, look_up, options
from labkit.errors import CommandError
from labkit.kernel.dice import SeededDice
from labkit.kernel.packet import Icmp, Packet, endpoint
from labkit.kernel.walk import source_address
from labkit.traffic.connect import Medium
from labkit.traffic.connection import Connection

SYN_TIMEOUT = 131_000
"""Milliseconds until Linux gives up a connection that nobody answers.

Source: `tcp_syn_retries` in Linux Documentation/networking/ip-sysctl.rst.
"""


def _connect(terminal: Terminal, to: Named, port: int | None, protocol: str) -> Connection:
    target = str(to.address) if port is None else endpoint(to.address, port)
    if terminal.spot.netns in ("router", "switch"):
        raise CommandError(f"{terminal.place}: start connections from a pod, a node or outside")
    place = terminal.place
    if terminal.spot.pod:
        place = f"pod/{terminal.spot.pod.namespace}/{terminal.spot.pod.name}"
    return terminal.lab.connect(place, target, protocol=protocol)


def _output(to: Named, lines: list[str], code: int = 0) -> Output:
    """The program's lines, below the one that says how the name was resolved."""
    return Output("\n".join([*([to.note] if to.note else []), *lines]), code)


# --- ping ------------------------------------------------------------------------------

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
        count = int(flags.get("-c", PINGS))
    except (Unknown, ValueError):
        raise CommandError(f"ping {' '.join(words)}: the lab models ping [-c COUNT] HOST") from None
    if len(rest) != 1:
        return Output("ping: usage error: Destination address required", 2)
    to = look_up(terminal, rest[0])
    if to is None:
        return Output(f"ping: {rest[0]}: Name or service not known", 2)
    lines = [f"PING {rest[0]} ({to.address}) 56(84) bytes of data."]
    received = errors = 0
    for number in range(1, count + 1):
        try:
            line, good = _pinged(_connect(terminal, to, None, "ICMP"), number)
        except _Unreachable:
            return _output(to, ["ping: connect: Network is unreachable"], 2)
        lines += [line] if line else []
        received += good
        errors += bool(line) and not good
    lost = 100 * (count - received) // count if count else 0
    more = f", +{errors} errors" if errors else ""
    lines += ["", f"--- {rest[0]} ping statistics ---"]
    lines += [f"{count} packets transmitted, {received} received{more}, {lost}% packet loss"]
    return _output(to, lines, 0 if received else 1)


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


# --- curl ------------------------------------------------------------------------------

CURL_VALUED = ("-m", "--max-time", "--connect-timeout", "-o", "-H", "-X", "-w", "--header")
CURL_LONG = {"--silent": "-s", "--show-error": "-S", "--verbose": "-v", "--insecure": "-k"}
URL = re.compile(r"(?:(https?)://)?(\[[^]]*\]|[^/:?#]+)(?::(\d+))?([/?#].*)?")


def curl(terminal: Terminal, words: list[str]) -> Output:
    """`curl [-s] [-v] [-m SECONDS] URL`.

    *The lab simplifies*: whoever accepts a connection answers with one line, which says who it
    is and which source address it saw; no HTTP is spoken, and no TLS.
    """
    words = [CURL_LONG.get(word, word) for word in words]
    try:
        flags, rest = options(words, "sSvkfL46Ig", CURL_VALUED)
    except Unknown as unknown:
        hint = "curl: try 'curl --help' or 'curl --manual' for more information"
        return Output(f"curl: option {unknown}: is unknown\n{hint}", 2)
    if len(rest) != 1:
        return Output("curl: (2) no URL specified", 2)
    found = URL.fullmatch(rest[0])
    if not found or not 0 < int(found[3] or 80) < 65536:
        return Output("curl: (3) URL rejected: Malformed input to a URL function", 3)
    scheme, name = found[1] or "http", found[2].strip("[]")
    port = int(found[3] or (443 if scheme == "https" else 80))
    to = look_up(terminal, name)
    if to is None:
        return Output(f"curl: (6) Could not resolve host: {name}", 6)
    connection = _connect(terminal, to, port, "TCP")
    lines = [f"*   Trying {endpoint(to.address, port)}..."] if "-v" in flags else []
    quiet = "-s" in flags and "-S" not in flags
    if not connection:
        text, code = _curl_failed(connection, name, port, flags)
        return _output(to, lines if quiet else [*lines, text], code)
    if "-v" in flags:
        lines.append(f"* Connected to {name} ({to.address}) port {port}")
    if scheme == "https":
        lines.append("# connected; the lab speaks no TLS, so it ends here")
    return _output(to, [*lines, greeting(terminal, connection)])


def _curl_failed(
    connection: Connection, name: str, port: int, flags: dict[str, str]
) -> tuple[str, int]:
    """curl's message and exit code."""
    if connection.outcome != "timed out":
        return (
            f"curl: (7) Failed to connect to {name} port {port} after 0 ms: "
            "Could not connect to server",
            7,
        )
    limit = flags.get("-m") or flags.get("--max-time")
    if limit:
        return f"curl: (28) Connection timed out after {_milliseconds(limit)} milliseconds", 28
    limit = flags.get("--connect-timeout")
    spent = _milliseconds(limit) if limit else SYN_TIMEOUT
    why = "Timeout was reached" if limit else "Could not connect to server"
    return f"curl: (28) Failed to connect to {name} port {port} after {spent} ms: {why}", 28


def _milliseconds(seconds: str) -> int:
    try:
        return int(float(seconds) * 1000)
    except ValueError:
        raise CommandError(f"curl: {seconds} is no number of seconds") from None


def greeting(terminal: Terminal, connection: Connection) -> str:
    """`hello from backend (default/backend-5d4...), you are 10.244.1.2`."""
    end, saw = connection.request.end, connection.request.packet
    kind, _, rest = end.partition("/")
    name, full = rest or end, ""
    if kind == "pod":
        namespace, _, pod_name = rest.partition("/")
        pod = terminal.lab.state.get(Pod, pod_name, namespace)
        name = workload_of(terminal.lab.state, pod) if pod else pod_name
        full = f" ({rest})"
    else:
        sockets = terminal.network.namespaces[end].sockets
        owners = [s.owner for s in sockets if (s.protocol, s.port) == (saw.protocol, saw.dport)]
        full = f" ({owners[0]})" if owners and owners[0] else ""
    return f"hello from {name}{full}, you are {saw.src}"


# --- nc --------------------------------------------------------------------------------

SERVICES = {22: "ssh", 53: "domain", 80: "http", 443: "https", 5432: "postgresql", 8080: "http-alt"}


def nc(terminal: Terminal, words: list[str]) -> Output:
    """`nc [-z] [-v] [-u] [-w SECONDS] HOST PORT`, as OpenBSD's netcat prints it."""
    try:
        flags, rest = options(words, "zvun46", ("-w",))
    except Unknown as unknown:
        raise CommandError(f"nc {unknown}: the lab models nc -zv [-u] [-w S] HOST PORT") from None
    if len(rest) != 2 or not rest[1].isdigit() or not 0 < int(rest[1]) < 65536:
        raise CommandError(f"nc {' '.join(words)}: write nc -zv HOST PORT")
    name, port = rest[0], int(rest[1])
    protocol = "UDP" if "-u" in flags else "TCP"
    to = look_up(terminal, name)
    if to is None:
        error = f'nc: getaddrinfo for host "{name}" port {port}: Name or service not known'
        return Output(error, 1)
    connection = _connect(terminal, to, port, protocol)
    told, code = _nc_told(connection, name, port, "-w" in flags)
    return _output(to, [told] if told and "-v" in flags else [], code)


def _nc_told(connection: Connection, name: str, port: int, limited: bool) -> tuple[str, int]:
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
    local = connection.reply is None
    why = {
        "refused": "Connection refused",
        "timed out": "Connection timed out",
        "unreachable": "Network is unreachable" if local else "No route to host",
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
        most = int(flags.get("-m", 30))
    except (Unknown, ValueError):
        text = " ".join(words)
        raise CommandError(f"traceroute {text}: the lab models -n, -I and -m HOPS") from None
    if len(rest) != 1:
        raise CommandError("traceroute: write traceroute HOST")
    to = look_up(terminal, rest[0])
    if to is None:
        return Output(f"{rest[0]}: Name or service not known", 2)
    lines = [f"traceroute to {rest[0]} ({to.address}), {most} hops max, 60 byte packets"]
    for number in range(1, most + 1):
        came = _probe(terminal, to, number, "-I" in flags)
        if came == "unreachable":
            return _output(to, [*lines, "connect: Network is unreachable"], 1)
        if not isinstance(came, Packet) or came.icmp is None:
            lines.append(f"{number:2}  * * *")
            continue
        lines.append(f"{number:2}  {came.src}{FLAGS.get(came.icmp.kind, '')}")
        if came.icmp.kind != "time-exceeded":
            break
    return _output(to, lines)


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


PROBES: dict[str, Program] = {"ping": ping, "curl": curl, "nc": nc, "traceroute": traceroute}
