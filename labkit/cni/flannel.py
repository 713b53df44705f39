"""flannel: a bridge on every node; between nodes VXLAN, or plain routes with host-gw.

Two programs share the work as in life: the CNI plugin `bridge` wires pods to `cni0`, and
flanneld writes the routes, the tunnel's neighbours and forwarding rows, and its chains.

Source: flannel `pkg/backend/vxlan`, `pkg/backend/hostgw`, `pkg/trafficmngr/iptables`;
containernetworking/plugins `plugins/main/bridge`.
"""

from __future__ import annotations

from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from ipaddress import IPv4Network, ip_network
from typing import Literal

import msgspec

from labkit.api.core import Node, Pod
from labkit.api.state import State
from labkit.cni import base
from labkit.cni.base import View, interface
from labkit.errors import NotFound
from labkit.kernel import netfilter as nf
from labkit.kernel.links import Fdb, Link, Vxlan
from labkit.kernel.netns import Part
from labkit.kernel.packet import Address
from labkit.kernel.routes import Neighbour, Prefix, Route

Backend = Literal["vxlan", "host-gw"]
BACKENDS: dict[str, Backend] = {"vxlan": "vxlan", "host-gw": "host-gw"}
MTU = {"vxlan": 1450, "host-gw": 1500}
"""Bytes of a pod's packet: VXLAN takes 50 = 20 IP + 8 UDP + 8 VXLAN + 14 inner Ethernet."""
TUNNEL = {4: "flannel.1", 6: "flannel-v6.1"}
VNI, PORT = 1, 8472  # Linux' own VXLAN port, not IANA's 4789
MULTICAST = IPv4Network("224.0.0.0/4"), ip_network("ff00::/8")


class Flannel(msgspec.Struct, frozen=True):
    """flannel with one backend. It accepts NetworkPolicies and enforces none."""

    backend: Backend = "vxlan"
    name: str = "flannel"
    enforces_policies: bool = False
    inserts_rules: bool = False
    pod_cidrs: tuple[str, ...] = ("10.244.0.0/16",)

    def addresses(
        self, state: State, node: Node, taken: AbstractSet[Address]
    ) -> tuple[Address, ...]:
        return base.block_addresses(node, taken)

    def ranges(self, state: State) -> Mapping[str, tuple[Prefix, ...]]:
        return {view.name: view.cidrs for view in base.views(state)}

    def device(self, pod: Pod) -> str:
        return veth_name(pod)

    def program(self, state: State) -> Mapping[str, Part]:
        views = base.views(state)
        networks = tuple(ip_network(cidr) for cidr in state.config.pod_cidrs)
        parts: dict[str, Part] = {}
        for view in views:
            parts[view.netns] = node_part(self.backend, view, views, networks)
            for pod in view.pods:
                parts[base.pod_netns(pod)] = pod_part(self.backend, view, pod, networks)
        return parts


def flannel(backend: str) -> Flannel:
    """flannel with the backend of that name; NotFound lists the choices."""
    if backend not in BACKENDS:
        choices = " or ".join(BACKENDS)
        raise NotFound(f"cni flannel: no backend `{backend}`; choose {choices}")
    return Flannel(BACKENDS[backend])


# --- a pod -------------------------------------------------------------------------------


def veth_name(pod: Pod) -> str:
    """The node's end of the pod's cable: `veth` and 8 hexadecimal digits."""
    return "veth" + base.hashed(8, pod.namespace, pod.name)


def pod_part(backend: Backend, view: View, pod: Pod, networks: tuple[Prefix, ...]) -> Part:
    """The pod's namespace: `eth0`, and routes by way of the bridge.

    An address outside the node's podCIDR (a dump of another plugin's cluster) stands alone as
    /32 or /128; its gateway is reached over the cable all the same.
    """
    eth0 = Link(
        name="eth0",
        kind="veth",
        index=2,
        mac=base.address_mac(pod.addresses[0]),
        mtu=MTU[backend],
        addresses=tuple(interface(a, _length(view, a)) for a in pod.addresses),
        peer=(view.netns, veth_name(pod)),
    )
    routes = (r for a in pod.addresses for r in _pod_routes(view, a, networks))
    return Part(links=(base.loopback(), eth0), routes=tuple(routes))


