"""The way in: client, load balancer, nodes as doors, pods with their exact share.

A line is as true as its number: shares are counted over every way that a new connection may take.
A node that fails its health check is grey and says so; where a request ends in silence stands a
square with a cross.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from fractions import Fraction
from typing import TYPE_CHECKING

from labkit.errors import CommandError
from labkit.views.figure import Figure, figure
from labkit.views.front import Door, Front, PodShare, front, placed
from labkit.views.sliders import sliders
from labkit.views.svg import clean, el, fit, line, rect, text

if TYPE_CHECKING:
    from labkit.cluster import Cluster
    from labkit.views.dials import Sliders

CLIENT, BALANCER, NODE, POD = 2.0, 136.0, 376.0, 548.0  # x of the columns, px
CHIP, TOP, GAP = 24.0, 26.0, 12.0
VERBS = {"timed out": "time out", "refused": "are refused", "unreachable": "find no way"}
COUNTS = re.compile(r" *\d\d?( +\d\d?)* *", re.ASCII)
MOST = 6  # pods of a node that are drawn; the twin counts all


def edge(lab: Cluster, target: str, source: str = "outside") -> Figure:
    """How connections from outside come to the pods of a Service with a load balancer.

    Args:
        target: `svc/frontend`; its first port counts.
        source: where the client stands.

    Raises:
        CommandError: the Service has no load balancer.
    """
    return drawn(front(lab, target, source))


def placements(lab: Cluster, target: str, counts: Sequence[str]) -> Sliders:
    """The same for both policies and for pods placed anew: a select for each.

    Args:
        counts: how many pods on each node, by the nodes' names: "2 1 0".
    """
    strange = [count for count in counts if not COUNTS.fullmatch(count)]
    if strange or not counts:
        fault = repr(strange[0]) if strange else "empty"
        raise CommandError(f'placements: counts is {fault}; give pods for each node, as "2 1 0"')
    figures = {
        (policy, count): edge(placed(lab, target, [int(n) for n in count.split()], policy), target)
        for policy in ("Cluster", "Local")
        for count in counts
    }
    nodes = ", ".join(node.name for node in lab.list("nodes"))
    return sliders(("externalTrafficPolicy", f"Pods on {nodes}"), figures)


def drawn(found: Front) -> Figure:
    """The picture of these values, with its twin."""
    title = f"Clients come to svc/{found.service} by {_called(found)}."
    heights = [max(58.0, 16 + CHIP * max(1, len(_shown(found, d)))) for d in found.doors]
    tops = [TOP + sum(heights[:i]) + GAP * i for i in range(len(heights))]
    floor = TOP + sum(heights) + GAP * max(0, len(heights) - 1)
    middle = (TOP + floor) / 2
    rows = list(zip(found.doors, tops, heights, strict=True))
    spots = dict(_spots(found, rows))
    lines = [line(f"M{CLIENT + 100:g} {middle:g}H{BALANCER:g}", "go", 3)]
    lines += [_arm(door, middle, top + tall / 2) for door, top, tall in rows if door.share]
    lines += [part for door, top, tall in rows for part in _ways(door, top + tall / 2, spots)]
    boxes = [*_heads(found), _client(found, middle), _balancer(found, middle)]
    boxes += [part for row in rows for part in _node(found, *row)]
    boxes += [_chip(pod, *spots[pod.title]) for pod in found.pods if pod.title in spots]
    says = f"gives {_shares(found)}; {_loss(found)}; {_sight(found)}"
    below = _verdict(found)
    body = [*boxes[:3], *lines, *boxes[3:]]
    return figure(title, twin(found), floor + 6, *body, below=below, answer=says)


def _called(found: Front) -> str:
    machine = found.rotation.balancer.own_machine
    return f"{'the balancer' if machine else 'the address'} {found.rotation.address}"


def _shown(found: Front, door: Door) -> list[PodShare]:
    return [pod for pod in found.pods if pod.node == door.node][:MOST]


Row = tuple[Door, float, float]


def _spots(found: Front, rows: list[Row]) -> Iterable[tuple[str, tuple[float, float]]]:
    """Where the pods' chips stand: in the right part of their node."""
    for door, top, tall in rows:
        pods = _shown(found, door)
        first = top + (tall - CHIP * len(pods)) / 2
        for i, pod in enumerate(pods):
            yield pod.title, (POD, first + CHIP * i + 1)


