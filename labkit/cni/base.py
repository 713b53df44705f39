"""What a network plugin does: give pods addresses, and wire nodes and pods.

The CNI sees the whole `State` and answers with one `Part` for each namespace.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from collections.abc import Set as AbstractSet
from hashlib import sha256
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from typing import Protocol

import msgspec

from labkit.api.core import Node, Pod
from labkit.api.state import ClusterConfig, State
from labkit.errors import Exhausted, Fault, ManifestError
from labkit.kernel.links import Interface, Link
from labkit.kernel.netns import Part
from labkit.kernel.packet import Address
from labkit.kernel.routes import Prefix

NODE_BLOCK = {4: 24, 6: 64}
"""Prefix length of a node's share. Source: kube-controller-manager --node-cidr-mask-size-*."""


class CNI(Protocol):
    """A network plugin: pure functions with a name.

    `inserts_rules` says whether its rules stand in front of kube-proxy's or behind them,
    `pod_cidrs` which ranges a cluster gets that is not told any.
    """

    @property
    def name(self) -> str: ...

    @property
    def enforces_policies(self) -> bool: ...

    @property
    def inserts_rules(self) -> bool: ...

    @property
    def pod_cidrs(self) -> tuple[str, ...]: ...

    def addresses(
        self, state: State, node: Node, taken: AbstractSet[Address]
    ) -> tuple[Address, ...]:
        """Addresses for one new pod on `node`, one a family; `Exhausted` if none is left."""
        ...

    def ranges(self, state: State) -> Mapping[str, tuple[Prefix, ...]]:
        """Node -> what its pods' addresses are taken from."""
        ...

    def device(self, pod: Pod) -> str:
        """The node's end of the pod's cable."""
        ...

    def program(self, state: State) -> Mapping[str, Part]:
        """What the plugin puts into each namespace, by its name (`node/NAME`, `pod/NS/NAME`)."""
        ...


# --- address management ----------------------------------------------------------------


def node_cidrs(config: ClusterConfig, index: int) -> tuple[str, ...]:
    """The ranges of the `index`-th node (from 1), one a family: node 1 gets 10.244.1.0/24.

    Block 0 stays unused, as flannel does by default (`SubnetMin`).

    Raises:
        Exhausted: the cluster's range has no block left for this node.
    """
    return tuple(str(_block(ip_network(cidr), index)) for cidr in config.pod_cidrs)


def _block(network: Prefix, index: int) -> Prefix:
    length = max(NODE_BLOCK[network.version], network.prefixlen)
    if index >= 1 << (length - network.prefixlen):
        raise Exhausted(
            f"pod_cidrs {network} has no /{length} left for node number {index}; "
            "give the cluster a larger range"
        )
    first = int(network.network_address) + (index << (network.max_prefixlen - length))
    return ip_network((first, length))


def next_address(cidr: Prefix, taken: AbstractSet[Address], node: str) -> Address:
    """The lowest free address of a node's range, for one new pod.

    The network's address, the bridge's (.1) and IPv4's broadcast are never given out.
    *The lab simplifies*: the plugin `host-local` goes on from the address it gave last, so an
    address comes back later than here.

    Raises:
        Exhausted: every address of the range is taken.
    """
    cls = IPv4Address if cidr.version == 4 else IPv6Address
    first = int(cidr.network_address) + 2
    last = int(cidr.broadcast_address) - (1 if cidr.version == 4 else 0)
    for number in range(first, last + 1):
        address = cls(number)
        if address not in taken:
            return address
    size = max(last - first + 1, 0)
    raise Exhausted(
        f"{node} has no free address left in {cidr} ({size} of {size} used); "
        "delete pods or give the node a larger podCIDR"
    )


def block_addresses(node: Node, taken: AbstractSet[Address]) -> tuple[Address, ...]:
    """One free address of each of the node's podCIDRs.

    Raises:
        Exhausted: a range is full, or the node has none.
    """
    cidrs = pod_cidrs(node)
    if not cidrs:
        raise Exhausted(
            f"{node.name} has no podCIDR, so its pods get no addresses; "
            "set spec.podCIDR of the node"
        )
    return tuple(next_address(cidr, taken, node.name) for cidr in cidrs)


