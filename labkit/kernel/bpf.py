"""The maps that a kube-proxy replacement fills: Services by address, and their backends.

Source: Cilium `bpf/lib/lb.h`, Documentation/network/kubernetes/kubeproxy-free.rst.
"""

from __future__ import annotations

from typing import Literal

import msgspec

from labkit.kernel.ipvs import RealServer, VirtualServer
from labkit.kernel.packet import Address, Protocol, endpoint
from labkit.kernel.routes import Prefix

FrontendKind = Literal["ClusterIP", "NodePort", "LoadBalancer", "ExternalIPs"]


class Backend(msgspec.Struct, frozen=True):
    """One row of the map of backends; `near` are those on the node itself."""

    number: int
    address: Address
    port: int
    near: bool = False

    def __str__(self) -> str:
        return endpoint(self.address, self.port)


class Frontend(msgspec.Struct, frozen=True, kw_only=True):
    """One row of the map of Services.

    `inside` are the backends for clients in the cluster, `outside` for the network's. `hides`:
    the sender's address gives way to the node's where the backend is on another node.
    """

    protocol: Protocol
    address: Address
    port: int
    kind: FrontendKind
    inside: tuple[Backend, ...] = ()
    outside: tuple[Backend, ...] = ()
    hides: bool = True
    affinity: int | None = None  # seconds
    source_ranges: tuple[Prefix, ...] = ()

    def __str__(self) -> str:
        return f"{endpoint(self.address, self.port)}/{self.protocol} {self.kind}"


class Maps(msgspec.Struct, frozen=True, kw_only=True):
    """What the programs of one node read. `devices` have the one for packets from the network.

    `own` are the node's addresses; `socket`: connect(2) is looked at.
    """

    frontends: tuple[Frontend, ...] = ()
    own: tuple[Address, ...] = ()
    devices: tuple[str, ...] = ()
    socket: bool = True


def as_virtual(found: Frontend, backends: tuple[Backend, ...]) -> VirtualServer:
    """The row in the form whose memory is known."""
    return VirtualServer(
        protocol=found.protocol,
        address=found.address,
        port=found.port,
        servers=tuple(RealServer(b.address, b.port) for b in backends),
    )


def service_list(maps: Maps) -> str:
    """`cilium-dbg service list`: every frontend with its backends for clients in the cluster."""
    rows = [("ID", "Frontend", "Service Type", "Backend")]
    for number, found in enumerate(maps.frontends, start=1):
        ends = [
            f"{i} => {b}/{found.protocol} (active)" for i, b in enumerate(found.inside, start=1)
        ]
        front = f"{endpoint(found.address, found.port)}/{found.protocol}"
        rows.append((str(number), front, found.kind, ends[0] if ends else ""))
        rows += [("", "", "", end) for end in ends[1:]]
    widths = [max(len(row[i]) for row in rows) + 3 for i in range(3)]
    return "".join(
        "".join(cell.ljust(width) for cell, width in zip(row, widths, strict=False)) + row[3] + "\n"
        for row in rows
    )
