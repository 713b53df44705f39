"""Histograms: how many of some connections each pod got, for several runs beside each other."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import ceil

from labkit.errors import CommandError
from labkit.given import Count
from labkit.proxy import MODES
from labkit.traffic.branches import tree
from labkit.traffic.spread import spread as counted
from labkit.views.figure import Figure, figure
from labkit.views.machines import Lab
from labkit.views.outcomes import how
from labkit.views.svg import WIDTH, fit, line, rect, spans, text

BAR, PITCH, HEAD, GAP = 16.0, 23.0, 26.0, 22.0  # px: a bar, bar to bar, a run's head, between runs
NAME, COUNT = 64.0, 36.0  # px left of the bars, px right of them
Counts = Mapping[str, int]


def histograms(runs: Mapping[str, Counts], title: str = "Connections for each pod.") -> Figure:
    """A small histogram for each run, each to the scale of its own fullest pod.

    Raises:
        CommandError: there is no run, or one without a pod.

    Args:
        runs: name of the run -> pod -> how many connections it got.
    """
    if not runs or not all(runs.values()):
        raise CommandError("histograms: give at least one run, each with at least one pod")
    across = len(runs) if len(runs) < 4 else 2
    wide = (WIDTH - GAP * (across - 1)) / across
    tall = HEAD + PITCH * max(map(len, runs.values())) + GAP
    parts = [
        _run(name, counts, (i % across) * (wide + GAP), (i // across) * tall, wide)
        for i, (name, counts) in enumerate(runs.items())
    ]
    return figure(title, twin(runs), tall * ceil(len(runs) / across) - 8, *parts)


def spread(
    lab: Lab,
    target: str,
    *,
    node: str = "node-1",
    connections: Sequence[Count] = (10, 100, 1000),
    seed: int = 1,
) -> Figure:
    """What a node's choice makes of 10, 100 and 1000 connections to `target`.

    Pods are called by the last letters of their names. Dice are seeded, by the mode too: each
    run begins anew.
    """
    found = tree(lab.state, lab.network, target, node)
    own = seed + list(MODES).index(found.mode)
    runs = {
        f"{many} connections": {
            title.rpartition("-")[2]: n for title, n in counted(found, many, seed=own).items()
        }
        for many in connections
    }
    return histograms(runs, f"{found.mode} chooses {how(found)}: connections for each pod.")


# --- the picture ---------------------------------------------------------------------------


def _run(name: str, counts: Counts, x: float, y: float, wide: float) -> str:
    """Bars from the left; the line is the equal share."""
    total = sum(counts.values())
    most = max(max(counts.values()), 1)
    room = wide - NAME - COUNT
    share = total / len(counts)
    at = x + NAME + room * share / most
    low = y + HEAD + PITCH * len(counts) - 3
    tops = [(y + HEAD + PITCH * i, pod, n) for i, (pod, n) in enumerate(counts.items())]
    parts = [spans(x, y + 15, (name, "b"), (f"  equal: {_plain(share)}", "s"))]
    for top, pod, n in tops:
        parts.append(text(x + NAME - 8, top + 12.5, fit(pod, NAME - 8), "m end"))
        parts.append(rect(x + NAME, top, room * n / most, BAR, "go"))
    parts.append(line(f"M{at:.1f} {y + HEAD - 4:g}V{low:g}", "ink", 1.5, stroke_dasharray="3 3"))
    for top, _, n in tops:
        parts.append(text(x + NAME + room * n / most + 6, top + 12.5, str(n), "x b halo"))
    return "".join(parts)


def _plain(share: float) -> str:
    return f"{share:.1f}".removesuffix(".0")


def twin(runs: Mapping[str, Counts]) -> str:
    """The widest gap of each run, then a sentence for each with all its numbers."""
    gaps = (f"{name}: {max(c.values()) - min(c.values())}" for name, c in runs.items())
    first = f"From the fullest pod to the emptiest: {', '.join(gaps)}."
    lines = (
        f"{name}: {', '.join(f'{pod} {n}' for pod, n in counts.items())};"
        f" an equal share is {_plain(sum(counts.values()) / len(counts))}."
        for name, counts in runs.items()
    )
    return "\n".join([first, *lines])
