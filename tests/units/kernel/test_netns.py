"""Namespaces put together from parts, and written as a script."""

from __future__ import annotations

from ipaddress import ip_network

from msgspec.structs import replace

from labkit.kernel.dice import FirstDice, SeededDice
from labkit.kernel.links import Fdb
from labkit.kernel.netns import Network, Part, Socket, merge
from labkit.kernel.routes import Route
from labkit.kernel.script import script
from labkit.kernel.text import iptables_save
from tests.units.kernel.networks import Plan, tables


def part(rules: str, **more) -> Part:
    return Part(tables=tables(rules), **more)


def test_parts_merge_in_their_order():
    nat = "*nat\n:POSTROUTING ACCEPT\n:{0} -\n-A POSTROUTING -j {0}\nCOMMIT\n"
    one = part(nat.format("KUBE"), sysctls={"a": 1}, sockets=(Socket("TCP", 1),))
    two = part(
        nat.format("FLANNEL") + "*filter\n:INPUT ACCEPT\nCOMMIT",
        sysctls={"a": 2},
        sockets=(Socket("TCP", 2),),
    )
    netns = merge("node/x", "x", [one, two])
    assert iptables_save(netns) == (
        "*filter\n:INPUT ACCEPT [0:0]\nCOMMIT\n"
        "*nat\n:POSTROUTING ACCEPT [0:0]\n:FLANNEL - [0:0]\n:KUBE - [0:0]\n"
        "-A POSTROUTING -j KUBE\n-A POSTROUTING -j FLANNEL\nCOMMIT\n"
    )
    assert netns.sysctls == {"a": 2}
    assert [socket.port for socket in netns.sockets] == [1, 2]


def test_nothing_merges_to_an_empty_namespace():
    assert merge("x", "x", []) == replace(merge("x", "x", [Part()]))


NETWORK = Plan({"node-1": ["a"], "node-2": ["c"]}, rules={"": "*nat\n:INPUT ACCEPT\nCOMMIT"})


def lines(network: Network, netns: str) -> list[str]:
    """Everything that the script says to one namespace."""
    found = []
    for command in script(network, "t.").build:
        if f"t.{netns}" in command.words:
            found += [" ".join(command.words[4:]), *command.stdin.splitlines()]
    return found


def test_a_script_builds_every_namespace_and_removes_it():
    text = script(NETWORK.network(), "t.")
    made = [line.split()[-1] for line in text.build[0].stdin.splitlines()]
    assert made == [command.words[-1] for command in text.remove]
    assert made[:3] == ["t.switch", "t.router", "t.outside"]
    assert "t.pod.default.a" in made


def test_a_script_never_touches_the_machines_own_namespace():
    for command in script(NETWORK.network(), "t.").build[1:]:
        inside = command.words[:3] == ("ip", "netns", "exec") or command.words[1] == "-n"
        assert inside, command.words
        assert command.words[3 if command.words[1] == "netns" else 2].startswith("t.")


def test_a_node_in_a_script():
    node = lines(NETWORK.network(), "node.node-1")
    for line in (
        "link add cni0 index 4 address 0a:58:0a:f4:01:01 mtu 1450 type bridge forward_delay 0",
        "link add flannel.1 index 3 address 0a:58:0a:f4:01:00 mtu 1450 type vxlan id 1 dev eth0"
        " local 192.168.7.11 dstport 8472 nolearning",
        "link set v-a master cni0",
        "link set v-a type bridge_slave hairpin on",
        "addr add 192.168.7.11/24 brd + dev eth0",
        "addr add 10.244.1.0/32 dev flannel.1",
        "route add 10.244.2.0/24 via 10.244.2.0 dev flannel.1 onlink",
        "route add default via 192.168.7.1 dev eth0",
        "neigh replace 10.244.2.0 lladdr 0a:58:0a:f4:02:00 dev flannel.1 nud permanent",
        "fdb append 0a:58:0a:f4:02:00 dev flannel.1 dst 192.168.7.12",
        "*nat",
    ):
        assert line in node, line
    assert not any("proto kernel" in line for line in node)


def test_a_tunnel_that_is_too_large_for_its_device_is_not_tied_to_it():
    wide = NETWORK.network().namespaces["node/node-1"]
    links = tuple(replace(k, mtu=1500) if k.kind == "vxlan" else k for k in wide.links)
    net = Network({"node/node-1": replace(wide, links=links)})
    (made,) = (line for line in lines(net, "node.node-1") if "type vxlan" in line)
    assert " dev eth0 " not in made


def test_a_route_of_the_kernels_own_that_is_missing_is_deleted():
    net = NETWORK.network()
    node = net.namespaces["node/node-1"]
    kept = tuple(r for r in node.routes if r.prefix != ip_network("10.244.1.0/24"))
    broken = Network({**net.namespaces, "node/node-1": replace(node, routes=kept)})
    assert "route del 10.244.1.0/24 dev cni0" in lines(broken, "node.node-1")
    assert not any(line.startswith("route del") for line in lines(net, "node.node-1"))


def test_pinned_macs_and_plain_routes_are_written_too():
    net = NETWORK.network()
    node = net.namespaces["node/node-1"]
    links = tuple(
        replace(k, fdb=(Fdb("02:00:00:00:00:09"),)) if k.master else k for k in node.links
    )
    routes = (*node.routes, Route(prefix=ip_network("10.9.0.0/16"), kind="blackhole"))
    changed = replace(node, links=links, routes=routes)
    found = lines(Network({**net.namespaces, "node/node-1": changed}), "node.node-1")
    assert "fdb add 02:00:00:00:00:09 dev v-a master static" in found
    assert "route add blackhole 10.9.0.0/16" in found


def test_the_script_is_one_for_a_shell():
    text = str(script(NETWORK.network(), "t."))
    assert text.startswith("#!/bin/sh -e\nip -batch - <<'END'\nnetns add t.switch\n")
    assert text.endswith("# ip netns del t.pod.default.c\n")


def test_dice_are_repeatable_and_fair():
    rolls = [SeededDice(3).below(6) for _ in range(5)]
    assert len(set(rolls)) == 1
    one = SeededDice(3)
    counts = [0] * 6
    for _ in range(6000):
        counts[one.below(6)] += 1
    assert all(900 < count < 1100 for count in counts)
    assert FirstDice().below(6) == 0
