"""The port ruler: client, port, targetPort, listening; in line where they meet, broken where not.

Each number has another owner, so each may be wrong by itself. A break is drawn as one: what
lies behind it stands lower, and the line of the packet ends.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from labkit.api.core import PortProtocol
from labkit.views.figure import Figure, figure
from labkit.views.marks import dropped, refused
from labkit.views.ruler import Door, Ruler, ruler
from labkit.views.svg import clean, el, fit, line, rect, text
from labkit.views.table import ending, verdict

if TYPE_CHECKING:
    from labkit.cluster import Cluster

BOX, GAP, TALL = 144.0, 48.0, 70.0
TOP, ROW, FALL = 26.0, 86.0, 22.0  # px: the first box, the next one below, the depth of a break
MOST = 3  # doors that are drawn; the table has them all
HEADS = ("client dials", "Service: port", "Service: targetPort", "program listens on")


def ports(
    lab: Cluster, target: str, source: str = "pod/frontend", protocol: PortProtocol = "TCP"
) -> Figure:
    """Which number stands where on the way from a client through a Service, and how it ends.

    Args:
        target: `svc/backend` for its only port, `svc/backend:8080` for any number at its address.
        source: where the client stands.
        protocol: what the client speaks.
    """
    found = ruler(lab, target, source, protocol)
    title = f"{found.source} asks {target} over {protocol}."
    below = verdict(found.connection) + _chances(found) + _table(found)
    return figure(title, twin(found), height(found), *_draw(found), below=below)


def height(found: Ruler) -> float:
    """The height of the drawing in px."""
    broken = found.parts in ("client", "service")
    falls = FALL * (broken + any(not door.meets for door in found.doors[:MOST]))
    return TOP + ROW * max(1, min(len(found.doors), MOST)) - (ROW - TALL) + falls + 4


# --- the picture -------------------------------------------------------------------------


def _draw(found: Ruler) -> list[str]:
    first = TOP + (FALL if found.parts == "client" else 0)
    lines, boxes = [], [text(_x(i) + BOX / 2, 14, head, "x s mid") for i, head in enumerate(HEADS)]
    number = f"{found.dialled}/{found.protocol}"
    boxes.append(_box(0, TOP, number, found.source.removeprefix("default/"), True))
    lines.append(_join(0, TOP, first, found.known, found))
    port = f"{found.port.port}/{found.port.protocol}"
    node_port = f"nodePort {found.port.node_port}" if found.port.node_port else ""
    boxes.append(_box(1, first, port, node_port or f"svc/{found.service}", found.known))
    drawn = found.doors[:MOST]
    if not drawn:
        low = first + FALL if found.known else first
        lines.append(_join(1, first, low, False, found) if found.known else "")
        lines.append(_dots(2, low))
        boxes.append(_box(2, low, str(found.target), "no endpoint", False))
        boxes.append(_box(3, low, "–", "nobody", False))
    for i, door in enumerate(drawn):
        lines += [_join(1, first, first + ROW * i, True, found)]
        boxes += _door(found, door, first + ROW * i, lines)
    return [*lines, *boxes]


def _door(found: Ruler, door: Door, y: float, lines: list[str]) -> list[str]:
    """A targetPort with the program behind it; their line joins `lines`."""
    low = y if door.meets else y + FALL
    lines.append(_join(2, y, low, door.meets, found))
    written = found.port.target_port
    note = f"named {written}" if isinstance(written, str) else "a number"
    edited = door.number != found.port.port
    listens = ", ".join(door.listens) or "nothing"
    title = door.title + (f" ×{door.count}" if door.count > 1 else "")
    reached = found.known
    return [
        _box(2, y, f"{door.number}/{found.port.protocol}", note, reached, edited=edited),
        _box(3, low, listens, title, reached and door.meets),
    ]


def _x(column: int) -> float:
    return column * (BOX + GAP)


def _box(
    column: int, y: float, number: str, note: str, reached: bool, *, edited: bool = False
) -> str:
    """One owner's number; behind a break its frame is broken too."""
    x, middle = _x(column), _x(column) + BOX / 2
    dash = None if reached else "4 3"
    size = 15 if len(number) < 15 else 11.5
    tint = ""
    if edited:
        wide = min(BOX - 12, len(number) * size * 0.602 + 10)
        tint = rect(middle - wide / 2, y + 13, wide, 24, "edit-tint", rx=3)
        tint += line(f"M{middle - wide / 2:g} {y + 37:g}h{wide:g}", "edit", 2)
    return "".join([
        rect(x + 1, y, BOX - 2, TALL, "wash", "line", rx=8, stroke_dasharray=dash),
        tint,
        text(middle, y + 31, fit(number, BOX - 10, size), "m b mid", style=f"font-size:{size}px"),
        text(middle, y + 57, fit(note, BOX - 12, 11.5), "m x s mid"),
    ])  # fmt: skip


