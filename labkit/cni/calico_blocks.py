"""Calico's address management: blocks of 64 addresses, claimed by nodes one after the other.

A node's `spec.podCIDR` plays no part in it, except that it numbers the node.

Source: Calico `libcalico-go/lib/ipam/ipam.go`, `ipam_block_reader_writer.go`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from collections.abc import Set as AbstractSet
from hashlib import sha256
from ipaddress import IPv4Address, IPv4Network

from labkit.api.core import Node
from labkit.api.state import ClusterConfig, State
from labkit.cni import base
from labkit.errors import Exhausted

LENGTH = 26  # of a block's prefix: 64 addresses
FIRST, STEP = 141, 339  # the first node's place in the pool, and the way to the next one's

Blocks = tuple[IPv4Network, ...]


def pool(config: ClusterConfig) -> IPv4Network:
    """The range that blocks are cut from: the cluster's IPv4 range.

    *The lab simplifies*: Calico's IPv6 is not modelled.

    Raises:
        Exhausted: the cluster has no IPv4 range.
    """
    for cidr in config.pod_cidrs:
        if ":" not in cidr:
            return IPv4Network(cidr)
    raise Exhausted(f"pod_cidrs {', '.join(config.pod_cidrs)}: Calico here needs an IPv4 range")


def blocks(state: State) -> Mapping[str, Blocks]:
    """Node -> its blocks, the one that it claimed first in front.

    A node keeps its first block, whoever has borrowed from it; any other block belongs to the
    node with most pods in it. *The lab simplifies*: a node claims its first block when it
    joins, and gives further ones back when they are empty.
    """
    return state.cached(_blocks)


def _blocks(state: State) -> Mapping[str, Blocks]:
    owners = _owners(state)
    firsts: dict[str, IPv4Network] = {}
    for node in sorted(state.list(Node), key=lambda node: _numbered(state, node) is None):
        # A node of another cluster's dump has no number of ours: its pods say where it is.
        mine = [block for block, owner in owners.items() if owner == node.name]
        if mine and _numbered(state, node) is None:
            firsts[node.name] = min(mine)
            continue
        free = (b for b in _candidates(state, node) if b not in firsts.values())
        if (first := next(free, None)) is not None:
            firsts[node.name] = first
    found = {name: (first,) for name, first in firsts.items()}
    for block in sorted(owners):
        name = owners[block]
        if block not in firsts.values():
            found[name] = (*found.get(name, ()), block)
    return found


def _owners(state: State) -> dict[IPv4Network, str]:
    """Block -> the node with most pods in it, of equal ones the first by name."""
    counts: dict[IPv4Network, dict[str, int]] = {}
    network = pool(state.config)
    for view in base.views(state):
        for pod in view.pods:
            for address in pod.addresses:
                if isinstance(address, IPv4Address) and address in network:
                    inside = counts.setdefault(block_of(network, address), {})
                    inside[view.name] = inside.get(view.name, 0) + 1
    return {
        block: min(inside, key=lambda name: (-inside[name], name))
        for block, inside in counts.items()
    }


def block_of(network: IPv4Network, address: IPv4Address) -> IPv4Network:
    """The block of a pool that an address lies in."""
    return IPv4Network((int(address), max(LENGTH, network.prefixlen)), strict=False)


def _numbered(state: State, node: Node) -> int | None:
    """The node's number by the podCIDR that the cluster gave it; None if it has none of ours."""
    network = pool(state.config)
    for cidr in base.pod_cidrs(node):
        if isinstance(cidr, IPv4Network) and cidr.subnet_of(network):
            offset = int(cidr.network_address) - int(network.network_address)
            return offset >> (32 - max(cidr.prefixlen, network.prefixlen))
    return None


def _candidates(state: State, node: Node) -> Iterator[IPv4Network]:
    """All blocks of the pool, from the node's own place on.

    Calico draws the place by the node's name; here it is spread by the node's number. The
    nodes' own network is left out. *The lab simplifies*: it lies in Calico's default pool, and
    in life one would choose another pool.
    """
    network = pool(state.config)
    size = max(LENGTH, network.prefixlen)
    count = 1 << (size - network.prefixlen)
    number = _numbered(state, node)
    if number is None:
        number = int.from_bytes(sha256(node.name.encode()).digest()[:4])
    start = FIRST + STEP * (number - 1)
    underlay = IPv4Network(state.config.node_cidr)
    for step in range(count):
        first = int(network.network_address) + ((start + step) % count << (32 - size))
        block = IPv4Network((first, size))
        if not block.overlaps(underlay):
            yield block


# --- one address ------------------------------------------------------------------------------


def free_address(state: State, node: Node, taken: AbstractSet[object]) -> IPv4Address:
    """A free address for one new pod: of the node's blocks, else of a new one, else borrowed.

    The first address of a block is left to the node's tunnel.

    Raises:
        Exhausted: the pool is full.
    """
    claimed = blocks(state)
    others = {b for name, own in claimed.items() if name != node.name for b in own}
    unclaimed = (b for b in _candidates(state, node) if b not in others)
    for block in (*claimed.get(node.name, ()), *unclaimed, *sorted(others)):
        first = int(block.network_address)
        for number in range(first + 1, first + block.num_addresses):
            if (address := IPv4Address(number)) not in taken:
                return address
    raise Exhausted(
        f"{node.name} has no free address left in {pool(state.config)}; "
        "delete pods or give the cluster a larger pod_cidrs"
    )