def _length(view: View, address: Address) -> int:
    cidr = view.cidr(address.version)
    return cidr.prefixlen if cidr and address in cidr else address.max_prefixlen


def _pod_routes(view: View, address: Address, networks: tuple[Prefix, ...]) -> list[Route]:
    cidr = view.cidr(address.version)
    if cidr is None:
        return []
    gateway = cidr[1]
    onlink = address not in cidr
    routes = [
        Route(prefix=prefix, via=gateway, dev="eth0", onlink=onlink)
        for prefix in (_everything(address.version), *networks)
        if prefix.version == address.version
    ]
    if not onlink:
        routes.append(_connected(cidr, "eth0", address))
    return routes


def _everything(version: int) -> Prefix:
    return ip_network("0.0.0.0/0" if version == 4 else "::/0")


def _connected(prefix: Prefix, dev: str, src: Address) -> Route:
    return Route(prefix=prefix, dev=dev, src=src, proto="kernel", scope="link")


# --- a node ------------------------------------------------------------------------------


def node_part(
    backend: Backend, view: View, views: tuple[View, ...], networks: tuple[Prefix, ...]
) -> Part:
    """The node: bridge, cables, the way to every other node's pods, and flannel's chains.

    A node without podCIDR has a bridge without address and no way anywhere (flanneld would
    not start). *The lab simplifies*: the bridge is there before the node's first pod.
    """
    tunnels = _tunnels(view, views) if backend == "vxlan" else ()
    remote = [(v, cidr) for v in views if v.name != view.name for cidr in v.cidrs]
    ways = [way for v, cidr in remote if (way := _way(backend, view, v, cidr))]
    neighbours = [_neighbour(v, c) for v, c in remote if _meet(view, v, c.version)]
    return Part(
        links=(*tunnels, *_bridge(backend, view, 3 + len(tunnels))),
        routes=(*ways, *(_connected(c, "cni0", c[1]) for c in view.cidrs), *_strays(view)),
        neighbours=tuple(neighbours) if backend == "vxlan" else (),
        tables=tuple(t for cidr in view.cidrs for t in tables(cidr, networks)),
    )


def _meet(one: View, other: View, version: int) -> bool:
    return one.address(version) is not None and other.address(version) is not None


def _way(backend: Backend, view: View, other: View, cidr: Prefix) -> Route | None:
    """The route to another node's range, if both nodes have an address of its family."""
    if not _meet(view, other, cidr.version):
        return None
    if backend == "host-gw":
        return Route(prefix=cidr, via=other.address(cidr.version), dev="eth0")
    tunnel = TUNNEL[cidr.version]
    return Route(prefix=cidr, via=cidr.network_address, dev=tunnel, onlink=True)


def _tunnels(view: View, views: tuple[View, ...]) -> tuple[Link, ...]:
    return tuple(
        Link(
            name=TUNNEL[cidr.version],
            kind="vxlan",
            index=3 + number,
            mac=_tunnel_mac(cidr),
            mtu=MTU["vxlan"] - (20 if cidr.version == 6 else 0),  # IPv6's header is longer
            addresses=(interface(cidr.network_address, cidr.max_prefixlen),),
            vxlan=Vxlan(VNI, local, "eth0", PORT),
            fdb=_tunnel_ends(view, views, cidr.version),
        )
        for number, cidr in enumerate(view.cidrs)
        if (local := view.address(cidr.version))
    )


def _tunnel_mac(cidr: Prefix) -> str:
    return base.hashed_mac("flannel", str(cidr))


def _tunnel_ends(view: View, views: tuple[View, ...], version: int) -> tuple[Fdb, ...]:
    return tuple(
        Fdb(_tunnel_mac(cidr), end)
        for other in views
        if other.name != view.name
        and (cidr := other.cidr(version))
        and (end := other.address(version))
    )


def _neighbour(other: View, cidr: Prefix) -> Neighbour:
    return Neighbour(cidr.network_address, TUNNEL[cidr.version], _tunnel_mac(cidr))


