"""A packet's way: layers from top to bottom, machines from left to right, the hop table below."""

from __future__ import annotations

from labkit.traffic.connection import Connection, Place
from labkit.views.figure import Figure, figure
from labkit.views.hops import DONE, END, Step, answer, title, twin
from labkit.views.layers import Layer, routed
from labkit.views.marks import COLOUR, disc, end_mark
from labkit.views.scene import LEFT, RIGHT, STEP, Row, Scene, Segment, Side, Stop, scene
from labkit.views.svg import el, fit, line, mono, rect, spans, text, tunnel
from labkit.views.table import table, verdict

DEVICE: dict[Layer, tuple[str, str]] = {  # layer: (kind of link, words before its name)
    "bridge": ("bridge", "bridge"),
    "tunnel": ("vxlan", "tunnel"),
    "card": ("", "card"),
}


def path(connection: Connection) -> Figure:
    """The way of a request and of what came back, and the row that decided at every hop."""
    found = scene(connection)
    below = verdict(connection) + table(connection)
    return figure(
        title(connection), twin(connection), height(found), draw(found, connection),
        below=below, answer=answer(connection),
    )  # fmt: skip


def height(found: Scene) -> float:
    """The height of the drawing in px."""
    wire = found.y("wire")
    return found.floor + 6 if wire is None else wire + 20


def draw(found: Scene, connection: Connection) -> str:
    """The drawing itself: what stands, and over it what travels."""
    return "".join([
        *(_side(side, found) for side in found.sides),
        _wire(found),
        _labels(found),
        _key(found),
        *(_segment(segment) for segment in found.segments),
        *(_stop(stop, found) for stop in found.stops),
    ])  # fmt: skip


# --- what stands -------------------------------------------------------------------------


def _side(side: Side, found: Scene) -> str:
    if not side.layered:
        return _bare(side, found)
    parts = [
        rect(side.x, found.head, side.width, found.floor - found.head, "wash", rx=8),
        text(side.x + 2, found.head - 9, fit(side.place.title, side.width - 4), "m b"),
        *_pod_boxes(side, found),
    ]
    for layer in DEVICE:
        y, link = found.y(layer), _device(side.place, layer)
        if y is not None and link:
            parts.append(_device_box(side, y, layer, found))
    return "".join(parts)


def _bare(side: Side, found: Scene) -> str:
    """A side without layers: the router, or what lies outside the cluster (dotted)."""
    outside = side.place.kind == "outside"
    dots = {"stroke_dasharray": "1 4", "stroke_linecap": "round", "stroke_width": 2}
    address = next(iter(side.place.addresses("eth0")), "")
    box = rect(
        side.x, found.head, side.width, found.floor - found.head, "none" if outside else "wash",
        "line" if outside else "", rx=12 if outside else 8, **(dots if outside else {}),
    )  # fmt: skip
    name = text(side.middle, found.head - 23, fit(side.place.title, side.width), "m b mid")
    under = fit(str(address), side.width, 11.5)
    return box + name + text(side.middle, found.head - 9, under, "m x s mid")


def _pod_boxes(side: Side, found: Scene) -> list[str]:
    """The pods' boxes; a process of the machine itself stands on it without a box."""
    rows = [row for row in found.rows if row.layer == "pod"]
    if not rows:
        return []
    top, bottom = rows[0].y - 34, rows[-1].y + 14
    if not side.halves or (len(side.pods) == 1 and _returns(side, found)):
        at = [(side.x + 8, side.width - 16)]
    else:
        half = side.width / 2
        at = [(side.x + 8, half - 14), (side.x + half + 6, half - 14)]
    parts = []
    for pod, (x, w) in zip(side.pods, at, strict=False):
        parts.append(rect(x, top, w, bottom - top, "paper", "line", rx=4))
        parts.append(spans(x + w / 2, top + 18, *_pod_label(pod, w - 20), cls="m x mid"))
    return parts


