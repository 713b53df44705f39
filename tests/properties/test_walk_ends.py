"""Every packet's walk ends, whatever the routes, bridges, tunnels and rules say."""

from __future__ import annotations

from ipaddress import ip_address, ip_interface, ip_network

from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from labkit.kernel import netfilter as nf
from labkit.kernel.dice import SeededDice
from labkit.kernel.links import Fdb, Link, Vxlan
from labkit.kernel.netns import Netns, Network, Socket
from labkit.kernel.outcomes import outcomes
from labkit.kernel.packet import Icmp, Packet
from labkit.kernel.routes import Neighbour, Route
from labkit.kernel.trace import Outcome
from labkit.kernel.walk import walk

MACHINES = ("m0", "m1", "m2")
HOSTS = [f"10.0.{i}.{j}" for i in range(3) for j in (1, 2)]
ADDRESSES = st.sampled_from([*HOSTS, *HOSTS, "10.9.9.9", "127.0.0.1", "10.96.0.1"]).map(ip_address)
PREFIXES = st.sampled_from(["0.0.0.0/0", "10.0.0.0/8", "10.0.1.0/24", "10.96.0.0/16"])
DEVICES = ("a", "b", "br", "vx")


def mac(machine: int, device: str) -> str:
    return f"02:00:00:00:{machine:02x}:{DEVICES.index(device):02x}"


BOOLS = st.booleans()


@st.composite
def routes(draw):
    """A route to anywhere over any device, through anybody: circles are welcome."""
    return Route(
        prefix=ip_network(draw(PREFIXES)),
        dev=draw(st.sampled_from(DEVICES)),
        via=draw(st.none() | ADDRESSES),
        metric=draw(st.integers(0, 3)),
        mtu=draw(st.none() | st.just(500)),
        kind=draw(st.sampled_from(["unicast"] * 6 + ["blackhole", "unreachable"])),
    )


NETS = st.sampled_from(["10.0.0.0/16", "10.96.0.1/32", "10.0.1.1/32"]).map(ip_network)
MATCHES = st.one_of(
    st.builds(nf.Source, NETS, BOOLS),
    st.builds(nf.Destination, NETS, BOOLS),
    st.builds(nf.Proto, st.sampled_from(["tcp", "udp", "icmp"])),
    st.builds(nf.CtState, st.just(("NEW",)), BOOLS),
    st.builds(nf.Statistic, st.integers(1, 3)),
    st.builds(nf.Mark, st.just(1), st.just(1), BOOLS),
)
FILTER_TARGETS = st.one_of(
    st.none(),
    st.builds(nf.Verdict, st.sampled_from(["ACCEPT", "ACCEPT", "DROP", "RETURN"])),
    st.just(nf.Reject()),
    st.just(nf.SetMark(1, 1)),
    st.just(nf.Jump("user")),
)
DNATS = st.one_of(st.none(), st.builds(nf.Dnat, ADDRESSES, st.none() | st.just(80)))
SNATS = st.one_of(st.none(), st.just(nf.Masquerade()), st.builds(nf.Snat, ADDRESSES))


def rules(targets):
    rule = st.builds(nf.Rule, st.lists(MATCHES, max_size=2).map(tuple), targets)
    return st.lists(rule, max_size=3).map(tuple)


@st.composite
def rulesets(draw):
    plain = st.none() | st.just(nf.Verdict("RETURN"))
    user = nf.Chain(name="user", rules=draw(rules(plain)))
    chains = {"user": user}
    for hook in ("INPUT", "FORWARD", "OUTPUT"):
        found = draw(rules(FILTER_TARGETS))
        chains[hook] = nf.Chain(name=hook, rules=found, hook=hook, policy="ACCEPT")
    nat = {
        hook: nf.Chain(name=hook, rules=draw(rules(targets)), hook=hook, priority=priority,
                       policy="ACCEPT")
        for hook, targets, priority in (
            ("PREROUTING", DNATS, -100), ("OUTPUT", DNATS, -100), ("POSTROUTING", SNATS, 100))
    }  # fmt: skip
    tables = (nf.Table(name="filter", chains=chains), nf.Table(name="nat", chains=nat))
    return nf.Ruleset(tables=tables if draw(st.booleans()) else ())


def default(dev: str) -> Route:
    return Route(prefix=ip_network("0.0.0.0/0"), dev=dev, metric=9)


def known_macs(number: int) -> dict[str, list[str]]:
    after, before = (number + 1) % 3, (number + 2) % 3
    return {
        "a": [mac(after, "b"), mac(after, "b"), mac(after, "br")],
        "b": [mac(before, "a"), mac(before, "a"), mac(before, "br")],
        "br": [mac(after, "b"), mac(before, "a"), mac(number, "br")],
        "vx": [mac(after, "vx"), mac(before, "vx")],
    }


