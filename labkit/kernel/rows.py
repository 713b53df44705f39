"""Single rows of the tools' print-outs: what a hop quotes and what `text` puts together."""

from __future__ import annotations

from labkit.kernel.conntrack import Entry, Tuple
from labkit.kernel.kept import kept
from labkit.kernel.links import Fdb, Link
from labkit.kernel.netns import Socket
from labkit.kernel.packet import Address, endpoint
from labkit.kernel.routes import Neighbour, NextHop, Route


def route_row(route: Route) -> str:
    """One line of `ip route`, as iproute2 prints it (a multipath route's ways on one line)."""
    return kept(route, "row", written)


def written(route: Route) -> str:
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
    """The line of `ip -d link` with a VXLAN device's settings; what else it says are defaults.

    Left out, as in `device_row`: what comes behind, from `addrgenmode` on, which is the same
    for all devices and differs between kernels.
    """
    assert link.vxlan is not None
    v = link.vxlan
    return (
        f"vxlan id {v.vni} local {v.local} dev {v.dev} srcport 0 0 dstport {v.port} nolearning "
        "ttl auto ageing 300 udpcsum noudp6zerocsumtx noudp6zerocsumrx"
    )


def device_row(link: Link) -> str:
    """The line that `ip -d link` adds for a device's kind; empty for `lo`.

    A bridge's line ends at `vlan_filtering 0`: timers, multicast and numbers follow in life.

    Source: iproute2 6.1, seen from outside.
    """
    if link.kind == "vxlan":
        return vxlan_row(link)
    if link.kind == "bridge":
        times = "forward_delay 1500 hello_time 200 max_age 2000 ageing_time 30000"
        return f"bridge {times} stp_state 0 priority 32768 vlan_filtering 0"
    return "" if link.kind == "loopback" else link.kind


def port_row(link: Link) -> str:
    """The line of `ip -d link` for a port of a bridge; in life it goes on after `flood on`."""
    state = "forwarding" if link.up else "disabled"
    hairpin = "on" if link.hairpin else "off"
    return (
        f"bridge_slave state {state} priority 32 cost 2 hairpin {hairpin} guard off "
        "root_block off fastleave off learning on flood on"
    )


# --- sockets -----------------------------------------------------------------------------


def listening_row(socket: Socket, owner: bool = True) -> str:
    """One line of `ss -ltnp` or `ss -lunp`, without the process's number and descriptor.

    `owner` False is the line without `-p`.
    """
    state, backlog = ("UNCONN", 0) if socket.protocol == "UDP" else ("LISTEN", 4096)
    address, peer = "*", "*"  # a socket for both families
    if socket.address is not None:
        is_v4 = socket.address.version == 4
        address, peer = (
            (str(socket.address), "0.0.0.0") if is_v4 else (f"[{socket.address}]", "[::]")
        )
    row = ss_row(state, backlog, f"{address}:{socket.port}", f"{peer}:*")
    return f'{row} users:(("{socket.owner}"))' if owner and socket.owner else row


def asking_row(end: Entry) -> str:
    """The line of `ss -tn` (`ss -uan`) for the end of a process that asked.

    A TCP socket whose SYN has not been answered by SYN,ACK is SYN-SENT, with one number of
    its sequence unacknowledged.
    """
    here = end.original
    if here.protocol == "ICMP":
        return "(no row: ss does not list the sockets of ping)"
    local, peer = endpoint(here.src, here.sport), endpoint(here.dst, here.dport)
    opening = end.state == "SYN_SENT"
    return ss_row("SYN-SENT" if opening else "ESTAB", int(opening), local, peer)


def ss_row(state: str, queue: int, local: str, peer: str) -> str:
    """The columns State, Recv-Q (0), Send-Q, Local Address:Port and Peer Address:Port."""
    return f"{state:<6} 0      {queue:<6} {local:>18} {peer:>17}"


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
    ends = [f"src={one.src!s}", f"dst={one.dst!s}"]  # format() of an address is slow
    if one.protocol == "ICMP":
        return [*ends, f"type={kind}", "code=0", f"id={one.sport}"]
    return [*ends, f"sport={one.sport}", f"dport={one.dport}"]
