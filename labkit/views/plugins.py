"""The chain of plugins in a CoreDNS: a question goes down, an answer comes up from who knew it."""

from __future__ import annotations

import msgspec

from labkit.dns.plugin import Station
from labkit.dns.server import Reply
from labkit.errors import CommandError
from labkit.traffic.resolve import Question, Resolution
from labkit.views.figure import Figure, figure
from labkit.views.svg import WIDTH, clean, fit, line, rect, sans, text

HEAD, ROW, FOOT = 44.0, 34.0, 8.0
DOWN, UP, BOX, WIDE, WORDS = 22.0, 40.0, 62.0, 116.0, 194.0
MOST = 14  # rows; a chain that is asked again and again is cut there


class Row(msgspec.Struct, frozen=True):
    """A plugin: what it did, and whether the question came to it at all."""

    plugin: str
    words: str
    reached: bool


def plugins(found: Resolution, number: int = -1) -> Figure:
    """One question of a look-up at the server that took it; `number` counts from 1, -1 is the last.

    Raises:
        CommandError: the look-up has no such question.
    """
    count = len(found.questions)
    if not 0 < (number if number > 0 else -number) <= count:
        asked = f"the look-up asked {count}" if count else "the look-up asked nobody"
        raise CommandError(f"plugins: there is no question {number}; {asked}")
    question = found.questions[number - 1 if number > 0 else number]
    at = found.questions.index(question) + 1
    sent = question.sent.query
    title = f"{sent.name} {sent.type}, question {at} of {len(found.questions)}."
    if question.reply is None:
        return Figure(title, _elsewhere(question), below=f"<p class='verdict'>{clean(title)}</p>")
    rows = rows_of(question.reply)
    words = twin(question, rows)
    turn = sum(row.reached for row in rows[:MOST])
    shown = rows[:MOST]
    height = HEAD + ROW * len(shown) + FOOT
    return figure(
        title,
        words,
        height,
        text(DOWN - 10, 22, fit(f"{sent.name} {sent.type}", WIDTH - 40, 13), "m b"),
        _ways(turn, len(shown)),
        *(_row(row, HEAD + ROW * (i + 0.5), i + 1 == turn) for i, row in enumerate(shown)),
        below=f"<p class='verdict'>{clean(words.splitlines()[0])}</p>",
        answer=f"is answered by {answerer(question.reply)}: {question.reply.answer.text}",
    )


def rows_of(reply: Reply) -> tuple[Row, ...]:
    """The plugins that the question met, in order, then those of the chain that it did not."""
    met = tuple(Row(s.plugin, _said(s), True) for s in reply.stations)
    names = {row.plugin for row in met}
    rest = (Row(name, "not reached", False) for name in reply.chain if name not in names)
    return (*met, *rest)


def _said(station: Station) -> str:
    return station.did or "lets it pass"


def answerer(reply: Reply) -> str:
    """The plugin that knew the answer; the server itself where none did."""
    knew = (s.plugin for s in reversed(reply.stations) if s.did.startswith(("answers", "asks ")))
    own = "the server itself"
    return next(knew, own) if reply.answer.written or reply.upstreams else own


def twin(question: Question, rows: tuple[Row, ...]) -> str:
    assert question.reply is not None
    reply, sent = question.reply, question.sent.query
    by = answerer(reply)
    lines = [f"{sent.name} {sent.type} is answered by {by}: {reply.answer.text}."]
    block = f"the block for {reply.zone!r} took it" if reply.zone else "no block took it"
    lines.append(f"It came to {question.server.rpartition('/')[2]}; {block}.")
    lines += [f"{i}. {row.plugin}: {row.words.rstrip('.')}." for i, row in enumerate(rows, 1)]
    return "\n".join(lines)


def _elsewhere(question: Question) -> str:
    """A question that no CoreDNS took."""
    if question.sent.fault:
        return f"No server took the question: {question.sent.fault}."
    told = question.sent.answer.text if question.sent.answer else "nothing"
    return f"A server outside the cluster took the question and said: {told}."


# --- drawing ---------------------------------------------------------------------------------


def _ways(turn: int, count: int) -> str:
    """Down to the plugin that turned the question, up from there; dots where it would go on."""
    last = HEAD + ROW * (max(turn, 1) - 0.5)
    down = line(f"M{DOWN:g} 30V{last:g}", "go", 3)
    up = line(f"M{DOWN:g} {last:g}H{UP:g}V36", "back", 3)
    tip = line(f"M{UP - 5:g} 40L{UP:g} 32L{UP + 5:g} 40", "back", 2)
    end = HEAD + ROW * (count - 0.5)
    dots = {"stroke_dasharray": "1 5", "stroke_linecap": "round"}
    rest = line(f"M{DOWN:g} {last + 8:g}V{end:g}", "line", 2, **dots) if count > turn else ""
    return rest + down + up + tip


def _row(row: Row, y: float, turns: bool) -> str:
    tint = "go-tint" if turns else "wash" if row.reached else "paper"
    dash = None if row.reached else "4 3"
    box = rect(BOX, y - 13, WIDE, 26, tint, "line", rx=4, stroke_dasharray=dash)
    name = text(BOX + WIDE / 2, y + 4.5, fit(row.plugin, WIDE - 8), "m mid b" if turns else "m mid")
    dot = ""
    if row.reached:
        dot = rect(DOWN - 4, y - 4, 8, 8, "go", rx=4)
    plain = not row.reached or row.words == "lets it pass"
    says = text(WORDS, y + 4.5, _cut(row.words), "s" if plain else "b" if turns else "")
    return box + name + dot + says


def _cut(words: str) -> str:
    """Bold words must fit as well; the twin has them whole."""
    most = int((WIDTH - WORDS - 8) / sans("x", 14))
    return words if len(words) <= most else f"{words[: most - 1]}…"
