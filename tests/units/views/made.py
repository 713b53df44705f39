"""Connections made by hand: the views draw whatever the tables decide, so tests need no cluster."""

from __future__ import annotations

from collections.abc import Iterable
from ipaddress import IPv4Address, IPv4Interface
from typing import Any

import msgspec

from labkit.kernel.links import Link, Vxlan
from labkit.kernel.packet import Icmp, Packet
from labkit.kernel.trace import Frame, Hop, Trace
from labkit.traffic.connection import Connection, Place, kind_of

IP = IPv4Address
PODS = {  # namespace of the kernel: (title, machine, address)
    "pod/default/frontend": ("frontend", "node/node-1", "10.244.1.2"),
    "pod/default/cart": ("cart", "node/node-1", "10.244.1.3"),
    "pod/default/backend": ("backend", "node/node-2", "10.244.2.2"),
}
SEP = '-A KUBE-SEP-SXIVWICOYRO3J4NJ -p tcp -m comment --comment "default/backend:http" -m tcp'
MASQ = "-A FLANNEL-POSTRTG ! -d 224.0.0.0/4 -m comment --comment flanneld-masq -j MASQUERADE"
VXLAN = "flannel.1: vxlan id 1 local 192.168.7.{} dev eth0 dstport 8472"


def link(name: str, address: str = "", kind: str = "veth", **more: Any) -> Link:
    at = (IPv4Interface(address),) if address else ()
    return Link(name=name, kind=kind, addresses=at, **more)


def node(i: int) -> Place:
    own = f"192.168.7.{10 + i}"
    links = (
        link("lo", "127.0.0.1/8", "loopback", mtu=65536),
        link("eth0", f"{own}/24"),
        link("cni0", f"10.244.{i}.1/24", "bridge", mtu=1450),
        link("flannel.1", f"10.244.{i}.0/32", "vxlan", mtu=1450,
             vxlan=Vxlan(1, IP(own), "eth0", 8472)),
    )  # fmt: skip
    name = f"node/node-{i}"
    return Place(netns=name, title=f"node-{i}", machine=name, kind="node", links=links)


def place(netns: str, title: str = "") -> Place:
    if netns in PODS:
        name, machine, address = PODS[netns]
        links = (link("eth0", f"{address}/24", mtu=1450),)
        return Place(netns=netns, title=title or name, machine=machine, kind="pod", links=links)
    if netns.startswith("node/"):
        return node(int(netns[-1]))
    links = {
        "router": (link("eth0", "192.168.7.1/24"), link("eth1", "203.0.113.1/24")),
        "outside": (link("eth0", "203.0.113.9/24"),),
    }[netns]
    return Place(netns=netns, title=netns, machine=netns, kind=kind_of(netns), links=links)


def hop(netns: str, stage: str, action: str, before: Packet, why: str = "", says: str = "",
        after: Packet | None = None, **more: Any) -> Hop:  # fmt: skip
    stage, _, table = stage.partition("/")
    return Hop(netns=netns, stage=stage, action=action, before=before, after=after or before,
               why=why, says=says or f"{action} in {netns}.", table=table, **more)  # fmt: skip


def trace(hops: Iterable[Hop], outcome: str = "delivered", **more: Any) -> Trace:
    done = tuple(hops)
    frames = tuple(
        Frame(h.netns, "eth0", "out", h.after) for h in done if h.action in ("send", "wrap")
    )
    return Trace(hops=done, frames=more.pop("frames", frames), outcome=outcome,
                 packet=done[-1].after, end=done[-1].netns, answer=None, conntrack={},
                 **more)  # fmt: skip


def connection(request: Trace, reply: Trace | None = None, outcome: str = "answered",
               source: str = "default/frontend", target: str = "svc/backend:80",
               protocol: str = "TCP", **more: Any) -> Connection:  # fmt: skip
    names = {h.netns for t in (request, reply) if t for h in t.hops}
    names |= {PODS[n][1] for n in names if n in PODS}
    places = more.pop("places", {n: place(n) for n in sorted(names)})
    return Connection(source=source, target=target, protocol=protocol, request=request,
                      reply=reply, outcome=outcome, conntrack={}, places=places,
                      **more)  # fmt: skip


def to(packet: Packet, **change: Any) -> Packet:
    return msgspec.structs.replace(packet, **change)


def outer(packet: Packet, one: int, two: int) -> Packet:
    return Packet(src=IP(f"192.168.7.{10 + one}"), dst=IP(f"192.168.7.{10 + two}"), protocol="UDP",
                  sport=41001, dport=8472, size=packet.size + 50, inner=packet, vni=1)  # fmt: skip


