"""Packets and bytes of one connection, device by device: what `ip -s link` counts."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import groupby

import msgspec

from labkit.kernel.netns import Netns
from labkit.traffic.connection import Connection
from labkit.traffic.counters import device_counters
from labkit.traffic.text import plural
from labkit.views.figure import Figure
from labkit.views.machines import Lab
from labkit.views.svg import clean

COLUMNS = ("packets in", "bytes in", "packets out", "bytes out")


class Count(msgspec.Struct, frozen=True):
    """One device: (packets in, bytes in, packets out, bytes out)."""

    title: str
    device: str
    numbers: tuple[int, int, int, int] = (0, 0, 0, 0)

    @property
    def quiet(self) -> bool:
        return not any(self.numbers)


def counters(lab: Lab, connection: Connection) -> Figure:
    """Every device of the machines and of the pods that took part, with what passed it."""
    rows = counts(lab, connection)
    told = [c for c in rows if not c.quiet]
    title = f"Packets per device: {connection.source} to {connection.target}."
    first = (
        f"{len(told)} of {len(rows)} devices saw a packet of this connection."
        if told
        else f"None of the {len(rows)} devices saw a packet."
    )
    return Figure(title, "\n".join([first, *map(_words, rows)]), below=_table(title, rows))


def counts(lab: Lab, connection: Connection) -> tuple[Count, ...]:
    """Devices in the order in which a packet first met them, then those that saw none."""
    seen = {
        (c.netns, c.device): (c.packets_in, c.bytes_in, c.packets_out, c.bytes_out)
        for c in device_counters([connection])
    }
    spaces = lab.network.namespaces
    names = [n for n in spaces if n.startswith("node/")]
    names += [n for n in connection.places if n not in names and n in spaces and n != "switch"]
    order = list(dict.fromkeys(netns for netns, _ in seen))
    names = sorted(dict.fromkeys(names), key=lambda n: order.index(n) if n in order else len(order))
    found = [
        Count(spaces[n].title or n, device, seen.get((n, device), (0, 0, 0, 0)))
        for n in names
        for device in _devices(spaces[n], seen.keys())
    ]
    return tuple(found)


def _devices(netns: Netns, seen: Iterable[tuple[str, str]]) -> tuple[str, ...]:
    """Those a packet met, then the others; of the host's ends of pods only those it met."""
    met = [d for n, d in seen if n == netns.name]
    known = [k.name for k in netns.links if k.kind != "loopback" and not k.master]
    return tuple(dict.fromkeys([*met, *known]))


def _words(count: Count) -> str:
    place = f"{count.title} {count.device}"
    if count.quiet:
        return f"{place}: nothing."
    packets_in, bytes_in, packets_out, bytes_out = count.numbers
    into = f"{plural(packets_in, 'packet')} in ({bytes_in} bytes)"
    out = f"{plural(packets_out, 'packet')} out ({bytes_out} bytes)"
    return f"{place}: {into}, {out}."


def _table(title: str, rows: tuple[Count, ...]) -> str:
    heads = "".join(f"<th scope='col'>{name}</th>" for name in COLUMNS)
    # A cable's name and a pod's with its namespace have twelve letters and are read as a whole.
    wide = (f"<th scope='col' style='width:21%'>{name}</th>" for name in ("place", "device"))
    head = f"<thead><tr>{''.join(wide)}{heads}</tr></thead>"
    body = []
    for name, group in groupby(rows, key=lambda count: count.title):
        devices = tuple(group)
        place = f"<th scope='rowgroup' rowspan='{len(devices)}'><b>{clean(name)}</b></th>"
        for i, count in enumerate(devices):
            numbers = "".join(f"<td>{n or '–'}</td>" for n in count.numbers)
            device = f"<th scope='row'><samp>{clean(count.device)}</samp></th>"
            body.append(f"<tr>{'' if i else place}{device}{numbers}</tr>")
    caption = f"<p class='verdict'><b>{clean(title)}</b></p>"
    return f"{caption}<table class='counts'>{head}<tbody>{''.join(body)}</tbody></table>"
