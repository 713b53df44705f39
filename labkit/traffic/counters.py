"""Packets and bytes that passed each device: what connections add to `ip -s link`."""

from __future__ import annotations

from collections.abc import Iterable, Set

import msgspec

from labkit.kernel.packet import ETHERNET
from labkit.kernel.trace import Frame
from labkit.traffic.connection import Connection


class DeviceCounter(msgspec.Struct, frozen=True, kw_only=True):
    """One device. Bytes are whole Ethernet frames, as the kernel counts them."""

    netns: str
    title: str
    device: str
    packets_in: int = 0
    bytes_in: int = 0
    packets_out: int = 0
    bytes_out: int = 0


def device_counters(connections: Iterable[Connection]) -> tuple[DeviceCounter, ...]:
    """What the connections' packets add to the counters of the devices that they passed.

    Devices come in the order in which a packet first met them; one that none met is left out.
    """
    counts: dict[tuple[str, str], list[int]] = {}
    titles: dict[str, str] = {}
    for connection in connections:
        places = connection.places.values()
        titles.update((place.netns, place.title) for place in places)
        bridges = {(p.netns, k.name) for p in places for k in p.links if k.kind == "bridge"}
        for frame in (frame for trace in connection.traces for frame in trace.frames):
            if _overheard(frame, bridges):
                continue
            row = counts.setdefault((frame.netns, frame.device), [0, 0, 0, 0])
            side = 0 if frame.direction == "in" else 2
            row[side] += 1
            row[side + 1] += frame.packet.size + ETHERNET
    return tuple(_counter(*key, titles, row) for key, row in counts.items())


def _overheard(frame: Frame, bridges: Set[tuple[str, str]]) -> bool:
    """A frame between two ports of a bridge: tcpdump hears it there, the bridge counts it not.

    Source: br_pass_frame_up counts, br_forward does not; Linux net/bridge/br_input.c.
    """
    here = (frame.netns, frame.device) in bridges
    return here and frame.direction == "in" and bool(frame.packet.mac)


def _counter(netns: str, device: str, titles: dict[str, str], row: list[int]) -> DeviceCounter:
    return DeviceCounter(
        netns=netns,
        title=titles.get(netns, netns),
        device=device,
        packets_in=row[0],
        bytes_in=row[1],
        packets_out=row[2],
        bytes_out=row[3],
    )
