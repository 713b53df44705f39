"""Small networks for the tests: rules are written as iptables-save prints them."""

from __future__ import annotations

import shlex
from ipaddress import ip_address, ip_interface, ip_network

from labkit.kernel import netfilter as nf
from labkit.kernel.links import Fdb, Link, Vxlan
from labkit.kernel.netns import Netns, Network, Socket
from labkit.kernel.packet import Icmp, Packet
from labkit.kernel.routes import Neighbour, Route, connected

PRIORITY = {
    "nat": {"PREROUTING": -100, "OUTPUT": -100, "INPUT": 100, "POSTROUTING": 100},
}
HOOKS = ("PREROUTING", "INPUT", "FORWARD", "OUTPUT", "POSTROUTING")


# --- rules from text ---------------------------------------------------------------------


def tables(text: str) -> tuple[nf.Table, ...]:
    """`*nat`, `:CHAIN POLICY`, `-A CHAIN ...` lines as values."""
    found, name, chains = [], "", {}
    for line in filter(None, map(str.strip, text.splitlines())):
        if line.startswith("*"):
            name, chains = line[1:], {}
        elif line.startswith(":"):
            chain, policy = line[1:].split()[:2]
            chains[chain] = (policy, [])
        elif line.startswith("-A"):
            words = shlex.split(line)
            chains[words[1]][1].append(rule(words[2:]))
        elif line == "COMMIT":
            made = {c: built(name, c, policy, rules) for c, (policy, rules) in chains.items()}
            found.append(nf.Table(name=name, chains=made))
    return tuple(found)


def built(table, chain, policy, rules):
    if policy == "-":
        return nf.Chain(name=chain, rules=tuple(rules))
    priority = PRIORITY.get(table, {}).get(chain, nf.PRIORITY.get(table, 0))
    return nf.Chain(name=chain, rules=tuple(rules), hook=chain, priority=priority, policy=policy)


def rule(words: list[str]) -> nf.Rule:
    matches, target, negate, module = [], None, False, ""
    words = list(words)
    while words:
        word = words.pop(0)
        if word == "!":
            negate = True
            continue
        if word in ("-j", "-g"):
            target = target_of(words.pop(0), words, word == "-g")
            break
        if word == "-m":
            module = words.pop(0)
            if module in ("tcp", "udp", "sctp"):
                at = next(i for i, m in enumerate(matches) if isinstance(m, nf.Proto))
                proto = matches.pop(at)
                matches.append(nf.Proto(proto.name, True, proto.negate))
            continue
        matches += option(word, words, negate)
        negate = False
    return nf.Rule(tuple(matches), target)


def option(word: str, words: list[str], negate: bool) -> list[nf.Match]:
    value = words.pop(0)
    simple = {
        "-s": lambda: nf.Source(ip_network(value), negate),
        "-d": lambda: nf.Destination(ip_network(value), negate),
        "-i": lambda: nf.InDevice(value, negate),
        "-o": lambda: nf.OutDevice(value, negate),
        "-p": lambda: nf.Proto(value, False, negate),
        "--ctstate": lambda: nf.CtState(tuple(value.split(",")), negate),
        "--dst-type": lambda: nf.AddrType("dst", value, negate),
        "--src-type": lambda: nf.AddrType("src", value, negate),
        "--comment": lambda: nf.Comment(value),
        "--probability": lambda: nf.Statistic(round(1 / float(value))),
    }
    if word == "--mode":
        return []
    if word in ("--dport", "--sport"):
        first, _, last = value.partition(":")
        kind = nf.DestinationPort if word == "--dport" else nf.SourcePort
        return [kind(int(first), int(last) if last else None, negate)]
    if word == "--mark":
        number, _, mask = value.partition("/")
        return [nf.Mark(int(number, 16), int(mask, 16) if mask else 0xFFFFFFFF, negate)]
    if word == "--match-set":
        return [nf.InSet(value, tuple(words.pop(0).split(",")), negate)]
    return [simple[word]()]


