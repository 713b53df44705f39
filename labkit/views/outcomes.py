"""How one node chooses a pod for a connection: the chances to scale, beside simulated counts.

Chains of iptables are a row of bars: each rule takes its share, the rest goes on to the next,
and the shares fall on their pods and tile the first bar. Where one row chooses there is one bar.
"""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction

import msgspec

from labkit.given import Count
from labkit.kernel.rules_text import probability
from labkit.traffic.branches import BY_TURNS, Branch, Tree, tree
from labkit.traffic.spread import spread
from labkit.views.figure import Figure, figure
from labkit.views.hops import plain
from labkit.views.machines import Lab
from labkit.views.svg import WIDTH, clean, fit, line, rect, spans, text
from labkit.views.table import samp

ROW, TOP, BAR, FOOT = 62.0, 34.0, 26.0, 92.0
MOST = 6  # pods; of more, the first two and the last are drawn
WORDS = {
    "rr": "in turn",
    "wrr": "in turn",
    "lc": "by who has the fewest open connections",
    "wlc": "by who has the fewest open connections",
    "sed": "by who is expected to be free first",
    "nq": "by who is idle",
    "sh": "by the client's address",
    "dh": "by the Service's address",
}


class Column(msgspec.Struct, frozen=True):
    """One pod's column; `number` counts its row from 1. Without a branch it stands for several."""

    x: float
    width: float
    number: int = 0
    branch: Branch | None = None
    hidden: int = 0

    @property
    def mid(self) -> float:
        return self.x + self.width / 2


def outcomes(
    lab: Lab, target: str, *, node: str = "node-1", connections: Count = 1000, seed: int = 1
) -> Figure:
    """The choice that `node` makes for a new connection to `target`, and `connections` drawn.

    Raises:
        NotFound: no such node or Service, or no row of the node speaks of it.
    """
    found = tree(lab.state, lab.network, target, node)
    counts = spread(found, connections, seed=seed)
    words = twin(found, counts)
    title = f"{found.mode} on {found.node}: a new connection to {target}."
    if not found.choices:
        return Figure(title, words, below=f"<p class='verdict'>{clean(words)}</p>")
    columns = _columns(found)
    rules = len(columns) if found.mode == "iptables" else 1
    floor = TOP + ROW * rules + 16
    bars = _cascade(columns, floor) if rules > 1 else _one(found, columns, floor)
    feet = [_foot(found, c, floor, counts) for c in columns]
    return figure(title, words, floor + FOOT, *_head(), *bars, *feet, below=_below(found))


def _columns(found: Tree) -> list[Column]:
    every = list(enumerate(found.choices, start=1))
    if len(every) <= MOST:
        width = WIDTH / len(every)
        return [Column(i * width, width, n, b) for i, (n, b) in enumerate(every)]
    width = WIDTH / 4
    first, second, *_, last = every
    shown = [Column(i * width, width, n, b) for i, (n, b) in enumerate((first, second))]
    rest = Column(2 * width, width, hidden=len(every) - 3)
    return [*shown, rest, Column(3 * width, width, *last)]


def _head() -> tuple[str, str]:
    bracket = line(f"M0.5 30V21.5H{WIDTH - 0.5}V30", "line", 1.5)
    return text(0, 13, "every new connection to the Service", "s"), bracket


# --- bars ----------------------------------------------------------------------------------


def _cascade(columns: list[Column], floor: float) -> list[str]:
    """Chains of iptables: a bar for each rule; what it does not take goes on to the next."""
    return [_rule(c, TOP + ROW * i, floor) for i, c in enumerate(columns)]


def _rule(column: Column, y: float, floor: float) -> str:
    x, share, rest = column.x, column.width, WIDTH - column.x - column.width
    head, odds, took, goes = _rule_words(column)
    parts = [
        rect(x, y + 22, share, floor - y - 22, "go-tint"),
        rect(x, y + 22, share, BAR, "go"),
        text(column.mid, y + 40, took, "b mid on"),
        spans(x + 8, y + 15, (head[0], "b"), (head[1], "")),
    ]
    if rest > 1:
        parts += [
            rect(x + share, y + 22.5, rest - 0.5, BAR - 1, "paper", "go"),
            text(x + share + rest / 2, y + 40, goes, "mid"),
            text(WIDTH - 2, y + 15, odds, "m x s end"),
        ]
    return "".join(parts)


def _rule_words(column: Column) -> tuple[tuple[str, str], str, str, str]:
    """The rule's number and what it takes; its option; its share; what goes on."""
    branch, number = column.branch, column.number
    if branch is None:
        return ("…", f" {column.hidden} more rules"), "", "…", "…"
    assert branch.chance is not None
    assert branch.share is not None
    if branch.chance == 1:
        return (f"rule {number}", " takes the rest"), "", str(branch.share), ""
    left = branch.share / branch.chance - branch.share
    goes = "goes" if left.numerator == 1 else "go"
    whom = "them" if number == 1 else "these"
    return (
        (f"rule {number}", f" takes {branch.chance} of {whom}"),
        f"--probability {probability(branch.chance.denominator)}",
        str(branch.share),
        f"{left} {goes} on to rule {number + 1}",
    )