def _bridge(backend: Backend, view: View, index: int) -> tuple[Link, ...]:
    """`cni0` with the node's ends of its pods' cables as ports, numbered from `index`."""
    cni0 = Link(
        name="cni0",
        kind="bridge",
        index=index,
        mac=base.address_mac(view.cidrs[0][1]) if view.cidrs else base.hashed_mac(view.name),
        mtu=MTU[backend],
        addresses=tuple(interface(cidr[1], cidr.prefixlen) for cidr in view.cidrs),
    )
    pods = enumerate(view.pods, start=index + 1)
    return (cni0, *(_port(backend, pod, number) for number, pod in pods))


def _port(backend: Backend, pod: Pod, index: int) -> Link:
    return Link(
        name=veth_name(pod),
        kind="veth",
        index=index,
        mac=base.hashed_mac("veth", pod.namespace, pod.name),
        mtu=MTU[backend],
        peer=(base.pod_netns(pod), "eth0"),
        master="cni0",
        hairpin=True,
    )


def _strays(view: View) -> tuple[Route, ...]:
    """Its own node still finds a pod whose address lies outside the node's podCIDR."""
    return tuple(
        Route(prefix=ip_network(address), dev="cni0", scope="link")
        for pod in view.pods
        for address in pod.addresses
        if _length(view, address) == address.max_prefixlen
    )


# --- flannel's chains -----------------------------------------------------------------------


def tables(cidr: Prefix, networks: tuple[Prefix, ...]) -> tuple[nf.Table, ...]:
    """flannel's part of `nat` and `filter`, for a node that holds `cidr`.

    Traffic among pods keeps its addresses, traffic that leaves the cluster is masqueraded,
    and the filter lets pass what comes from a pod or goes to one.
    """
    family: Literal["ip", "ip6"] = "ip" if cidr.version == 4 else "ip6"
    pods = tuple(n for n in networks if n.version == cidr.version)
    masquerade = _chain("FLANNEL-POSTRTG", _masquerade_rules(cidr, pods))
    forward = _chain("FLANNEL-FWD", _forward_rules(pods))
    return (
        _table("nat", family, "POSTROUTING", nf.PRIORITY["srcnat"], "masq", masquerade),
        _table("filter", family, "FORWARD", nf.PRIORITY["filter"], "forward", forward),
    )


def _table(
    name: str, family: Literal["ip", "ip6"], hook: nf.Hook, priority: int, why: str, own: nf.Chain
) -> nf.Table:
    entry = nf.Rule((nf.Comment(f"flanneld {why}"),), nf.Jump(own.name))
    main = nf.Chain(name=hook, rules=(entry,), hook=hook, priority=priority, policy="ACCEPT")
    return nf.Table(name=name, family=family, chains={hook: main, own.name: own})


def _chain(name: str, rules: list[nf.Rule]) -> nf.Chain:
    return nf.Chain(name=name, rules=tuple(rules))


def _masquerade_rules(cidr: Prefix, networks: tuple[Prefix, ...]) -> list[nf.Rule]:
    note = nf.Comment("flanneld masq")
    pass_by, hide = nf.Verdict("RETURN"), nf.Masquerade(random_fully=True)
    multicast = MULTICAST[0] if cidr.version == 4 else MULTICAST[1]
    # kube-proxy's mark: its own chain has masqueraded the packet already.
    rules = [nf.Rule((nf.Mark(0x4000, 0x4000), note), pass_by)]
    for net in networks:
        inside, outside = nf.Source(net), nf.Source(net, negate=True)
        rules.append(nf.Rule((nf.Source(cidr), nf.Destination(net), note), pass_by))
        rules.append(nf.Rule((inside, nf.Destination(cidr), note), pass_by))
        rules.append(nf.Rule((outside, nf.Destination(cidr), note), pass_by))
        rules.append(nf.Rule((inside, nf.Destination(multicast, negate=True), note), hide))
        rules.append(nf.Rule((outside, nf.Destination(net), note), hide))
    return rules


def _forward_rules(networks: tuple[Prefix, ...]) -> list[nf.Rule]:
    note = nf.Comment("flanneld forward")
    ends = (match(net) for net in networks for match in (nf.Source, nf.Destination))
    return [nf.Rule((end, note), nf.Verdict("ACCEPT")) for end in ends]
