"""Pictures of what the lab knows, each with a text twin computed from the same values.

`topology`, `path`, `ports`, `compare`, `counters`, `names` and `who_asks` give a `Figure`;
`stepper`, `choose` and `lookup` give a widget. Nothing here is imported by the model, and widgets
load anywidget when first made.
"""

from __future__ import annotations

from labkit.views.choose import choose
from labkit.views.compare import compare
from labkit.views.counters import counters
from labkit.views.figure import Figure
from labkit.views.lookup import lookup
from labkit.views.names import names
from labkit.views.path import path
from labkit.views.ports import ports
from labkit.views.says import feedback_html, terminal_html
from labkit.views.stepper import stepper
from labkit.views.table import trace_html
from labkit.views.topology import topology
from labkit.views.who_asks import who_asks

__all__ = [
    "Figure",
    "choose",
    "compare",
    "counters",
    "feedback_html",
    "lookup",
    "names",
    "path",
    "ports",
    "stepper",
    "terminal_html",
    "topology",
    "trace_html",
    "who_asks",
]
