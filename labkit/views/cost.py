"""What many Services cost: rules that the first packet meets, walked, and its time, measured."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from math import log10

import msgspec

from labkit.api.datafiles import data_file
from labkit.errors import CommandError
from labkit.given import Count
from labkit.proxy import MODES
from labkit.traffic.cost import SIZES, curve, rules_met
from labkit.views.figure import Figure, figure
from labkit.views.svg import clean, el, line, text
from labkit.views.theme import FILL

LEFT, RIGHT, TOP, TALL = 54.0, 584.0, 40.0, 178.0  # px of the plot's area
DECADES, LOWEST, HIGHEST = 4.0, 1.0, 20_000.0
APART = 15.0  # px between labels at the ends of lines


class Measured(msgspec.Struct, frozen=True):
    """Figures that a real kernel gave; a size that was not measured is None."""

    says: str
    unit: str
    source: str
    date: str
    services: tuple[int, ...]
    series: Mapping[str, tuple[float | None, ...]]


def measured() -> Measured:
    raw = json.loads(data_file("measured.json").read_text("utf-8"))
    return msgspec.convert(raw["first packet"], Measured)


def cost(services: Count = 1000) -> Figure:
    """The curves of all modes; the reading at `services` is marked.

    Every point is a packet that was walked through tables with so many Services; between
    points lines are straight. The times below are of a real kernel, see `data/measured.json`.

    Raises:
        CommandError: more Services than the curves reach.
    """
    if not 0 < services <= SIZES[-1]:
        raise CommandError(f"cost: services is {services}; give a number from 1 to {SIZES[-1]}")
    lines = {mode: curve(mode) for mode in MODES}
    marks = {mode: rules_met(mode, services) for mode in MODES}
    words = twin(services, lines, marks)
    plot = [*_axes(), *_curves(lines), *_mark(services, marks["iptables"])]
    title = f"Rules that a connection's first packet meets among {services:,} Services."
    return figure(title, words, TOP + TALL + 44, *plot, below=_times())


# --- the plot ------------------------------------------------------------------------------


def _x(services: float) -> float:
    return LEFT + (RIGHT - LEFT) * log10(services) / DECADES


def _y(rules: float) -> float:
    return TOP + TALL * (1 - log10(rules / LOWEST) / log10(HIGHEST / LOWEST))


def _axes() -> list[str]:
    parts = [text(0, 14, "rules that the first packet of a connection meets, both scales by tens",
                  "s")]  # fmt: skip
    for n in SIZES:
        x, y = _x(n), _y(n)
        parts += [
            line(f"M{x:g} {TOP:g}v{TALL:g}M{LEFT:g} {y:g}H{RIGHT:g}", "hair"),
            text(x, TOP + TALL + 17, f"{n:,}", "x s mid"),
            text(LEFT - 8, y + 4, f"{n:,}", "x s end"),
        ]
    return [*parts, text(RIGHT, TOP + TALL + 36, "Services in the cluster", "s end")]


def _curves(lines: Mapping[str, Sequence[int]]) -> list[str]:
    """iptables in the colour of the packet, the others beside it; names at the lines' ends."""
    parts = []
    for points in lines.values():
        steep = points[-1] > 10 * points[0]
        d = "M" + "L".join(f"{_x(n):.1f} {_y(p):.1f}" for n, p in zip(SIZES, points, strict=True))
        parts.append(line(d, "go" if steep else "soft", 2.5 if steep else 1.6))
        parts += [_dot(_x(n), _y(p), steep) for n, p in zip(SIZES, points, strict=True)]
    ends = sorted((_y(points[-1]), mode, points[-1]) for mode, points in lines.items())
    below = 0.0
    for y, mode, rules in ends:
        below = max(y, below + APART)
        kind = "b go" if rules > 1000 else ""
        parts.append(text(RIGHT + 12, below + 4, f"{mode} {rules:,}", kind))
    return parts


def _dot(x: float, y: float, steep: bool) -> str:
    return el("circle", cx=round(x, 1), cy=round(y, 1), r=3, fill=FILL["go" if steep else "soft"])


def _mark(services: int, rules: int) -> list[str]:
    x, y = _x(services), _y(rules)
    ring = el("circle", cx=round(x, 1), cy=round(y, 1), r=6.5, fill=FILL["paper"],
              stroke=FILL["go"], stroke_width=2.5)  # fmt: skip
    at_left = x > (LEFT + RIGHT) / 2
    side = "halo end" if at_left else "halo"
    words = f"{services:,} Services: {rules:,} rules"
    place = (x - 14, y - 14) if at_left else (x - 6, y - 44)
    return [ring, text(*place, words, f"b {side}")]


# --- below, and in words -------------------------------------------------------------------


def _times() -> str:
    """The measured times: a table of its own, because they are not the model's."""
    found = measured()
    heads = "".join(f"<th scope='col'>{n:,}</th>" for n in found.services)
    rows = "".join(
        f"<tr><th scope='row'><b>{clean(name)}</b></th>"
        + "".join(f"<td>{'–' if v is None else v}</td>" for v in values)
        + "</tr>"
        for name, values in found.series.items()
    )
    head = f"<thead><tr><th scope='col' style='width:22%'>Services</th>{heads}</tr></thead>"
    caption = f"<p class='note'><b>Measured</b>, {found.unit}: {clean(_source(found))}</p>"
    return f"{caption}<table class='times'>{head}<tbody>{rows}</tbody></table>"


def _source(found: Measured) -> str:
    return f"{found.says} ({found.source}, {found.date})."


def twin(services: int, lines: Mapping[str, Sequence[int]], marks: Mapping[str, int]) -> str:
    """The reading first, then every walked point, then every measured one."""
    flat = ", ".join(f"{mode} {rules}" for mode, rules in marks.items() if mode != "iptables")
    sentences = [
        f"Among {services:,} Services iptables makes the first packet meet {marks['iptables']:,}"
        f" rules; {flat}."
    ]
    sentences += [f"{mode}: {_points(SIZES, points)}." for mode, points in lines.items()]
    found = measured()
    sentences.append(f"Measured, {found.unit}: {_source(found)}")
    sentences += [f"{name}: {_points(found.services, v)}." for name, v in found.series.items()]
    return "\n".join(sentences)


def _points(sizes: Sequence[int], values: Sequence[float | None]) -> str:
    told = zip(sizes, values, strict=True)
    return ", ".join(f"{v:,} among {n:,}" for n, v in told if v is not None)