F, B, N1, N2 = "pod/default/frontend", "pod/default/backend", "node/node-1", "node/node-2"
SYN = Packet(src=IP("10.244.1.2"), dst=IP("10.96.0.20"), sport=41000, dport=80, flags="SYN")
TOLD = to(SYN, dst=IP("10.244.2.2"), dport=8080)
BACK = Packet(src=IP("10.244.2.2"), dst=IP("10.244.1.2"), sport=8080, dport=41000, flags="SYN,ACK")


def cluster_ip(why: str = "10.244.2.0/24 via 10.244.2.0 dev flannel.1 onlink") -> Connection:
    """Two machines, a rewrite, a tunnel, and the way back."""
    there = [
        hop(F, "socket", "send", SYN, "10.244.1.2:41000 -> 10.96.0.20:80",
            "A process in frontend opens a connection to 10.96.0.20:80."),
        hop(F, "route", "route", SYN, "default via 10.244.1.1 dev eth0",
            "The pod knows no nearer way, so it hands the packet to its gateway.", device="eth0"),
        hop(N1, "bridge", "bridge", SYN, "cni0", device="cni0", quiet=True),
        hop(N1, "PREROUTING/nat", "rewrite", SYN, f"{SEP} -j DNAT --to-destination 10.244.2.2:8080",
            "The Service's address becomes the address of one pod.", TOLD),
        hop(N1, "route", "route", TOLD, why, "Pods of node-2 lie behind the tunnel.",
            device="flannel.1"),
        hop(N1, "vxlan", "wrap", TOLD, "5e:3a:9c:04:11:02 dst 192.168.7.12 self permanent",
            "The frame becomes the load of a UDP packet between the nodes.", outer(TOLD, 1, 2),
            device="flannel.1"),
        hop(N2, "vxlan", "unwrap", outer(TOLD, 1, 2), VXLAN.format(12),
            "node-2 takes the outer headers off.", TOLD, device="flannel.1"),
        hop(N2, "route", "route", TOLD, "10.244.2.0/24 dev cni0 proto kernel scope link",
            "The destination is one of node-2's own pods.", device="cni0"),
        hop(B, "socket", "accept", TOLD, "LISTEN 0.0.0.0:8080", "backend listens on 8080."),
    ]  # fmt: skip
    wrapped = outer(BACK, 2, 1)
    restored = to(BACK, src=IP("10.96.0.20"), sport=80)
    back = [
        hop(B, "socket", "send", BACK, "10.244.2.2:8080 -> 10.244.1.2:41000",
            "The answer leaves with the pod's own address."),
        hop(N2, "route", "route", BACK, "10.244.1.0/24 via 10.244.1.0 dev flannel.1 onlink",
            "Pods of node-1 lie behind the tunnel.", device="flannel.1"),
        hop(N2, "vxlan", "wrap", BACK, "5e:3a:9c:04:11:01 dst 192.168.7.11 self permanent",
            "The frame becomes the load of a UDP packet between the nodes.", wrapped,
            device="flannel.1"),
        hop(N1, "vxlan", "unwrap", wrapped, VXLAN.format(11), "node-1 takes the outer headers off.",
            BACK, device="flannel.1"),
        hop(N1, "route", "route", BACK, "10.244.1.0/24 dev cni0 proto kernel scope link",
            "The destination is one of node-1's own pods.", device="cni0"),
        hop(N1, "conntrack", "restore", BACK, "tcp 6 86399 ESTABLISHED src=10.244.1.2 "
            "dst=10.96.0.20 sport=41000 dport=80 src=10.244.2.2 dst=10.244.1.2 sport=8080 "
            "dport=41000", "conntrack puts the Service's address back.", restored),
        hop(F, "socket", "accept", restored, "ESTAB 10.244.1.2:41000 10.96.0.20:80",
            "The answer comes from the address that was asked."),
    ]  # fmt: skip
    return connection(trace(there), trace(back))


def dropped() -> Connection:
    """A filter on the receiving machine keeps silent."""
    first = [h for h in cluster_ip().request.hops[:-1] if h.stage != "vxlan"]
    drop = hop(N2, "FORWARD/filter", "drop", TOLD, "-A FORWARD -d 10.244.2.2/32 -j DROP",
               "The rule drops the packet, and nobody is told.")  # fmt: skip
    return connection(trace([*first, drop], "dropped"), outcome="timed out")


