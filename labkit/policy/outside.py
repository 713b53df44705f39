"""The world outside as rows of its own: what each block of addresses may open, and be opened."""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from typing import TYPE_CHECKING

import msgspec

from labkit.api.core import PortProtocol
from labkit.api.meta import Address
from labkit.api.networking import NetworkPolicy
from labkit.api.state import State
from labkit.policy.ends import address_end, pod_end
from labkit.policy.matcher import DEFAULT, Flow, judge
from labkit.policy.parts import all_rules
from labkit.policy.reach import Reach
from labkit.policy.tiers_named import networks

if TYPE_CHECKING:
    import pandas

Network = IPv4Network | IPv6Network
EVERYWHERE: tuple[Network, ...] = (IPv4Network("0.0.0.0/0"), IPv6Network("::/0"))


class Block(msgspec.Struct, frozen=True):
    """Addresses outside the cluster that no policy tells apart; `address` speaks for them all.

    They are the part of `network` that is in none of its `holes`.
    """

    network: Network
    holes: tuple[Network, ...]
    address: Address

    def __str__(self) -> str:
        but = f" but {', '.join(map(str, self.holes))}" if self.holes else ""
        return "elsewhere" + but if self.network in EVERYWHERE else f"{self.network}{but}"


class Outside(msgspec.Struct, frozen=True):
    """Which blocks may open connections to which pods (`enters`), and the other way (`leaves`).

    Rows are blocks, columns pods in the order of `pods`, `namespace/title`.
    """

    blocks: tuple[Block, ...]
    pods: tuple[str, ...]
    enters: tuple[tuple[bool, ...], ...]
    leaves: tuple[tuple[bool, ...], ...]

    def frame(self) -> pandas.DataFrame:
        """Two rows a block, `from BLOCK` and `to BLOCK`; columns are pods, cells bool."""
        import pandas

        rows: dict[str, tuple[bool, ...]] = {}
        for block, enters, leaves in zip(self.blocks, self.enters, self.leaves, strict=True):
            rows |= {f"from {block}": enters, f"to {block}": leaves}
        return pandas.DataFrame(rows, index=self.pods, dtype=bool).T

    def __str__(self) -> str:
        """For each block whom it may call, and who may call it."""
        rows = zip(self.blocks, self.enters, self.leaves, strict=True)
        return "\n".join(
            f"{block}\n  may call          {_named_pods(self.pods, enters)}"
            f"\n  may be called by  {_named_pods(self.pods, leaves)}"
            for block, enters, leaves in rows
        )

    __repr__ = __str__


def _named_pods(pods: tuple[str, ...], row: tuple[bool, ...]) -> str:
    if all(row):
        return "every pod"
    return ", ".join(pod for pod, opens in zip(pods, row, strict=True) if opens) or "no pod"


def outside(reach: Reach) -> Outside:
    """What the policies mean between the pods of `reach` and the world, on its port."""
    firsts = {of: n for n, of in reversed(list(enumerate(reach.class_of)))}
    families = {a.version for pod in reach.pods for a in pod.addresses}
    blocks = tuple(b for b in blocks_of(reach.state) if b.network.version in families)
    enters, leaves = [], []
    for block in blocks:
        far = address_end(reach.state, block.address, reach.reading)
        into, out = {}, {}
        for of, number in firsts.items():
            near = pod_end(reach.state, reach.pods[number], reach.reading)
            port: tuple[PortProtocol, int] = (reach.protocol, reach.port)
            into[of] = judge(reach.state, Flow(far, near, *port), reach.reading).allowed
            out[of] = judge(reach.state, Flow(near, far, *port), reach.reading).allowed
        enters.append(tuple(into[of] for of in reach.class_of))
        leaves.append(tuple(out[of] for of in reach.class_of))
    return Outside(blocks, reach.names, tuple(enters), tuple(leaves))


def blocks_of(state: State) -> tuple[Block, ...]:
    """The world cut along every CIDR that a policy names, wide blocks first.

    A block whose every address is cut out, or belongs to a pod or a node, is left out.
    """
    named = {net for policy in state.list(NetworkPolicy) for net in _named(policy)}
    named |= {ip_network(text, strict=False) for text in networks(state)}
    nets = sorted({*named, *EVERYWHERE}, key=lambda net: (net.version, net.prefixlen, net))
    found = []
    for net in nets:
        holes = tuple(x for x in nets if x != net and x.version == net.version and _in(x, net))
        inner = tuple(x for x in holes if not any(x != y and _in(x, y) for y in holes))
        address = next(_free(state, net, inner), None)
        if address is not None:
            found.append(Block(net, inner, address))
    return tuple(found)


def _in(inner: Network, outer: Network) -> bool:
    return inner.subnet_of(outer)  # type: ignore[arg-type] # only asked within a family


def _named(policy: NetworkPolicy) -> Iterator[Network]:
    for block in (peer.ip_block for rule in all_rules(policy) for peer in rule.peers):
        if block is not None:
            yield from (ip_network(cidr, strict=False) for cidr in (block.cidr, *block.except_))


def _free(state: State, net: Network, holes: tuple[Network, ...]) -> Iterator[Address]:
    """Addresses of `net` outside its holes that are nobody's in the cluster, the lowest first."""
    number, last = int(net.network_address), int(net.broadcast_address)
    number += number == 0  # 0.0.0.0 is no address that anybody has
    while number <= last:
        make = type(net.network_address)
        address = ip_address(make(number))
        hole = next((h for h in holes if address in h), None)
        if hole is not None:
            number = int(hole.broadcast_address) + 1
            continue
        end = address_end(state, address, DEFAULT)
        if end.pod is None and not end.node:
            yield address
        number += 1
