"""One of several prepared pictures, picked by a native select."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from labkit.errors import CommandError
from labkit.views.figure import Figure

if TYPE_CHECKING:
    from labkit.views.widgets import Choice


def choose(label: str, options: Mapping[str, Figure]) -> Choice:
    """A labelled select over figures, the first one shown; all are sent once.

    `value` of the widget is the name of the option that is seen.
    """
    from labkit.views.widgets import Choice

    if not options:
        raise CommandError("choose: there is no option; give at least one figure by its name")
    sent = [[name, figure.html, figure.aloud] for name, figure in options.items()]
    widget = Choice(label=label, options=sent, value=sent[0][0])
    widget.words = words(label, options)
    return widget


def words(label: str, options: Mapping[str, Figure]) -> str:
    """What each option leads to, then the twins of all, each headed by its name."""
    parts = [f"{label}: {'; '.join(result(*option) for option in options.items())}."]
    parts += [f"\n{label}: {name}\n{figure!r}" for name, figure in options.items()]
    return "\n".join(parts)


def result(name: str, figure: Figure) -> str:
    """`"yes" is answered by backend`, or how the twin begins of a figure that is no such answer."""
    if figure.answer:
        return f'"{name}" {figure.answer}'
    return f'"{name}": {figure.twin.splitlines()[0].partition(";")[0].removesuffix(".")}'