def one_machine() -> Connection:
    """Two pods on one machine, through its rules and routes."""
    cart = "pod/default/cart"
    near = to(SYN, dst=IP("10.244.1.3"), dport=8080)
    answer = to(BACK, src=IP("10.244.1.3"))
    there = [
        hop(F, "socket", "send", SYN, "10.244.1.2:41000 -> 10.96.0.20:80"),
        hop(N1, "PREROUTING/nat", "rewrite", SYN, f"{SEP} -j DNAT --to-destination 10.244.1.3:8080",
            after=near),
        hop(N1, "route", "route", near, "10.244.1.0/24 dev cni0 proto kernel scope link"),
        hop(N1, "FORWARD/filter", "accept", near, "-A FLANNEL-FWD -s 10.244.0.0/16 -j ACCEPT"),
        hop(cart, "socket", "accept", near, "LISTEN 0.0.0.0:8080"),
    ]  # fmt: skip
    back = [
        hop(cart, "socket", "send", answer, "10.244.1.3:8080 -> 10.244.1.2:41000"),
        hop(N1, "route", "route", answer, "10.244.1.0/24 dev cni0 proto kernel scope link"),
        hop(N1, "conntrack", "restore", answer, "tcp 6 ...",
            after=to(answer, src=IP("10.96.0.20"), sport=80)),
        hop(F, "socket", "accept", answer, "ESTAB"),
    ]  # fmt: skip
    return connection(trace(there), trace(back), target="svc/cart:80")


def refused() -> Connection:
    """A rule refuses on the client's own machine, and says so."""
    there = [
        hop(F, "socket", "send", SYN, "10.244.1.2:41000 -> 10.96.0.20:80"),
        hop(N1, "route", "route", SYN, "default via 192.168.7.1 dev eth0"),
        hop(N1, "FORWARD/filter", "reject", SYN,
            "-A KUBE-SERVICES -d 10.96.0.20/32 -j REJECT --reject-with icmp-port-unreachable",
            "The Service has no endpoint, so the node refuses."),
    ]  # fmt: skip
    error = Packet(src=IP("10.244.1.1"), dst=IP("10.244.1.2"), protocol="ICMP", size=88,
                   icmp=Icmp("port-unreachable", SYN))  # fmt: skip
    back = [
        hop(N1, "route", "route", error, "10.244.1.0/24 dev cni0 proto kernel scope link"),
        hop(F, "socket", "accept", error, "ICMP port unreachable"),
    ]
    return connection(trace(there, "refused"), trace(back), outcome="refused")


def outside() -> Connection:
    """From a pod to the outside, masqueraded on the way."""
    ask = to(SYN, dst=IP("203.0.113.9"), dport=443)
    masked = to(ask, src=IP("192.168.7.11"))
    answer = Packet(src=IP("203.0.113.9"), dst=IP("192.168.7.11"), sport=443, dport=41000)
    home = to(answer, dst=IP("10.244.1.2"))
    there = [
        hop(F, "socket", "send", ask, "10.244.1.2:41000 -> 203.0.113.9:443"),
        hop(N1, "route", "route", ask, "default via 192.168.7.1 dev eth0", device="eth0"),
        hop(N1, "POSTROUTING/nat", "rewrite", ask, MASQ, after=masked, device="eth0"),
        hop("router", "route", "route", masked, "203.0.113.0/24 dev eth1", device="eth1"),
        hop("outside", "socket", "accept", masked, "LISTEN 0.0.0.0:443"),
    ]
    back = [
        hop("outside", "socket", "send", answer, "203.0.113.9:443 -> 192.168.7.11:41000"),
        hop("router", "route", "route", answer, "192.168.7.0/24 dev eth0", device="eth0"),
        hop(N1, "conntrack", "restore", answer, "tcp 6 ...", after=home),
        hop(N1, "route", "route", home, "10.244.1.0/24 dev cni0", device="cni0"),
        hop(F, "socket", "accept", home, "ESTAB"),
    ]
    return connection(trace(there), trace(back), target="outside:443")


def lost() -> Connection:
    """The router knows no way on."""
    kept = [h for h in outside().request.hops if h.netns not in ("router", "outside")]
    end = hop("router", "route", "reject", kept[-1].after, "unreachable default")
    return connection(
        trace([*kept, end], "unreachable"), outcome="unreachable", target="10.9.9.9:80"
    )


def circles() -> Connection:
    """Two machines send a packet to each other until its TTL is used up."""
    turns = [
        hop(f"node/node-{1 + i % 2}", "route", "route", TOLD, f"10.244.9.0/24 via {i}")
        for i in range(60)
    ]
    start = hop(F, "socket", "send", TOLD, "10.244.1.2:41000 -> 10.244.9.9:80")
    return connection(trace([start, *turns], "ttl-exceeded"), outcome="unreachable")


MADE = {
    "two machines": cluster_ip, "dropped": dropped, "one machine": one_machine, "refused": refused,
    "outside": outside, "no way": lost, "circles": circles,
}  # fmt: skip
