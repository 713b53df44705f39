"""Questions over the cluster's clock: who was asked for what when, and what is remembered."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Literal

import msgspec

from labkit.dns.message import Answer
from labkit.traffic.resolve import Question, Resolution
from labkit.traffic.text import plural
from labkit.views.figure import Figure, figure
from labkit.views.svg import clean, el, fit, line, mono, rect, text
from labkit.views.theme import FILL

Kind = Literal["answered", "no such name", "no record of this type", "no answer"]
KINDS: tuple[Kind, ...] = ("answered", "no such name", "no record of this type", "no answer")

LEFT, RIGHT, COUNT = 322.0, 640.0, 706.0  # px: the first second, the last one, the counts
TOP, LANE, FOOT = 40.0, 34.0, 74.0
MOST = 10  # names that are drawn


class Mark(msgspec.Struct, frozen=True):
    """One question: its name, its type, its second, how it ended, and whether from memory."""

    name: str
    type: str
    second: float
    kind: Kind
    remembered: bool
    onward: bool  # the server had to ask another one


class Memory(msgspec.Struct, frozen=True):
    """An answer that a cache kept, from a second to another."""

    name: str
    type: str
    kind: Kind
    start: float
    end: float


def queries(found: Resolution | Sequence[Resolution]) -> Figure:
    """Look-ups in the order of the clock, a lane for each name that was on the wire."""
    lookups = (found,) if isinstance(found, Resolution) else tuple(found)
    first = min((r.now for r in lookups), default=0.0)
    marks = tuple(_mark(q, r.now - first) for r in lookups for q in r.questions)
    names = tuple(dict.fromkeys(mark.name for mark in marks))
    kept = tuple(m for m in _memories(lookups, first) if m.name in names)
    said = ", ".join(dict.fromkeys(r.name for r in lookups))
    title = f"Questions for {said.rstrip('.')}."
    words = twin(lookups, first, marks, kept)
    lanes = names[:MOST]
    body = _drawn(lanes, marks, kept, len(names) - len(lanes))
    height = TOP + LANE * len(lanes) + FOOT
    below = f"<p class='verdict'>{clean(words.splitlines()[0])}</p>"
    answer = f"means {plural(len(marks), 'question')}"
    return figure(title, words, height, *body, below=below, answer=answer)


def _mark(question: Question, second: float) -> Mark:
    query, reply = question.sent.query, question.reply
    return Mark(
        name=query.key,
        type=query.type,
        second=second,
        kind=kind_of(question.sent.answer),
        remembered=bool(reply and reply.cached),
        onward=bool(reply and reply.upstreams),
    )


def kind_of(answer: Answer | None) -> Kind:
    if answer is None or answer.rcode not in ("NOERROR", "NXDOMAIN"):
        return "no answer"
    if answer.answer:
        return "answered"
    return "no record of this type" if answer.exists else "no such name"


def _memories(lookups: Iterable[Resolution], first: float) -> tuple[Memory, ...]:
    """What the caches held; an entry that a later look-up no longer meets was emptied then."""
    found: dict[tuple[str, str, str, float], Memory] = {}
    for lookup in lookups:
        second = lookup.now - first
        for server, cache in lookup.names.caches.items():
            held = set()
            for (_, name, type_), kept in cache.items():
                start = kept.stored - first
                held.add(key := (server, name, type_, start))
                end = start + kept.seconds
                found[key] = Memory(name, type_, kind_of(kept.answer), start, end)
            for key, memory in found.items():
                if key[0] == server and key not in held and second < memory.end:
                    found[key] = msgspec.structs.replace(memory, end=second)
    return tuple(dict.fromkeys(found.values()))


# --- words -----------------------------------------------------------------------------------


def twin(
    lookups: Sequence[Resolution], first: float, marks: Sequence[Mark], kept: Sequence[Memory]
) -> str:
    """The sum, then each look-up, then what the caches hold."""
    ends = Counter(mark.kind for mark in marks)
    parts = ", ".join(f"{ends[kind]} {kind}" for kind in KINDS if ends[kind])
    memory, onward = sum(m.remembered for m in marks), sum(m.onward for m in marks)
    lines = [
        f"{plural(len(marks), 'question')} in {plural(len(lookups), 'look-up')}: "
        f"{parts or 'nobody was asked'}.",
        f"{memory} came from a cache; for {onward} the server asked another server.",
    ]
    for lookup in lookups:
        own = [_mark(q, 0) for q in lookup.questions]
        result = ", ".join(lookup.lookup.addresses) or lookup.lookup.problem
        told = Counter(f"{m.kind}{' from a cache' if m.remembered else ''}" for m in own)
        each = ", ".join(f"{count} {kind}" for kind, count in told.items())
        asked = f"{plural(len(own), 'question')}: {each}"
        lines.append(f"At second {lookup.now - first:g}: {lookup.name} gives {result}; {asked}.")
    lines += [
        f"A cache holds {m.name} {m.type}, {m.kind}, from second {m.start:g} to {m.end:g}."
        for m in kept[:8]
    ]
    more = len(kept) - 8
    return "\n".join([*lines, *([f"And {more} more answers are held."] if more > 0 else [])])


# --- drawing ---------------------------------------------------------------------------------


def _drawn(
    lanes: Sequence[str], marks: Sequence[Mark], kept: Sequence[Memory], hidden: int
) -> list[str]:
    seconds = sorted({m.second for m in marks})
    end = max([*seconds, *(m.end for m in kept if m.start <= (seconds or [0])[-1])], default=0.0)
    per = (RIGHT - LEFT) / max(end, 1.0)
    low = TOP + LANE * len(lanes)
    place = {name: TOP + LANE * (i + 0.5) for i, name in enumerate(lanes)}
    body = [
        text(12, 24, "on the wire, A above AAAA", "s x"),
        text(COUNT, 24, "questions", "s x end"),
    ]
    body += [_lane(name, y, marks) for name, y in place.items()]
    body += _ticks(sorted({*seconds, end}), per, low)
    body += [_bar(m, place[m.name], per) for m in kept if m.name in place]
    body += [_stand(m, place[m.name], LEFT + m.second * per) for m in marks if m.name in place]
    if hidden:
        body.append(text(12, low + 16, f"and {hidden} more names", "s x"))
    return [*body, _key(low + 54, marks, kept)]


def _lane(name: str, y: float, marks: Sequence[Mark]) -> str:
    count = sum(m.name == name for m in marks)
    rule = line(f"M12 {y + LANE / 2:g}H{COUNT:g}", "hair")
    label = text(12, y + 4, fit(name, LEFT - 34, 12), "m")
    return rule + label + text(COUNT, y + 4, str(count), "m b end")


def _half(type_: str) -> float:
    """A above the middle of its lane, other types below it."""
    return -7.0 if type_ == "A" else 7.0


def _bar(memory: Memory, y: float, per: float) -> str:
    tint = "go-tint" if memory.kind == "answered" else "stop-tint"
    x, wide = LEFT + memory.start * per, max((memory.end - memory.start) * per, 2.0)
    return rect(x, y + _half(memory.type) - 5, min(wide, RIGHT - x), 10, tint, rx=2)


def _stand(mark: Mark, y: float, x: float) -> str:
    return _sign(x, y + _half(mark.type), mark.kind, remembered=mark.remembered)


def _sign(x: float, y: float, kind: Kind, *, remembered: bool = False) -> str:
    """A disc for an answer, a crossed square for no such name, a dash for no such record."""
    colour = "go" if kind == "answered" else "stop"
    if kind == "answered":
        fill = FILL["paper" if remembered else "go"]
        return el("circle", cx=x, cy=y, r=5, fill=fill, stroke=FILL["go"], stroke_width=2)
    if kind == "no record of this type":
        return line(f"M{x - 5:g} {y:g}h10", "soft" if remembered else "ink", 3)
    cross = f"M{x - 2.5:g} {y - 2.5:g}l5 5m0 -5l-5 5"
    if kind == "no answer":
        return line(f"M{x - 4:g} {y - 4:g}l8 8m0 -8l-8 8", "stop", 2.5)
    box = rect(x - 5, y - 5, 10, 10, "paper" if remembered else "stop", "stop", stroke_width=1.5)
    return box + line(cross, colour if remembered else "paper", 1.8)


def _ticks(seconds: Sequence[float], per: float, low: float) -> list[str]:
    """A rule for each second; a number that would touch the one before stands lower."""
    parts, free = [], [0.0, 0.0]
    for second in seconds:
        x, words = LEFT + second * per, f"{second:g} s"
        half = mono(words) / 2
        row = 0 if x - half > free[0] else 1
        parts.append(line(f"M{x:g} {TOP - 6:g}V{low + 4 + 13 * row:g}", "hair"))
        if x - half > free[row]:
            parts.append(text(x, low + 17 + 13 * row, words, "m x mid"))
            free[row] = x + half + 8
    return parts


def _key(y: float, marks: Sequence[Mark], kept: Sequence[Memory]) -> str:
    """The signs that are there with their words, and what a bar means."""
    signs: list[tuple[Kind, bool, str]] = [
        (kind, False, kind) for kind in KINDS if any(m.kind == kind for m in marks)
    ]
    signs += [(mark.kind, True, "from memory") for mark in marks if mark.remembered][:1]
    parts, x = [], 17.0
    for kind, remembered, words in signs:
        parts.append(_sign(x, y - 4, kind, remembered=remembered) + text(x + 10, y, words, "s x"))
        x += 34 + len(words) * 6.2
    if kept:
        parts.append(rect(x - 4, y - 9, 22, 10, "go-tint", "line", rx=2))
        parts.append(text(x + 24, y, "remembered", "s x"))
    return "".join(parts)
