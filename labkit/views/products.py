"""What load balancers do, product by product: `data/loadbalancers.json` as a table to read."""

from __future__ import annotations

import re

from labkit.edge.loadbalancer import Balancer, Table, table
from labkit.views.figure import Figure
from labkit.views.svg import clean, el

SHORT = {"healthCheckNodePort": "each node", "speaker": "nobody", "pod": "each pod"}
COLUMNS = ("way", "targets", "client", "checks")  # those that the lesson speaks of


def products() -> Figure:
    """The products, a row each; what no documentation was found for is said to be not found."""
    found = table()
    twin = "\n".join(_words(found, b) for b in found.balancers)
    title = f"{len(found.balancers)} load balancers, as their makers describe them."
    return Figure(title, twin, below=_html(found))


def _words(found: Table, balancer: Balancer) -> str:
    parts = [f"{_question(found, name)}: {_says(balancer, name)}" for name in COLUMNS]
    return f"{balancer.title}. {'; '.join(parts)}."


def _question(found: Table, name: str) -> str:
    return found.columns[name].removesuffix("?")


def _says(balancer: Balancer, name: str) -> str:
    cell = balancer.cells.get(name)
    return cell.says if cell else "not found"


def _html(found: Table) -> str:
    heads = "".join(el("th", clean(_question(found, name)), scope="col") for name in COLUMNS)
    head = el("tr", el("th", "Product", scope="col") + heads)
    rows = "".join(_row(balancer) for balancer in found.balancers)
    note = el("p", clean(f"Read in the makers' own pages on {found.read}."), class_="note")
    return el("table", el("thead", head), el("tbody", rows)) + note


def _row(balancer: Balancer) -> str:
    cells = "".join(el("td", _cell(balancer, name)) for name in COLUMNS)
    return el("tr", el("th", clean(balancer.title), scope="row") + cells)


def _cell(balancer: Balancer, name: str) -> str:
    cell = balancer.cells.get(name)
    if cell is None:
        return el("span", "not found", class_="s")
    word = SHORT.get(cell.value, cell.value) if name == "checks" else cell.value
    return el("b", clean(word)) + el("small", _breakable(clean(cell.says)))


def _breakable(words: str) -> str:
    """The same, and a narrow cell may break `healthCheckNodePort` between its words."""
    return re.sub(r"(?<=[a-z])(?=[A-Z])|(?<=_)", "<wbr>", words)
