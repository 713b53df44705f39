"""Two connections: what they share is drawn once, then the hop at which they part."""

from __future__ import annotations

import re
from itertools import pairwise

import msgspec

from labkit.traffic.connection import Connection
from labkit.views.figure import Figure, figure
from labkit.views.hops import DONE, END, Step, changes, journey, plain, sentence, steps, title
from labkit.views.marks import COLOUR, disc, end_mark
from labkit.views.svg import WIDTH, clean, el, fit, line, mono, rect, spans, text
from labkit.views.table import change_html, ending, samp

ROW, TOP, LANE = 30.0, 34.0, 16.0
GAP = 24
COLUMN = (WIDTH - GAP) / 2
Names = tuple[str, str]


class Parting(msgspec.Struct, frozen=True):
    """How many steps two connections share from the start, and what each does after."""

    common: tuple[Step, ...]
    first: tuple[Step, ...]
    second: tuple[Step, ...]

    @property
    def same(self) -> bool:
        return not self.first and not self.second


def compare(a: Connection, b: Connection, names: Names = ("first", "second")) -> Figure:
    """The common hops once, the first hop that differs marked, both ends and both rows."""
    parting = part(a, b)
    fork = TOP + ROW * len(parting.common)
    rows = max(len(parting.first), len(parting.second), int(not parting.same))
    height = fork + ROW + 6 + ROW * rows if rows else fork
    body = [_links(parting, fork), _trunk(parting)]
    if not parting.same:
        both = zip((parting.first, parting.second), names, strict=True)
        body += [_branch(mine, name, i, fork) for i, (mine, name) in enumerate(both)]
    below = _verdicts(a, b, names) + _rows(parting, names)
    return figure(_title(a, b, names), twin(a, b, names), height, *body, below=below)


def part(a: Connection, b: Connection) -> Parting:
    """Where two connections differ; the client's passing port is no difference."""
    one, two = steps(a), steps(b)
    same = 0
    for x, y in zip(one, two, strict=False):
        if _key(x, a) != _key(y, b):
            break
        same += 1
    return Parting(one[:same], one[same:], two[same:])


def _key(step: Step, connection: Connection) -> tuple[object, ...]:
    port = re.compile(rf"\b{connection.request.hops[0].before.sport or 'none'}\b")
    hop = step.hop
    changed = tuple(
        (c.field, port.sub("*", c.before), port.sub("*", c.after)) for c in changes(hop)
    )
    decided = port.sub("*", hop.why)
    return (step.leg, hop.netns, hop.stage, hop.table, hop.action, decided, step.end, changed)


# --- the picture -------------------------------------------------------------------------


def _links(parting: Parting, fork: float) -> str:
    """The lines between stops: they lie under all of them."""
    at = [(s, LANE, TOP + ROW * n) for n, s in enumerate(parting.common)]
    parts = _chain(at)
    for i, mine in enumerate((parting.first, parting.second)):
        branch = [(s, _lane(i), fork + ROW + 6 + ROW * n) for n, s in enumerate(mine)]
        if at and branch:
            start, first = at[-1], branch[0]
            d = f"M{start[1]} {start[2]}V{fork - 4}H{first[1]:g}V{first[2]:g}"
            parts += line(d, COLOUR[first[0].leg], 3, stroke_linejoin="round")
        parts += _chain(branch)
    return parts


def _chain(at: list[tuple[Step, float, float]]) -> str:
    return "".join(
        line(f"M{x:g} {y:g}V{below:g}", COLOUR[step.leg], 3)
        for (_, x, y), (step, _, below) in pairwise(at)
    )


def _lane(i: int) -> float:
    return LANE + i * (COLUMN + GAP)


def _trunk(parting: Parting) -> str:
    if not parting.common:
        return ""
    words = "both" if not parting.same else "both, all the way"
    stops = (_stop(s, LANE, TOP + ROW * i, WIDTH) for i, s in enumerate(parting.common))
    return text(2, 14, words, "b") + "".join(stops)


def _branch(mine: tuple[Step, ...], name: str, i: int, fork: float) -> str:
    x, top, right = _lane(i), fork + ROW + 6, _lane(i) - LANE + COLUMN
    parts = [text(x + 18, fork + 14, fit(name, COLUMN - 60), "b")]
    if not mine:
        parts.append(text(x + 18, top + 4, "nothing more happens", "s"))
    parts += [_ground(x, top, right)] if mine else []
    parts += [_stop(step, x, top + ROW * n, right) for n, step in enumerate(mine)]
    return "".join(parts)


