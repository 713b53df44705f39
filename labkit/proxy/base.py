"""What a proxy mode is: Services in, one node's kernel tables out."""

from __future__ import annotations

from typing import Literal, Protocol

import msgspec

from labkit.kernel.netfilter import InDevice, Source
from labkit.kernel.netns import Part
from labkit.kernel.packet import Address
from labkit.kernel.routes import Prefix
from labkit.proxy.services import ServicePort

Family = Literal["ip", "ip6"]
FAMILIES: tuple[tuple[Family, int], ...] = (("ip", 4), ("ip6", 6))
MASQUERADE_MARK = 0x4000


class NodeView(msgspec.Struct, frozen=True, kw_only=True):
    """One node as kube-proxy on it is started.

    `addresses` are the node's own, the primary of a family first. `pod_cidrs` is the whole
    cluster's range (`--cluster-cidr`): a source inside it counts as a pod's, unless
    `pod_bridge` names the device that pods' packets come in by. `service_cidrs` only nftables
    looks at. `families` are those that kube-proxy writes rules for.
    """

    name: str
    zone: str = ""
    addresses: tuple[Address, ...] = ()
    pod_cidrs: tuple[Prefix, ...] = ()
    pod_bridge: str = ""
    service_cidrs: tuple[Prefix, ...] = ()
    masquerade_all: bool = False
    localhost_node_ports: bool = True
    families: tuple[Family, ...] = ("ip",)

    def address(self, version: int) -> Address | None:
        """The node's primary address of that IP version."""
        return next((a for a in self.addresses if a.version == version), None)

    def from_pod(self, version: int) -> Source | InDevice | None:
        """What tells a pod's packet from others; None where nothing does."""
        if self.pod_bridge:
            return InDevice(self.pod_bridge)
        cidr = next((c for c in self.pod_cidrs if c.version == version), None)
        return Source(cidr) if cidr else None


class ProxyMode(Protocol):
    """A way of turning Services into kernel tables.

    A mode is a pure function with a name. It sees every Service at once and one node, and it
    keeps nothing between calls: equal input gives equal tables.
    """

    @property
    def name(self) -> str: ...

    def program(self, services: tuple[ServicePort, ...], node: NodeView) -> Part: ...
