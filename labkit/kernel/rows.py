"""Single rows of the tools' print-outs: what a hop quotes and what `text` puts together."""

from __future__ import annotations

from labkit.kernel.conntrack import Entry, Tuple
from labkit.kernel.links import Fdb, Link
from labkit.kernel.netns import Socket
from labkit.kernel.packet import Address, endpoint
from labkit.kernel.routes import Neighbour, NextHop, Route


def route_row(route: Route) -> str:
    """One line of `ip route`, as iproute2 prints it (a multipath route's ways on one line)."""
    return " ".join([*route_words(route), *map(nexthop_row, route.nexthops)])


def route_words(route: Route) -> list[str]:
    words: list[str] = [] if route.kind == "unicast" else [route.kind]
    if route.scope == "host":
        words.append("local")
    words.append(prefix_text(route))
    if route.via is not None:
        words += ["via", str(route.via)]
    if route.dev and not route.nexthops:
        words += ["dev", route.dev]
    if route.proto:
        words += ["proto", route.proto]
    if route.scope != "global" and route.prefix.version == 4:
        words += ["scope", route.scope]
    if route.src is not None:
        words += ["src", str(route.src)]
    if route.metric:
        words += ["metric", str(route.metric)]
    if route.onlink and not route.nexthops:
        words.append("onlink")
    if route.mtu is not None:
        words += ["mtu", str(route.mtu)]
    return words


def nexthop_row(hop: NextHop) -> str:
    """One way of a multipath route, which `ip route` prints on a line of its own."""
    via = ["via", str(hop.via)] if hop.via else []
    return " ".join(["nexthop", *via, "dev", hop.dev, "weight", str(hop.weight)])


def prefix_text(route: Route) -> str:
    """`default`, a bare address, or a prefix."""
    prefix = route.prefix
    if prefix.prefixlen == 0:
        return "default"
    if prefix.prefixlen == prefix.max_prefixlen:
        return str(prefix.network_address)
    return str(prefix)


def neighbour_text(row: Neighbour) -> str:
    """One line of `ip neigh`."""
    lladdr = f" lladdr {row.mac}" if row.mac else ""
    return f"{row.address} dev {row.dev}{lladdr} {row.state}"


def neighbour_row(address: Address, dev: str) -> str:
    """The line of `ip neigh` for an address that nobody answered for."""
    return f"{address} dev {dev} FAILED"


def fdb_row(link: Link, row: Fdb, master: str = "") -> str:
    """One line of `bridge fdb`."""
    words = [row.mac, "dev", link.name]
    if row.dst is not None:
        words += ["dst", str(row.dst), "self"]
    elif master:
        words += ["master", master]
    if row.permanent:
        words.append("permanent")
    return " ".join(words)


def link_row(link: Link) -> str:
    """The head of a device's paragraph in `ip link`."""
    master = f" master {link.master}" if link.master else ""
    state = "UP" if link.up else "DOWN"
    return f"{link.name}: mtu {link.mtu}{master} state {state}"


def vxlan_row(link: Link) -> str:
    """A VXLAN device's settings in the words of `ip -d link`."""
    assert link.vxlan is not None
    v = link.vxlan
    return f"vxlan id {v.vni} local {v.local} dev {v.dev} dstport {v.port}"


def socket_row(socket: Socket | Entry) -> str:
    """A line of `ss -tln` or `ss -uln`; an `ESTAB` one for the end of a process that asked."""
    if isinstance(socket, Entry):
        here = socket.original
        if here.protocol == "ICMP":
            return f"icmp ESTAB {here.src} {here.dst}"
        local, peer = endpoint(here.src, here.sport), endpoint(here.dst, here.dport)
        return f"{here.protocol.lower()} ESTAB {local} {peer}"
    state = "LISTEN" if socket.protocol != "UDP" else "UNCONN"
    address = "*" if socket.address is None else str(socket.address)
    owner = f' users:(("{socket.owner}"))' if socket.owner else ""
    return f"{socket.protocol.lower()} {state} {address}:{socket.port}{owner}"


# --- conntrack ---------------------------------------------------------------------------

NUMBER = {"TCP": 6, "UDP": 17, "ICMP": 1, "SCTP": 132}


def conntrack_row(entry: Entry, now: float) -> str:
    """One line of `conntrack -L`."""
    name = entry.original.protocol
    words = [f"{name.lower():8s} {NUMBER[name]} {max(0, round(entry.expires - now))}"]
    if entry.state:
        words.append(entry.state)
    words += direction(entry.original, "8")
    if not entry.seen_reply:
        words.append("[UNREPLIED]")
    words += direction(entry.reply, "0")
    if entry.assured:
        words.append("[ASSURED]")
    words += [f"mark={entry.mark}", "use=1"]
    return " ".join(words)


def direction(one: Tuple, kind: str) -> list[str]:
    ends = [f"src={one.src}", f"dst={one.dst}"]
    if one.protocol == "ICMP":
        return [*ends, f"type={kind}", "code=0", f"id={one.sport}"]
    return [*ends, f"sport={one.sport}", f"dport={one.dport}"]