def target_of(name: str, words: list[str], goto: bool) -> nf.Target:
    value = words[1] if len(words) > 1 else ""
    if name in ("ACCEPT", "DROP", "RETURN"):
        return nf.Verdict(name)
    if name == "REJECT":
        return nf.Reject(value or "icmp-port-unreachable")
    if name == "MARK":
        number, _, mask = value.partition("/")
        return nf.SetMark(int(number, 16), int(mask, 16))
    if name == "DNAT":
        address, _, port = value.partition(":")
        return nf.Dnat(ip_address(address), int(port) if port else None)
    if name == "SNAT":
        return nf.Snat(ip_address(value))
    if name == "MASQUERADE":
        return nf.Masquerade("--random-fully" in words)
    return nf.Jump(name, goto)


# --- machines ----------------------------------------------------------------------------


LO = Link(
    name="lo",
    kind="loopback",
    index=1,
    mtu=65536,
    addresses=(ip_interface("127.0.0.1/8"), ip_interface("::1/128")),
)


def mac(address: str) -> str:
    return "0a:58:" + ":".join(f"{byte:02x}" for byte in ip_address(address).packed)


def route(text: str, **more) -> Route:
    """A route from `PREFIX [via A] [dev D] [onlink]`."""
    prefix, *words = text.split()
    onlink = "onlink" in words
    words = [w for w in words if w != "onlink"]
    pairs = dict(zip(words[::2], words[1::2], strict=True))
    via = pairs.get("via")
    return Route(
        prefix=ip_network("0.0.0.0/0" if prefix == "default" else prefix),
        via=ip_address(via) if via else None,
        dev=pairs.get("dev", ""),
        onlink=onlink,
        **more,
    )


def machine(name, links, routes=(), rules="", sysctls=None, sockets=(), neighbours=()):
    own = tuple(
        r
        for link in links
        for a in link.addresses
        for r in connected(link.name, a)
        if link.kind != "loopback"
    )
    return Netns(
        name=name,
        title=name.rpartition("/")[2],
        links=tuple(links),
        routes=(*routes, *own),
        ruleset=nf.Ruleset(tables=tables(rules)),
        sysctls=sysctls or {},
        sockets=tuple(sockets),
        neighbours=tuple(neighbours),
    )


def veth(name, peer, address=None, index=2, mtu=1500, **more) -> Link:
    addresses = () if address is None else (ip_interface(address),)
    own = mac(address.split("/")[0]) if address else more.pop("mac", "")
    return Link(
        name=name,
        kind="veth",
        index=index,
        mac=own,
        mtu=mtu,
        addresses=addresses,
        peer=peer,
        **more,
    )


NODE_SYSCTLS = {"net.ipv4.ip_forward": 1, "net.bridge.bridge-nf-call-iptables": 1}


