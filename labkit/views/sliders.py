"""Several questions with prepared answers: a slider or a select for each, one picture for all."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import product
from typing import TYPE_CHECKING, Any

from labkit.errors import CommandError
from labkit.views.choose import result
from labkit.views.figure import Figure

if TYPE_CHECKING:
    from labkit.views.dials import Sliders


def sliders(labels: Sequence[str], figures: Mapping[tuple[Any, ...], Figure]) -> Sliders:
    """A control for each label over figures keyed by one value of each, the first one shown.

    Numbers make a slider, other values a select; every combination must be there. `value` of
    the widget names the combination that is seen: "8, 10".
    """
    from labkit.views.dials import Sliders

    if not figures or any(len(key) != len(labels) for key in figures):
        raise CommandError(f"sliders: give figures by one value for each of {len(labels)} labels")
    axes = [list(dict.fromkeys(key[i] for key in figures)) for i in range(len(labels))]
    keys = list(product(*axes))
    missing = [key for key in keys if key not in figures]
    if missing:
        raise CommandError(f"sliders: no figure for {missing[0]}; give one for every combination")
    sent = [[name(key), figures[key].html, figures[key].aloud] for key in keys]
    widget = Sliders(
        label=", ".join(labels),
        options=sent,
        value=sent[0][0],
        axes=[
            [label, list(map(str, axis)), _kind(axis)]
            for label, axis in zip(labels, axes, strict=True)
        ],
    )
    widget.words = words(labels, figures)
    return widget


def name(key: tuple[Any, ...]) -> str:
    return ", ".join(map(str, key))


def words(labels: Sequence[str], figures: Mapping[tuple[Any, ...], Figure]) -> str:
    """What each combination leads to, a line each, then the twin of the first."""
    lines = [f"{', '.join(labels)}: {len(figures)} combinations."]
    lines += [f"{result(name(key), figure)}." for key, figure in figures.items()]
    first, figure = next(iter(figures.items()))
    return "\n".join([*lines, f"\n{', '.join(labels)}: {name(first)}", repr(figure)])


def _kind(axis: Sequence[Any]) -> str:
    numbers = all(isinstance(value, int | float) for value in axis)
    return "range" if numbers else "select"
