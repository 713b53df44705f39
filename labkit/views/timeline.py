"""Pods, slice and rules over time, and below them the connections that fail for it."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Iterator, Sequence
from fractions import Fraction
from itertools import groupby

from labkit.traffic.timeline import Life, Tick, Timeline, number
from labkit.views.figure import Figure, figure
from labkit.views.svg import WIDTH, clean, el, fit, line, rect, sans, text

LEFT, RIGHT = 172, WIDTH - 8  # px: where the first tick begins and the last one ends
LABEL = 112  # px: left edge of the lanes' names
LANE, GAP, TOP = 14, 10, 24  # px
BARS = 34  # px: height of a bar that says that all fail
MOST = 8  # pods that are drawn and told
SHORT = {"terminating": "ends"}

ENTRY = {"serving": "serving, terminating"}
SAID = {**ENTRY, "sends": "sends there", "sends in vain": "sends there in vain"}
PAINT = {  # word: (fill, stroke, dashes)
    "ready": ("wash", "line", None),
    "not ready": ("paper", "line", "3 3"),
    "terminating": ("paper", "line", None),
    "serving": ("paper", "line", None),
    "sends": ("go-tint", "go", None),
    "sends in vain": ("stop-tint", "stop", None),
    "open": ("go", "go", None),
}

Run = tuple[float, float, str]  # first tick, last tick (both inclusive), word


def timeline(found: Timeline) -> Figure:
    """Lanes for each pod over a stretch of time, and the chance of a new connection to fail.

    A pod's lanes: its status, its entry in the slice, which node's rules send to it, and the
    connection that was open from the start.
    """
    height, body = drawn(found)
    words = twin(found)
    verdict = f"<p class='verdict'><b>{clean(words.splitlines()[0])}</b> {key(found)}</p>"
    return figure(title(found), words, height, *body, below=verdict, answer=_answer(found))


def key(found: Timeline) -> str:
    """What the signs mean that are not named beside them."""
    opened = any(life.held for life in found.lives)
    vain = any("sends in vain" in words for x in found.lives for _, words in lanes(found, x))
    signs = ["open: a connection that is there from the start."] * opened
    signs += ["A cross: rules lead to where nobody listens."] * vain
    return " ".join(signs)


def title(found: Timeline) -> str:
    return f"{found.source} to {found.target}, second by second."


def _answer(found: Timeline) -> str:
    return f"lets {number(found.failed)} of {len(found.ticks)} connections fail"


# --- runs of equal ticks ----------------------------------------------------------------------


def runs(values: Sequence[Hashable]) -> Iterator[tuple[int, int, Hashable]]:
    """(first, last, value) of each stretch of equal values; both ends belong to it."""
    for value, group in groupby(enumerate(values), key=lambda pair: pair[1]):
        places = [i for i, _ in group]
        yield places[0], places[-1], value


def lanes(found: Timeline, life: Life) -> Iterator[tuple[str, tuple[str, ...]]]:
    """(name, one word a tick) of each of a pod's lanes; an empty word is nothing to draw."""
    yield "pod", life.pod
    yield "slice", life.entry
    for node, used in life.used.items():
        yield node, tuple(_sends(*pair) for pair in zip(used, life.listens, strict=True))
    if life.held:
        yield "open", tuple("open" if lives else "" for lives in life.held)


def _sends(used: bool, listens: bool) -> str:
    return ("sends" if listens else "sends in vain") if used else ""


# --- the picture ------------------------------------------------------------------------------


def drawn(found: Timeline) -> tuple[float, list[str]]:
    """Height in px and the parts of the picture; bars of failures are marked by their tick."""
    step = (RIGHT - LEFT) / len(found.ticks)
    body: list[str] = []
    y = float(TOP)
    for life in found.lives[:MOST]:
        parts, bottom = _life(found, life, y, step)
        body += parts
        y = bottom + GAP
    body += _failures(found, y + BARS + 14, step)
    bottom = y + BARS + 14
    body += _axis(found, bottom, step)
    acts = _acts(found, bottom, step)
    return bottom + 24, [*acts, *body]


def _life(found: Timeline, life: Life, top: float, step: float) -> tuple[list[str], float]:
    parts = [text(0, top + 11 + i * 14, w, "m x") for i, w in enumerate(_name(life.name))]
    y = top
    for name, words in lanes(found, life):
        parts.append(text(LABEL, y + 10, fit(name, LEFT - LABEL - 4, 11.5), "x s"))
        for first, last, word in runs(words):
            if word:
                parts.append(_bar(LEFT + first * step, y + 1, (last - first + 1) * step, str(word)))
        y += LANE
    return parts, y


def _name(name: str) -> list[str]:
    """A pod's name in up to three lines: workload, hash, tail."""
    parts = name.rsplit("-", 2)
    return [fit(part + "-" * (part is not parts[-1]), LABEL - 6, 11.5) for part in parts]


def _bar(x: float, y: float, width: float, word: str) -> str:
    if word == "open":
        end = x + width
        return line(f"M{x:.1f} {y + 5:.1f}H{end:.1f}", "go", 3) + line(
            f"M{end - 3:.1f} {y + 1:.1f}v8", "go", 2
        )
    fill, stroke, dashes = PAINT[word]
    box = rect(x + 0.5, y, width - 1, LANE - 3, fill, stroke, stroke_dasharray=dashes)
    if word == "sends in vain":
        at = x + width / 2
        return box + line(f"M{at - 3:.1f} {y + 2.5:.1f}l6 6m0 -6l-6 6", "stop", 1.5)
    told = (SAID.get(word, word), word, SHORT.get(word, ""), "")
    return box + text(x + 4, y + 8.5, next(w for w in told if sans(w, 10.5) <= width - 6), "t")


