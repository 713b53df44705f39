"""Who gets the requests, over time: pods below each other, time to the right, a number in each box.

The tint of a box is its share of the fullest one. Where a pod is not there (yet, or any more) no
box stands; a heavy line marks the second at which the cluster changed.
"""

from __future__ import annotations

import math

import msgspec

from labkit.traffic.chances import FAILURES
from labkit.traffic.load import SPANS, Load
from labkit.traffic.text import plural
from labkit.views.figure import Figure, figure
from labkit.views.svg import WIDTH, clean, el, fit, line, rect, text

NAMES, CELL, ROW, TOP = 122.0, 34.0, 26.0, 72.0  # px: pod names, a column, a row, what is above
GRID = CELL * SPANS
BARS, WIDEST = NAMES + GRID + 14, 56.0  # px: where the bars of the shares begin, the longest one
SHARE, OPENED = BARS + WIDEST + 48, 716.0  # px: where the numbers of the two columns end
APART = 330.0  # px between two changes that are both told in the picture
MOST = 14  # rows; of more, all but the first 13 are one
SHADES = 5


class Row(msgspec.Struct, frozen=True):
    """One pod, or several that have no row of their own."""

    name: str
    counts: tuple[int, ...]
    connections: int
    first: int = 0  # the span in which it is there first
    last: int = SPANS  # and the one before which it goes
    failed: bool = False

    @property
    def total(self) -> int:
        return sum(self.counts)


def load(found: Load) -> Figure:
    """The requests of a run by pod and time, with each pod's share and its connections."""
    shown = rows(found)
    title = f"{found.source} asks {found.target}: {found.demand.words}."
    below = el("p", el("b", clean(found.answer)), class_="verdict")
    high = TOP + ROW * len(shown) + 8
    about = {"below": below, "answer": answer(found)}
    return figure(title, twin(found, shown), high, *_draw(found, shown), **about)


def answer(found: Load) -> str:
    """What a sentence about several runs says of this one."""
    pods = {end: n for end, n in found.totals.items() if end not in FAILURES}
    if not sum(pods.values()):
        return "brings a request to no pod"
    busy = sum(n > 0 for n in pods.values())
    over = f"{found.spread() * 100:.0f} % over the mean"
    return f"brings requests to {busy} of {len(pods)} pods, the busiest {over}"


def rows(found: Load) -> tuple[Row, ...]:
    """One row for each end; of very many the last stands for all that have none."""
    made = [_row(found, i) for i in range(len(found.ends))]
    if len(made) <= MOST:
        return tuple(made)
    rest = made[MOST - 1 :]
    counts = tuple(map(sum, zip(*(row.counts for row in rest), strict=True)))
    others = Row(f"{len(rest)} others", counts, sum(row.connections for row in rest))
    return (*made[: MOST - 1], others)


def _row(found: Load, i: int) -> Row:
    first = int(found.since[i] / found.span + 1e-9)
    served = [k + 1 for k, n in enumerate(found.requests[i]) if n]  # old connections may go on
    last = max([math.ceil(found.until[i] / found.span - 1e-9), *served])
    failed = found.ends[i] in FAILURES
    return Row(found.ends[i], found.requests[i], found.opened[i], first, last, failed)


# --- the picture -------------------------------------------------------------------------


def _draw(found: Load, shown: tuple[Row, ...]) -> list[str]:
    fullest = max((n for row in shown for n in row.counts), default=0)
    most = max((row.total for row in shown), default=0)
    whole = sum(row.total for row in shown)
    parts = _heads(found)
    for k, row in enumerate(shown):
        y = TOP + ROW * k
        parts.append(text(0, y + 17, fit(row.name, NAMES - 8), "m"))
        parts += [_box(row, i, y, fullest) for i in range(row.first, row.last)]
        parts += _absent(row, y)
        wide = WIDEST * row.total / most if most else 0.0
        if row.total:
            parts.append(rect(BARS, y + 6, max(wide, 1.0), ROW - 12, _colour(row), rx=1))
        share = f"{100 * row.total / whole:.0f} %" if whole else "–"
        parts.append(text(SHARE, y + 17, share, "x end"))
        parts.append(text(OPENED, y + 17, short(row.connections), "x end"))
    return [*parts, *_changes(found, len(shown))]


