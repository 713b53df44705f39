"""Where a command runs: the lab, the place, and that place's network namespace."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from ipaddress import ip_address
from typing import TYPE_CHECKING, NamedTuple

from labkit.api.core import Node, Service
from labkit.commands.output import Output
from labkit.errors import CommandError, NotFound
from labkit.kernel.netns import Netns, Network
from labkit.kernel.packet import Address, Protocol, endpoint
from labkit.traffic.connection import Connection
from labkit.traffic.places import Spot, find_pod, resolve_target

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
    def namespace(self) -> str:
        """Where short names are looked up first: a pod's own namespace."""
        return self.spot.pod.namespace if self.spot.pod else self.lab.namespace


Program = Callable[[Terminal, list[str]], Output]


class Named(NamedTuple):
    """An address that a name stands for, and the line that says by which rule."""

    address: Address
    note: str = ""


def look_up(terminal: Terminal, name: str) -> Named | None:
    """The address of a name; None if there is none such.

    *The lab simplifies*: names of Services (`backend`, `payments.pay`,
    `payments.pay.svc.cluster.local`), of pods and of nodes are looked up in the objects, by
    this rule, from everywhere, until the lab has DNS.
    """
    try:
        return Named(ip_address(name))
    except ValueError:
        pass
    if name == "localhost":
        return Named(ip_address("127.0.0.1"))
    found = _by_rule(terminal, name)
    if found is None:
        return None
    return Named(found, f"# name {name} -> {found} by the lab's rule (DNS comes in L09)")


def _by_rule(terminal: Terminal, name: str) -> Address | None:
    state = terminal.lab.state
    if name == "outside" or state.get(Node, name):
        return resolve_target(
            state, f"node/{name}" if name != "outside" else name, protocol="ICMP"
        ).address
    short = name.rstrip(".").removesuffix(f".{state.config.dns_domain}").removesuffix(".svc")
    first, _, second = short.partition(".")
    place = second or terminal.namespace
    if state.get(Service, first, place):
        text = f"svc/{place}/{first}"
    else:
        try:
            find_pod(state, f"{place}/{first}")
        except NotFound:
            return None
        text = f"pod/{place}/{first}"
    try:
        return resolve_target(state, text, protocol="ICMP").address
    except (NotFound, CommandError):
        return None


def connect(terminal: Terminal, to: Named, port: int | None, protocol: Protocol) -> Connection:
    """A connection of the lab from this place; `port` None is for ping."""
    target = str(to.address) if port is None else endpoint(to.address, port)
    if terminal.spot.netns in ("router", "switch"):
        raise CommandError(f"{terminal.place}: start connections from a pod, a node or outside")
    place = terminal.place
    if terminal.spot.pod:
        place = f"pod/{terminal.spot.pod.namespace}/{terminal.spot.pod.name}"
    return terminal.lab.connect(place, target, protocol=protocol)


def told(to: Named, lines: list[str], code: int = 0) -> Output:
    """The program's lines, below the one that says how the name was resolved."""
    return Output("\n".join([*([to.note] if to.note else []), *lines]), code)


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
