"""Calico: every pod alone behind its node, which is a router; no bridge anywhere.

A pod's address is a /32. Its gateway 169.254.1.1 exists nowhere: the node's end of the cable
answers every ARP question (proxy ARP), and has no address itself. Between nodes there are plain
routes to blocks, or VXLAN.

*The lab simplifies*: IPv4 only; no IPIP, whose device the lab's kernel lacks; the sysctls
`rp_filter` and `route_localnet` that the plugin sets on each cable are left out.

Source: Calico `cni-plugin/pkg/dataplane/linux/dataplane_linux.go`,
`felix/dataplane/linux/vxlan_mgr.go`, `manifests/calico.yaml`.
"""

from __future__ import annotations

from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from hashlib import sha1
from ipaddress import IPv4Address, IPv4Network, ip_network
from typing import Literal

import msgspec

from labkit.api.core import Node, Pod
from labkit.api.state import State
from labkit.cni import base, calico_blocks, calico_chains
from labkit.cni.base import View, interface
from labkit.cni.calico_blocks import Blocks
from labkit.errors import NotFound
from labkit.kernel.links import Fdb, Link, Vxlan
from labkit.kernel.netns import Part
from labkit.kernel.nft_twin import nft_twin
from labkit.kernel.packet import Address
from labkit.kernel.routes import Neighbour, Prefix, Route

Encapsulation = Literal["none", "vxlan"]
ENCAPSULATIONS: dict[str, Encapsulation] = {"none": "none", "vxlan": "vxlan"}
POOL = "192.168.0.0/16"
MTU = {"none": 1500, "vxlan": 1450}
"""Bytes of a pod's packet: VXLAN takes 50 = 20 IP + 8 UDP + 8 VXLAN + 14 inner Ethernet."""
TUNNEL, VNI, PORT = "vxlan.calico", 4096, 4789
GATEWAY = IPv4Address("169.254.1.1")
EVERY_CABLE = "ee:ee:ee:ee:ee:ee"  # the MAC address of the node's end, for all pods
DEFAULT = IPv4Network("0.0.0.0/0")


class Calico(msgspec.Struct, frozen=True):
    """Calico with one encapsulation. Its Felix enforces NetworkPolicies on every node.

    `none` is what Calico does where the nodes share a subnet, as they do here, unless it is
    told to encapsulate always.
    """

    encapsulation: Encapsulation = "none"
    name: str = "calico"
    enforces_policies: bool = True
    inserts_rules: bool = True
    pod_cidrs: tuple[str, ...] = (POOL,)

    def addresses(
        self, state: State, node: Node, taken: AbstractSet[Address]
    ) -> tuple[Address, ...]:
        return (calico_blocks.free_address(state, node, taken),)

    def ranges(self, state: State) -> Mapping[str, tuple[Prefix, ...]]:
        return calico_blocks.blocks(state)

    def device(self, pod: Pod) -> str:
        return cable_name(pod)

    def program(self, state: State) -> Mapping[str, Part]:
        views, blocks = base.views(state), calico_blocks.blocks(state)
        parts: dict[str, Part] = {}
        for view in views:
            node = Wiring(self.encapsulation, state, view, views, blocks)
            part = node.part()
            # Felix looks which of the two kube-proxy has chosen and goes with it.
            nftables = state.config.proxy_mode == "nftables"
            parts[view.netns] = nft_twin(part, "calico") if nftables else part
            for pod in view.pods:
                parts[base.pod_netns(pod)] = pod_part(self.encapsulation, view, pod)
        return parts


def calico(encapsulation: str) -> Calico:
    """Calico with the encapsulation of that name; NotFound lists the choices."""
    if encapsulation not in ENCAPSULATIONS:
        choices = " or ".join(ENCAPSULATIONS)
        raise NotFound(f"cni calico: no encapsulation `{encapsulation}`; choose {choices}")
    return Calico(ENCAPSULATIONS[encapsulation])


# --- a pod -------------------------------------------------------------------------------


def cable_name(pod: Pod) -> str:
    """The node's end of the pod's cable: `cali` and 11 hexadecimal digits.

    Source: `VethNameForWorkload` in Calico `libcalico-go/lib/backend/k8s/conversion`.
    """
    name = f"{pod.namespace}.{pod.name}".encode()
    return "cali" + sha1(name, usedforsecurity=False).hexdigest()[:11]


def pod_part(encapsulation: Encapsulation, view: View, pod: Pod) -> Part:
    """The pod's namespace: `eth0` with a /32, and everything by way of the gateway."""
    eth0 = Link(
        name="eth0",
        kind="veth",
        index=2,
        mac=base.hashed_mac("calico", pod.namespace, pod.name),
        mtu=MTU[encapsulation],
        addresses=tuple(interface(a, a.max_prefixlen) for a in pod.addresses if a.version == 4),
        peer=(view.netns, cable_name(pod)),
    )
    routes = (
        Route(prefix=DEFAULT, via=GATEWAY, dev="eth0"),
        Route(prefix=ip_network(GATEWAY), dev="eth0", scope="link"),
    )
    return Part(links=(base.loopback(), eth0), routes=routes)


