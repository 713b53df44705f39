"""Two connections: what they share is drawn once, then the hop at which they part."""

from __future__ import annotations

import re

import msgspec

from labkit.traffic.connection import Connection
from labkit.views.figure import Figure, figure
from labkit.views.hops import DONE, END, Step, changes, journey, plain, sentence, steps, title
from labkit.views.svg import WIDTH, clean, el, fit, line, mono, rect, spans, text
from labkit.views.table import COLOUR, change_html, ending, samp
from labkit.views.theme import FILL

ROW, TOP, LANE = 30, 34, 16
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
    rows = max(len(parting.first), len(parting.second))
    height = fork + 36 + ROW * rows + 6 if rows else fork
    body = [_trunk(parting, fork)]
    for i, (mine, name) in enumerate(zip((parting.first, parting.second), names, strict=True)):
        if not parting.same:
            body.append(_branch(mine, name, i, fork, bool(parting.common)))
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


def _trunk(parting: Parting, fork: float) -> str:
    if not parting.common:
        return ""
    words = "both" if not parting.same else "both, all the way"
    parts = [text(2, 14, words, "b")]
    bottom = fork if not parting.same else TOP + ROW * (len(parting.common) - 1)
    parts.append(line(f"M{LANE} {TOP}V{bottom:g}", COLOUR[parting.common[-1].leg], 3))
    parts += [_stop(s, LANE, TOP + ROW * i, WIDTH, False) for i, s in enumerate(parting.common)]
    return "".join(parts)


def _branch(mine: tuple[Step, ...], name: str, i: int, fork: float, joined: bool) -> str:
    x = LANE + i * (COLUMN + GAP)
    top = fork + 36
    parts = []
    if joined and mine:
        colour = COLOUR[mine[0].leg]
        d = f"M{LANE} {fork - ROW:g}V{fork:g}" + (f"H{x:g}" if i else "") + f"V{top:g}"
        parts.append(line(d, colour, 3, stroke_linejoin="round"))
    if len(mine) > 1:
        parts.append(
            line(f"M{x:g} {top:g}V{top + ROW * (len(mine) - 1):g}", COLOUR[mine[0].leg], 3)
        )
    parts.append(text(x + 20, fork + 16, fit(name, COLUMN - 60), "b"))
    if not mine:
        parts.append(text(x + 20, top + 4, "nothing more happens", "s"))
    for n, step in enumerate(mine):
        parts.append(_stop(step, x, top + ROW * n, x - LANE + COLUMN, n == 0))
    return "".join(parts)


def _stop(step: Step, x: float, y: float, right: float, differs: bool) -> str:
    """One step on one line: place, stage, what it did."""
    request, colour = step.leg == "request", COLOUR[step.leg]
    stopped = step.end not in ("", DONE)
    start, room = x + 20, right - x - 24
    ground = rect(start - 4, y - 13, room + 6, 26, "edit-tint", rx=4) if differs else ""
    mark = line(f"M{start - 4:g} {y + 13:g}h{room + 6:g}", "edit", 2) if differs else ""
    if stopped:
        silent = step.end == "dropped"
        dot = rect(x - 11, y - 11, 22, 22, "stop" if silent else "paper", "stop", rx=2,
                   stroke_width=2)  # fmt: skip
        dot += line(f"M{x - 5:g} {y - 5:g}l10 10m0 -10l-10 10", "paper" if silent else "stop", 2.5)
    else:
        fill = FILL[colour if request else "paper"]
        dot = el("circle", cx=x, cy=y, r=10.5, fill=fill, stroke=FILL[colour], stroke_width=2.5)
        cls = f"b x mid {'on' if request else colour}"
        dot += text(x, y + 4.5, str(step.number), cls)
    doing = END[step.end][0].lower() if stopped else _did(step)
    place = fit(step.title, room - mono(f"  {step.stage}  {doing}", 11.5))
    words = spans(start, y + 4.5, (place, "m b"), (f"  {step.stage}", "s"),
                  (f"  {doing}", "stop b" if stopped else "b"), cls="x")  # fmt: skip
    return el("g", ground, mark, dot, words)


def _did(step: Step) -> str:
    return "delivered" if step.end == DONE and step.leg == "reply" else step.hop.action


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
        "<thead><tr><th scope='col' style='width:16%'></th><th scope='col' style='width:17%'>"
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