@st.composite
def machines(draw, number: int):
    """Two cables to the neighbours in a ring, a bridge that may take both, a tunnel."""
    name, after, before = (MACHINES[(number + k) % 3] for k in (0, 1, 2))
    bridged = draw(st.sampled_from([(), ("a",), ("a", "b")]))
    ends = st.sampled_from(HOSTS).map(ip_address)
    fdb = tuple(Fdb(mac(far, "vx"), draw(ends)) for far in range(3) if far != number)
    links = [
        Link(name="lo", kind="loopback", addresses=(ip_interface("127.0.0.1/8"),)),
        Link(name="br", kind="bridge", mac=mac(number, "br"), up=draw(BOOLS),
             addresses=(ip_interface(f"10.0.{number}.1/24"),)),
        Link(name="vx", kind="vxlan", mac=mac(number, "vx"), mtu=1450, fdb=fdb,
             vxlan=Vxlan(1, draw(ADDRESSES), "a", 8472)),
    ]  # fmt: skip
    for dev, peer, far in (("a", after, "b"), ("b", before, "a")):
        links.append(
            Link(
                name=dev, kind="veth", mac=mac(number, dev), peer=(peer, far),
                master="br" if dev in bridged else None, hairpin=draw(BOOLS),
                proxy_arp=draw(BOOLS), mtu=draw(st.sampled_from([1500, 1450])),
                addresses=(ip_interface(f"10.0.{number}.2/16"),) if dev == "a" else (),
            )
        )  # fmt: skip
    return Netns(
        name=name,
        links=tuple(links),
        routes=(*draw(st.lists(routes(), max_size=3)), default(draw(st.sampled_from(DEVICES)))),
        # Whoever is asked for on a cable is said to be at its other end: frames get through.
        neighbours=tuple(
            Neighbour(ip_address(address), dev, draw(st.sampled_from(macs)))
            for dev, macs in known_macs(number).items()
            for address in (*HOSTS, "10.9.9.9", "10.96.0.1")
        ),
        ruleset=draw(rulesets()),
        sockets=(Socket("TCP", 80), Socket("UDP", 80)) if draw(BOOLS) else (),
        sysctls={
            "net.ipv4.ip_forward": draw(st.sampled_from([1, 1, 1, 0])),
            "net.bridge.bridge-nf-call-iptables": int(draw(BOOLS)),
            "net.ipv4.conf.all.route_localnet": int(draw(BOOLS)),
        },
    )


@st.composite
def networks(draw):
    return Network({MACHINES[i]: draw(machines(i)) for i in range(3)})


@st.composite
def packets(draw):
    protocol = draw(st.sampled_from(["TCP", "UDP", "ICMP"]))
    return Packet(
        src=draw(st.sampled_from(HOSTS[:2] * 3 + HOSTS).map(ip_address)),
        dst=draw(ADDRESSES),
        protocol=protocol,
        sport=41000,
        dport=draw(st.sampled_from([80, 81])),
        flags=draw(st.sampled_from(["SYN", "SYN,ACK", "ACK", "RST"])) if protocol == "TCP" else "",
        icmp=Icmp("echo-request") if protocol == "ICMP" else None,
        size=draw(st.sampled_from([60, 60, 60, 1451, 3000])),
        dont_fragment=draw(BOOLS),
        ttl=draw(st.sampled_from([64, 64, 3, 1])),
    )


@given(networks(), packets(), st.integers(0, 99))
def test_a_packet_and_its_answers_end(network, packet, seed):
    conntrack, start = {}, "m0"
    for _ in range(4):  # an answer may be answered; an answer to that as well
        trace = walk(network, start, packet, SeededDice(seed), conntrack)
        assert trace.outcome in Outcome.__args__
        assert trace.end in network.namespaces
        assert trace.hops
        assert all(hop.netns in network.namespaces for hop in trace.hops)
        conntrack, start = trace.conntrack, trace.end
        if trace.answer is None:
            break
        packet = trace.answer


def short_lived(packet: Packet) -> Packet:
    """Ways multiply with each pass through a circle: three passes are enough to see it."""
    return replace(packet, ttl=min(packet.ttl, 4))


@given(networks(), packets().map(short_lived))
def test_all_ways_together_are_certain(network, packet):
    assert sum(chance for chance, _ in outcomes(network, "m0", packet)) == 1


@given(networks(), packets().map(short_lived), st.integers(0, 99))
def test_what_dice_find_is_one_of_the_ways(network, packet, seed):
    one = walk(network, "m0", packet, SeededDice(seed))
    assert one in [trace for _, trace in outcomes(network, "m0", packet)]
