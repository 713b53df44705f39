"""One dash: two peers of which either will do, or one peer in which both must hold.

Beside the manifest stand the two sets that the selectors describe, with the pods' names in
them; below them the matrix of the chosen draft.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import msgspec

from labkit.api.core import PortProtocol
from labkit.api.meta import LabelSelector
from labkit.api.networking import NetworkPolicy, NetworkPolicyPeer
from labkit.cluster import Cluster
from labkit.errors import CommandError
from labkit.policy.ends import pod_end
from labkit.policy.matcher import Flow, peer_matches
from labkit.policy.reach import Reach
from labkit.policy.sentences import peer_words
from labkit.views.sheets import Sheet, board
from labkit.views.svg import WIDTH, clean, el, fit, rect, text

if TYPE_CHECKING:
    from labkit.views.board import Matrix

PEER = re.compile(r"^( *)- (podSelector|namespaceSelector):", re.MULTILINE)
NOT_TWO = "dash: the manifest needs two peers in one `from`, each on a line that begins with a dash"
ROW, TOP, BOX, MOST = 18.0, 42.0, 456.0, 5


class Sets(msgspec.Struct, frozen=True):
    """The two sets by their words, the pods in each part, and whether one part is enough."""

    first: str
    second: str
    only_first: tuple[str, ...]
    both: tuple[str, ...]
    only_second: tuple[str, ...]
    either: bool


def dash(lab: Cluster, manifest: str, port: int, protocol: PortProtocol = "TCP") -> Matrix:
    """A tick for the second dash: with it there are two peers, without it one.

    Args:
        lab: stays as it is; the drafts are applied to forks.
        manifest: one NetworkPolicy whose first rule has two peers, a selector each.

    Raises:
        CommandError: the manifest has no two such lines.
        LabError: it is refused.
    """
    found = list(PEER.finditer(manifest))
    if len(found) < 2:
        raise CommandError(NOT_TWO)
    at = found[1].start() + len(found[1].group(1))
    drafts = {"one dash": manifest[:at] + " " + manifest[at + 1 :], "two dashes": manifest}
    sheets = [
        _sheet(lab, name, draft, at, bit, (port, protocol))
        for bit, (name, draft) in enumerate(drafts.items())
    ]
    return board(sheets, boxes=("second dash",), first="two dashes", label="")


def _sheet(
    lab: Cluster, name: str, draft: str, at: int, mask: int, port: tuple[int, PortProtocol]
) -> Sheet:
    fork = lab.fork()
    (done,) = fork.apply(draft)
    policy = fork.state.get(NetworkPolicy, done.key.name, done.key.namespace)
    reach = fork.reachability(*port)
    sets = _sets(policy, reach)
    above = f"<pre class='draft'>{_marked(draft, at)}</pre>{_drawing(sets)}"
    return Sheet(name, reach, above, mask, _says(name, sets))


def _marked(draft: str, at: int) -> str:
    """The manifest's rules with the one character that differs under a tint."""
    start = draft.rfind("\n", 0, draft.find("ingress:")) + 1
    mark = f"<ins>{clean(draft[at])}</ins>"
    return f"{clean(draft[start:at])}{mark}{clean(draft[at + 1 :]).rstrip()}"


# --- the two sets ------------------------------------------------------------------------


def _sets(policy: NetworkPolicy | None, reach: Reach) -> Sets:
    if policy is None or not policy.spec.ingress or not policy.spec.ingress[0].from_:
        raise CommandError(NOT_TWO)
    peers = policy.spec.ingress[0].from_
    if len(peers) > 1:
        first, second = peers[:2]
    else:
        spaces = peers[0].namespace_selector
        first = NetworkPolicyPeer(namespace_selector=spaces)
        anywhere = msgspec.structs.replace(peers[0], namespace_selector=LabelSelector())
        second = anywhere
    a, b = (_members(policy, peer, reach) for peer in (first, second))
    return Sets(
        first=peer_words(policy, first),
        second=peer_words(policy, second),
        only_first=tuple(n for n in reach.names if n in a and n not in b),
        both=tuple(n for n in reach.names if n in a and n in b),
        only_second=tuple(n for n in reach.names if n in b and n not in a),
        either=len(peers) > 1,
    )


def _members(policy: NetworkPolicy, peer: NetworkPolicyPeer, reach: Reach) -> set[str]:
    """The titles of the pods that a peer describes."""
    ends = [pod_end(reach.state, pod, reach.reading) for pod in reach.pods]
    flows = ((end, Flow(end, end, reach.protocol, reach.port)) for end in ends)
    return {
        end.title for end, flow in flows if peer_matches(policy, peer, end, flow, reach.reading)
    }


def _drawing(sets: Sets) -> str:
    """Two boxes that overlap; what gets in stands on a tint, in bold."""
    longest = max(len(sets.only_first), len(sets.both), len(sets.only_second), 1)
    tall = TOP + 14 + ROW * min(longest, MOST) + 8
    x, width = WIDTH - 2 - BOX, 2 * BOX + 4 - WIDTH  # of the overlap
    parts = [
        text(2, 13, fit(sets.first, WIDTH - 4, 12), "m"),
        text(WIDTH - 2, 32, fit(sets.second, WIDTH - 4, 12), "m end"),
        _box(2, BOX, tall, sets.either),
        _box(x, BOX, tall, sets.either),
        rect(x, TOP, width, tall - TOP - 2, "go-tint", "go", stroke_width=1.5),
        *_names(sets.only_first, 2 + (BOX - width) / 2, sets.either),
        *_names(sets.both, WIDTH / 2, True),
        *_names(sets.only_second, WIDTH - 2 - (BOX - width) / 2, sets.either),
    ]
    return el(
        "svg", *parts, class_="lk", role="img", viewBox=f"0 0 {WIDTH} {tall:g}", width=WIDTH,
        height=tall, aria_label=_says("", sets),
    )  # fmt: skip


def _box(x: float, width: float, tall: float, gets_in: bool) -> str:
    fill = "go-tint" if gets_in else "wash"
    return rect(
        x, TOP, width, tall - TOP - 2, fill, "go" if gets_in else "line", rx=8, stroke_width=1.5
    )


def _names(names: tuple[str, ...], x: float, gets_in: bool) -> list[str]:
    cls = f"m mid {'b' if gets_in and names else 's'}"
    shown = list(names[:MOST]) if len(names) <= MOST else [*names[: MOST - 1], "…"]
    rows = shown or ["nobody"]
    return [text(x, TOP + 22 + ROW * n, fit(name, 180, 12), cls) for n, name in enumerate(rows)]


def _says(name: str, sets: Sets) -> str:
    joint = "or" if sets.either else "and"
    inside = [*sets.only_first, *sets.both, *sets.only_second] if sets.either else sets.both
    heading = f"{name}: " if name else ""
    return f"{heading}{sets.first}, {joint} {sets.second}: {', '.join(inside) or 'nobody'}."
