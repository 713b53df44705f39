"""Any name, looked up in any of a few pods: the tree of names that its resolver makes of it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

from labkit.errors import CommandError
from labkit.views.figure import Figure
from labkit.views.names import names

if TYPE_CHECKING:
    from labkit.cluster import Cluster
    from labkit.views.widgets import Lookup

NAME = re.compile(r"(?=.{1,253}$)[\w-]{1,63}(\.[\w-]{1,63})*\.?", re.ASCII)


def lookup(lab: Cluster, typed: Sequence[str], places: Sequence[str]) -> Lookup:
    """A field for a name and a select of pods; what is chosen is looked up in the lab.

    Every look-up starts with empty caches and leaves none behind. The lab is taken as it is now.

    Args:
        typed: names to try by a click, the first one shown.
        places: pods such as `pod/frontend`.
    """
    from labkit.views.widgets import Lookup

    if not typed or not places:
        raise CommandError("lookup: a name or a place is missing; give at least one of each")
    then = lab.fork()
    widget = Lookup(
        lambda place, name: _shown(asked(then, place, name)),
        names=list(typed),
        places=list(places),
        name=typed[0],
        place=places[0],
    )
    widget.words = words(then, typed, places)
    return widget


def asked(lab: Cluster, place: str, name: str) -> Figure:
    """The tree of a name; or in words why the text is no name."""
    if NAME.fullmatch(name):
        return names(lab.fork().resolve(place, name))
    says = "A name has letters, digits and hyphens between dots, at most 63 in a row."
    return Figure(f"{place} looks nothing up.", says, below=f"<p class='verdict'>{says}</p>")


def _shown(figure: Figure) -> tuple[str, str]:
    return figure.html, figure.aloud


def words(lab: Cluster, typed: Sequence[str], places: Sequence[str]) -> str:
    """What each name comes to in each place, then the tree that is shown first."""
    lines = []
    for place in places:
        lines.append(f"In {place}:")
        lines += [asked(lab, place, name).twin.splitlines()[0] for name in typed]
    first = asked(lab, places[0], typed[0])
    return "\n".join([*lines, "", repr(first)])