def _one(found: Tree, columns: list[Column], floor: float) -> list[str]:
    """One row that chooses: its bar is divided at once, by dice or in turn."""
    n = len(found.choices)
    parts = [spans(8, TOP + 15, ("one row", "b"), (f" chooses {how(found)}", ""))]
    parts.append(text(WIDTH - 2, TOP + 15, _option(found, n), "m x s end"))
    for c in columns:
        share = c.branch.share if c.branch else None
        turn = _turn(found, c.number).lower() if found.scheduler else ""
        says = "…" if c.branch is None else turn or str(share or "")
        parts += [
            rect(c.x, TOP + 22, c.width, floor - TOP - 22, "go-tint"),
            rect(c.x, TOP + 22, c.width, BAR, "go"),
            text(c.mid, TOP + 40, says, "b mid on"),
        ]
        if c.x:
            parts.append(line(f"M{c.x:g} {TOP + 22:g}v{BAR:g}", "paper", 3))
    return parts


def _option(found: Tree, n: int) -> str:
    if found.mode == "nftables":
        return f"numgen random mod {n}" if n > 1 else ""
    return f"scheduler {found.scheduler}" if found.scheduler else ""


def _turn(found: Tree, number: int) -> str:
    return f"{'Turn' if found.scheduler in BY_TURNS else 'Server'} {number}"


def how(found: Tree) -> str:
    """What chooses, in two or three words."""
    if found.scheduler:
        return WORDS[found.scheduler]
    return "by dice" if len(found.choices) > 1 else "the only pod"


def _foot(found: Tree, column: Column, floor: float, counts: Mapping[str, int]) -> str:
    """The pod, how many of the drawn connections it got, and how many it should get."""
    ground = rect(column.x, floor, column.width, FOOT - 8, "go-tint")
    edge = line(f"M{column.x:g} {floor:g}v{FOOT - 8:g}", "paper", 3) if column.x else ""
    if column.branch is None:
        rest = _middle(found, counts)
        return ground + edge + "".join([
            text(column.mid, floor + 12, f"{column.hidden} more pods", "mid"),
            spans(column.mid, floor + 56, (f"{rest[0]} to {rest[-1]}", "b"), (" each", ""),
                  cls="mid v"),
        ])  # fmt: skip
    title, total = found.title(column.branch), sum(counts.values())
    share = column.branch.share
    return ground + edge + "".join([
        text(column.mid, floor + 12, fit(title, column.width - 8), "m b mid"),
        text(column.mid, floor + 29, fit(column.branch.end, column.width - 8, 11.5), "m x s mid"),
        spans(column.mid, floor + 56, (f"{counts[title]}", "b"), (f" of {total}", ""),
              cls="mid v"),
        text(column.mid, floor + 73, _expected(found, share, total), "x s mid"),
    ])  # fmt: skip


def _middle(found: Tree, counts: Mapping[str, int]) -> list[int]:
    return sorted(counts[found.title(b)] for b in found.choices[2:-1])


def _expected(found: Tree, share: Fraction | None, total: int) -> str:
    if share is None:
        return "depends on the load"
    return f"{'in the end' if found.scheduler else 'expected'} {float(share * total):.0f}"


# --- below the picture, and in words -------------------------------------------------------


def _below(found: Tree) -> str:
    """The row where one row decides, and a word on scale."""
    notes = ""
    if len(found.choices) > MOST:
        notes = "<p class='note'>The middle pods are left out; bars are not to scale.</p>"
    if found.mode == "iptables":
        return notes
    rows = found.root.below if found.mode == "nftables" else (found.root,)
    return notes + "".join(f"<p class='note'>{samp(b.row)}</p>" for b in rows if b.below)


def twin(found: Tree, counts: Mapping[str, int]) -> str:
    """The shares in one sentence, then a sentence for each row that chooses."""
    n, total = len(found.choices), sum(counts.values())
    if not n:
        return f"Nobody to choose: {plain(found.root.row)} ({found.root.says})."
    lines = [_answer(found, n)]
    if found.sticky:
        lines.append(
            "A client that is known goes where it went before, so all of these went there."
        )
    for number, b in enumerate(found.choices, start=1):
        lines.append(f"{_says(found, number, b)}; {counts[found.title(b)]} of {total} simulated.")
    if len(lines) > 10:
        lines[8:-1] = [f"And {len(lines) - 9} more."]
    return "\n".join(lines)


def _answer(found: Tree, n: int) -> str:
    if n == 1:
        return f"{found.target} has one pod: every connection goes there."
    share = found.choices[0].share
    if found.mode == "iptables":
        return f"{n} rules, tried in order; each pod is chosen with the chance {share}."
    if found.scheduler:
        return f"One row for {n} pods, chosen {how(found)}, not by chance."
    return f"One row for {n} pods, each chosen with the chance {share}."


def _says(found: Tree, number: int, branch: Branch) -> str:
    to = f"to {found.title(branch)} ({branch.end})"
    if found.scheduler:
        return f"{_turn(found, number)} goes {to}"
    if found.mode != "iptables":
        return f"Side {number} has the chance {branch.share}, {to}"
    assert branch.chance is not None
    assert branch.share is not None
    if branch.chance == 1 and number > 1:
        return f"Rule {number} takes the whole rest, {branch.share}, {to}"
    left = branch.share / branch.chance
    reaches = "all connections" if left == 1 else f"the {left} that reaches it"
    return f"Rule {number} takes {branch.chance} of {reaches}, which is {branch.share}, {to}"
