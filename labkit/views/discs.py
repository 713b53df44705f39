"""The signs of a matrix, their key and their words.

Each cell is a disc of two halves: the left half is the sender's egress, the right half the
receiver's ingress. Only two halves make a whole connection.
"""

from __future__ import annotations

from itertools import groupby

from labkit.cni import cni_of
from labkit.policy.reach import Reach
from labkit.views.figure import Figure, figure
from labkit.views.grid import BOTH, ITSELF, LEFT, NEITHER, RECEIVER, SENDER, Grid, Table, table
from labkit.views.svg import el, line, rect, text
from labkit.views.theme import FILL

KEY, KEY_ROW = 58.0, 22.0  # px that the key takes, and one more line of it
MOST_CHANGES = 40
CHANGES = (  # (what happened to a pair, colour, x in the key, words)
    ("opened", "go", 8, "opened"),
    ("closed", "stop", 108, "closed"),
    ("open", "line", 208, "still open"),
)


def drawn(grid: Grid, reach: Reach, before: Reach | None, twin: str) -> Figure:
    body = (grid.bands(), grid.labels(), cells(grid, reach, before), key(grid, reach, before))
    title = "Before and after." if before else "Who may connect to whom."
    return figure(title, twin, height(grid, reach), *body)


def height(grid: Grid, reach: Reach) -> float:
    return grid.top + grid.end + KEY + (0 if enforced(reach) else KEY_ROW)


def enforced(reach: Reach) -> bool:
    """Whether the plugin of this cluster does what the policies say."""
    return cni_of(reach.state.config).enforces_policies


def lies(reach: Reach) -> str:
    """What is to be said where verdicts are one thing and packets another."""
    return f"{reach.state.config.cni} enforces no policy: every connection opens all the same."


# --- cells -------------------------------------------------------------------------------


def cells(grid: Grid, reach: Reach, before: Reach | None = None) -> str:
    """The signs of all cells: one path for each state, whatever the number of pods."""
    if before is not None:
        return _changes(grid, reach, before)
    return _signs(grid) if grid.rows.single else _field(grid)


def _radius(grid: Grid) -> float:
    return max(1.6, min(8.5, grid.cell * 0.34))


def _signs(grid: Grid) -> str:
    where: dict[str, list[tuple[float, float]]] = {}
    for i, row in enumerate(grid.rows.cells):
        for j, state in enumerate(row):
            where.setdefault(state, []).append(grid.centre(i, j))
    return "".join(sign(points, state, _radius(grid)) for state, points in sorted(where.items()))


def _field(grid: Grid) -> str:
    """Too many rows for signs: runs of connecting cells as bars."""
    d = []
    for i, row in enumerate(grid.rows.cells):
        for _, columns in grid.spaces:
            for state, group in groupby(columns, row.__getitem__):
                run = list(group)
                if state in (BOTH, ITSELF):
                    x, y = LEFT + grid.at[run[0]], grid.top + grid.at[i]
                    width = len(run) * grid.cell
                    d.append(f"M{x:.1f} {y:.1f}h{width:.1f}v{grid.cell:.1f}H{x:.1f}z")
    return el("path", d="".join(d), fill=FILL["go"], shape_rendering="crispEdges")


def sign(points: list[tuple[float, float]], state: str, r: float) -> str:
    """All cells of one state."""
    discs = "".join(_disc(x, y, r) for x, y in points)
    if state == BOTH:
        return el("path", d=discs, fill=FILL["go"])
    if state == ITSELF:
        return line("".join(f"M{x - r / 2:.1f} {y:.1f}h{r:.1f}" for x, y in points), "line", 1.5)
    if state == NEITHER:
        k = r * 0.62
        cross = "M{0:.1f} {1:.1f}l{2:.1f} {2:.1f}m0 -{2:.1f}l-{2:.1f} {2:.1f}"
        return line("".join(cross.format(x - k, y - k, 2 * k) for x, y in points), "stop", 1.6)
    sweep = 0 if state == SENDER else 1
    arc = "M{0:.1f} {1:.1f}A{2:.1f} {2:.1f} 0 0 {3} {0:.1f} {4:.1f}z"
    half = "".join(arc.format(x, y - r, r, sweep, y + r) for x, y in points)
    ring = el("path", d=discs, fill="none", stroke=FILL["stop"], stroke_width=0.9)
    return el("path", d=half, fill=FILL["stop"]) + ring


def _disc(x: float, y: float, r: float) -> str:
    way = "M{0:.1f} {1:.1f}a{2:.1f} {2:.1f} 0 1 0 {3:.1f} 0a{2:.1f} {2:.1f} 0 1 0 -{3:.1f} 0z"
    return way.format(x - r, y, r, 2 * r)


