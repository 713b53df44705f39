"""Whole print-outs of a namespace, as the tools print them.

Left out: the space at the end of a line, IPv6 link-local addresses and multicast rows of
`bridge fdb`, which every machine has and no route of ours uses. With `network` given a
print-out also shows what lies beyond the namespace: the far end of a cable (`eth0@if7`) and
the MAC addresses that a bridge has learned.

Source: iproute2 6.1, conntrack-tools 1.4.7, seen from outside.
"""

from __future__ import annotations

from collections.abc import Iterable

from labkit.kernel.conntrack import Entry
from labkit.kernel.links import Fdb, Interface, Link
from labkit.kernel.netns import Netns, Network
from labkit.kernel.nft_text import nft_list_ruleset
from labkit.kernel.routes import Route
from labkit.kernel.rows import (
    conntrack_row,
    device_row,
    fdb_row,
    neighbour_text,
    nexthop_row,
    port_row,
    route_words,
)
from labkit.kernel.rules_text import iptables_save, rule_text
from labkit.kernel.segment import stations

__all__ = [
    "bridge_fdb",
    "conntrack_list",
    "ip_addr",
    "ip_link",
    "ip_link_details",
    "ip_neigh",
    "ip_route",
    "iptables_save",
    "nft_list_ruleset",
    "rule_text",
]


def lines(rows: Iterable[str]) -> str:
    return "".join(f"{row}\n" for row in rows)


# --- ip route, ip neigh ------------------------------------------------------------------


def ip_route(netns: Netns, version: int = 4) -> str:
    """`ip route` (`ip -6 route`): by address, among equal ones the longest prefix first."""
    routes = sorted((r for r in netns.routes if r.prefix.version == version), key=route_place)
    return lines(row for route in routes for row in route_lines(route))


def route_place(route: Route) -> tuple[int, int, int]:
    return (int(route.prefix.network_address), -route.prefix.prefixlen, route.metric)


def route_lines(route: Route) -> list[str]:
    """A multipath route takes a line for each way."""
    return [" ".join(route_words(route)), *(f"\t{nexthop_row(hop)}" for hop in route.nexthops)]


def ip_neigh(netns: Netns) -> str:
    """`ip neigh`: the configured rows; what ARP finds comes and goes and is not kept."""
    return lines(neighbour_text(row) for row in netns.neighbours)


# --- ip link, ip addr --------------------------------------------------------------------


def ip_addr(netns: Netns, network: Network | None = None) -> str:
    """`ip addr`: each device, its MAC address and its addresses."""
    rows = []
    for number, link in numbered(netns):
        rows += link_lines(netns, link, number, network, "")
        rows += [row for address in link.addresses for row in address_lines(link, address)]
    return lines(rows)


def ip_link(netns: Netns, network: Network | None = None) -> str:
    """`ip link`: devices without their addresses."""
    return lines(
        row
        for number, link in numbered(netns)
        for row in link_lines(netns, link, number, network, " mode DEFAULT")
    )


def ip_link_details(netns: Netns, network: Network | None = None) -> str:
    """`ip -d link`: devices with their kind's settings, and with those of a bridge's port.

    Left out: what comes behind them and behind the MAC address (`promiscuity` and so on),
    most of which depends on the kernel.
    """
    rows = []
    for number, link in numbered(netns):
        rows += link_lines(netns, link, number, network, " mode DEFAULT")
        rows += [f"    {device_row(link)}"] if device_row(link) else []
        rows += [f"    {port_row(link)}"] if link.master else []
    return lines(rows)


def numbered(netns: Netns) -> list[tuple[int, Link]]:
    """Devices in the order of their numbers; those without one come after the highest."""
    highest = max((link.index for link in netns.links), default=0)
    found = []
    for link in netns.links:
        if not link.index:
            highest += 1
        found.append((link.index or highest, link))
    return sorted(found, key=lambda pair: pair[0])


