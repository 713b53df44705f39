"""On which ports the processes of a pod listen.

What a program does with its sockets stands in no manifest. The lab goes by the annotation
`labkit.dev/listens: "8080/TCP,5353/UDP"` and, where that is missing, by the declared
`containerPorts`. *The lab simplifies*: in life a containerPort opens nothing.

The kubelet's readiness and the sockets of the data plane both come from here. Whoever
admits a manifest calls `parse_listens`, so that a bad annotation never gets into a state.
"""

from __future__ import annotations

from ipaddress import ip_address
from math import inf
from typing import get_args

import msgspec

from labkit.api.core import Container, Pod, PortProtocol
from labkit.api.lifecycle import starts_in
from labkit.api.meta import Address
from labkit.api.times import seconds
from labkit.errors import Fault, ManifestError

LISTENS = "labkit.dev/listens"


class Listen(msgspec.Struct, frozen=True):
    """One listening socket; `address` None is every address, `127.0.0.1` only the pod itself."""

    protocol: PortProtocol
    port: int
    address: Address | None = None
    container: str = ""


def parse_listens(text: str, subject: str = "Pod") -> tuple[Listen, ...]:
    """`8080/TCP, 127.0.0.1:9000/TCP, 53/UDP, 8443` (TCP where nothing is said); empty is none.

    Raises:
        ManifestError: an item that is not `[ADDRESS:]PORT[/PROTOCOL]`.
    """
    items = (item.strip() for item in text.split(","))
    return tuple(_parse_item(item, subject) for item in items if item)


def _parse_item(item: str, subject: str) -> Listen:
    place, _, protocol = item.partition("/")
    host, _, port = place.rpartition(":")
    protocol = (protocol or "TCP").upper()
    try:
        if not 1 <= int(port) <= 65535 or protocol not in get_args(PortProtocol):
            raise ValueError
        address = ip_address(host.strip("[]")) if host else None
        if address is not None and address.is_unspecified:
            address = None  # 0.0.0.0; *simplified*: it takes IPv6 as well, as `::` does
        return Listen(protocol, int(port), address)  # type: ignore[arg-type]  # checked above
    except ValueError:
        path = f".metadata.annotations[{LISTENS}]"
        say = f"`{item}` is not a port to listen on; write for example `8080/TCP,5353/UDP`"
        raise ManifestError(Fault("", 0, subject, path, say)) from None


def declared(pod: Pod) -> tuple[Listen, ...]:
    """Where the pod would listen once all its containers run; one socket a port and protocol.

    Init containers are gone by then, except the sidecars among them.
    """
    note = pod.annotations.get(LISTENS)
    if note is not None:
        return parse_listens(note, f"Pod/{pod.name}")
    return _sockets(lasting(pod))


def listening(pod: Pod, now: float = inf) -> tuple[Listen, ...]:
    """Where the pod listens at a time of the cluster's clock: nowhere unless it is Running.

    A container whose status says that it waits or has ended holds no socket of its own; the
    annotation speaks for the pod as a whole.
    """
    if pod.status.phase != "Running":
        return ()
    start = pod.status.start_time
    if start and now < seconds(start) + starts_in(pod):
        return ()
    if LISTENS in pod.annotations:
        return declared(pod)
    return _sockets(tuple(c for c in lasting(pod) if not _stopped(pod, c.name)))


def holder(pod: Pod, protocol: PortProtocol, port: int) -> str:
    """The name of the container whose process holds the port.

    It is the first that declares the port. *The lab simplifies*: a port that only the
    annotation names belongs to the first container that declares none, else to the last one.
    """
    containers = lasting(pod)
    for container in containers:
        if any((p.protocol, p.container_port) == (protocol, port) for p in container.ports):
            return container.name
    silent = [c for c in pod.spec.containers if not c.ports] or list(containers[-1:])
    return silent[0].name if silent else ""


def lasting(pod: Pod) -> tuple[Container, ...]:
    """The containers that run together: sidecars among the init containers start first."""
    sidecars = (c for c in pod.spec.init_containers if c.restart_policy == "Always")
    return (*sidecars, *pod.spec.containers)


def _stopped(pod: Pod, name: str) -> bool:
    statuses = pod.status.container_statuses + pod.status.init_container_statuses
    states = [status.state for status in statuses if status.name == name]
    return any((s.waiting or s.terminated) and not s.running for s in states)


def _sockets(containers: tuple[Container, ...]) -> tuple[Listen, ...]:
    # Two containers of a pod cannot hold the same port: the first to bind keeps it.
    found: dict[tuple[str, int], Listen] = {}
    for container in containers:
        for port in container.ports:
            listen = Listen(port.protocol, port.container_port, container=container.name)
            found.setdefault((port.protocol, port.container_port), listen)
    return tuple(found.values())