def _pod_label(pod: Place, room: float) -> tuple[tuple[str, str], tuple[str, str]]:
    """A pod's name and address; where both have no room, of the address its host part only."""
    address = str(next(iter(pod.addresses("eth0")), ""))
    if mono(f"{pod.title}  {address}", 11.5) > room and "." in address:
        address = "." + address.rpartition(".")[2]
    name = fit(pod.title, room - mono(f"  {address}", 11.5), 11.5)
    return (f"{name}  ", "b"), (address, "s")


def _returns(side: Side, found: Scene) -> bool:
    """Whether a request ends in the right half of the pod that it came from."""
    ends = (s for s in found.stops if s.step.leg == "request" and s.x > side.middle)
    return any(s.step.hop.netns == side.pods[0].netns for s in ends)


def _device(place: Place, layer: Layer) -> str:
    """The name of a machine's device of that layer, empty if it has none."""
    kind = DEVICE[layer][0]
    named = (k.name for k in place.links if (k.kind == kind if kind else k.name == "eth0"))
    return next(named, "")


def _device_box(side: Side, y: float, layer: Layer, found: Scene) -> str:
    double = layer == "tunnel"
    x, w = side.x + 8, side.width - 16
    address = next(iter(side.place.addresses(_device(side.place, layer))), "")
    words = "" if _busy(side, layer, address) else str(address)
    return "".join([
        rect(x, y - 14, w, 28, "paper", "wrap" if double else "line", rx=4),
        rect(x + 3, y - 11, w - 6, 22, "none", "wrap", rx=2) if double else "",
        text(side.x + side.width * _free(side, y, found), y + 4.5, words, "m x s mid"),
    ])  # fmt: skip


def _free(side: Side, y: float, found: Scene) -> float:
    """Where on a device its address stands: away from inner lanes and from an end's words."""
    right = side.x + side.width
    ends = [s for s in found.stops if s.y == y and side.x < s.x < right and _bad(s)]
    if ends:
        return 1 / 4 if ends[0].x > side.middle else 3 / 4
    return 1 / 4 if side.halves else 1 / 2


def _bad(stop: Stop) -> bool:
    return stop.step.end not in ("", DONE)


def _busy(side: Side, layer: Layer, address: object) -> bool:
    """Whether stations with their words, or an arch, leave no room for a device's address."""
    taken = 116 if side.passed else 60  # px of lanes and their discs
    if side.passed or side.width < 140:
        return side.width - taken < mono(str(address), 11.5) or layer == "tunnel"
    return side.width < 240 and layer == "tunnel"


def _wire(found: Scene) -> str:
    """The underlay; behind a router another cable begins."""
    y = found.y("wire")
    if y is None:
        return ""
    router = next((s for s in found.sides if s.place.kind == "router"), None)
    cut = [LEFT, router.middle - 4, router.middle + 4, RIGHT] if router else [LEFT, RIGHT]
    ends = zip(cut[::2], cut[1::2], strict=True)
    return "".join(line(f"M{a:g} {y:g}H{b:g}", "hair", 26) for a, b in ends)


def _labels(found: Scene) -> str:
    parts: list[str] = []
    before: tuple[str, ...] = ()
    for row in found.rows:
        lines = _row_words(row, found)
        y = row.y + 12 - 7.5 * len(lines)
        if lines != before:
            at = zip(lines, (y, y + 15), strict=False)
            parts += [text(LEFT - 10, line_y, words, "s end") for words, line_y in at]
        before = lines
    return "".join(parts)


def _row_words(row: Row, found: Scene) -> tuple[str, ...]:
    if row.layer in ("above", "below"):
        return _rules_words([s.step for s in found.stops if s.y == row.y])
    return (_row_name(row, found),)


def _rules_words(told: list[Step]) -> tuple[str, ...]:
    """Whether these rules come before or after the routes, for each way that meets them."""
    times = {leg: {routed(s.hop) for s in told if s.leg == leg} for leg in ("request", "reply")}
    both = times["request"] | times["reply"]
    if len(both) == 1:
        return ("rules after" if True in both else "rules before", "routing")
    if max(map(len, times.values())) > 1:
        return "rules before", "or after routing"
    first, then = ("●", "○") if True in times["reply"] else ("○", "●")
    return f"rules {first} before", f"{then} after routing"


