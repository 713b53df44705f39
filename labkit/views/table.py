"""The hop table and the verdict as HTML: rows wrap, can be copied, are read cell by cell."""

from __future__ import annotations

from labkit.traffic.connection import Connection
from labkit.views.figure import in_words
from labkit.views.hops import END, Change, Step, changes, earlier, steps, title, twin, untold
from labkit.views.marks import COLOUR
from labkit.views.svg import clean
from labkit.views.theme import CSS

UNBROKEN = 40  # letters that fit the column; a longer word may break anywhere
HEAD = (
    "<thead><tr><th class='n' scope='col'>#</th><th scope='col' style='width:19%'>place</th>"
    "<th scope='col' style='width:32%'>header change</th>"
    "<th scope='col'>the row that decided</th></tr></thead>"
)


def trace_html(connection: Connection) -> str:
    """A connection without its picture: what was asked, the verdict, the hop table, the words."""
    heading = f"<p class='verdict'><b>{clean(title(connection))}</b></p>"
    body = heading + verdict(connection) + table(connection) + in_words(twin(connection))
    return f"<div class='lk'><style>{CSS}</style>{body}</div>"


def verdict(connection: Connection) -> str:
    """The end of the story in one sentence."""
    good, word, rest = ending(connection)
    mark = f"<b class='{'good' if good else 'bad'}'>{'●' if good else '✕'} {word}</b>"
    notes = "".join(f"<p class='note'>{clean(words)}</p>" for words in earlier(connection))
    return f"<p class='verdict'>{mark} {clean(rest)}</p>{notes}"


def ending(connection: Connection) -> tuple[bool, str, str]:
    """Whether it went well, the verdict's word, and the rest of its sentence."""
    told = steps(connection)
    last = told[-1]
    where = f"{last.title}, {last.stage}. {last.hop.says}"
    if connection.outcome == "answered":
        server = next(s for s in reversed(told) if s.leg == "request").title
        if last.leg == "request":
            return True, "Delivered", f"at {where}"
        return True, "Answered", f"by {server}. {last.hop.says}"
    if connection.outcome == "refused":
        bad = next((s for s in told if s.leg == "request" and s.end), last)
        return False, "Refused", f"at {bad.title}, {bad.stage}. {bad.hop.says}"
    bad = next((s for s in told if s.end not in ("", "delivered")), last)
    wait = " The client waits and times out." if connection.outcome == "timed out" else ""
    word = END[bad.end][0] if bad.end in END else "Ended"
    return False, word, f"at {bad.title}, {bad.stage}. {bad.hop.says}{wait}"


def table(connection: Connection) -> str:
    """Every hop that decides something, request and reply under each other."""
    rows, leg = [], ""
    for step in steps(connection):
        if step.leg != leg:
            leg = step.leg
            head = f"<th class='{COLOUR[leg]}' colspan='4' scope='rowgroup'>{leg}</th>"
            rows.append(f"<tr>{head}</tr>")
        rows.append(row(step))
    if left := untold(connection):
        words = f"{left} more hops are left out: the packet went round in circles."
        rows.append(f"<tr><td colspan='4'>{words}</td></tr>")
    return f"<table class='hops'>{HEAD}<tbody>{''.join(rows)}</tbody></table>"


def row(step: Step) -> str:
    """One hop; the row that decided is a `<samp>` and never shortened."""
    bad = step.end not in ("", "delivered")
    mark = "✕ " if bad else ""
    place = f"<b>{mark}{clean(step.title)}</b><small>{clean(step.stage)}</small>"
    change = "".join(f"<div class='mono'>{change_html(c)}</div>" for c in changes(step.hop))
    if step.end:
        change += f"<b>{END[step.end][0].lower()}</b>"
    cells = f"<td>{place}</td><td>{change or '–'}</td><td>{samp(step.hop.why)}</td>"
    kind = " class='drop'" if bad else ""
    return f"<tr{kind}><th class='n' scope='row'>{step.number}</th>{cells}</tr>"


def samp(why: str) -> str:
    """A row as it is printed; it wraps between its words, never behind a hyphen."""
    words = (
        f"<span class='w'>{clean(w)}</span>" if "-" in w and len(w) < UNBROKEN else clean(w)
        for w in why.split(" ")
    )  # fmt: skip
    return f"<samp>{' '.join(words)}</samp>"


def change_html(change: Change) -> str:
    """`dst` struck old → marked new; `+` or `−` before a field that came or went."""
    old = f"<del>{clean(change.before)}</del>" if change.before else ""
    new = f"<ins>{clean(change.after)}</ins>" if change.after else ""
    if old and new:
        return f"{clean(change.field)} {old} → {new}"
    return f"{'+' if new else '−'} {clean(change.field)} {old or new}"