def _join(column: int, y: float, low: float, meets: bool, found: Ruler) -> str:
    """The packet's line from a column to the next: through, or to the break."""
    x, half = _x(column) + BOX, GAP / 2
    at, to = y + TALL / 2, low + TALL / 2
    live = found.known or column == 0
    if meets:
        bend = f"H{x + half:g}V{to:g}H{x + GAP:g}" if to != at else f"H{x + GAP:g}"
        return line(f"M{x:g} {at:g}{bend}", "go", 3) if live else _dots(column, y)
    if not live:
        return ""
    # A pod whose port is closed refuses, also where others of the Service answer.
    outcome = "refused" if column == 2 else found.connection.outcome
    sign = refused if outcome == "refused" else dropped
    word = {"refused": "refused", "timed out": "silence"}.get(outcome, "no way")
    return "".join([
        line(f"M{x:g} {at:g}h{half - 10:g}", "go", 3),
        sign(x + half, at),
        text(x + half, at + 27, word, "x mid stop"),
    ])  # fmt: skip


def _dots(column: int, y: float) -> str:
    """Where the packet would have gone on."""
    dots = {"stroke_dasharray": "1 5", "stroke_linecap": "round"}
    return line(f"M{_x(column) + BOX + 4:g} {y + TALL / 2:g}h{GAP - 8:g}", "line", 2, **dots)


# --- below the picture -------------------------------------------------------------------


def _chances(found: Ruler) -> str:
    return f"<p class='note'>{clean(words)}</p>" if (words := chances(found)) else ""


def chances(found: Ruler) -> str:
    """The ends with their chances where a connection has several, else nothing."""
    if len(found.ends) < 2:
        return ""
    return f"By chance: {', '.join(f'{end} {chance}' for end, chance in found.ends.items())}."


def _table(found: Ruler) -> str:
    head = "".join(
        f"<th scope='col' style='width:{wide}%'>{name}</th>"
        for name, wide in (("number", 20), ("written by", 24), ("where it stands", 56))
    )
    rows = "".join(
        f"<tr><th scope='row'><b class='mono'>{clean(number)}</b></th><td>{clean(owner)}</td>"
        f"<td>{clean(where)}</td></tr>"
        for number, owner, where in rows_of(found)
    )
    return f"<table>{_head(head)}<tbody>{rows}</tbody></table>"


def _head(cells: str) -> str:
    return el("thead", el("tr", cells))


def rows_of(found: Ruler) -> list[tuple[str, str, str]]:
    """(number, who writes it, where it stands and whether it meets its neighbour)."""
    spec = found.port
    dialled, port = f"{found.dialled}/{found.protocol}", f"{spec.port}/{spec.protocol}"
    meets = "the same as dialled" if found.known else f"but {dialled} was dialled"
    more = f"; nodePort {spec.node_port} is for clients outside" if spec.node_port else ""
    rows = [
        (dialled, "the client", f"in the call of {found.source}"),
        (port, "the Service", f"port of svc/{found.service}, {meets}{more}"),
        (str(found.target), "the Service", _target_words(found)),
    ]
    for door in found.doors:
        rows += _door_rows(door)
    return rows


def _target_words(found: Ruler) -> str:
    if not found.doors:
        return f"targetPort; no endpoint: {found.lack}"
    numbers = ", ".join(sorted({str(door.number) for door in found.doors}))
    if isinstance(found.port.target_port, str):
        return f"targetPort, a name: each pod's manifest says which number, here {numbers}"
    if found.port.target_port is None:
        return "targetPort left out, so it is the port's number"
    return "targetPort, a number"


def _door_rows(door: Door) -> list[tuple[str, str, str]]:
    who = door.title + (f" and {door.count - 1} more like it" if door.count > 1 else "")
    listens = ", ".join(door.listens) or "nothing"
    if door.meets:
        says = f"sockets of {who}; the packet for {door.number} meets one"
    else:
        says = f"sockets of {who}; the packet for {door.number} meets none"
    rows = [(listens, "the program", says)]
    if door.declares:
        declared = ", ".join(door.declares)
        rows.append(
            (declared, "the pod's author", f"containerPort of {who}: a note, it opens nothing")
        )
    return rows


# --- words -------------------------------------------------------------------------------


def twin(found: Ruler) -> str:
    """The end in one sentence with its numbers, then each number with its owner."""
    _, word, rest = ending(found.connection)
    lines = [f"{_answer(found)} {word} {rest}"]
    if words := chances(found):
        lines.append(words)
    lines += [f"{number}: {owner}; {where}." for number, owner, where in rows_of(found)]
    return "\n".join(lines)


def _answer(found: Ruler) -> str:
    port, dialled = found.port.port, found.dialled
    if not found.known:
        same = found.protocol == found.port.protocol
        has = port if same else f"{port}/{found.port.protocol}"
        return f"Broken between client and Service: {dialled} is dialled, the Service has {has}."
    if not found.doors:
        return f"Broken behind the Service: {port} meets {port}, and {found.lack}."
    bad = next((door for door in found.doors if not door.meets), None)
    if bad:
        listens = ", ".join(bad.listens) or "nothing"
        return f"Broken at {bad.title}: sent to {bad.number}, and it listens on {listens}."
    numbers = " or ".join(sorted({str(door.number) for door in found.doors}))
    return (
        f"All in line: {dialled} is dialled and is the port; {numbers} is sent to and listened on."
    )