def _failures(found: Timeline, base: float, step: float) -> list[str]:
    """A red bar at each tick that may fail; its height is the chance."""
    parts = [
        text(0, base - 20, "new connections", "x"),
        text(0, base - 6, "that fail", "x"),
        line(f"M{LEFT} {base:.1f}H{RIGHT}", "line"),
    ]
    before = Fraction(0)
    for i, tick in enumerate(found.ticks):
        if tick.failed:
            tall, x = float(tick.failed) * BARS, LEFT + i * step
            bar = rect(x + 1.5, base - tall, max(step - 3, 1), tall, "stop")
            said = "all" if tick.failed == 1 else number(tick.failed)
            word = text(x + step / 2, base - tall - 4, said, "t stop mid")
            parts.append(el("g", bar, word if tick.failed != before else "", data_hop=i))
        before = tick.failed
    return parts


def _axis(found: Timeline, base: float, step: float) -> list[str]:
    every = next(n for n in (1, 5, 10, 30, 60, 600) if len(found.ticks) / n <= 14)
    parts = []
    for i, tick in enumerate(found.ticks):
        if i % every == 0:
            x = LEFT + (i + 0.5) * step
            parts.append(line(f"M{x:.1f} {base:.1f}v4", "line"))
            parts.append(text(x, base + 16, f"{tick.at:g} s", "x s mid"))
    return parts


def _acts(found: Timeline, base: float, step: float) -> list[str]:
    span = found.ticks[-1].at or 1.0
    parts = []
    for at, told in _by_time(found.acts):
        x = LEFT + at / span * step * (len(found.ticks) - 1)
        parts.append(line(f"M{x:.1f} {TOP - 6}V{base:.1f}", "soft", stroke_dasharray="2 3"))
        room = RIGHT - x - 4
        parts.append(text(x + 4, TOP - 10, fit(told, room, 11.5), "m x"))
    return parts


def _by_time(acts: Iterable[tuple[float, str]]) -> Iterator[tuple[float, str]]:
    """The acts of one moment together: the first, and how many more."""
    for at, group in groupby(acts, key=lambda act: act[0]):
        told = [what for _, what in group]
        yield at, told[0] + (f" and {len(told) - 1} more" if len(told) > 1 else "")


# --- in words ---------------------------------------------------------------------------------


def twin(found: Timeline) -> str:
    """The result, the delays, the acts, when connections fail, and the life of each pod."""
    count = len(found.ticks)
    mean = "On average " if found.failed.denominator > 1 else ""
    lines = [f"{mean}{number(found.failed)} of {count} new connections fail."]
    lines.append(_late(found))
    lines += [f"At {at:g} s: {told}." for at, told in _by_time(found.acts)]
    lines += _failing(found)
    lines += [_told(found, life) for life in found.lives[:MOST]]
    if len(found.lives) > MOST:
        lines.append(f"And {len(found.lives) - MOST} more pods.")
    return "\n".join(lines)


def _late(found: Timeline) -> str:
    if not any(found.delays.values()):
        return "Every node's rules follow at once."
    late = (f"on {node} by {delay:g} s" for node, delay in found.delays.items())
    return f"The rules are late: {', '.join(late)}."


def result(tick: Tick) -> str:
    """What a new connection meets: `a new connection fails (1/3 unreachable)`."""
    if not tick.failed:
        return "every new connection is answered"
    if set(tick.failures.values()) == {1}:
        return f"every new connection fails ({next(iter(tick.failures))})"
    how = ", ".join(f"{number(chance)} {end}" for end, chance in tick.failures.items())
    return f"a new connection fails ({how})"


def _failing(found: Timeline) -> Iterator[str]:
    for first, last, words in runs([result(tick) for tick in found.ticks]):
        if found.ticks[first].failed:
            yield f"{_when(found, first, last)}: {words}."


def _when(found: Timeline, first: int, last: int) -> str:
    a, b = found.ticks[first].at, found.ticks[last].at
    return f"At {a:g} s" if first == last else f"From {a:g} s to {b:g} s"


def _told(found: Timeline, life: Life) -> str:
    parts = [f"{life.name}, {life.address}"]
    for name, words in lanes(found, life):
        if name == "open":
            continue
        spans = [
            f"{SAID.get(str(word), word)} {_span(found, first, last)}"
            for first, last, word in runs(words)
            if word
        ]
        parts.append(f"{name}: {', '.join(spans) or 'nothing'}")
    if life.held:
        end = next((i for i, lives in enumerate(life.held) if not lives), None)
        ended = "lives on" if end is None else f"breaks at {found.ticks[end].at:g} s"
        parts.append(f"a connection opened at the start {ended}")
    return "; ".join(parts) + "."


def _span(found: Timeline, first: int, last: int) -> str:
    a, b = found.ticks[first].at, found.ticks[last].at
    return f"at {a:g} s" if first == last else f"{a:g}-{b:g} s"
