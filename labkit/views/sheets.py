"""Sheets of one matrix, and the board that shows one of them at a time."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from labkit.errors import CommandError, LabError
from labkit.policy.reach import Reach
from labkit.policy.sentences import sentence
from labkit.policy.told import brief, some
from labkit.traffic.connect import connect
from labkit.traffic.program import program
from labkit.views.discs import cells, drawn, enforced, height, key, lies, words
from labkit.views.grid import LEFT, Grid, table
from labkit.views.svg import clean, el

if TYPE_CHECKING:
    from labkit.views.board import Matrix


class Sheet(msgspec.Struct, frozen=True):
    """One state of the matrix: its name, its verdicts, what stands above, which boxes are ticked.

    `mask` has bit n set where box n is ticked; sheets of one mask are orders of one choice.
    """

    name: str
    reach: Reach
    above: str = ""
    mask: int = 0
    says: str = ""


def board(
    sheets: list[Sheet],
    before: Reach | None = None,
    boxes: tuple[str, ...] = (),
    first: str = "",
    label: str = "",
    again: str = "",
) -> Matrix:
    """A widget over sheets of the same pods.

    Args:
        boxes: labels of check boxes; the sheets' masks count them from the first.
        first: the name of the sheet that is seen first.
        label: what the boxes are about.
        again: the words of a button that goes to the next sheet with the same mask.

    Raises:
        CommandError: the sheets are not of the same pods.
    """
    from labkit.views.board import Matrix

    names = {sheet.reach.names for sheet in sheets} | ({before.names} if before else set())
    if len(names) > 1:
        raise CommandError(
            "matrix: before and after hold other pods; compare clusters of equal ones"
        )
    shown = first or sheets[0].name
    start = next(sheet for sheet in sheets if sheet.name == shown)
    all_ = [sheet.reach for sheet in sheets] + ([before] if before else [])
    grids = {sheet.name: Grid(table(sheet.reach, all_)) for sheet in sheets}
    twins = {sheet.name: words(sheet.reach, before) for sheet in sheets}
    grid = grids[shown]
    sentences: dict[str, int] = {}
    told = [_sent(x, grids[x.name], before, twins[x.name], sentences) for x in sheets]
    reaches = {sheet.name: sheet.reach for sheet in sheets}
    widget = Matrix(
        twins,
        grid.rows,
        lambda name, i, j: verdict(reaches[name], i, j),
        lambda name, i, j: way(reaches[name], i, j),
        shell=_shell(grid, start, before, boxes, label, again),
        grid=_places(grid),
        sheets=told,
        sentences=list(sentences),
        shown=shown,
    )
    spoken = [sheet for sheet in sheets if _is_told(sheet, sheets)]
    widget.words = _aloud(spoken) if len(spoken) > 1 else twins[shown]
    widget.figure = drawn(grid, start.reach, before, twins[shown])
    return widget


def _aloud(sheets: list[Sheet]) -> str:
    """The twin of many sheets: the pods once, then a short paragraph for each sheet."""
    first = sheets[0].reach
    itself = " A pod always reaches itself." if first.reading.itself else ""
    head = f"Policy verdicts on {first.protocol} {first.port} between {some(first.names)}."
    rest = "Into a pod that is not named, everybody may connect."
    told = [f"{sheet.says}\n{brief(sheet.reach)}" for sheet in sheets]
    end = [] if enforced(first) else [lies(first)]
    return "\n\n".join([f"{head}{itself} {rest}", *told, *end])


def _is_told(sheet: Sheet, sheets: list[Sheet]) -> bool:
    """Of the orders of one choice only the first is told in words."""
    return next(s for s in sheets if s.mask == sheet.mask) is sheet


def _sent(
    sheet: Sheet, grid: Grid, before: Reach | None, twin: str, sentences: dict[str, int]
) -> dict[str, Any]:
    """What the browser needs of a sheet; sentences are kept once and named by number."""
    rows = grid.rows
    count = range(len(rows.names))
    says = [
        sentences.setdefault(verdict(sheet.reach, *rows.pair(i, j)), len(sentences))
        for i in (count if rows.single else ())
        for j in count
    ]
    return {
        "name": sheet.name,
        "mask": sheet.mask,
        "above": sheet.above,
        "live": sheet.says or twin.splitlines()[0],
        "cells": cells(grid, sheet.reach, before) + key(grid, sheet.reach, before),
        "open": ["".join("1" if x in "+." else "0" for x in row) for row in rows.cells],
        "says": says,
    }


def verdict(reach: Reach, source: int, destination: int) -> str:
    """`default/db to default/backend: denied; ...`, as one sentence."""
    judged = reach.why(source, destination)
    ends = f"{judged.flow.source.title} to {judged.flow.destination.title}"
    word = "allowed" if judged else "denied"
    return f"{ends}: {word}; {sentence(judged, reach.lines, reach.reading)}."


def way(reach: Reach, source: int, destination: int) -> str:
    """The trace of a packet between two pods, under the cluster's own plugin."""
    start, goal = (f"pod/{reach.names[n]}" for n in (source, destination))
    how: dict[str, Any] = {"protocol": reach.protocol}
    try:
        found = connect(reach.state, program(reach.state), start, f"{goal}:{reach.port}", **how)
    except LabError as error:
        return str(error)
    return repr(found).partition("\nreply")[0]


def _places(grid: Grid) -> dict[str, Any]:
    """Where the browser finds the cells."""
    return {
        "names": list(grid.rows.names),
        "at": [grid.at[k] for k in range(len(grid.rows.names))],
        "cell": grid.cell,
        "top": grid.top,
        "left": LEFT,
        "end": grid.end,
    }


def _shell(
    grid: Grid,
    start: Sheet,
    before: Reach | None,
    boxes: tuple[str, ...],
    label: str,
    again: str,
) -> str:
    """The widget's HTML; the browser fills in the cells of the sheet that is shown."""
    ticks = "".join(
        f"<label><input type='checkbox' data-bit='{n}'> <span>{clean(box)}</span></label>"
        for n, box in enumerate(boxes)
    )
    button = f"<button type='button' class='again'>{clean(again)}</button>" if again else ""
    bar = (
        f"<fieldset class='bar'><legend>{clean(label)}</legend>{ticks}{button}</fieldset>"
        if boxes
        else ""
    )
    options = "".join(
        f"<option value='{n}'>{clean(name)}</option>" for n, name in enumerate(grid.rows.names)
    )
    note = "" if enforced(start.reach) else "the policies' verdict, which nobody enforces here"
    return f"""{bar}<div class="above"></div><p class="live" aria-live="polite"></p>
{_drawing(grid, start, before)}
<div class="bar"><label>from <select class="from">{options}</select></label>
<label>to <select class="to">{options}</select></label><span class="s">{note}</span></div>
<p class="verdict" aria-live="polite"></p><pre class="way" tabindex="0" hidden></pre>"""


def _drawing(grid: Grid, start: Sheet, before: Reach | None) -> str:
    what = "What changed" if before else "Who may connect to whom"
    port = f"{start.reach.protocol} {start.reach.port}"
    tall = height(grid, start.reach)
    marks = "".join(el("rect", class_=name) for name in ("cross row", "cross col", "spot"))
    return el(
        "svg", grid.bands(), grid.labels(), el("g", " ", class_="cells"), marks,
        class_="lk", role="img", viewBox=f"0 0 720 {tall:g}", width=720, height=tall,
        aria_label=f"{what}, {port}; the two lists below choose a cell",
    )  # fmt: skip
