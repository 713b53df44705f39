"""Where the cells of a matrix are, and what each says: pods one by one, or equal ones as one."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import groupby

import msgspec

from labkit.policy.reach import Reach
from labkit.policy.told import MOST, group_names, groups, pair
from labkit.views.svg import WIDTH, fit, rect, text

BOTH, SENDER, RECEIVER, NEITHER, ITSELF = "+<>x."
"""The states of a cell: who agrees to the connection; the pod itself."""

LEFT, NAMES, HEAD = 190, 112.0, 34  # px: row names, column names, the namespaces above them


class Table(msgspec.Struct, frozen=True):
    """The rows of a matrix: `names[k]` stands for `sizes[k]` pods, `first[k]` speaks for them.

    `cells[i][j]` is the state from row i to column j; in a group of several pods the diagonal
    is the verdict between two of them.
    """

    names: tuple[str, ...]
    sizes: tuple[int, ...]
    members: tuple[tuple[int, ...], ...]
    cells: tuple[str, ...]

    @property
    def single(self) -> bool:
        """Each cell has a sign of its own."""
        return len(self.names) <= MOST

    def pair(self, i: int, j: int) -> tuple[int, int]:
        """The numbers of the pods that speak for a cell."""
        return pair(self.members, i, j)

    def weight(self, i: int, j: int) -> int:
        """How many pairs of different pods a cell stands for."""
        return self.sizes[i] * (self.sizes[j] - (i == j))


def table(reach: Reach, others: Iterable[Reach] = ()) -> Table:
    """The rows of `reach`; pods are grouped only if they are equal in the others, too."""
    members = groups(reach, others)
    rough = Table(group_names(reach, members), tuple(map(len, members)), members, ())
    count = range(len(members))
    cells = tuple("".join(_state(reach, rough, i, j) for j in count) for i in count)
    return msgspec.structs.replace(rough, cells=cells)


def _state(reach: Reach, rows: Table, i: int, j: int) -> str:
    a, b = rows.pair(i, j)
    if a == b and reach.reading.itself:
        return ITSELF
    if reach.open(a, b):
        return BOTH
    if not rows.single:
        return NEITHER  # a field shows no halves
    verdict = reach.why(a, b)
    return {(True, False): SENDER, (False, True): RECEIVER}.get(
        (verdict.leaving.allowed, verdict.entering.allowed), NEITHER
    )


class Grid:
    """The layout: square cells, as large as the width allows, a gap between namespaces."""

    def __init__(self, rows: Table) -> None:
        self.rows, count = rows, len(rows.names)
        self.spaces = [
            (space, [k for k, _ in group])
            for space, group in groupby(
                enumerate(rows.names), lambda pair: pair[1].partition("/")[0]
            )
        ]
        gap = 10 if rows.single else 6
        room = WIDTH - LEFT - 8 - gap * len(self.spaces)
        self.cell = min(34.0, room / max(count, 1))
        longest = max((len(self.short(k)) for k in range(count)), default=0)
        self.top = HEAD + (min(NAMES, 10 + 7.0 * longest) if rows.single else 0)
        self.at = {k: g * gap + k * self.cell for g, (_, ks) in enumerate(self.spaces) for k in ks}
        self.end = self.at[count - 1] + self.cell if count else 0.0

    def short(self, k: int) -> str:
        """The name without its namespace."""
        size = self.rows.sizes[k]
        return self.rows.names[k].partition("/")[2] + (f" ×{size}" if size > 1 else "")

    def centre(self, i: int, j: int) -> tuple[float, float]:
        half = self.cell / 2
        return LEFT + self.at[j] + half, self.top + self.at[i] + half

    def bands(self) -> str:
        """A wash behind each pair of namespaces."""
        return "".join(
            rect(
                LEFT + self.at[cols[0]], self.top + self.at[rows[0]],
                len(cols) * self.cell, len(rows) * self.cell, "wash", rx=3,
            )
            for _, rows in self.spaces
            for _, cols in self.spaces
        )  # fmt: skip

    def labels(self) -> str:
        parts = [text(LEFT - 8, self.top - 8, "from ↓   to →", "s x end")]
        for space, ks in self.spaces:
            x, y = LEFT + self.at[ks[0]], self.top + self.at[ks[0]]
            room = len(ks) * self.cell
            if room >= 20:  # else the name would run into its neighbour's; the lists have it
                low = self.cell / 2 + 4 if self.rows.single else 12
                parts.append(text(x, 14, fit(space, room + 6, 12), "m b"))
                parts.append(text(0, y + low, fit(space, 80, 12), "m b"))
            parts += map(self._row, ks) if self.rows.single else self._stems(ks)
            parts += map(self._column, ks) if self.rows.single else []
        return "".join(parts)

    def _row(self, k: int) -> str:
        y = self.top + self.at[k] + self.cell / 2 + 4
        return text(LEFT - 8, y, fit(self.short(k), LEFT - 88, 11.5), "m x end", data_row=k)

    def _column(self, k: int) -> str:
        x, y = LEFT + self.at[k] + self.cell / 2 + 4, self.top - 6
        turned = f"rotate(-90 {x:.1f} {y})"
        return text(x, y, fit(self.short(k), NAMES - 8, 11.5), "m x", transform=turned, data_col=k)

    def _stems(self, ks: list[int]) -> list[str]:
        """One label for a run of rows whose names begin alike, where the run is tall enough."""
        found = []
        for stem, run in groupby(ks, lambda k: self.short(k).partition("-")[0]):
            rows = list(run)
            if len(rows) * self.cell >= 12:
                y = self.top + (self.at[rows[0]] + self.at[rows[-1]] + self.cell) / 2 + 4
                words = fit(f"{stem} ×{sum(self.rows.sizes[k] for k in rows)}", LEFT - 88, 11.5)
                found.append(text(LEFT - 8, y, words, "m x end"))
        return found
