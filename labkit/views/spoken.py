"""A request in two halves: what DNS made of its name, and what the far server heard of it."""

from __future__ import annotations

from labkit.dns.message import address_text
from labkit.traffic.request import Request
from labkit.views.figure import Figure, figure
from labkit.views.svg import WIDTH, clean, fit, line, rect, text

LEFT, RIGHT = (1.0, 400.0, 82.0), (420.0, 299.0, 114.0)  # px: x, width, where a name begins
TOP, TALL, ROW = 28.0, 32.0, 46.0  # px: the first box, its height, the next one below
Link = tuple[str, str]  # a name or address, and how it came about
Half = tuple[float, float, float]
ANSWERS = {
    "Not trusted": "is not trusted",
    "No address": "has no address",
    "Refused": "is refused",
    "Timed out": "times out",
}


def spoken(asked: Request) -> Figure:
    """The look-up on the left, the talk on the right; an alias changes the left half only."""
    title = f"{asked.resolution.source} requests {asked.url}."
    links, talk = chain(asked), said(asked)
    rows = max(len(links), 2 if talk else 1)
    word, rest = result(asked)
    good = "good" if asked else "bad"
    below = f"<p class='verdict'><b class='{good}'>{clean(word)}.</b> {clean(rest)}</p>"
    height = TOP + ROW * rows - (ROW - TALL) + 4
    body = _draw(asked, links, talk)
    answer = ANSWERS.get(word, f"gets {word}")
    return figure(title, twin(asked), height, *body, below=below, answer=answer)


def chain(asked: Request) -> tuple[Link, ...]:
    """What was typed, and each name or address that it led to."""
    found = asked.resolution
    typed = (found.name, "typed")
    rows = [q.sent for q in found.questions if q.sent.answer and q.sent.answer.answer]
    if not rows:
        more = [(address, "an address") for address in found.lookup.addresses[:1]]
        return (typed, *more) if more and more[0][0] != found.name else (typed,)
    first = rows[0]
    assert first.answer is not None
    whole = first.query.name
    completed = [(whole, "completed")] if whole.rstrip(".") != found.name.rstrip(".") else []
    records = [(r.data, r.type) for r in first.answer.answer if r.type in ("CNAME", "A", "AAAA")]
    aliases = [r for r in records if r[1] == "CNAME"]
    return (typed, *completed, *aliases, *[r for r in records if r[1] != "CNAME"][:1])


def said(asked: Request) -> tuple[Link, ...]:
    """The name that the far server hears, and those it knows; empty without a connection."""
    if not asked.connection:
        return ()
    name = asked.server_name if asked.certificate and asked.server_name else asked.host
    where = "TLS server name" if name == asked.server_name else "Host header"
    knows = ", ".join(asked.site) or "any name"
    return (name, where), (knows, "certificate for" if asked.certificate else "server knows")


def result(asked: Request) -> Link:
    """A word for how it ends, and the reason in a sentence."""
    if asked.connection is None:
        return "No address", "The name leads to nothing that could be connected to."
    if not asked.connection:
        return asked.connection.outcome.capitalize(), "Nothing was said: no connection stands."
    names = ", ".join(asked.site)
    if asked.mismatch:
        return (
            "Not trusted",
            f"The client asked for {_name(asked)}; the certificate is for {names}.",
        )
    if not asked:
        return str(asked.status), f"The server heard {_name(asked)}; it knows {names}."
    return str(asked.status), f"From {asked.served_by}, which heard {_name(asked)}."


def _name(asked: Request) -> str:
    return asked.server_name or asked.host


def twin(asked: Request) -> str:
    """The result, the look-up link by link, and the talk."""
    word, rest = result(asked)
    steps = [f"{text.rstrip('.')} ({how})" for text, how in chain(asked)]
    lines = [f"{word}. {rest}", f"Looked up: {', then '.join(steps)}."]
    if talk := said(asked):
        (name, where), (knows, what) = talk
        lines.append(f"Said on the connection, {where}: {name}. The far side, {what}: {knows}.")
    return "\n".join(lines)


# --- the picture -------------------------------------------------------------------------


def _draw(asked: Request, links: tuple[Link, ...], talk: tuple[Link, ...]) -> list[str]:
    found = bool(asked.resolution.addresses)
    body = [text(LEFT[0], 14, "DNS: what the name leads to", "x s")]
    for i, link in enumerate(links):
        last = i + 1 == len(links)
        body.append(_box(LEFT, i, link, ("go" if found else "stop") if last else "line"))
        body += [] if last else [_join(LEFT, i, "go")]
    body.append(text(RIGHT[0], 14, "the connection: what is said on it", "x s"))
    if not talk:
        return [*body, text(RIGHT[0], TOP + 21, "nothing is said", "s")]
    fits = bool(asked)
    body += [_box(RIGHT, 0, talk[0], "line"), _box(RIGHT, 1, talk[1], "go" if fits else "stop")]
    return [*body, _join(RIGHT, 0, "go" if fits else "stop"), "" if fits else _cross(RIGHT)]


def _box(half: Half, row: int, link: Link, edge: str) -> str:
    name, how = link
    (x, wide, indent), y = half, TOP + ROW * row
    words = "m b go" if address_text(name) else "m b"
    return "".join([
        rect(x, y, wide, TALL, "wash", edge, rx=6, stroke_width=2 if edge != "line" else 1),
        text(x + 10, y + 21, how, "x s"),
        text(x + indent, y + 21, fit(name, wide - indent - 8), words),
    ])  # fmt: skip


def _join(half: Half, row: int, colour: str) -> str:
    return line(f"M{half[0] + 40:g} {TOP + ROW * row + TALL:g}v{ROW - TALL:g}", colour, 2.5)


def _cross(half: Half) -> str:
    x, y = half[0] + 40, TOP + ROW - (ROW - TALL) / 2
    box = rect(x - 7, y - 7, 14, 14, "stop", "stop", rx=2)
    return box + line(f"M{x - 3.5:g} {y - 3.5:g}l7 7m0 -7l-7 7", "paper", 2)


assert RIGHT[0] + RIGHT[1] < WIDTH
