"""`ip route add|replace|change|del`: a route typed by hand, which `lab.undo()` takes back.

What is typed stays as an edit of the network, as a fault does, until somebody undoes it. A
reboot of the machine, which would forget it in life, does not exist here.

Source: iproute2 `ip/iproute.c`; fib_check_nh and fib_table_insert in Linux net/ipv4; every
message was printed by a real kernel.
"""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import AddressValueError, IPv4Address, IPv4Network
from typing import Literal, NamedTuple

from msgspec.structs import replace

from labkit.commands.output import Output
from labkit.commands.terminal import Terminal
from labkit.errors import CommandError
from labkit.kernel.netns import Netns
from labkit.kernel.routes import Route
from labkit.traffic.faults import Fault

ACTIONS = {"add": "add", "replace": "replace", "change": "change", "del": "del", "delete": "del"}
KINDS: dict[str, Literal["unicast", "blackhole", "unreachable"]] = {
    "unicast": "unicast",
    "blackhole": "blackhole",
    "unreachable": "unreachable",
}
NOT_MODELLED = {"src", "table", "scope", "mtu", "nexthop", "weight", "nhid", "encap", "tos"}


class Refused(Exception):
    """What ip or the kernel says instead of doing it."""

    def __init__(self, says: str, code: int = 2) -> None:
        super().__init__(says)
        self.output = Output(says, code)


class Line(NamedTuple):
    """What stands behind `ip route add`; an empty `dev` and a `via` None were not typed."""

    prefix: IPv4Network
    via: IPv4Address | None = None
    dev: str = ""
    metric: int | None = None
    proto: str = ""
    onlink: bool = False
    kind: Literal["unicast", "blackhole", "unreachable"] = "unicast"


def edit(terminal: Terminal, action: str, words: list[str]) -> Output:
    """Change a machine's main table; prints nothing if that went well.

    Raises:
        CommandError: a word that the lab does not model.
    """
    try:
        line = parsed(words)
        if terminal.spot.pod is not None:  # pods lack the capability NET_ADMIN
            raise Refused("RTNETLINK answers: Operation not permitted")
        fault = _fault(terminal, ACTIONS[action], line, words)
    except Refused as refused:
        return refused.output
    terminal.lab.inject(fault)
    return Output()


def _fault(terminal: Terminal, action: str, line: Line, words: list[str]) -> Fault:
    """The edit, tried once on the table as it is now."""
    if action == "del":
        gone = _to_delete(terminal.netns, line)

        def change(netns: Netns) -> Netns:
            return replace(netns, routes=tuple(r for r in netns.routes if r != gone))
    else:
        route = _route(terminal.netns, line)
        _may_stand(terminal.netns, route, action)

        def change(netns: Netns) -> Netns:
            others = tuple(r for r in netns.routes if not _same_place(r, route))
            return replace(netns, routes=(*others, route))

    name = f"{terminal.netns.title}: ip route {action} {' '.join(words)}"
    return Fault(name=name, place=terminal.spot.netns, change=change)


# --- the line --------------------------------------------------------------------------------


def parsed(words: list[str]) -> Line:
    """The line's words as values; Refused as iproute2 refuses."""
    left = iter(words)
    line: Line | None = None
    kind = KINDS["unicast"]
    for word in left:
        if word in KINDS:
            kind = KINDS[word]
        elif word in NOT_MODELLED:
            raise CommandError(f"ip route: the lab does not model `{word}`; leave it out")
        elif line is None:
            line = Line(_prefix(_next(left) if word == "to" else word), kind=kind)
        else:
            line = _with(line, word, left)
    if line is None:
        raise CommandError("ip route: say which range, for example 10.244.9.0/24")
    return line


def _with(line: Line, word: str, left: Iterator[str]) -> Line:
    match word:
        case "via" if line.via is not None:
            raise Refused(
                'Error: argument "via" is wrong: use nexthop syntax to specify multiple via', 255
            )
        case "via":
            return line._replace(via=_gateway(_next(left)))
        case "dev":
            return line._replace(dev=_next(left))
        case "metric" | "preference":
            return line._replace(metric=_number(_next(left)))
        case "proto" | "protocol":
            proto = _next(left)
            return line._replace(proto="" if proto == "boot" else proto)
        case "onlink":
            return line._replace(onlink=True)
    raise Refused(f'Error: either "to" is duplicate, or "{word}" is a garbage.', 255)


