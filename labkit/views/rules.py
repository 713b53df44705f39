"""The rows of one Service on one node, from the row that catches a packet to its new address."""

from __future__ import annotations

from collections.abc import Iterator

from labkit.traffic.branches import Branch, Tree, tree
from labkit.views.figure import Figure
from labkit.views.hops import plain
from labkit.views.machines import Lab
from labkit.views.svg import clean
from labkit.views.table import samp

MOST = 6  # branches of one row; of more, the first two and the last are shown
INDENT = 22  # px a step down
HEAD = (
    "<thead><tr><th scope='col' style='width:64%'>row</th><th scope='col'>what it does</th>"
    "<th scope='col' style='width:11%'>of all</th></tr></thead>"
)
Numbered = tuple[str, Branch | int]  # "1.2.1" and the row, or how many are left out there


def rules(lab: Lab, target: str, *, node: str = "node-1") -> Figure:
    """What `node` has for `target`, such as `svc/backend:80`: rows as its tools print them.

    Raises:
        NotFound: no such node or Service, or no row of the node speaks of it.
    """
    found = tree(lab.state, lab.network, target, node)
    rows = list(numbered(found.root))
    title = f"{found.mode} on {found.node}: the rows for {target}."
    cells = "".join(_row(found, number, row) for number, row in rows)
    table = f"<table class='rules'>{HEAD}<tbody>{cells}</tbody></table>"
    caption = f"<p class='verdict'><b>{clean(title)}</b></p>"
    return Figure(title, twin(found, rows), below=caption + table)


def numbered(branch: Branch, number: str = "1") -> Iterator[Numbered]:
    """A row and all below it, numbered as in a book; of many branches some are left out."""
    yield number, branch
    every = list(enumerate(branch.below, start=1))
    extra = len([b for b in branch.below if b.share is None and not b.end])
    hidden = range(extra + 2, len(every) - 1) if len(every) - extra > MOST else range(0)
    for i, below in every:
        if i - 1 not in hidden:
            yield from numbered(below, f"{number}.{i}")
        elif i - 1 == hidden.start:
            yield f"{number}.{i}", len(hidden)


def _row(found: Tree, number: str, row: Branch | int) -> str:
    pad = f"style='padding-left:{number.count('.') * INDENT}px!important'"
    if isinstance(row, int):
        words = f"… {row} more rows like these"
        return f"<tr><th scope='row' {pad}>{words}</th><td></td><td></td></tr>"
    says = clean(row.says)
    if row.end and row.share is not None:
        says += f"<small>to {clean(found.title(row))}</small>"
    share = f"<b>{row.share}</b>" if row.share is not None else ""
    return f"<tr><th scope='row' {pad}>{samp(row.row)}</th><td>{says}</td><td>{share}</td></tr>"


def twin(found: Tree, rows: list[Numbered]) -> str:
    """How many rows there are and what chooses, then every row with its number in the tree."""
    choices = found.choices
    shares = {b.share for b in choices}
    total = sum(1 for _ in found.root.walk())
    if not choices:
        first = f"{total} rows, and no pod behind them."
    elif len(shares) == 1 and None not in shares:
        pods = (
            "1 pod" if len(choices) == 1 else f"{len(choices)} pods, each with {choices[0].share}"
        )
        first = f"{total} rows lead to {pods} of all connections."
    else:
        first = f"{total} rows lead to {len(choices)} pods."
    return "\n".join([first, *(_words(found, *row) for row in rows)])


def _words(found: Tree, number: str, row: Branch | int) -> str:
    if isinstance(row, int):
        return f"{number} and {row} more rows like these."
    says = [row.says] if row.says else []
    if row.share is not None:
        says.append(f"{row.share} of all to {found.title(row)}")
    told = f" {'; '.join(says).capitalize()}." if says else ""
    return f"{number}{told} Row: {plain(row.row).removeprefix('-> ')}"
