"""Netfilter's rules as values: what `iptables-save` shows and the walk interprets.

A `Rule` matches a packet with every one of its matches and then does one thing. Chains
that carry a hook are entered by the kernel, in the order of their priority; the others
only by jumps. The same values serve iptables and nft: a `Table` says whose it is.

Source: netfilter hook priorities, include/uapi/linux/netfilter_ipv4.h.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import msgspec

from labkit.kernel.packet import Address
from labkit.kernel.routes import Prefix

Hook = Literal["PREROUTING", "INPUT", "FORWARD", "OUTPUT", "POSTROUTING"]
PRIORITY = {"raw": -300, "mangle": -150, "dstnat": -100, "filter": 0, "srcnat": 100}


# --- matches, in the words of iptables' options ------------------------------------------


class Source(msgspec.Struct, frozen=True):
    """`[!] -s 10.244.0.0/16`"""

    net: Prefix
    negate: bool = False


class Destination(msgspec.Struct, frozen=True):
    """`[!] -d 10.96.0.20/32`"""

    net: Prefix
    negate: bool = False


class InDevice(msgspec.Struct, frozen=True):
    """`[!] -i cni0`; a trailing `+` matches any rest."""

    name: str
    negate: bool = False


class OutDevice(msgspec.Struct, frozen=True):
    """`[!] -o eth0`"""

    name: str
    negate: bool = False


class Proto(msgspec.Struct, frozen=True):
    """`-p tcp`; `module` also prints `-m tcp`, as a match on ports or a DNAT to one needs it."""

    name: str  # lower case
    module: bool = False
    negate: bool = False


class DestinationPort(msgspec.Struct, frozen=True):
    """`--dport 80` or `--dport 8000:8100`"""

    first: int
    last: int | None = None
    negate: bool = False


class SourcePort(msgspec.Struct, frozen=True):
    """`--sport 80`"""

    first: int
    last: int | None = None
    negate: bool = False


class Ports(msgspec.Struct, frozen=True):
    """`-m multiport --dports 80,8000:8100`: one of these ports or ranges, 15 numbers at most."""

    ranges: tuple[tuple[int, int], ...]
    negate: bool = False


class Mark(msgspec.Struct, frozen=True):
    """`-m mark [!] --mark 0x4000/0x4000`"""

    value: int
    mask: int = 0xFFFFFFFF
    negate: bool = False


class CtState(msgspec.Struct, frozen=True):
    """`-m conntrack --ctstate RELATED,ESTABLISHED`; also DNAT and SNAT as states."""

    states: tuple[str, ...]
    negate: bool = False


class AddrType(msgspec.Struct, frozen=True):
    """`-m addrtype --dst-type LOCAL`"""

    end: Literal["src", "dst"]
    kind: Literal["LOCAL", "UNICAST", "BROADCAST", "MULTICAST"] = "LOCAL"
    negate: bool = False


class Statistic(msgspec.Struct, frozen=True):
    """`-m statistic --mode random --probability 0.33333333349`; one in `one_in` exactly.

    The kernel keeps the chance in 31 bits, so what it prints back is not quite 1/n.
    """

    one_in: int


class Recent(msgspec.Struct, frozen=True):
    """`-m recent --name X --rcheck --seconds 10800 --reap`, or `--set`.

    With `--set` the seconds are not printed: they say when the lab may forget the client,
    because no rule will ask for it any more.
    """

    name: str
    action: Literal["rcheck", "set"]
    seconds: int = 0


class InSet(msgspec.Struct, frozen=True):
    """`-m set [!] --match-set NAME dst,dst`"""

    name: str
    ends: tuple[str, ...]
    negate: bool = False


class BridgePort(msgspec.Struct, frozen=True):
    """`-m physdev [!] --physdev-is-in`: the packet came in by a port of a bridge."""

    negate: bool = False


class Comment(msgspec.Struct, frozen=True):
    """`-m comment --comment "..."`: matches everything, tells the reader why."""

    text: str


# --- matches that only nft has -----------------------------------------------------------

Field = Literal["saddr", "daddr", "l4proto", "dport"]
"""What a key is made of: `ip saddr`, `ip daddr`, `meta l4proto`, `th dport`."""


class Lookup(msgspec.Struct, frozen=True):
    """`ip daddr @cluster-ips`: the fields, taken together, are an element of the table's set."""

    fields: tuple[Field, ...]
    name: str
    negate: bool = False


class OneOf(msgspec.Struct, frozen=True):
    """`ip saddr != { 192.0.2.0/24, 203.0.113.9 }`: a set without name, of networks."""

    field: Field
    nets: tuple[Prefix, ...]
    negate: bool = False


Match = (
    Source
    | Destination
    | InDevice
    | OutDevice
    | Proto
    | DestinationPort
    | SourcePort
    | Ports
    | Mark
    | CtState
    | AddrType
    | Statistic
    | Recent
    | InSet
    | BridgePort
    | Comment
    | Lookup
    | OneOf
)


# --- targets ---------------------------------------------------------------------------