# --- the parts of the picture ------------------------------------------------------------------


def _heads(found: Front) -> list[str]:
    words = [(CLIENT, "client"), (BALANCER, "load balancer"), (NODE, "nodes, as doors")]
    heads = [text(x, 14, word, "x s") for x, word in (*words, (POD, "pods, and their share"))]
    return ["".join(heads)]


def _client(found: Front, y: float) -> str:
    box = rect(CLIENT, y - 24, 100, 48, "wash", "line", rx=8, stroke_dasharray="2 3")
    name = text(CLIENT + 50, y - 3, "outside", "b mid")
    return box + name + text(CLIENT + 50, y + 14, fit(str(found.client), 94, 11.5), "m x s mid")


def _balancer(found: Front, y: float) -> str:
    balancer, middle = found.rotation.balancer, BALANCER + 72
    machine = balancer.own_machine
    dash = None if machine else "2 3"
    box = rect(BALANCER, y - 42, 144, 84, "wash", "line", rx=8, stroke_dasharray=dash)
    where = f"{found.rotation.address}:{found.rotation.port.port}"
    lines = [
        text(middle, y - 22, "lb" if machine else "no machine", "b mid"),
        text(middle, y - 5, fit(where, 136, 11.5), "m x mid"),
        text(middle, y + 13, _manner(found), "x s mid"),
        text(middle, y + 29, _asks(found), "x s mid"),
    ]
    return box + "".join(lines)


def _manner(found: Front) -> str:
    balancer = found.rotation.balancer
    if not balancer.own_machine:
        return "one node answers ARP"
    return "speaks for the client" if balancer.hides_client else "passes the packet on"


def _asks(found: Front) -> str:
    asks = found.rotation.balancer.value("checks")
    known = {"none": "asks nobody for health", "pod": "checks each pod", "speaker": "no checks"}
    return known.get(asks, "checks each node")


def _arm(door: Door, start: float, end: float) -> str:
    """From the balancer to a node, with the node's part of the requests."""
    x1, x2 = BALANCER + 144, NODE
    way = line(
        f"M{x1:g} {start:g}C{x1 + 40:g} {start:g} {x2 - 44:g} {end:g} {x2:g} {end:g}", "go", 3
    )
    above = end <= start  # where the line does not come from
    return way + text(x2 - 10, end + (-9 if above else 18), str(door.share), "m b end halo")


def _ways(door: Door, y: float, spots: dict[str, tuple[float, float]]) -> list[str]:
    """From a door to each pod that its requests reach."""
    x = NODE + 122
    ends = [spots[title] for title in door.to if title in spots]
    return [
        line(f"M{x:g} {y:g}C{x + 24:g} {y:g} {px - 26:g} {py + 11:g} {px:g} {py + 11:g}", "go", 1.5)
        for px, py in ends
    ]


def _node(found: Front, door: Door, top: float, tall: float) -> list[str]:
    grey = door.failing and not door.share
    frame = "hair" if grey else "line"
    parts = [rect(NODE, top, 342, tall, "none", frame, rx=8)]
    parts.append(rect(NODE, top, 122, tall, "none" if grey else "wash", frame, rx=8))
    y = top + tall / 2
    parts.append(text(NODE + 10, y - 2, fit(door.node, 104), f"m b{' s' if grey else ''}"))
    parts.append(text(NODE + 10, y + 14, _health(found, door), "x s"))
    lost = [(end, share) for end, share in door.to.items() if end in found.lost]
    for end, share in lost:
        cross = f"M{POD - 6:g} {y - 5:g}l10 10m0 -10l-10 10"
        parts.append(line(f"M{NODE + 122:g} {y:g}H{POD - 12:g}", "go", 1.5))
        parts.append(
            rect(POD - 12, y - 11, 22, 22, "stop", "stop", rx=2) + line(cross, "paper", 2.5)
        )
        parts.append(text(POD + 18, y + 4, f"{end}: {share}", "b stop"))
    if not lost and not _shown(found, door):
        parts.append(text(POD, y + 4, "no pod here", "x s"))
    return parts


