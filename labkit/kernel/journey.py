"""A packet under way: what it will do next, and the log that it leaves."""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from labkit.kernel.conntrack import Conntrack, Entry
from labkit.kernel.filtering import Decision
from labkit.kernel.host import Host, Hosts, Way
from labkit.kernel.kept import kept
from labkit.kernel.matching import Seen
from labkit.kernel.netfilter import Chain, Table
from labkit.kernel.netns import ESTABLISHED_SECONDS, Network
from labkit.kernel.packet import Packet
from labkit.kernel.trace import Action, Frame, Hop, Outcome
from labkit.kernel.tracking import Tracked, established

Decide = Callable[[Table, Chain, Seen, int], Decision]


# --- what a packet does next -------------------------------------------------------------


class Connect(msgspec.Struct, frozen=True):
    """A process asks its kernel to send the packet."""

    netns: str
    packet: Packet


class Send(msgspec.Struct, frozen=True):
    """The namespace itself sends the packet: a process, an ICMP error, a tunnel's outer packet."""

    netns: str
    packet: Packet
    tunnel: str = ""  # the tunnel device that made it


class Leave(msgspec.Struct, frozen=True):
    """The way is known: POSTROUTING, the neighbour's MAC address, then the device."""

    netns: str
    packet: Packet
    way: Way
    tracked: Tracked | None
    in_device: str = ""  # empty for what the namespace itself sends


class Transmit(msgspec.Struct, frozen=True):
    """A frame goes out of a device; `tracked` only matters to the loopback device."""

    netns: str
    dev: str
    packet: Packet
    tracked: Tracked | None = None


class Arrive(msgspec.Struct, frozen=True):
    """A frame comes in by a device."""

    netns: str
    dev: str
    packet: Packet


class Bridge(msgspec.Struct, frozen=True):
    """A frame is on a bridge. `port` is where it came in, empty when the machine sends it."""

    netns: str
    bridge: str
    packet: Packet
    port: str = ""
    filtered: bool = False  # br_netfilter: FORWARD and POSTROUTING still lie ahead
    tracked: Tracked | None = None


class Input(msgspec.Struct, frozen=True):
    """A packet for the machine's IP layer; `prerouted` when br_netfilter did PREROUTING already."""

    netns: str
    dev: str
    packet: Packet
    tracked: Tracked | None = None
    prerouted: bool = False


class Deliver(msgspec.Struct, frozen=True):
    """A packet for the machine itself: INPUT, then a socket."""

    netns: str
    dev: str
    packet: Packet
    tracked: Tracked | None = None


class Reroute(msgspec.Struct, frozen=True):
    """IPVS has turned a packet that was for this machine: it goes out again."""

    netns: str
    dev: str
    packet: Packet
    tracked: Tracked | None = None


class End(msgspec.Struct, frozen=True):
    """The packet's way is over."""

    outcome: Outcome
    netns: str
    packet: Packet
    answer: Packet | None = None


Step = Connect | Send | Leave | Transmit | Arrive | Bridge | Input | Deliver | Reroute | End


class Journey:
    """One packet's log, written while it walks; nobody sees it before the walk is over."""

    def __init__(self, network: Network, decide: Decide, conntrack: Conntrack, now: float) -> None:
        self.network = network
        self.decide = decide
        self.now = now
        self.before = conntrack
        self.changed: dict[str, list[Entry]] = {}
        self.untracked: set[str] = set()  # namespaces whose rules hid the packet from conntrack
        self.half_open: list[tuple[str, Entry]] = []  # SYN,ACK passed: namespace, entry
        self.hops: list[Hop] = []
        self.frames: list[Frame] = []
        self.rules = 0
        self.steps = 0
        self.hosts = kept(network, "hosts", Hosts)

    def copy(self) -> Journey:
        """The same log, to be written on apart from this one."""
        twin = Journey(self.network, self.decide, self.before, self.now)
        twin.changed = {netns: list(entries) for netns, entries in self.changed.items()}
        twin.untracked, twin.half_open = set(self.untracked), list(self.half_open)
        twin.hops, twin.frames = list(self.hops), list(self.frames)
        twin.rules, twin.steps = self.rules, self.steps
        return twin

    def host(self, netns: str) -> Host:
        return self.hosts[netns]

    # Connection tracking

    def entries(self, netns: str) -> list[Entry]:
        """The namespace's connections, to be changed in place."""
        if netns not in self.changed:
            self.changed[netns] = list(self.before.get(netns, ()))
        return self.changed[netns]

    def update(self, netns: str, old: Entry, new: Entry | None) -> None:
        """One connection's entry becomes another, or goes."""
        entries = self.entries(netns)
        place = entries.index(old)
        entries[place : place + 1] = [] if new is None else [new]

    def shake_hands(self) -> None:
        """The third packet of the handshake: what SYN,ACK passed on its way is established."""
        for netns, entry in self.half_open:
            lasts = self.host(netns).sysctl(ESTABLISHED_SECONDS)
            self.update(netns, entry, established(entry, self.now, lasts))

    def conntrack(self) -> Conntrack:
        after = dict(self.before)
        for netns, entries in self.changed.items():
            if entries or netns in after:
                after[netns] = tuple(entries)
        return after

    # The log

    def frame(self, netns: str, dev: str, direction: str, packet: Packet) -> None:
        assert direction in ("in", "out")
        self.frames.append(Frame(netns, dev, direction, packet))  # type: ignore[arg-type] # checked

    def hop(
        self,
        netns: str,
        stage: str,
        action: Action,
        why: str,
        says: str,
        before: Packet,
        after: Packet | None = None,
        *,
        table: str = "",
        device: str = "",
        quiet: bool = False,
    ) -> None:
        self.hops.append(
            Hop(
                netns=netns,
                stage=stage,
                action=action,
                why=why,
                says=says,
                before=before,
                after=before if after is None else after,
                table=table,
                device=device,
                quiet=quiet,
            )
        )
