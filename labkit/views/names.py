"""The names that a resolver makes of what was typed: tried in order, until one of them answers."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from labkit.dns.message import address_text, reverse_name
from labkit.dns.resolver import addresses_in, candidates, follow
from labkit.traffic.resolve import Question, Resolution
from labkit.views.figure import Figure, figure
from labkit.views.svg import WIDTH, el, fit, line, mono, rect, spans, text
from labkit.views.theme import FILL

TOP, LINE, PAD = 84.0, 18.0, 22.0  # px: the first name, a line of answers, the rest of a row
TRUNK, LEFT = 18.0, 52.0  # px from the left: the line down, and where words begin
ROOM = WIDTH - LEFT - 12
PROBLEMS = {
    "NXDOMAIN": "no such name",
    "NODATA": "the name is there, an address is not",
    "AGAIN": "no server gives an answer",
    "FAIL": "the server refuses to answer",
}


class Candidate(msgspec.Struct, frozen=True):
    """A full name that the resolver had in mind; without questions it was never asked."""

    name: str
    questions: tuple[Question, ...] = ()
    answers: bool = False


def names(found: Resolution) -> Figure:
    """Every name that was tried or would have been, with what came back for each type."""
    tried = tree(found)
    title = f"{found.source} looks up {found.name}."
    body, height = _draw(found, tried)
    return figure(title, twin(found), height, *body, answer=f"is {_result(found)}")


def tree(found: Resolution) -> tuple[Candidate, ...]:
    """The candidates in order. A name that stands in /etc/hosts has none."""
    if found.file or (address_text(found.name) and not found.questions):
        return ()
    typed = reverse_name(found.name) if address_text(found.name) else found.name
    made = (*candidates(typed, found.conf, found.lookup.resolver), *found.lookup.wire_names)
    return tuple(_candidate(name, found.questions) for name in dict.fromkeys(made))


def _candidate(name: str, questions: Iterable[Question]) -> Candidate:
    mine = tuple(q for q in questions if q.sent.query.name == name)
    return Candidate(name, mine, bool(addresses_in(name, tuple(q.sent for q in mine)).addresses))


# --- words -------------------------------------------------------------------------------


def twin(found: Resolution) -> str:
    """The result, why the names come in this order, and each name with its answers."""
    tried = tree(found)
    lines = [_sentence(f"{found.name} is {_result(found)}")]
    if found.file:
        return "\n".join([*lines, f"It stands in {found.file}, so no server was asked."])
    if not tried:
        return "\n".join([*lines, "It is an address, so no server was asked."])
    lines.append(f"{_order(found)}.")
    for number, one in enumerate(tried, 1):
        told = "; ".join(words(one)) if one.questions else "never asked"
        end = " This name answers." if one.answers else ""
        lines.append(f"{_sentence(f'{number}. {one.name}: {told}')}{end}")
    return "\n".join(lines)


def _sentence(words: str) -> str:
    """Full names bring a dot of their own."""
    return words if words.endswith(".") else f"{words}."


def _result(found: Resolution) -> str:
    """`found as backend.default.svc.cluster.local. after 1 of 4 names, 2 questions: 10.96.1.2`."""
    tried = tree(found)
    asked = [one for one in tried if one.questions]
    count = len(found.questions)
    cost = f"{count} question{'s' if count != 1 else ''}"
    if not found:
        why = PROBLEMS[found.lookup.problem]
        return f"not found after {len(asked)} of {len(tried)} names and {cost}: {why}"
    data = ", ".join(found.lookup.addresses)
    if not tried:
        return f"found without a question: {data}"
    right = next((one.name for one in tried if one.answers), found.lookup.canonical)
    return f"found as {right} with {cost}: {data}"


def _order(found: Resolution) -> str:
    """Why the search list comes before or behind the name as it stands."""
    dots, ndots = found.name.count("."), found.conf.option("ndots", 1)
    many = f"{dots} dot{'s' if dots != 1 else ''}"
    if address_text(found.name):
        return "An address is asked for by its name in reverse"
    if found.name.endswith("."):
        return "A dot at the end says that the name is whole, and nothing is added"
    if found.lookup.resolver == "busybox-nslookup":
        return "BusyBox asks all of them at once" if dots == 0 else "BusyBox adds nothing to a dot"
    if dots < ndots:
        return f"{many}, fewer than ndots {ndots}, so the search list comes first"
    rest = "then the search list" if found.lookup.resolver == "glibc" else "and nothing else"
    return f"{many}, not fewer than ndots {ndots}, so the name as it stands comes first, {rest}"


def words(one: Candidate, arrow: str = "by way of") -> tuple[str, ...]:
    """What came back, a text for each type in the order asked."""
    last = {q.sent.query.type: q for q in one.questions}
    return tuple(_told(type_, question, one, arrow) for type_, question in last.items())


def _told(type_: str, question: Question, one: Candidate, arrow: str) -> str:
    answer = question.sent.answer
    if answer is None:
        times = sum(q.sent.query.type == type_ for q in one.questions)
        return f"{type_} {question.sent.fault}{f', {times} times' if times > 1 else ''}"
    if not answer.exists:
        return f"{type_} {answer.rcode}{_by(question)}"
    _, records = follow(question.sent.query.name, answer.answer)
    data = ", ".join(r.data for r in records if r.type == type_) or "no record"
    aliases = [r.data for r in answer.answer if r.type == "CNAME"] if type_ != "CNAME" else []
    if arrow == "by way of":
        way = f" {arrow} {' and '.join(aliases)}" if aliases else ""
        return f"{type_} {data}{way}{_by(question)}"
    return f"{type_} {arrow.join([*aliases, data])}{_by(question)}"


def _by(question: Question) -> str:
    reply = question.reply
    if reply and reply.cached:
        return " (from the cache)"
    return f" (CoreDNS asked {reply.upstreams[-1]})" if reply and reply.upstreams else ""


# --- the picture -------------------------------------------------------------------------


def _draw(found: Resolution, tried: tuple[Candidate, ...]) -> tuple[list[str], float]:
    """What to draw, and how high it is in px."""
    body, y = _head(found), TOP
    low = y
    for number, one in enumerate(tried, 1):
        lines = _lines(one)
        body += _row(found, one, number, y, lines)
        low, y = y, y + PAD + LINE * len(lines) + 8
    if not tried:
        where = f"stands in {found.file}" if found.file else "is an address"
        body.append(text(LEFT, TOP + 16, f"It {where}: no server is asked.", "v"))
        return body, TOP + 30
    asked = [one for one in tried if one.questions]
    trunk = line(f"M{TRUNK:g} 66V{low + 12:g}", "line", 1.5, stroke_dasharray="2 4")
    reach = _reach(tried, len(asked))
    live = line(f"M{TRUNK:g} 66V{reach:g}", "go" if found else "stop", 2.5) if asked else ""
    return [trunk, live, *body], y


def _reach(tried: tuple[Candidate, ...], asked: int) -> float:
    """How far down the questions went."""
    y = TOP
    for one in tried[: asked - 1]:
        y += PAD + LINE * len(_lines(one)) + 8
    return y + 12


def _head(found: Resolution) -> list[str]:
    wide = max(mono(fit(found.name, 210, 14), 14) + 24, 110)
    ndots = found.conf.option("ndots", 1)
    search = " ".join(found.conf.search) or "–"
    x = wide + 24
    return [
        text(1, 14, fit(f"typed in {found.source}", wide + 90, 11.5), "x s"),
        rect(1, 24, wide, 42, "wash", "line", rx=8),
        text(13, 50, fit(found.name, 210, 14), "m b", style="font-size:14px"),
        spans(x, 42, ("search ", "s"), (fit(search, WIDTH - x - 60), ""), cls="m"),
        spans(x, 60, ("nameserver ", "s"), (", ".join(found.conf.nameservers), ""),
              (" · ndots ", "s"), (str(ndots), ""), cls="m"),
    ]  # fmt: skip


def _lines(one: Candidate) -> tuple[str, ...]:
    told = words(one, " → ") or ("never asked",)
    joined = " · ".join(told)
    return (joined,) if mono(joined) <= ROOM else told


def _row(
    found: Resolution, one: Candidate, number: int, y: float, lines: tuple[str, ...]
) -> list[str]:
    typed = found.name.rstrip(".")
    name = fit(one.name, ROOM)
    cut = len(typed) if name.startswith(typed) else 0
    colour = "go" if one.answers else "stop" if one.questions else "line"
    soft = "" if one.questions else "s"
    tall = PAD + LINE * len(lines)
    tint = rect(LEFT - 10, y - 6, WIDTH - LEFT + 8, tall, "go-tint", rx=6) if one.answers else ""
    end = "go b" if one.answers else "s"
    return [
        tint,
        line(f"M{TRUNK:g} {y + 12:g}H{LEFT - 12:g}", colour, 2.5 if one.questions else 1.5,
             stroke_dasharray=None if one.questions else "2 4"),
        el("circle", cx=TRUNK, cy=y + 12, r=11, stroke=FILL[colour], stroke_width=2,
           fill=FILL[colour if one.answers else "paper"],
           stroke_dasharray=None if one.questions else "2 4"),
        text(TRUNK, y + 16.5, str(number), "x b mid on" if one.answers else "x mid s"),
        spans(LEFT, y + 11, (name[:cut], f"b {soft}".strip()), (name[cut:], "s"), cls="m"),
        *(text(LEFT, y + 11 + LINE * (i + 1), fit(words, ROOM), f"m {end}")
          for i, words in enumerate(lines)),
    ]  # fmt: skip