# --- a node ------------------------------------------------------------------------------


class Wiring(msgspec.Struct, frozen=True):
    """What Calico puts on one node: cables, the tunnel, routes and chains."""

    encapsulation: Encapsulation
    state: State
    view: View
    views: tuple[View, ...]
    blocks: Mapping[str, Blocks]

    def part(self) -> Part:
        tunnel = self._tunnel()
        vxlan = tunnel is not None
        ends = (self._tunnel_end(self.view),) if vxlan else ()
        own = tuple(str(a) for a in (*self.view.addresses, *ends) if a and a.version == 4)
        return Part(
            links=(*([tunnel] if tunnel else []), *self._cables(4 if vxlan else 3)),
            routes=(*self._blackholes(), *self._ways(), *self._cable_routes()),
            neighbours=self._neighbours() if vxlan else (),
            tables=calico_chains.tables(vxlan, self.state.config.proxy_mode == "ipvs"),
            sets=calico_chains.sets(self.state, vxlan, (*own, "127.0.0.1")),
        )

    def _mine(self) -> Blocks:
        return self.blocks.get(self.view.name, ())

    def _others(self) -> tuple[View, ...]:
        """The nodes that this one has a way to."""
        if self.view.address(4) is None:
            return ()
        return tuple(v for v in self.views if v.name != self.view.name and v.address(4))

    def _cables(self, index: int) -> tuple[Link, ...]:
        return tuple(
            Link(
                name=cable_name(pod),
                kind="veth",
                index=number,
                mac=EVERY_CABLE,
                mtu=MTU[self.encapsulation],
                peer=(base.pod_netns(pod), "eth0"),
                proxy_arp=True,
            )
            for number, pod in enumerate(self.view.pods, start=index)
        )

    # --- routes

    def _cable_routes(self) -> tuple[Route, ...]:
        return tuple(
            Route(prefix=ip_network(address), dev=cable_name(pod), scope="link")
            for pod in self.view.pods
            for address in pod.addresses
            if address.version == 4
        )

    def _blackholes(self) -> tuple[Route, ...]:
        """Addresses of its own blocks that no pod has lead nowhere, and not back in a circle."""
        proto = "80" if self.encapsulation == "vxlan" else "bird"
        return tuple(Route(prefix=b, kind="blackhole", proto=proto) for b in self._mine())

    def _ways(self) -> tuple[Route, ...]:
        """To every block of another node, and to each pod that has borrowed its address."""
        found = []
        for other in self._others():
            own = self.blocks.get(other.name, ())
            found += [self._way(other, block) for block in own]
            for pod in other.pods:
                strays = (a for a in pod.addresses if isinstance(a, IPv4Address))
                found += [
                    self._way(other, IPv4Network(address))
                    for address in strays
                    if not any(address in block for block in own)
                ]
        return tuple(found)

    def _way(self, other: View, prefix: IPv4Network) -> Route:
        end = self._tunnel_end(other)
        if self.encapsulation == "vxlan" and end is not None:
            return Route(prefix=prefix, via=end, dev=TUNNEL, onlink=True)
        return Route(prefix=prefix, via=other.address(4), dev="eth0", proto="bird")

    # --- VXLAN

    def _tunnel_end(self, view: View) -> Address | None:
        """The tunnel's address on a node: the first of its first block."""
        own = self.blocks.get(view.name, ())
        return own[0].network_address if own else None

    def _tunnel(self) -> Link | None:
        own, end = self.view.address(4), self._tunnel_end(self.view)
        if self.encapsulation != "vxlan" or own is None or end is None:
            return None
        rows = ((_tunnel_mac(v), v.address(4)) for v in self._others())
        return Link(
            name=TUNNEL,
            kind="vxlan",
            index=3,
            mac=_tunnel_mac(self.view),
            mtu=MTU["vxlan"],
            addresses=(interface(end, 32),),
            vxlan=Vxlan(VNI, own, "eth0", PORT),
            fdb=tuple(Fdb(mac, address) for mac, address in rows),
        )

    def _neighbours(self) -> tuple[Neighbour, ...]:
        ends = ((v, self._tunnel_end(v)) for v in self._others())
        return tuple(Neighbour(end, TUNNEL, _tunnel_mac(v)) for v, end in ends if end)


def _tunnel_mac(view: View) -> str:
    return base.hashed_mac(TUNNEL, view.name)
