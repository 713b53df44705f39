"""Lists of clients that rules keep: `recent` of iptables, sets with a timeout of nft.

A row is an `Entry` that is no connection: `original.src` was seen, until `expires` it counts.

Source: Linux net/netfilter/xt_recent.c (`ip_list_tot`), measured in lists of 100.
"""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from labkit.kernel.conntrack import Entry, Tuple
from labkit.kernel.packet import Address

RECENT_SIZE = 100
"""Clients in one list of `recent`; one more pushes out the one not seen for longest."""
NFT_SIZE = 65535


class Remember(msgspec.Struct, frozen=True):
    """A rule's wish that the packet's source enter a list, or be seen anew."""

    name: str
    seconds: int
    size: int


def knows(entries: Iterable[Entry], name: str, client: Address, now: float) -> bool:
    return any(
        e.member_of == name and e.original.src == client and e.expires >= now for e in entries
    )


def remember(entries: list[Entry], wish: Remember, client: Address, now: float) -> None:
    """Change the rows: the client stands last, which is where the youngest stand."""
    row = Tuple("TCP", client, 0, client, 0)
    made = Entry(
        original=row,
        reply=row,
        expires=now + wish.seconds,
        confirmed=False,
        member_of=wish.name,
    )
    others = [e for e in entries if e.member_of != wish.name or e.original.src != client]
    members = [e for e in others if e.member_of == wish.name]
    if len(members) >= wish.size:
        others.remove(members[0])
    entries[:] = [*others, made]
