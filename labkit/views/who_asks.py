"""Who asks whom for names: pods, the DNS Service's address, CoreDNS pods, servers outside."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from labkit.api.core import Service
from labkit.traffic.resolve import Question, Resolution
from labkit.traffic.text import plural
from labkit.views.figure import Figure, figure
from labkit.views.svg import WIDTH, fit, line, rect, text

if TYPE_CHECKING:
    from labkit.cluster import Cluster

BOX, TALL, GAP = 135.0, 44.0, 60.0
TOP, ROW = 26.0, 58.0  # px: the first box, the next one below
HEADS = ("who asks", "at this address", "who answers", "whom CoreDNS asks")
NOBODY = "nobody"


class Station(NamedTuple):
    """One box: its column from the left, and its name; equal ones are one."""

    column: int
    name: str


Edge = tuple[Station, Station]


class Asking(msgspec.Struct, frozen=True):
    """All questions of some look-ups: how many went from one station to the next.

    `told` is what stands below a station's name: the Service of an address.
    """

    edges: dict[Edge, int]
    told: dict[str, str]
    questions: int
    cached: int

    def column(self, number: int) -> tuple[Station, ...]:
        """The stations of a column, in the order in which they were first met."""
        met = dict.fromkeys(s for edge in self.edges for s in edge)
        return tuple(s for s in met if s.column == number)


def who_asks(lab: Cluster, found: Sequence[Resolution]) -> Figure:
    """The way of all questions of these look-ups, each line with how many went along it."""
    asking = collect(lab, found)
    rows = max((len(asking.column(i)) for i in range(4)), default=1)
    typed = ", ".join(dict.fromkeys(one.name for one in found))
    title = f"Who asks whom for {typed}." if typed else "Who asks whom for names."
    return figure(title, twin(asking), TOP + ROW * max(rows, 1) - 8, *_draw(asking, rows))


def collect(lab: Cluster, found: Iterable[Resolution]) -> Asking:
    """The questions counted by the line that they went along."""
    questions = [(one.source, q) for one in found for q in one.questions]
    edges = Counter(edge for source, q in questions for edge in _edges(source, q))
    services = {s.spec.cluster_ip: f"{s.namespace}/{s.name}" for s in lab.state.list(Service)}
    return Asking(
        edges=dict(edges),
        told={s.name: services.get(s.name, "") for edge in edges for s in edge if s.column == 1},
        questions=len(questions),
        cached=sum(bool(q.reply and q.reply.cached) for _, q in questions),
    )


def _edges(source: str, question: Question) -> Iterator[Edge]:
    address = Station(1, question.sent.server)
    server = Station(2, question.server.removeprefix("pod/") or NOBODY)
    yield Station(0, source), address
    yield address, server
    for upstream in question.reply.upstreams if question.reply else ():
        yield server, Station(3, upstream)


# --- words -------------------------------------------------------------------------------


def twin(asking: Asking) -> str:
    """How many questions, then each line of the picture as a sentence."""
    if not asking.questions:
        return "Nobody was asked."
    count = asking.questions
    on = sum(n for (a, _), n in asking.edges.items() if a.column == 2)
    first = (
        f"{plural(count, 'question')} from {plural(len(asking.column(0)), 'place')}; "
        f"{asking.cached} answered from a cache, {on} sent on by CoreDNS."
    )
    return "\n".join([first, *(_sentence(asking, edge) for edge in _ordered(asking))])


def _sentence(asking: Asking, edge: Edge) -> str:
    source, target = edge
    told = {s: f"{s.name} ({asking.told[s.name]})" for s in edge if asking.told.get(s.name)}
    verb = ("sends {} to", "leads {} to", "sends {} on to")[source.column]
    said = verb.format(plural(asking.edges[edge], "question"))
    return f"{told.get(source, source.name)} {said} {told.get(target, target.name)}."


def _ordered(asking: Asking) -> list[Edge]:
    return sorted(asking.edges, key=lambda edge: edge[0].column)


# --- the picture -------------------------------------------------------------------------


def _draw(asking: Asking, rows: int) -> list[str]:
    if not asking.questions:
        return [text(1, TOP + 18, "Nobody was asked.", "v")]
    heads = [
        text(_x(i) + BOX / 2, 14, head, "x s mid")
        for i, head in enumerate(HEADS)
        if asking.column(i)
    ]
    at = {s: _y(asking, s, rows) for i in range(4) for s in asking.column(i)}
    lines = [_edge(asking, edge, at) for edge in _ordered(asking)]
    return [*heads, *lines, *(_box(asking, s, y) for s, y in at.items())]


def _x(column: int) -> float:
    return column * (BOX + GAP)


def _y(asking: Asking, station: Station, rows: int) -> float:
    """The top of a box: columns with fewer boxes stand in the middle."""
    column = asking.column(station.column)
    return TOP + ROW * (column.index(station) + (rows - len(column)) / 2)


def _box(asking: Asking, station: Station, y: float) -> str:
    x, lost = _x(station.column), station.name == NOBODY
    namespace, slash, name = station.name.rpartition("/")
    service = asking.told.get(station.name, "").rpartition("/")[2]
    note = f"svc/{service}" if service else namespace if slash else ""
    low = 18 if note else 26
    return "".join([
        rect(x + 1, y, BOX - 2, TALL, "stop-tint" if lost else "wash", "stop" if lost else "line",
             rx=8),
        text(x + BOX / 2, y + low, fit(name, BOX - 10), "m b mid"),
        text(x + BOX / 2, y + 35, fit(note, BOX - 10, 11.5), "m x s mid"),
    ])  # fmt: skip


def _edge(asking: Asking, edge: Edge, at: dict[Station, float]) -> str:
    """A line and its count, which stands where fewer lines meet."""
    source, target = edge
    x, to = _x(source.column) + BOX, _x(target.column)
    y, low = at[source] + TALL / 2, at[target] + TALL / 2
    alone = sum(a == source for a, _ in asking.edges) == 1
    bend = f"M{x:g} {y:g}h8C{x + GAP / 2:g} {y:g} {x + GAP / 2:g} {low:g} {to - 8:g} {low:g}h8"
    colour = "stop" if target.name == NOBODY else "go"
    lift = 16 if low != y and alone == (low < y) else -7  # the side that the bend leaves free
    where = (x + 14, y + lift) if alone else (to - 14, low + lift)
    count = str(asking.edges[edge])
    return line(bend, colour, 2.5) + text(*where, count, "m b mid halo")


assert 4 * BOX + 3 * GAP == WIDTH