# --- what plugins read of objects ----------------------------------------------------------


class View(msgspec.Struct, frozen=True):
    """One node as a plugin sees it: its ranges, its own addresses, its pods in order."""

    name: str
    netns: str
    cidrs: tuple[Prefix, ...]
    addresses: tuple[Address, ...]
    pods: tuple[Pod, ...]

    def cidr(self, version: int) -> Prefix | None:
        """The node's range of that IP version."""
        return next((c for c in self.cidrs if c.version == version), None)

    def address(self, version: int) -> Address | None:
        """The node's own address of that IP version."""
        return next((a for a in self.addresses if a.version == version), None)


def pod_cidrs(node: Node) -> tuple[Prefix, ...]:
    """The node's podCIDRs, the primary first; empty before it has any."""
    texts = node.spec.pod_cidrs or ((node.spec.pod_cidr,) if node.spec.pod_cidr else ())
    try:
        return tuple(ip_network(text) for text in texts)
    except ValueError:
        says = f"{', '.join(texts)} is an address in a range; write the range's first address"
        raise ManifestError(Fault("", 0, f"Node/{node.name}", ".spec.podCIDR", says)) from None


def internal_addresses(node: Node) -> tuple[Address, ...]:
    """The node's InternalIPs, in the order of its status."""
    return tuple(ip_address(a.address) for a in node.status.addresses if a.type == "InternalIP")


def wired_pods(state: State) -> Iterator[Pod]:
    """Pods with a network namespace of their own, by namespace and name.

    A pod needs a node, an address and a running sandbox for it; hostNetwork pods live in
    their node's namespace. *The lab simplifies*: a Pending pod has no namespace yet.
    """
    for pod in state.list(Pod):
        wired = pod.status.phase == "Running" and pod.addresses and pod.spec.node_name
        if wired and not pod.spec.host_network:
            yield pod


def views(state: State) -> tuple[View, ...]:
    """Every node with its pods, by name; pods in the order of their addresses."""
    return state.cached(_views)


def _views(state: State) -> tuple[View, ...]:
    by_node: dict[str, list[Pod]] = {}
    for pod in wired_pods(state):
        by_node.setdefault(pod.spec.node_name, []).append(pod)
    found = []
    for node in state.list(Node):
        # Lowest address first is also the order in which the lab handed them out.
        pods = sorted(by_node.get(node.name, ()), key=lambda p: int(p.addresses[0]))
        name = f"node/{node.name}"
        found.append(View(node.name, name, pod_cidrs(node), internal_addresses(node), tuple(pods)))
    return tuple(found)


def pod_netns(pod: Pod) -> str:
    """`pod/default/frontend-6f7d`: the namespace that the pod's containers share."""
    return f"pod/{pod.namespace}/{pod.name}"


# --- names and numbers of devices -----------------------------------------------------------


def hashed(length: int, *words: str) -> str:
    """Hexadecimal digits that depend only on the words, as plugins name their devices."""
    return sha256("/".join(words).encode()).hexdigest()[:length]


def address_mac(address: Address, lead: str = "0a:58") -> str:
    """`0a:58:0a:f4:01:02` for 10.244.1.2: the bridge plugin's way to make a MAC address."""
    return ":".join((lead, *(f"{byte:02x}" for byte in address.packed[-4:])))


def hashed_mac(*words: str) -> str:
    """A locally administered unicast MAC address that depends only on the words."""
    digits = hashed(10, *words)
    return ":".join(("0e", *(digits[i : i + 2] for i in range(0, 10, 2))))


def interface(address: Address, length: int) -> Interface:
    """The address as a device holds it: 10.244.1.2/24."""
    from ipaddress import ip_interface

    return ip_interface((address, length))


def loopback() -> Link:
    """`lo`, which every namespace has."""
    v4, v6 = interface(IPv4Address("127.0.0.1"), 8), interface(IPv6Address("::1"), 128)
    return Link(name="lo", kind="loopback", index=1, mtu=65536, addresses=(v4, v6))