class Plan:
    """A two-tier network as flannel makes it: pods on nodes, nodes and a router on a switch."""

    def __init__(
        self,
        nodes,
        backend="vxlan",
        rules=None,
        sysctls=None,
        hairpin=True,
        pod_mtu=None,
        tunnel_mtu=1450,
        listens=(8080,),
    ):
        self.nodes = nodes
        self.backend = backend
        self.rules = rules or {}
        self.sysctls = NODE_SYSCTLS | (sysctls or {})
        self.hairpin = hairpin
        self.tunnel_mtu = tunnel_mtu
        self.pod_mtu = pod_mtu or (tunnel_mtu if backend == "vxlan" else 1500)
        self.listens = listens
        self.index = {node: i + 1 for i, node in enumerate(nodes)}
        self.node_ip = {node: f"192.168.7.{10 + i}" for node, i in self.index.items()}
        self.pod_ip = {
            pod: f"10.244.{self.index[node]}.{j + 2}"
            for node, pods in nodes.items()
            for j, pod in enumerate(pods)
        }
        self.pod_node = {pod: node for node, pods in nodes.items() for pod in pods}

    def network(self) -> Network:
        spaces = [self.switch(), self.router(), self.outside()]
        for node, pods in self.nodes.items():
            spaces.append(self.node(node))
            spaces += [self.pod(node, pod) for pod in pods]
        return Network({space.name: space for space in spaces})

    def switch(self) -> Netns:
        ends = ["router", *(f"node/{node}" for node in self.nodes)]
        ports = [
            Link(
                name=f"p{i}",
                kind="veth",
                index=i + 3,
                mac=f"02:00:00:00:01:{i:02x}",
                peer=(end, "eth0"),
                master="br0",
            )
            for i, end in enumerate(ends)
        ]
        br0 = Link(name="br0", kind="bridge", index=2, mac="02:00:00:00:00:01")
        return machine("switch", [LO, br0, *ports])

    def router(self) -> Netns:
        links = [
            LO,
            veth("eth0", ("switch", "p0"), "192.168.7.1/24"),
            veth("eth1", ("outside", "eth0"), "203.0.113.1/24", 3),
        ]
        return machine("router", links, sysctls={"net.ipv4.ip_forward": 1})

    def outside(self) -> Netns:
        links = [LO, veth("eth0", ("router", "eth1"), "203.0.113.9/24")]
        return machine(
            "outside",
            links,
            [route("default via 203.0.113.1 dev eth0")],
            sockets=self.sockets("outside"),
        )

    def sockets(self, owner):
        return [Socket(p, port, None, owner) for port in self.listens for p in ("TCP", "UDP")]

    def node(self, node: str) -> Netns:
        i = self.index[node]
        ip = self.node_ip[node]
        port = list(self.nodes).index(node) + 1
        links = [LO, veth("eth0", ("switch", f"p{port}"), f"{ip}/24")]
        routes = [route("default via 192.168.7.1 dev eth0")]
        neighbours = []
        others = {n: k for n, k in self.index.items() if n != node}
        if self.backend == "vxlan":
            rows = tuple(
                Fdb(mac(f"10.244.{k}.0"), ip_address(self.node_ip[n])) for n, k in others.items()
            )
            links.append(
                Link(
                    name="flannel.1",
                    kind="vxlan",
                    index=3,
                    mac=mac(f"10.244.{i}.0"),
                    mtu=self.tunnel_mtu,
                    addresses=(ip_interface(f"10.244.{i}.0/32"),),
                    vxlan=Vxlan(1, ip_address(ip), "eth0", 8472),
                    fdb=rows,
                )
            )
            for k in others.values():
                routes.append(route(f"10.244.{k}.0/24 via 10.244.{k}.0 dev flannel.1 onlink"))
                gateway = f"10.244.{k}.0"
                neighbours.append(Neighbour(ip_address(gateway), "flannel.1", mac(gateway)))
        else:
            for n, k in others.items():
                routes.append(route(f"10.244.{k}.0/24 via {self.node_ip[n]} dev eth0"))
        links.append(
            Link(
                name="cni0",
                kind="bridge",
                index=4,
                mac=mac(f"10.244.{i}.1"),
                mtu=self.pod_mtu,
                addresses=(ip_interface(f"10.244.{i}.1/24"),),
            )
        )
        for j, pod in enumerate(self.nodes[node]):
            links.append(
                veth(
                    f"v-{pod}",
                    (f"pod/default/{pod}", "eth0"),
                    None,
                    5 + j,
                    self.pod_mtu,
                    master="cni0",
                    hairpin=self.hairpin,
                    mac=f"02:00:00:00:{i + 1:02x}:{j:02x}",
                )
            )
        return machine(
            f"node/{node}",
            links,
            routes,
            self.rules.get(node, self.rules.get("", "")),
            self.sysctls,
            (),
            neighbours,
        )

    def pod(self, node: str, pod: str) -> Netns:
        i = self.index[node]
        links = [
            LO,
            veth("eth0", (f"node/{node}", f"v-{pod}"), f"{self.pod_ip[pod]}/24", mtu=self.pod_mtu),
        ]
        routes = [
            route(f"default via 10.244.{i}.1 dev eth0"),
            route(f"10.244.0.0/16 via 10.244.{i}.1 dev eth0"),
        ]
        return machine(f"pod/default/{pod}", links, routes, sockets=self.sockets(pod))


def packet(src, dst, dport=80, protocol="TCP", sport=41000, **more) -> Packet:
    if protocol == "ICMP":
        more.setdefault("icmp", Icmp("echo-request"))
        dport = 0
    flags = more.pop("flags", "SYN" if protocol == "TCP" else "")
    return Packet(
        src=ip_address(src),
        dst=ip_address(dst),
        protocol=protocol,
        sport=sport,
        dport=dport,
        flags=flags,
        **more,
    )
