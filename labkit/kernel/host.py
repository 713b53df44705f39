"""A namespace as the walk reads it: addresses, routes and hooks looked up by number."""

from __future__ import annotations

import zlib
from ipaddress import ip_network
from typing import Literal

import msgspec

from labkit.kernel.kept import kept
from labkit.kernel.links import Interface, Link
from labkit.kernel.netfilter import Chain, Hook, Table
from labkit.kernel.netns import Netns, Network, Socket
from labkit.kernel.packet import Address
from labkit.kernel.routes import NextHop, Route

CONNTRACK, LAST = -200, 2**31 - 1  # where connection tracking begins and ends
HOOKS: tuple[Hook, ...] = ("PREROUTING", "INPUT", "FORWARD", "OUTPUT", "POSTROUTING")
IPVS = {"INPUT": 99, "OUTPUT": -98}  # where a packet is for the machine itself, or from it
TC = {"PREROUTING": CONNTRACK + 1, "POSTROUTING": 99}  # in truth outside, on the device
TRACKING_HOOKS = ("PREROUTING", "OUTPUT")


class Way(msgspec.Struct, frozen=True):
    """Where a route look-up sends a packet: out of `dev`, to `via` or to the address itself."""

    route: Route
    dev: str
    via: Address | None = None
    local: bool = False  # the address is this namespace's own


class Base(msgspec.Struct, frozen=True):
    """A base chain with its table; `nat` chains see only the first packet of a connection."""

    priority: int
    table: Table
    chain: Chain
    nat: bool


class Stage(msgspec.Struct, frozen=True):
    """One thing that happens at a hook: a chain, or the part of conntrack, NAT, IPVS or tc."""

    kind: Literal["chain", "nat", "conntrack", "confirm", "ipvs", "tc"]
    priority: int
    bases: tuple[Base, ...] = ()


Row = tuple[int, int, Route]  # network, mask, route


class Host(msgspec.Struct):
    """What `host(netns)` keeps: everything in it is a function of the namespace."""

    netns: Netns
    links: dict[str, Link]
    local: dict[tuple[int, int], str]  # (version, address) -> device
    loopback: list[tuple[int, int, int]]  # (version, network, mask), all of it local
    rows: dict[int, list[Row]]
    hooks: dict[str, list[Stage]]
    sockets: dict[tuple[str, int], list[Socket]]
    ports: dict[str, list[Link]]  # bridge -> its ports
    tracks: bool
    multipath: bool  # some route has several ways
    ways: dict[tuple[int, int, int], Way | None]

    @property
    def title(self) -> str:
        return self.netns.title or self.netns.name

    def sysctl(self, name: str) -> int:
        return self.netns.sysctl(name)

    def is_local(self, address: Address) -> bool:
        number = int(address)
        if (address.version, number) in self.local:
            return True
        return any(v == address.version and number & m == n for v, n, m in self.loopback)


def host(netns: Netns) -> Host:
    """The namespace, made ready for look-ups once."""
    return kept(netns, "host", read)


class Hosts(dict[str, Host]):
    """The namespaces of a network, each made ready when it is first asked for."""

    def __init__(self, network: Network) -> None:
        self.namespaces = network.namespaces

    def __missing__(self, name: str) -> Host:
        self[name] = found = host(self.namespaces[name])
        return found


def read(netns: Netns) -> Host:
    links = {link.name: link for link in netns.links}
    ports: dict[str, list[Link]] = {}
    for link in netns.links:
        if link.master is not None:
            ports.setdefault(link.master, []).append(link)
    sockets: dict[tuple[str, int], list[Socket]] = {}
    for socket in netns.sockets:
        sockets.setdefault((socket.protocol, socket.port), []).append(socket)
    return Host(
        netns=netns,
        links=links,
        local={
            (a.version, int(a.ip)): link.name
            for link in netns.links
            if link.up or link.kind == "dummy"  # kube-ipvs0 is down, its addresses count
            for a in link.addresses
        },
        loopback=[
            (a.version, int(a.network.network_address), int(a.network.netmask))
            for link in netns.links
            if link.up and link.kind == "loopback"
            for a in link.addresses
        ],
        rows={version: rows(netns, links, version) for version in (4, 6)},
        hooks=hooks(netns),
        sockets=sockets,
        ports=ports,
        # The kernel tracks connections only where some rule asks for it.
        tracks=bool(netns.ruleset.tables),
        multipath=any(route.nexthops for route in netns.routes),
        ways={},
    )


def rows(netns: Netns, links: dict[str, Link], version: int) -> list[Row]:
    """The main table in the order of preference; routes over a device that is down are gone."""
    usable = [r for r in netns.routes if r.prefix.version == version and alive(r, links)]
    usable.sort(key=lambda r: (-r.prefix.prefixlen, r.metric))
    return [(int(r.prefix.network_address), int(r.prefix.netmask), r) for r in usable]


