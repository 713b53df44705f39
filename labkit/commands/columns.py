"""Text in aligned columns, as kubectl's Go code lays it out."""

from __future__ import annotations

from collections.abc import Iterable, Sequence


def table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Columns with 3 blanks between them; no padding behind the last. `header` may be empty."""
    lines = [header, *rows] if header else list(rows)
    return tabbed("\n".join("\t".join(line) for line in lines), padding=3, narrowest=6)


def tabbed(text: str, *, padding: int = 2, narrowest: int = 0) -> str:
    """Cells that end in a tab, padded to columns.

    A column is a run of neighbouring lines that have a cell at that place; what stands behind
    the last tab of a line is no cell and sets no width. So a line without tabs ends all
    columns, and the next block aligns anew.

    Source: Go `text/tabwriter`.
    """
    lines = [line.split("\t") for line in text.split("\n")]
    widths: list[list[int]] = [[] for _ in lines]
    _measure(lines, widths, (0, len(lines)), padding, narrowest)
    return "\n".join(_padded(line, width) for line, width in zip(lines, widths, strict=True))


def _measure(
    lines: list[list[str]], widths: list[list[int]], span: tuple[int, int], pad: int, least: int
) -> None:
    """Fill in the widths of the next column in `lines[span]`, block by block."""
    first, end = span
    while first < end:
        column = len(widths[first])
        last = first
        while last < end and column < len(lines[last]) - 1:
            last += 1
        if last == first:
            first += 1
            continue
        width = max(least, *(len(line[column]) + pad for line in lines[first:last]))
        for at in range(first, last):
            widths[at].append(width)
        _measure(lines, widths, (first, last), pad, least)
        first = last


def _padded(line: list[str], widths: list[int]) -> str:
    cells = (cell.ljust(width) for cell, width in zip(line, widths, strict=False))
    return "".join(cells) + line[-1]
