"""Pictures of what the lab knows, each with a text twin computed from the same values.

`topology`, `path`, `ports`, `compare`, `counters`, `outcomes`, `rules`, `cost`, `spread`,
`histograms`, `modes`, `facts`, `names`, `spoken`, `plugins`, `edge`, `products`,
`queries`, `timeline`, `who_asks` and `policies`
give a `Figure`; `stepper`, `scrubber`, `choose`, `lookup`, `matrix`, `placements`, `union`,
`dash` and `tiers` give a widget. Nothing here is imported by the model, and widgets load anywidget
when first made.
"""

from __future__ import annotations

from labkit.given import checked
from labkit.views.choose import choose
from labkit.views.compare import compare
from labkit.views.cost import cost
from labkit.views.counters import counters
from labkit.views.dash import dash
from labkit.views.edge import edge, placements
from labkit.views.facts import facts
from labkit.views.figure import Figure
from labkit.views.histograms import histograms, spread
from labkit.views.load import load
from labkit.views.lookup import lookup
from labkit.views.matrix import matrix
from labkit.views.modes import modes
from labkit.views.names import names
from labkit.views.outcomes import outcomes
from labkit.views.path import path
from labkit.views.plugins import plugins
from labkit.views.policies import policies
from labkit.views.ports import ports
from labkit.views.products import products
from labkit.views.queries import queries
from labkit.views.rules import rules
from labkit.views.says import feedback_html, terminal_html
from labkit.views.scrubber import scrubber
from labkit.views.sliders import sliders
from labkit.views.spoken import spoken
from labkit.views.stepper import stepper
from labkit.views.table import trace_html
from labkit.views.tiers import tiers
from labkit.views.timeline import timeline
from labkit.views.topology import topology
from labkit.views.union import union
from labkit.views.who_asks import who_asks

__all__ = [
    "Figure",
    "choose",
    "compare",
    "cost",
    "counters",
    "dash",
    "edge",
    "facts",
    "feedback_html",
    "histograms",
    "load",
    "lookup",
    "matrix",
    "modes",
    "names",
    "outcomes",
    "path",
    "placements",
    "plugins",
    "policies",
    "ports",
    "products",
    "queries",
    "rules",
    "scrubber",
    "sliders",
    "spoken",
    "spread",
    "stepper",
    "terminal_html",
    "tiers",
    "timeline",
    "topology",
    "trace_html",
    "union",
    "who_asks",
]

# What is drawn is made by other calls: a wrong kind of value is told here, once for all pictures.
for _name in set(__all__) - {"Figure"}:
    globals()[_name] = checked(globals()[_name])