def _next(left: Iterator[str]) -> str:
    word = next(left, None)
    if word is None:
        raise Refused('Command line is not complete. Try option "help"', 255)
    return word


def _prefix(text: str) -> IPv4Network:
    """A prefix; without a length it is one address, and missing numbers are zeros."""
    if text == "default":
        return IPv4Network("0.0.0.0/0")
    if ":" in text:
        raise CommandError(f"ip route: the lab edits IPv4 routes only; leave out {text}")
    address, slash, length = text.partition("/")
    try:
        start = IPv4Address(".".join([*address.split("."), "0", "0", "0"][:4]))
        size = int(length) if slash else 32
    except (AddressValueError, ValueError):
        size = -1
    if not 0 <= size <= 32:
        raise Refused(f'Error: any valid prefix is expected rather than "{text}".', 1)
    try:
        return IPv4Network((int(start), size))
    except ValueError:
        raise Refused("Error: Invalid prefix for given prefix length.") from None


def _gateway(text: str) -> IPv4Address:
    try:
        return IPv4Address(text)
    except AddressValueError:
        raise Refused(f'Error: inet address is expected rather than "{text}".', 1) from None


def _number(text: str) -> int:
    if not text.isdigit():
        raise Refused(f'Error: argument "{text}" is wrong: "metric" value is invalid', 255)
    return int(text)


# --- the kernel's part -------------------------------------------------------------------------


def _route(netns: Netns, line: Line) -> Route:
    """The route that the line asks for, its device found if only `via` was typed."""
    dev = _device(netns, line) if line.kind == "unicast" else ""
    return Route(
        prefix=line.prefix,
        via=line.via,
        dev=dev,
        metric=line.metric or 0,
        proto=line.proto,
        onlink=line.onlink,
        scope="link" if line.kind == "unicast" and line.via is None else "global",
        kind=line.kind,
    )


def _device(netns: Netns, line: Line) -> str:
    links = {link.name: link for link in netns.links}
    if line.dev and line.dev not in links:
        raise Refused(f'Cannot find device "{line.dev}"', 1)
    if not line.dev and line.via is None:
        raise Refused("RTNETLINK answers: No such device")
    if line.dev and not links[line.dev].up:
        raise Refused("Error: Device for nexthop is not up.")
    if line.via is None or (line.onlink and line.dev):
        return line.dev
    found = _cable_towards(netns, line.via, line.dev)
    if found is None:
        raise Refused("Error: Nexthop has invalid gateway.")
    return found


def _cable_towards(netns: Netns, via: IPv4Address, dev: str) -> str | None:
    """The device on whose cable a next hop is; a route by way of another machine is no cable."""
    own = [link.name for link in netns.links if any(a.ip == via for a in link.addresses)]
    if own:
        return own[0] if dev in ("", own[0]) else None
    up = {link.name for link in netns.links if link.up}
    near = [
        r
        for r in netns.routes
        if r.via is None and r.dev in up and dev in ("", r.dev) and via in r.prefix
    ]
    if not near:
        return None
    best = max(near, key=lambda r: r.prefix.prefixlen)
    broadcast = best.prefix.prefixlen < 31 and via == best.prefix.broadcast_address
    return None if broadcast else best.dev


def _same_place(one: Route, other: Route) -> bool:
    return one.prefix == other.prefix and one.metric == other.metric


def _may_stand(netns: Netns, route: Route, action: str) -> None:
    there = any(_same_place(r, route) for r in netns.routes)
    if action == "add" and there:
        raise Refused("RTNETLINK answers: File exists")
    if action == "change" and not there:
        raise Refused("RTNETLINK answers: No such file or directory")


def _to_delete(netns: Netns, line: Line) -> Route:
    """The first route that fits all that was typed."""
    if line.dev and all(link.name != line.dev for link in netns.links):
        raise Refused(f'Cannot find device "{line.dev}"', 1)
    for route in sorted(netns.routes, key=lambda r: r.metric):
        if (
            route.prefix == line.prefix
            and line.via in (None, route.via)
            and line.dev in ("", route.dev)
            and line.metric in (None, route.metric)
        ):
            return route
    raise Refused("RTNETLINK answers: No such process")
