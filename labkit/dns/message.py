"""DNS questions and answers as values, and the arithmetic of names.

Names end in a dot and keep the case in which they were asked; they are compared in lower case.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from ipaddress import IPv4Network, ip_address, ip_network
from typing import Literal

import msgspec

REVERSE_4 = "in-addr.arpa."
REVERSE_6 = "ip6.arpa."


class Record(msgspec.Struct, frozen=True):
    """One resource record; `data` is in zone-file form, `ttl` in seconds."""

    name: str
    type: str
    ttl: int
    data: str

    def __str__(self) -> str:
        return f"{self.name} {self.ttl} IN {self.type} {self.data}"


Transport = Literal["UDP", "TCP"]


class Query(msgspec.Struct, frozen=True):
    """One question on the wire; `client` is the source address that the server sees.

    `id` is the message's number. Real ones are drawn at random, and CoreDNS draws its other
    lots (order of records, choice of an upstream) the same way: here all of them come from it.
    """

    name: str
    type: str = "A"
    client: str = ""
    id: int = 0
    protocol: Transport = "UDP"

    @property
    def key(self) -> str:
        return self.name.lower()


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """A reply's header and three sections.

    `aa`: the server speaks for the zone; `ra`: it would ask others. CoreDNS itself never says
    `ra`, the servers that it forwards to do.
    `written` is False where a plugin gave up with a code and the server itself has to write
    the reply: such an answer is neither cached nor rewritten. `error` is what `errors` logs.
    """

    rcode: str = "NOERROR"
    answer: tuple[Record, ...] = ()
    authority: tuple[Record, ...] = ()
    additional: tuple[Record, ...] = ()
    aa: bool = False
    ra: bool = False
    written: bool = True
    error: str = ""

    @property
    def soa(self) -> Record | None:
        """The SOA record of the authority section: how long a "no" may be remembered."""
        return next((r for r in self.authority if r.type == "SOA"), None)

    @property
    def text(self) -> str:
        """What it says, in few words: `10.96.1.2`, `NXDOMAIN`."""
        data = ", ".join(r.data for r in self.answer)
        return data or ("no record of this type" if self.exists else self.rcode)

    @property
    def exists(self) -> bool:
        """False for NXDOMAIN and for servers that failed."""
        return self.rcode == "NOERROR"


def gave_up(rcode: str, error: str = "") -> Answer:
    """A plugin's bare code: the server writes the reply, without a zone's SOA."""
    return Answer(rcode=rcode, written=False, error=error)


# --- names -----------------------------------------------------------------------------------


def fqdn(name: str) -> str:
    """`web.shop` -> `web.shop.`"""
    return name if name.endswith(".") else f"{name}."


def under(name: str, zone: str) -> bool:
    """Is the name the zone or below it? Counts at the borders of labels only."""
    return zone == "." or name == zone or name.endswith(f".{zone}")


def zone_of(name: str, zones: Iterable[str]) -> str:
    """The longest zone that holds the name; empty if none does."""
    found = ""
    for zone in zones:
        if len(zone) > len(found) and under(name, zone):
            found = zone
    return found


def base_of(name: str, zone: str) -> str:
    """What stands before the zone: `web.shop.svc.cluster.local.` -> `web.shop.svc`."""
    return name[: len(name) - len(zone)].rstrip(".")


def reversed_address(name: str) -> str:
    """The address that a reverse name spells; empty if it spells none as a whole."""
    lower = name.lower()
    if lower.endswith(f".{REVERSE_4}"):
        text = ".".join(reversed(base_of(lower, REVERSE_4).split(".")))
    elif lower.endswith(f".{REVERSE_6}"):
        digits = base_of(lower, REVERSE_6).split(".")
        if len(digits) != 32 or any(len(d) != 1 for d in digits):
            return ""
        text = "".join(reversed(digits))
        text = ":".join(text[i : i + 4] for i in range(0, 32, 4))
    else:
        return ""
    return address_text(text)


def reverse_name(address: str) -> str:
    """`10.96.0.10` -> `10.0.96.10.in-addr.arpa.`"""
    return f"{ip_address(address).reverse_pointer}."


@lru_cache(maxsize=1 << 16)
def address_text(text: str) -> str:
    """The address in its usual form; empty if the text is none."""
    try:
        return str(ip_address(text))
    except ValueError:
        return ""


def address_type(address: str) -> str:
    return "AAAA" if ":" in address else "A"


def zones_of(text: str) -> tuple[str, ...]:
    """The zones that a word of a Corefile names: a name, or a range's reverse zones.

    `10.96.0.0/12` stands for `96.10.in-addr.arpa.` to `111.10.in-addr.arpa.`.
    """
    if "/" not in text:
        return (fqdn(text.lower()),)
    network = ip_network(text, strict=False)
    step = 8 if isinstance(network, IPv4Network) else 4
    length = -(-network.prefixlen // step) * step
    whole = network.max_prefixlen // step
    found = []
    for part in network.subnets(new_prefix=length):
        labels = part.network_address.reverse_pointer.split(".")
        found.append(".".join(labels[whole - length // step :]) + ".")
    return tuple(found)