def link_lines(
    netns: Netns, link: Link, number: int, network: Network | None, mode: str
) -> list[str]:
    far = far_number(link, network)
    name = link.name if far is None else f"{link.name}@if{far}"
    master = f" master {link.master}" if link.master else ""
    words = f"mtu {link.mtu} qdisc {'noqueue' if link.up else 'noop'}{master}"
    state = f"state {operational(netns, link)}{mode} group default qlen 1000"
    kind = "loopback" if link.kind == "loopback" else "ether"
    brd = "00:00:00:00:00:00" if link.kind == "loopback" else "ff:ff:ff:ff:ff:ff"
    peer = "" if link.peer is None else f" link-netnsid {netns_id(netns, link.peer[0])}"
    return [
        f"{number}: {name}: <{','.join(link_flags(netns, link))}> {words} {state}",
        f"    link/{kind} {link.mac or '00:00:00:00:00:00'} brd {brd}{peer}",
    ]


def link_flags(netns: Netns, link: Link) -> list[str]:
    if link.kind == "loopback":
        return ["LOOPBACK", "UP", "LOWER_UP"] if link.up else ["LOOPBACK"]
    own = ["BROADCAST", "NOARP"] if link.kind == "dummy" else ["BROADCAST", "MULTICAST"]
    if not link.up:
        return own
    return [*own, "UP", "LOWER_UP"] if carrier(netns, link) else ["NO-CARRIER", *own, "UP"]


def carrier(netns: Netns, link: Link) -> bool:
    """A bridge has carrier while one of its ports is up."""
    if link.kind != "bridge":
        return link.up
    return any(port.up for port in netns.links if port.master == link.name)


def operational(netns: Netns, link: Link) -> str:
    if not link.up or not carrier(netns, link):
        return "DOWN"
    return "UP" if link.kind in ("veth", "bridge") else "UNKNOWN"


def far_number(link: Link, network: Network | None) -> int | None:
    if network is None or link.peer is None or link.peer[0] not in network.namespaces:
        return None
    there = network.namespaces[link.peer[0]]
    return next((n for n, far in numbered(there) if far.name == link.peer[1]), None)


def netns_id(netns: Netns, far: str) -> int:
    """The number by which a namespace knows another one: counted as cables were laid."""
    known = list(dict.fromkeys(link.peer[0] for link in netns.links if link.peer is not None))
    return known.index(far)


def address_lines(link: Link, address: Interface) -> list[str]:
    family = "inet" if address.version == 4 else "inet6"
    brd, label = "", f" {link.name}" if address.version == 4 else ""
    scope = "host" if address.ip.is_loopback else "global"
    if address.version == 4 and address.network.prefixlen < 31 and scope == "global":
        brd = f" brd {address.network.broadcast_address}"
    return [
        f"    {family} {address}{brd} scope {scope}{label}",
        "       valid_lft forever preferred_lft forever",
    ]


# --- bridge fdb --------------------------------------------------------------------------


def bridge_fdb(netns: Netns, dev: str | None = None, network: Network | None = None) -> str:
    """`bridge fdb`: tunnels' rows, and MACs behind ports.

    With `dev DEV` that device's rows, which do not repeat its name.
    """
    said = f" dev {dev}"
    return lines(
        row.replace(said, "", 1)
        for _, link in numbered(netns)
        if dev in (None, link.name)
        for row in fdb_lines(netns, link, network)
    )


def fdb_lines(netns: Netns, link: Link, network: Network | None) -> list[str]:
    bridge = link.name if link.kind == "bridge" else link.master
    if bridge is None:
        return [fdb_row(link, row) for row in link.fdb]
    rows = [fdb_row(link, row, bridge) for row in link.fdb]
    if network is not None and link.master is not None:
        rows += [
            fdb_row(link, Fdb(mac, permanent=False), bridge)
            for mac in learned_macs(netns, link, network)
        ]
    return [*rows, fdb_row(link, Fdb(link.mac), bridge)]


def learned_macs(netns: Netns, port: Link, network: Network) -> list[str]:
    behind = stations(network, netns.name, port.name)
    return [network.namespaces[name].link(dev).mac for name, dev in behind]


# --- conntrack, nft ----------------------------------------------------------------------


def conntrack_list(entries: Iterable[Entry], now: float) -> str:
    """`conntrack -L`: the connections that have not run out, oldest first."""
    return lines(
        conntrack_row(entry, now)
        for entry in entries
        if entry.confirmed and not entry.socket and entry.expires > now
    )