def _row_name(row: Row, found: Scene) -> str:
    nodes = [s.place for s in found.sides if s.layered]
    if row.layer == "pod":
        return "pod" if any(s.pods for s in found.sides) else "process"
    if row.layer == "wire":
        return "underlay"
    if row.layer in DEVICE:
        names = [n for n in (_device(place, row.layer) for place in nodes) if n]
        name = names[0] if names else ""
        words = f"{DEVICE[row.layer][1]} {name}".rstrip()
        return words if len(words) < 17 else fit(name, LEFT - 14)
    return "routes"


def _key(found: Scene) -> str:
    legs = {stop.step.leg for stop in found.stops}
    words = [("● request", "go")]
    if "reply" in legs:
        words.append(("○ reply", "back"))
    if any(segment.wrapped for segment in found.segments):
        words.append(("═ in the tunnel", "wrap"))
    # Under each other at the left: the names of the machines need the first line.
    return "".join(text(2, 17 + 16 * i, word, f"x {cls}") for i, (word, cls) in enumerate(words))


# --- what travels ------------------------------------------------------------------------


def _segment(segment: Segment) -> str:
    colour, number = COLOUR[segment.step.leg], segment.step.number - 1
    track = line(
        segment.d, colour, 3, stroke_linejoin="round", class_="track", data_seg=number
    )  # fmt: skip
    return (tunnel(segment.d, colour, data_sheath=number) if segment.wrapped else "") + track


def _stop(stop: Stop, found: Scene) -> str:
    if _bad(stop):
        return _mark(stop, found)
    word = stop.step.hop.action if len(stop.step.hop.action) * 7.2 < stop.room else ""
    dot = disc(stop.step, stop.x, stop.y)
    return el("g", dot, _word(stop, word), data_hop=stop.step.number - 1)


def _word(stop: Stop, word: str) -> str:
    match stop.word:
        case "right":
            return text(stop.x + 20, stop.y + 4.5, word, "b x")
        case "left":
            return text(stop.x - 20, stop.y + 4.5, word, "b x end")
        case _:
            return text(stop.x, stop.y - 16, word, "b x mid")


def _mark(stop: Stop, found: Scene) -> str:
    """The end of a way: full for silence, hollow for a refusal that goes back; a bar over it."""
    x, y, step = stop.x, stop.y, stop.step
    falls = any(s.step.number == step.number - 1 and s.y < y and s.x == x for s in found.stops)
    over = y + 18 if falls else y - 18
    beyond = line(f"M{x:g} {over:g}v{STEP / 2 if falls else -STEP / 2:g}", "line", 1.5,
                  stroke_dasharray="1 5", stroke_linecap="round")  # fmt: skip
    bar = line(f"M{x - 22:g} {over:g}h44", "stop", 4)
    if stop.word == "above":
        beyond = ""
    parts = (beyond, end_mark(step, x, y), bar, _mark_words(stop, found))
    return el("g", *parts, data_hop=step.number - 1)


def _mark_words(stop: Stop, found: Scene) -> str:
    words, detail = END[stop.step.end][1], f"{stop.step.number} · {stop.step.hop.action}"
    if stop.word == "above":
        return text(stop.x, stop.y - 26, words, "b stop mid")
    way, anchor = (1, "") if stop.word == "right" else (-1, " end")
    if stop.y > found.floor or any(found.y(layer) == stop.y for layer in DEVICE):
        return text(stop.x + 28 * way, stop.y + 5, words, "b stop halo" + anchor)
    first = text(stop.x + 28 * way, stop.y - 1, words, "b stop" + anchor)
    return first + text(stop.x + 28 * way, stop.y + 14, detail, "x" + anchor)
