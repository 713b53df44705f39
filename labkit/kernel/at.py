"""A packet at one of netfilter's hooks."""

from __future__ import annotations

import msgspec

from labkit.kernel.host import Host, Way
from labkit.kernel.journey import Journey
from labkit.kernel.netfilter import Hook
from labkit.kernel.packet import Packet
from labkit.kernel.tracking import Tracked

replace = msgspec.structs.replace


class At(msgspec.Struct):
    """A packet at one hook, as it is after what it has met there so far."""

    here: Host
    hook: Hook
    packet: Packet
    tracked: Tracked | None
    in_device: str = ""
    out_device: str = ""
    way: Way | None = None  # POSTROUTING: masquerade asks where the packet goes
    balanced: bool = False  # IPVS took the packet and sent it elsewhere


def remember_refused(journey: Journey, at: At) -> None:
    """A first packet gets no further: the error that goes back still knows its connection."""
    if at.tracked is not None and not at.tracked.known:
        entry = replace(at.tracked.entry, confirmed=False, expires=journey.now)
        journey.entries(at.here.netns.name).append(entry)