# --- what changed ------------------------------------------------------------------------


def change(reach: Reach, before: Reach, rows: Table, i: int, j: int) -> str:
    """`opened`, `closed`, `open` as before, or nothing: denied as before."""
    pair = rows.pair(i, j)
    was, now = before.open(*pair), reach.open(*pair)
    return ("open" if now else "") if was == now else ("opened" if now else "closed")


def _changes(grid: Grid, reach: Reach, before: Reach) -> str:
    where: dict[str, list[tuple[float, float]]] = {}
    for i, row in enumerate(grid.rows.cells):
        for j, state in enumerate(row):
            if state != ITSELF:
                kind = change(reach, before, grid.rows, i, j)
                where.setdefault(kind, []).append(grid.centre(i, j))
            else:
                where.setdefault(ITSELF, []).append(grid.centre(i, j))
    r = _radius(grid)
    shown = "".join(mark(kind, colour, where.get(kind, []), r) for kind, colour, *_ in CHANGES)
    return shown + sign(where.get(ITSELF, []), ITSELF, r)


def mark(kind: str, colour: str, points: list[tuple[float, float]], r: float) -> str:
    """A plus, a minus or a small dot at each point."""
    if not points:
        return ""
    if kind == "open":
        d = "".join(_disc(x, y, r * 0.38) for x, y in points)
        return el("path", d=d, fill=FILL[colour])
    bar = "".join(f"M{x - r:.1f} {y:.1f}h{2 * r:.1f}" for x, y in points)
    if kind == "opened":
        bar += "".join(f"M{x:.1f} {y - r:.1f}v{2 * r:.1f}" for x, y in points)
    return line(bar, colour, 3)


def counted(reach: Reach, before: Reach) -> dict[str, int]:
    """How many pairs of different pods opened, closed, stayed open (`open`), stayed denied."""
    rows, count = table(reach, [before]), dict.fromkeys(("opened", "closed", "open", ""), 0)
    for i in range(len(rows.names)):
        for j in range(len(rows.names)):
            if rows.weight(i, j):
                count[change(reach, before, rows, i, j)] += rows.weight(i, j)
    return count


# --- the key -----------------------------------------------------------------------------


def key(grid: Grid, reach: Reach, before: Reach | None = None) -> str:
    """What the signs mean, and whether the plugin heeds them."""
    y = grid.top + grid.end + 28
    if before is not None:
        shown = _key_of_changes(y, counted(reach, before))
    elif grid.rows.single:
        shown = _key_of_signs(y)
    else:
        shown = (
            rect(2, y - 11, 12, 12, "go")
            + text(22, y, "connects", "x")
            + rect(102, y - 11, 12, 12, "wash", "line")
            + text(122, y, "does not: choose a cell for the reason", "x")
        )
    warn = "" if enforced(reach) else text(0, y + KEY_ROW + 22, lies(reach), "b stop")
    return shown + warn


def _key_of_signs(y: float) -> str:
    items = (
        (0, BOTH, "connects"),
        (92, SENDER, "may leave, is not let in"),
        (272, RECEIVER, "would be let in, may not leave"),
        (486, NEITHER, "neither"),
        (568, ITSELF, "the pod itself"),
    )
    shown = (sign([(x + 8, y - 4)], state, 6.5) + text(x + 21, y, w, "x") for x, state, w in items)
    halves = "left half: the sender's egress agrees · right half: the receiver's ingress agrees"
    return "".join(shown) + text(0, y + 22, halves, "s x")


def _key_of_changes(y: float, count: dict[str, int]) -> str:
    shown = (
        mark(kind, colour, [(x, y - 4)], 6.5) + text(x + 14, y, f"{count[kind]} {words}", "x")
        for kind, colour, x, words in CHANGES
    )
    itself = sign([(486, y - 4)], ITSELF, 6.5) + text(499, y, "the pod itself", "x")
    return "".join(shown) + text(330, y, f"blank: {count['']} still denied", "x") + itself


# --- words -------------------------------------------------------------------------------


def words(reach: Reach, before: Reach | None = None) -> str:
    """The twin: who may enter where, or what changed and what decides now."""
    told = repr(reach) if before is None else _changed(reach, before)
    return told if enforced(reach) else f"{told}\n{lies(reach)}"


def _changed(reach: Reach, before: Reach) -> str:
    found = before.diff(reach)
    opened = sum(one.opened for one in found)
    head = f"What changed on {reach.protocol} {reach.port}"
    if not found:
        return f"{head}: nothing."
    first = f"{head}: {opened} pairs opened, {len(found) - opened} closed."
    more = [f"and {len(found) - MOST_CHANGES} more"] if len(found) > MOST_CHANGES else []
    return "\n".join([first, *map(str, found[:MOST_CHANGES]), *more])
