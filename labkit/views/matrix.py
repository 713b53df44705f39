"""Who may connect to whom: a row sends, a column receives, and both must agree."""

from __future__ import annotations

from typing import TYPE_CHECKING

from labkit.policy.reach import Reach
from labkit.views.discs import drawn, words
from labkit.views.figure import Figure
from labkit.views.grid import Grid, table
from labkit.views.sheets import Sheet, board

if TYPE_CHECKING:
    from labkit.views.board import Matrix


def matrix(reach: Reach, before: Reach | None = None) -> Matrix:
    """The matrix to point at: a cell chosen by click or by two lists says what decides on it.

    With `before` the picture shows what has changed since then, and the rest recedes.
    """
    return board([Sheet("now", reach)], before=before)


def picture(reach: Reach, before: Reach | None = None) -> Figure:
    """The same without a hand on it."""
    grid = Grid(table(reach, [before] if before else []))
    return drawn(grid, reach, before, words(reach, before))