def alive(route: Route, links: dict[str, Link]) -> bool:
    if route.kind != "unicast":
        return True
    devices = [hop.dev for hop in route.nexthops] or [route.dev]
    return any(dev in links and links[dev].up for dev in devices)


def hooks(netns: Netns) -> dict[str, list[Stage]]:
    """What a packet meets at each hook, in the order in which the kernel calls it."""
    found: dict[str, list[Stage]] = {}
    for family in sorted({table.family for table in netns.ruleset.tables}):
        for hook in HOOKS:
            found[key(hook, family)] = stages(netns, family, hook)
    return found


def stages(netns: Netns, family: str, hook: Hook) -> list[Stage]:
    entering = hook in TRACKING_HOOKS
    bases = [
        Base(chain.priority, table, chain, is_nat(table, hook, chain.priority))
        for table in netns.ruleset.tables
        if table.family == family
        for chain in table.chains.values()
        # A chain without rules changes nothing, unless its policy does.
        if chain.hook == hook and (chain.rules or chain.policy == "DROP")
    ]
    bases.sort(key=lambda base: base.priority)
    nat = Stage("nat", -100 if entering else 100, tuple(b for b in bases if b.nat))
    track = Stage("conntrack", CONNTRACK) if entering else Stage("confirm", LAST)
    found = [Stage("chain", b.priority, (b,)) for b in bases if not b.nat]
    if hook != "FORWARD":
        found += [nat, track]
    if netns.virtual_servers and hook in IPVS:
        found.append(Stage("ipvs", IPVS[hook]))
    if netns.maps is not None and hook in TC:
        found.append(Stage("tc", TC[hook]))
    return sorted(found, key=lambda stage: stage.priority)


def is_nat(table: Table, hook: Hook, priority: int) -> bool:
    """iptables keeps NAT in a table of that name; nft's chains are told by their priority."""
    if table.tool == "iptables":
        return table.name == "nat"
    return priority == (-100 if hook in TRACKING_HOOKS else 100)


def key(hook: str, family: str) -> str:
    return hook if family == "ip" else f"{hook}6"


def look_up(here: Host, address: Address, src: Address | None = None) -> Way | None:
    """The kernel's choice of way to an address: its own addresses first, then longest prefix.

    With the sender's address, packets between two addresses keep to one way of a multipath
    route; without it the first way is taken. None is "Network is unreachable".
    """
    number = int(address)
    flow = flow_number(src, address) if src is not None and here.multipath else 0
    asked = (address.version, number, flow)
    if asked not in here.ways:
        here.ways[asked] = find(here, address, number, flow)
    return here.ways[asked]


def flow_number(src: Address, dst: Address) -> int:
    """Equal for all packets between two addresses: what spreads flows over equal routes."""
    return zlib.crc32(src.packed + dst.packed)


def find(here: Host, address: Address, number: int, flow: int) -> Way | None:
    if here.is_local(address):
        return Way(local_route(here, address), "lo", None, True)
    for network, mask, route in here.rows[address.version]:
        if number & mask == network:
            if not route.nexthops:
                return Way(route, route.dev, route.via)
            hop = spread(here, route, flow)
            return Way(route, hop.dev, hop.via)
    return None


def local_route(here: Host, address: Address) -> Route:
    """The row of `ip route show table local` for one of the namespace's own addresses."""
    dev = here.local.get((address.version, int(address)), "lo")
    return Route(prefix=ip_network(address), dev=dev, src=address, proto="kernel", scope="host")


def spread(here: Host, route: Route, flow: int) -> NextHop:
    """One way of several, by the flow's number and the ways' weights."""
    ways = [h for h in route.nexthops if h.dev in here.links and here.links[h.dev].up]
    slots = [hop for hop in ways for _ in range(hop.weight)]
    return slots[flow % len(slots)]


def device_address(here: Host, dev: str, towards: Address) -> Address | None:
    """The address that a device lends to packets: one of the next hop's subnet, else the first.

    A device without addresses borrows from another one. Addresses of scope host (127.0.0.1)
    are never lent: what is masqueraded on its way out of `lo` gets the machine's own address.

    Source: inet_select_addr, Linux net/ipv4/devinet.c.
    """
    own = lendable(here.links[dev], towards.version) if dev in here.links else []
    for address in own:
        if towards in address.network:
            return address.ip
    if own:
        return own[0].ip
    others = (a for link in here.netns.links if link.up for a in lendable(link, towards.version))
    return next((address.ip for address in others), None)


def lendable(link: Link, version: int) -> list[Interface]:
    return [a for a in link.addresses if a.version == version and not a.ip.is_loopback]


def source_for(here: Host, way: Way, dst: Address) -> Address | None:
    """The source address of a packet that this namespace sends over `way`."""
    if way.local:
        return dst
    return way.route.src or device_address(here, way.dev, way.via or dst)