def _health(found: Front, door: Door) -> str:
    checks = found.rotation.balancer.value("checks")
    if checks in ("none", "pod"):
        return "is not asked"
    if checks == "speaker" and not door.failing:
        return "answers ARP" if door.share else "could take over"
    if not door.failing:
        return "healthy"
    return "fails its check" if door.share else "unhealthy: left out"


def _chip(pod: PodShare, x: float, y: float) -> str:
    dash = None if pod.share else "3 3"
    box = rect(x, y, 164, CHIP - 4, "paper", "line", rx=4, stroke_dasharray=dash)
    name = text(x + 8, y + 14, fit(pod.title, 112, 11.5), "m x")
    return box + name + text(x + 156, y + 14.5, str(pod.share), "m b end")


# --- words -----------------------------------------------------------------------------------


def _shares(found: Front) -> str:
    """`frontend-1 1/4, frontend-2 1/4`; equal shares of many in one word."""
    pods = found.reached
    if len(pods) > 3 and len({pod.share for pod in pods}) == 1:
        return f"each of {len(pods)} pods {pods[0].share}"
    first = ", ".join(f"{pod.title} {pod.share}" for pod in pods[:8])
    return (first + (f" and {len(pods) - 8} more" if len(pods) > 8 else "")) or "no pod anything"


def _loss(found: Front) -> str:
    lost = [
        f"{'all' if share == 1 else f'{share} of the'} requests {VERBS[end]}"
        for end, share in found.lost.items()
    ]
    return " and ".join(lost) if lost else "all requests are answered"


def _sight(found: Front) -> str:
    """Whose address the pods see."""
    if not found.reached:
        return "no pod sees anybody"
    if found.kept:
        return "pods see the client"
    seen = {address for pod in found.pods for address in pod.sees}
    hidden = found.rotation.balancer.hides_client and len(seen) == 1
    return "pods see the balancer" if hidden else "pods see a node"


def _verdict(found: Front) -> str:
    bad = bool(found.lost)
    mark = el("span", "✕" if bad else "●", class_="bad" if bad else "good")
    words = f" {found.policy}: {_loss(found)}; {_sight(found)}."
    seen = sorted({a for pod in found.pods for a in pod.sees}, key=int)
    note = f"What the pods see as source: {', '.join(map(str, seen)) or 'nothing'}."
    return el("p", mark, clean(words), class_="verdict") + el("p", clean(note), class_="note")


def twin(found: Front) -> str:
    """The shares and the loss, then client, balancer, each node and each pod."""
    rotation = found.rotation
    manner = f"{_manner(found)}; {_asks(found)}"
    name = rotation.balancer.title
    lines = [
        f"{found.policy}: {_shares(found)}; {_loss(found)}; {_sight(found)}.",
        f"The client is {found.client}; it asks {rotation.address}:{rotation.port.port}.",
        f"The balancer is {name}: {manner}.",
    ]
    lines += [_door_words(found, door) for door in found.doors]
    lines += [_pod_words(pod) for pod in found.pods[:40]]
    return "\n".join(lines)


def _door_words(found: Front, door: Door) -> str:
    health = _health(found, door)
    if not door.share:
        return f"{door.node}: {health}; no request comes in by it."
    ends = ", ".join(f"{end} {share}" for end, share in door.to.items())
    return f"{door.node}: {health}; {_part(door.share)} comes in by it: {ends}."


def _pod_words(pod: PodShare) -> str:
    if not pod.share:
        return f"{pod.title} on {pod.node} gets nothing."
    sees = ", ".join(map(str, pod.sees))
    return f"{pod.title} on {pod.node} gets {_part(pod.share)} and sees {sees}."


def _part(share: Fraction) -> str:
    """`1/3`, or `everything`."""
    return "everything" if share == 1 else str(share)