class Jump(msgspec.Struct, frozen=True):
    """`-j CHAIN`, or with `goto` `-g CHAIN`.

    What the chain does not decide goes on behind this rule; after a goto behind the jump
    that led to this chain.
    """

    chain: str
    goto: bool = False


class Verdict(msgspec.Struct, frozen=True):
    """`-j ACCEPT`, `-j DROP`, `-j RETURN`"""

    name: Literal["ACCEPT", "DROP", "RETURN"]


class Reject(msgspec.Struct, frozen=True):
    """`-j REJECT --reject-with icmp-port-unreachable`"""

    reason: str = "icmp-port-unreachable"


class SetMark(msgspec.Struct, frozen=True):
    """`-j MARK --set-xmark 0x4000/0x4000`: mark = (mark & ~mask) ^ value."""

    value: int
    mask: int


class NoTrack(msgspec.Struct, frozen=True):
    """`-j NOTRACK`: connection tracking, and with it NAT, passes the packet by on this machine."""


class Dnat(msgspec.Struct, frozen=True):
    """`-j DNAT --to-destination 10.244.1.5:8080`"""

    address: Address
    port: int | None = None


class Snat(msgspec.Struct, frozen=True):
    """`-j SNAT --to-source 192.168.7.11`"""

    address: Address


class Masquerade(msgspec.Struct, frozen=True):
    """`-j MASQUERADE --random-fully`: the source becomes the address of the device it leaves by."""

    random_fully: bool = False


# --- targets that only nft has -----------------------------------------------------------


class VerdictMap(msgspec.Struct, frozen=True):
    """`ip daddr . meta l4proto . th dport vmap @service-ips`: the element's verdict, if any."""

    fields: tuple[Field, ...]
    name: str


class RandomJump(msgspec.Struct, frozen=True):
    """`numgen random mod 2 vmap { 0 : goto a, 1 : goto b }`: each with the same chance."""

    jumps: tuple[Jump, ...]


class RandomDnat(msgspec.Struct, frozen=True):
    """`dnat ip to numgen random mod 2 map { 0 : 10.244.1.5 . 8080, ... }`, all with one chance."""

    ends: tuple[Dnat, ...]


class Update(msgspec.Struct, frozen=True):
    """`update @affinity-... { ip saddr }`: the field enters the set, or its time starts anew."""

    name: str
    field: Field = "saddr"


class Marking(msgspec.Struct, frozen=True):
    """`meta mark set meta mark ^ 0x4000 masquerade`: a mark, and another target in one rule."""

    mark: SetMark
    then: Target


Target = (
    Jump
    | Verdict
    | Reject
    | SetMark
    | NoTrack
    | Dnat
    | Snat
    | Masquerade
    | VerdictMap
    | RandomJump
    | RandomDnat
    | Update
    | Marking
)


class Rule(msgspec.Struct, frozen=True, dict=True):
    """One rule. Without a target it only counts (or has a side effect such as `recent --set`).

    `says` is one plain sentence on what it means that a packet met the rule; one that has it
    stands for a decision, and so for a row of a trace, even where its target changes little.
    """

    matches: tuple[Match, ...] = ()
    target: Target | None = None
    says: str = ""


class Chain(msgspec.Struct, frozen=True, kw_only=True, dict=True):
    """Rules in order. A base chain has `hook`, `priority` and `policy`; a regular chain none."""

    name: str
    rules: tuple[Rule, ...] = ()
    hook: Hook | None = None
    priority: int = 0
    policy: Literal["ACCEPT", "DROP"] | None = None
    comment: str = ""  # nft only


Key = tuple[Address | str | int, ...]  # (10.96.0.20, "tcp", 80)


class Element(msgspec.Struct, frozen=True):
    """What stands behind a key: in a verdict map a jump or a drop, in a set nothing."""

    target: Target | None = None
    comment: str = ""


class NftSet(msgspec.Struct, frozen=True, kw_only=True):
    """A set of an nft table, or with `verdicts` a map; `kinds` are its keys' data types.

    With a `timeout` (seconds) packets add elements to it, which are forgotten after that time.
    """

    name: str
    kinds: tuple[str, ...]
    elements: Mapping[Key, Element] = {}
    verdicts: bool = False
    timeout: int | None = None
    comment: str = ""


class Table(msgspec.Struct, frozen=True, kw_only=True):
    """Chains by name, in the order in which the tool prints them."""

    name: str  # "raw", "mangle", "nat", "filter"; nft tables have names of their own
    chains: Mapping[str, Chain]
    tool: Literal["iptables", "nft"] = "iptables"
    family: Literal["ip", "ip6"] = "ip"
    sets: Mapping[str, NftSet] = {}  # nft only, as the comment
    comment: str = ""


class Ipset(msgspec.Struct, frozen=True, dict=True):
    """One set of `ipset list`: its type and its members, as text in canonical order."""

    name: str
    kind: str  # "hash:net", "hash:ip,port", ...
    members: tuple[str, ...] = ()


class Ruleset(msgspec.Struct, frozen=True):
    """Everything netfilter knows in one network namespace."""

    tables: tuple[Table, ...] = ()
    sets: Mapping[str, Ipset] = {}
