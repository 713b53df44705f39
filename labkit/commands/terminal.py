"""Where a command runs: the lab, the place, and that place's network namespace."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from ipaddress import ip_address
from typing import TYPE_CHECKING, NamedTuple

from labkit.api.core import Node
from labkit.commands.output import Output
from labkit.dns.message import address_text
from labkit.errors import CommandError
from labkit.kernel.netns import Netns, Network
from labkit.kernel.packet import Address, Protocol, endpoint
from labkit.traffic.connection import Connection
from labkit.traffic.places import Spot, resolve_target

if TYPE_CHECKING:
    from labkit.cluster import Cluster


class Terminal(NamedTuple):
    """A prompt in one namespace; `place` is how the learner called it."""

    lab: Cluster
    place: str
    spot: Spot

    @property
    def network(self) -> Network:
        return self.lab.network

    @property
    def netns(self) -> Netns:
        return self.network.namespaces[self.spot.netns]

    @property
    def full_place(self) -> str:
        """The place with its namespace, which the lab's own may change."""
        pod = self.spot.pod
        return f"pod/{pod.namespace}/{pod.name}" if pod else self.place


Program = Callable[[Terminal, list[str]], Output]


class Named(NamedTuple):
    """An address that a name stands for, and the line that says by which rule.

    `canonical` is the last name of the look-up, behind all aliases.
    """

    address: Address
    note: str = ""
    canonical: str = ""


def look_up(terminal: Terminal, name: str) -> Named | None:
    """The address that the C library finds for a name; None if there is none.

    `outside` and the names of nodes are words of the lab, not of DNS: they mean the addresses
    of those machines, and a line above the output says so.
    """
    if not all(0 < len(label) < 64 for label in name.removesuffix(".").split(".")):
        return None
    state = terminal.lab.state
    if name == "outside" or state.get(Node, name):
        word = name if name == "outside" else f"node/{name}"
        address = resolve_target(state, word, protocol="ICMP").address
        return Named(address, f"# {name} is {address}: a word of the lab, no name in DNS")
    if terminal.spot.netns in ("router", "switch", "lb"):
        return Named(ip_address(name)) if address_text(name) else None
    found = terminal.lab.resolve(terminal.full_place, name)
    to = found.addresses
    return Named(to[0], canonical=found.lookup.canonical) if to else None


def connect(terminal: Terminal, to: Named, port: int | None, protocol: Protocol) -> Connection:
    """A connection of the lab from this place; `port` None is for ping."""
    target = str(to.address) if port is None else endpoint(to.address, port)
    if terminal.spot.netns in ("router", "switch", "lb"):
        raise CommandError(f"{terminal.place}: start connections from a pod, a node or outside")
    return terminal.lab.connect(terminal.full_place, target, protocol=protocol)


def told(to: Named, lines: list[str], code: int = 0) -> Output:
    """The program's lines, below the one that says how the name was resolved."""
    return Output("\n".join([*([to.note] if to.note else []), *lines]), code)


def unreachable(connection: Connection) -> str:
    """The error that the process gets where no way leads to its target.

    Source: `icmp_err_convert` in Linux net/ipv4/icmp.c.
    """
    if connection.reply is None:
        return "Network is unreachable"
    told = [hop.after.icmp.kind for hop in connection.reply.hops if hop.after.icmp]
    return "Network is unreachable" if "net-unreachable" in told else "No route to host"


def options(
    words: Sequence[str], switches: str, valued: Sequence[str] = ()
) -> tuple[dict[str, str], list[str]]:
    """Flags and the other words of a line such as `-zv -w 2 HOST PORT`.

    Args:
        switches: letters of the flags without a value.
        valued: flags with one: `-w`, `--max-time`.

    Raises:
        Unknown: a flag that is neither.
    """
    found: dict[str, str] = {}
    rest: list[str] = []
    left = iter(words)
    for word in left:
        if not word.startswith("-") or word == "-":
            rest.append(word)
            continue
        if word in valued:
            found[word] = _value(word, left)
            continue
        letters = word[1:]
        while letters:
            flag, letters = f"-{letters[0]}", letters[1:]
            if flag in valued:
                found[flag] = letters or _value(flag, left)
                break
            if word.startswith("--") or flag[1] not in switches:
                raise Unknown(word)
            found[flag] = ""
    return found, rest


def whole(text: str) -> int:
    """A whole number of at most nine digits; 0 if the text is none."""
    return int(text) if text.isdecimal() and len(text) < 10 else 0


class Unknown(Exception):
    """A flag that the program, or the lab's model of it, does not have."""


def _value(flag: str, left: object) -> str:
    value = next(left, None)  # type: ignore[call-overload]  # an iterator of words
    if value is None:
        raise Unknown(flag)
    return str(value)
