"""A network as commands that build it for real, from network namespaces.

Nothing is added to the machine's own namespace, and `remove` takes everything away again.
Processes are not part of it: who listens has to be started by whoever runs the script. What
the walk leaves out is switched off in the real thing too: reverse-path filtering, limits on
ICMP errors, and IPv6 where no device has an address of it.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Iterator

import msgspec

from labkit.kernel.layer2 import overhead
from labkit.kernel.links import Interface, Link
from labkit.kernel.netns import Netns, Network
from labkit.kernel.nft_text import nft_list_ruleset
from labkit.kernel.routes import Route, connected
from labkit.kernel.rows import nexthop_row, route_words
from labkit.kernel.rules_text import iptables_save

KINDS = {"veth": 0, "bridge": 1, "dummy": 1, "vxlan": 2}  # who needs whom comes later
EVERYWHERE = {
    "net.ipv4.ip_forward": 0,
    "net.ipv4.conf.all.rp_filter": 0,
    "net.ipv4.conf.default.rp_filter": 0,
    "net.ipv4.conf.all.route_localnet": 0,
    "net.ipv4.icmp_ratemask": 0,
}


class Command(msgspec.Struct, frozen=True):
    """One program to run, and what it reads from its standard input."""

    words: tuple[str, ...]
    stdin: str = ""

    def __str__(self) -> str:
        line = shlex.join(self.words)
        return f"{line} <<'END'\n{self.stdin}END" if self.stdin else line


class Script(msgspec.Struct, frozen=True):
    """Commands that build a network, and commands that remove it; `str` is a shell script."""

    build: tuple[Command, ...]
    remove: tuple[Command, ...]

    def __str__(self) -> str:
        lines = ["#!/bin/sh -e", *map(str, self.build), "# To remove it all:"]
        lines += [f"# {command}" for command in self.remove]
        return "\n".join([*lines, ""])


def script(network: Network, prefix: str = "lab.") -> Script:
    """The network as commands for root: `ip`, `bridge`, `sysctl`, `iptables-restore`, `nft`."""
    names = [real_name(name, prefix) for name in network.namespaces]
    return Script(
        build=(
            batch(("ip",), [f"netns add {name}" for name in names]),
            *(settings(netns, prefix) for netns in network.namespaces.values()),
            *present(links(network, netns, prefix) for netns in network.namespaces.values()),
            *present(
                command
                for netns in network.namespaces.values()
                for command in (
                    addresses(netns, prefix),
                    forwarding(netns, prefix),
                    *rules(netns, prefix),
                    late_settings(netns, prefix),
                )
            ),
        ),
        remove=tuple(Command(("ip", "netns", "del", name)) for name in names),
    )


def real_name(name: str, prefix: str = "lab.") -> str:
    """The namespace's name for `ip netns`, which is a file's name: `lab.pod.default.web`."""
    return prefix + name.replace("/", ".")


def present(commands: Iterable[Command | None]) -> Iterator[Command]:
    return (command for command in commands if command is not None and command.stdin != "\n")


def batch(tool: tuple[str, ...], lines: list[str]) -> Command:
    return Command((*tool, "-batch", "-"), "\n".join([*lines, ""]))


def inside(netns: Netns, prefix: str, *words: str) -> tuple[str, ...]:
    return ("ip", "netns", "exec", real_name(netns.name, prefix), *words)


# --- sysctls -----------------------------------------------------------------------------


def settings(netns: Netns, prefix: str) -> Command:
    """What new devices inherit has to be set before there are any."""
    six = any(a.version == 6 for k in netns.links if k.kind != "loopback" for a in k.addresses)
    values = EVERYWHERE | {"net.ipv6.conf.default.disable_ipv6": 0 if six else 1}
    return sysctl(netns, prefix, values | {k: v for k, v in netns.sysctls.items() if k in values})


def late_settings(netns: Netns, prefix: str) -> Command | None:
    """Settings of devices, bridges and conntrack, which have to be there first.

    A kernel loads its conntrack when a rule asks for it.
    """
    values = {k: v for k, v in netns.sysctls.items() if k not in EVERYWHERE}
    if any(link.kind == "bridge" for link in netns.links):
        values.setdefault("net.bridge.bridge-nf-call-iptables", 0)
    for link in netns.links:
        if link.proxy_arp:
            values[f"net.ipv4.conf.{link.name}.proxy_arp"] = 1
            values[f"net.ipv4.neigh.{link.name}.proxy_delay"] = 0  # else it waits for others
    return sysctl(netns, prefix, values) if values else None


def sysctl(netns: Netns, prefix: str, values: dict[str, int]) -> Command:
    pairs = (f"{key}={value}" for key, value in values.items())
    return Command(inside(netns, prefix, "sysctl", "-qw", *pairs))


# --- devices -----------------------------------------------------------------------------


def links(network: Network, netns: Netns, prefix: str) -> Command:
    """The namespace's devices; a cable is laid from the end whose namespace comes first."""
    made = sorted((k for k in netns.links if k.kind != "loopback"), key=lambda k: KINDS[k.kind])
    lines = [line for link in made for line in new_link(network, netns, link, prefix)]
    return batch(("ip", "-n", real_name(netns.name, prefix)), lines)


