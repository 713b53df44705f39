"""Connection tracking: what `conntrack -L` shows."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from labkit.kernel.packet import Address, Protocol


class Tuple(msgspec.Struct, frozen=True):
    """One direction of a connection."""

    protocol: Protocol
    src: Address
    sport: int
    dst: Address
    dport: int


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """One connection: as its first packet came in, and as the answer will look.

    Without NAT `reply` mirrors `original`; a DNAT shows in the reply's source, an SNAT in
    its destination. `seen_reply` is true once an answer passed; `expires` is in seconds of
    the lab's clock. `state` is TCP's (`ESTABLISHED`); a socket's is SYN_SENT or empty.

    Three kinds of entries are no rows of `conntrack -L`. `socket`: the end of a process that
    opened the connection (what `ss` shows), kept so that an answer finds who asked. Not
    `confirmed`: a first packet that was refused on its way; only the error that goes back
    for it still knows the connection. `member_of`: no connection at all, but a client that a
    rule has put into a list (see `clients`).
    """

    original: Tuple
    reply: Tuple
    seen_reply: bool = False
    expires: float = 0.0
    mark: int = 0
    state: str = ""
    assured: bool = False
    confirmed: bool = True
    socket: bool = False
    member_of: str = ""


Conntrack = Mapping[str, tuple[Entry, ...]]  # network namespace -> its entries, oldest first