def _ground(x: float, y: float, right: float) -> str:
    """Marks the hop that differs: a tint and an underline, as for a header field."""
    width = right - x - 18
    under = line(f"M{x + 16:g} {y + 13:g}h{width:g}", "edit", 2)
    return rect(x + 16, y - 13, width, 26, "edit-tint", rx=4) + under


def _stop(step: Step, x: float, y: float, right: float) -> str:
    """One step on one line: place, stage, what it did."""
    stopped = step.end not in ("", DONE)
    doing = END[step.end][0].lower() if step.end else step.hop.action
    stage = "" if step.stage == doing else f"  {step.stage}"
    room = right - x - 24 - mono(f"{stage}  {doing}", 11.5)
    words = spans(
        x + 20,
        y + 4.5,
        (fit(step.title, room), "m b"),
        (stage, "s"),
        (f"  {doing}", "stop b" if stopped else "b"),
        cls="x",
    )
    return el("g", end_mark(step, x, y) if stopped else disc(step, x, y), words)


# --- what stands below -------------------------------------------------------------------


def _verdicts(a: Connection, b: Connection, names: Names) -> str:
    parts = []
    for name, connection in zip(names, (a, b), strict=True):
        good, word, rest = ending(connection)
        mark = f"<b class='{'good' if good else 'bad'}'>{'●' if good else '✕'} {word}</b>"
        parts.append(f"<p class='verdict'>{clean(name)}: {mark} {clean(rest)}</p>")
    return "".join(parts)


def _rows(parting: Parting, names: Names) -> str:
    """The two rows that made the difference, one above the other."""
    if parting.same:
        return ""
    head = (
        "<thead><tr><th scope='col' style='width:16%'>way</th><th scope='col' style='width:17%'>"
        "place</th><th scope='col' style='width:27%'>header change</th>"
        "<th scope='col'>the row that decided</th></tr></thead>"
    )
    rows = "".join(_row(n, m) for n, m in zip(names, (parting.first, parting.second), strict=True))
    return f"<table class='parting'>{head}<tbody>{rows}</tbody></table>"


def _row(name: str, mine: tuple[Step, ...]) -> str:
    label = f"<th scope='row'><b>{clean(name)}</b></th>"
    if not mine:
        return f"<tr>{label}<td colspan='3'>ends before</td></tr>"
    step = mine[0]
    stopped = step.end not in ("", DONE)
    place = f"<b>{step.number} · {clean(step.title)}</b><small>{clean(step.stage)}</small>"
    change = "".join(f"<div class='mono'>{change_html(c)}</div>" for c in changes(step.hop))
    if stopped:
        change += f"<b>{END[step.end][0].lower()}</b>"
    kind = " class='drop'" if stopped else " class='differs'"
    cells = f"<td>{place}</td><td>{change or '–'}</td><td>{samp(step.hop.why)}</td>"
    return f"<tr{kind}>{label}{cells}</tr>"


# --- words -------------------------------------------------------------------------------


def _title(a: Connection, b: Connection, names: Names) -> str:
    if title(a) == title(b):
        return f"{names[0]} and {names[1]}: {title(a)}"
    return f"{names[0]}: {a.outcome}; {names[1]}: {b.outcome}."


def twin(a: Connection, b: Connection, names: Names = ("first", "second")) -> str:
    """The first difference in words, then both journeys and every hop."""
    parting = part(a, b)
    common = len(parting.common)
    lines = [difference(parting, names)]
    lines += [f"{n}: {journey(c)}" for n, c in zip(names, (a, b), strict=True)]
    lines += ["Both:", *map(sentence, parting.common)] if common else []
    for name, mine in zip(names, (parting.first, parting.second), strict=True):
        lines += [f"Only {name}:", *map(sentence, mine)] if mine else []
    return "\n".join(lines)


def difference(parting: Parting, names: Names) -> str:
    """Where the two part, and what each does there."""
    if parting.same:
        return "Both take the same hops, and the same rows decide."
    told = [
        f"{name.capitalize()}: {m[0].title}. {m[0].hop.says}" if m else f"{name}: nothing more."
        for name, m in zip(names, (parting.first, parting.second), strict=True)
    ]
    return plain(f"They part at hop {len(parting.common) + 1}. {' '.join(told)}")