def new_link(network: Network, netns: Netns, link: Link, prefix: str) -> list[str]:
    words = end_words(link)
    if link.kind == "bridge":
        return [f"link add {words} type bridge forward_delay 0"]
    if link.kind == "dummy":
        return [f"link add {words} type dummy"]
    if link.kind == "vxlan":
        return [f"link add {words} type vxlan {vxlan_words(netns, link)}"]
    return cable(network, netns, link, prefix)


def end_words(link: Link) -> str:
    index = f" index {link.index}" if link.index else ""
    mac = f" address {link.mac}" if link.mac else ""
    return f"{link.name}{index}{mac} mtu {link.mtu}"


def vxlan_words(netns: Netns, link: Link) -> str:
    assert link.vxlan is not None
    v = link.vxlan
    room = netns.link(v.dev).mtu - overhead(v.local.version)
    # The kernel refuses a device that is too large for the one named here.
    below = f" dev {v.dev}" if link.mtu <= room else ""
    return f"id {v.vni}{below} local {v.local} dstport {v.port} nolearning"


def cable(network: Network, netns: Netns, link: Link, prefix: str) -> list[str]:
    assert link.peer is not None
    name, dev = link.peer
    order = list(network.namespaces)
    if name not in network.namespaces:
        return [f"link add {end_words(link)} type veth peer name {link.name}-far"]
    if (order.index(name), dev) < (order.index(netns.name), link.name):
        return []
    far = network.namespaces[name].link(dev)
    place = f"netns {real_name(name, prefix)}"
    return [f"link add {end_words(link)} type veth peer name {end_words(far)} {place}"]


# --- addresses, routes, neighbours -------------------------------------------------------


def addresses(netns: Netns, prefix: str) -> Command:
    """Ports to bridges, addresses, devices up, then routes and neighbours."""
    lines = [f"link set {k.name} master {k.master}" for k in netns.links if k.master]
    lines += [f"link set {k.name} type bridge_slave hairpin on" for k in netns.links if k.hairpin]
    # A port may have pulled its bridge down to its own size.
    lines += [f"link set {k.name} mtu {k.mtu}" for k in netns.links if k.kind == "bridge"]
    lines += [
        f"addr add {address}{broadcast(address)} dev {link.name}"
        for link in netns.links
        if link.kind != "loopback"
        for address in link.addresses
    ]
    lines += [f"link set {link.name} up" for link in netns.links if link.up]
    lines += routes(netns)
    lines += [
        f"neigh replace {n.address} lladdr {n.mac} dev {n.dev} nud {n.state.lower()}"
        for n in netns.neighbours
    ]
    return batch(("ip", "-n", real_name(netns.name, prefix)), lines)


def broadcast(address: Interface) -> str:
    if address.version == 6:
        return " nodad"
    return " brd +" if address.network.prefixlen < 31 else ""


def routes(netns: Netns) -> list[str]:
    """The routes but those that the kernel makes itself; one of these that is missing goes."""
    own = [
        route
        for link in netns.links
        if link.up and link.kind != "loopback"
        for address in link.addresses
        for route in connected(link.name, address)
    ]
    listed = {(route.prefix, route.dev) for route in netns.routes}
    down = {link.name for link in netns.links if not link.up}
    lines = [f"route del {r.prefix} dev {r.dev}" for r in own if (r.prefix, r.dev) not in listed]
    wanted = [r for r in netns.routes if r.proto != "kernel" and r.dev not in down]
    # A gateway has to be reachable when its route is added: links first.
    wanted.sort(key=lambda route: route.via is not None or bool(route.nexthops))
    return lines + [f"route add {route_text(route)}" for route in wanted]


def route_text(route: Route) -> str:
    words = [
        "::/0" if w == "default" and route.prefix.version == 6 else w for w in route_words(route)
    ]
    return " ".join([*words, *map(nexthop_row, route.nexthops)])


def forwarding(netns: Netns, prefix: str) -> Command | None:
    """Rows of forwarding databases: tunnel ends, and MAC addresses pinned to a port."""
    lines = [
        f"fdb append {row.mac} dev {link.name} dst {row.dst}"
        if row.dst is not None
        else f"fdb add {row.mac} dev {link.name} master static"
        for link in netns.links
        for row in link.fdb
    ]
    return batch(("bridge", "-n", real_name(netns.name, prefix)), lines) if lines else None


# --- rules -------------------------------------------------------------------------------


def rules(netns: Netns, prefix: str) -> list[Command]:
    """Sets first, since rules name them."""
    commands = []
    if netns.ruleset.sets:
        lines = [f"create {s.name} {s.kind}" for s in netns.ruleset.sets.values()]
        lines += [f"add {s.name} {m}" for s in netns.ruleset.sets.values() for m in s.members]
        stdin = "\n".join([*lines, ""])
        commands.append(Command(inside(netns, prefix, "ipset", "restore"), stdin))
    for family, tool in (("ip", "iptables-restore"), ("ip6", "ip6tables-restore")):
        text = iptables_save(netns, family=family)
        if text:
            commands.append(Command(inside(netns, prefix, tool), text))
    text = nft_list_ruleset(netns)
    if text:
        commands.append(Command(inside(netns, prefix, "nft", "-f", "-"), text))
    return commands