def _heads(found: Load) -> list[str]:
    """Seconds over every second column, and the names of the columns beside the boxes."""
    heads = [
        text(NAMES + CELL * i + 5, TOP - 8, f"{found.span * i:g}", "x s")
        for i in range(0, SPANS, 2)
    ]
    heads.append(text(0, 14, fit(found.demand.words, WIDTH, 13.5), "b"))
    heads.append(text(0, TOP - 8, "requests, by second", "x s"))
    heads.append(text(BARS, TOP - 8, "share", "x s"))
    heads.append(text(OPENED, TOP - 8, "conn.", "x s end"))
    return heads


def _box(row: Row, i: int, y: float, fullest: int) -> str:
    n, x = row.counts[i], NAMES + CELL * i
    shade = -(-n * SHADES // fullest) if fullest else 0
    at = (x + 1, y + 2, CELL - 2, ROW - 4)
    tint = rect(*at, _colour(row), fill_opacity=f"{0.1 * shade:.1f}", rx=2) if shade else ""
    frame = rect(*at, "none", "hair", rx=2)
    cls = "x mid" if n else "x s mid"
    return tint + frame + text(x + CELL / 2, y + 17, short(n), cls)


def _absent(row: Row, y: float) -> list[str]:
    """A dotted line where the pod is not there."""
    spans = [(0, row.first), (row.last, SPANS)]
    return [
        line(
            f"M{NAMES + CELL * a + 6:g} {y + ROW / 2:g}H{NAMES + CELL * b - 6:g}",
            "line",
            1.5,
            stroke_dasharray="1 5",
            stroke_linecap="round",
        )
        for a, b in spans
        if a < b
    ]


def _colour(row: Row) -> str:
    return "stop" if row.failed else "go"


def _changes(found: Load, count: int) -> list[str]:
    """A heavy line through all rows for each change; what it brings above, where there is room."""
    parts, told = [], -APART
    for at in found.changes:
        x = NAMES + GRID * at / found.demand.seconds
        free = x - told >= APART
        parts.append(line(f"M{x:g} {34 if free else TOP:g}V{TOP + ROW * count:g}", "ink", 3))
        if free:
            side = "end" if x > NAMES + GRID * 0.6 else ""
            parts.append(
                text(x + (-7 if side else 7), 44, change(found, at), f"x b {side}".strip())
            )
            told = x
    return parts


def change(found: Load, at: float) -> str:
    """`second 30: 3 pods come`"""
    spans = zip(found.ends, found.since, found.until, strict=True)
    pods = [(since, until) for end, since, until in spans if end not in FAILURES]
    came, went = sum(since == at for since, _ in pods), sum(until == at for _, until in pods)
    words = [f"{came} pods come" if came > 1 else "1 pod comes"] if came else []
    words += [f"{went} pods go" if went > 1 else "1 pod goes"] if went else []
    return f"second {at:g}: {' and '.join(words) or 'a change'}"


def short(number: int) -> str:
    """At most four letters: 9999, 12k, 3M."""
    if number < 10_000:
        return str(number)
    return f"{round(number / 1000)}k" if number < 1_000_000 else f"{round(number / 1e6)}M"


# --- words -------------------------------------------------------------------------------


def twin(found: Load, shown: tuple[Row, ...]) -> str:
    """The result, then each pod with its share and its requests span by span."""
    whole = sum(row.total for row in shown) or 1
    lines = [found.answer, f"{found.demand.seconds:g} seconds in {SPANS} spans of {found.span:g}."]
    lines += [f"At {change(found, at)}." for at in found.changes]
    for row in shown:
        share = f"{100 * row.total / whole:.0f} %"
        opened = plural(row.connections, "connection")
        counts = ", ".join(map(str, row.counts[row.first : row.last]))
        when = f" from second {found.span * row.first:g}" if row.first else ""
        until = f" until second {found.span * row.last:g}" if row.last < SPANS else ""
        lines.append(f"{row.name}: {share} of the requests, {opened};{when}{until} {counts}.")
    return "\n".join(lines)
