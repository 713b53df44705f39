"""Machines, bridges, pods and the networks between them."""

from __future__ import annotations

from itertools import pairwise

from labkit.traffic.text import plural
from labkit.views.figure import Figure, figure
from labkit.views.machines import Chip, Device, Lab, Machine, Picture, picture, spread
from labkit.views.svg import WIDTH, el, fit, line, mono, rect, sans, spans, text, tunnel

GAP, ROW = 18, 27
ABREAST = 4  # machines in a row
RISER = 22  # px at the right for the lines between rows of machines
HEAD, DEVICES = 44, 106  # px above the first chip, and from the last one to the machine's end


def topology(lab: Lab, *, system: bool = False) -> Figure:
    """The cluster as machines with their devices, pods and addresses; `system` pods on wish."""
    seen = picture(lab, system=system)
    rows = [seen.machines[i : i + ABREAST] for i in range(0, len(seen.machines), ABREAST)]
    width = WIDTH if len(rows) < 2 else WIDTH - RISER
    body, y, lines = [], 0.0, []
    for machines in rows:
        band = _Band(machines, y, width, seen)
        body.append(band.draw())
        lines.append(band)
        y = band.under + 14
    if not lines:
        return figure("An empty cluster.", "There are no machines.", 40)
    body += [_risers(lines), _below(lines[-1], seen)]
    bottom = lines[-1].under + 50
    body += [text(2, bottom + 20 + 17 * i, words, "s x") for i, words in enumerate(_notes(seen))]
    height = bottom + 12 + 17 * len(_notes(seen))
    return figure(_title(seen), twin(seen), height, *body)


class _Band:
    """One row of machines over its stretch of the overlay and the underlay."""

    def __init__(self, machines: tuple[Machine, ...], y: float, width: float, seen: Picture):
        self.machines, self.y, self.width, self.seen = machines, y, width, seen
        across = min(len(seen.machines), ABREAST)
        self.column = (width - GAP * (across - 1)) / across
        self.chips = [m.chips(grouped=seen.grouped) for m in machines]
        self.floor = y + HEAD + ROW * max(1, *map(len, self.chips)) + 10
        self.bottom = self.floor + DEVICES
        self.over = self.bottom + 26
        self.tunnelled = any(m.tunnel for m in machines)
        self.under = self.bottom + (64 if self.tunnelled else 30)
        self.left = [i * (self.column + GAP) for i in range(len(machines))]
        self.tun = 94 if self.column > 180 else 84

    def tunnel_x(self, i: int) -> float:
        return self.left[i] + 10 + self.tun / 2

    def card_x(self, i: int) -> float:
        if not self.machines[i].tunnel:
            return self.left[i] + self.column / 2
        return self.left[i] + self.column - 10 - (self.column - 30 - self.tun) / 2

    def draw(self) -> str:
        parts = [self._machine(i) for i in range(len(self.machines))]
        return "".join([*parts, self._overlay(), self._cables()])

    def _machine(self, i: int) -> str:
        machine, x, w = self.machines[i], self.left[i], self.column
        trunk, chips = x + 15, self.chips[i]
        name = fit(machine.name, w - 8 - mono(f"  {machine.address}"))
        wired = sum(not chip.host for chip in chips)
        low = self.floor + (12 if machine.bridge else 40)
        parts = [
            rect(x, self.y + 26, w, self.bottom - self.y - 26, "wash", rx=8),
            spans(x + 2, self.y + 17, (name, "b"), (f"  {machine.address}", "s"), cls="m"),
            line(f"M{trunk:g} {self.y + HEAD + 11:g}V{low:g}", "line", 1.5) if wired else "",
        ]
        for n, chip in enumerate(chips):
            parts.append(_chip(chip, trunk, self.y + HEAD + ROW * n, x + w - 10))
        if not chips:
            parts.append(text(x + w / 2, self.y + HEAD + 15.5, "no pods", "s x mid"))
        return "".join([*parts, self._devices(i)])

    def _devices(self, i: int) -> str:
        machine, x, w, floor = self.machines[i], self.left[i], self.column, self.floor
        middle, card, tun = x + w / 2, self.card_x(i), self.tunnel_x(i)
        fork = f"M{middle:g} {floor + 28:g}v12M{middle:g} {floor + 58:g}v14"
        if machine.tunnel:
            fork = (
                f"M{middle:g} {floor + 28:g}v12M{tun:g} {floor + 72:g}v-8q0-6 6-6"
                f"H{card - 6:g}q6 0 6 6v8M{middle:g} {floor + 58:g}v-4"
            )
        parts = [
            _device(x + 10, floor + 4, w - 20, machine.bridge) if machine.bridge else "",
            line(fork, "line", 1.5),
            text(middle, floor + 51, "routes and rules", "s x mid"),
        ]
        left = x + 10
        if machine.tunnel:
            bare = Device(machine.tunnel.name)
            parts.append(_device(left, floor + 72, self.tun, bare, double=True))
            left += self.tun + 10
        room = x + w - 10 - left
        parts.append(_device(left, floor + 72, room, _short(machine.card, room, machine.tunnel)))
        return "".join(parts)

    def _overlay(self) -> str:
        at = [self.tunnel_x(i) for i, m in enumerate(self.machines) if m.tunnel]
        if not at:
            return ""
        up = self.bottom - 10
        legs = "".join(f"M{x:g} {up:g}V{self.over:g}" for x in at[1:-1])
        d = f"M{at[0]:g} {up:g}V{self.over:g}H{at[-1]:g}V{up:g}{legs}"
        beside = (at[-1] + 10, self.over + 3)
        if self.width < WIDTH:  # the line goes on to another row of machines
            beside = (at[-1] + 10, self.over - 8)
        return "".join([
            tunnel(d),
            *(line(f"M{self.card_x(i):g} {self.bottom + 4:g}V{self.under:g}", "paper", 11)
              for i in range(len(at))),
            text(*beside, "overlay", "b x wrap halo"),
            text(self.card_x(0) + 12, self.over + 20, self._tunnel_words(), "s x"),
        ])  # fmt: skip

    def _tunnel_words(self) -> str:
        """The tunnel's settings, as many as fit before the next card's cable."""
        found = next(m.tunnel for m in self.machines if m.tunnel)
        words = [*filter(None, found.note.split(", ")), f"MTU {found.mtu}"]
        room = self.column if len(self.machines) > 1 else self.width - self.card_x(0)
        while len(words) > 1 and sans(", ".join(words), 11.5) > room - 16:
            del words[len(words) - 2]
        return ", ".join(words)

    def _cables(self) -> str:
        up = self.bottom - 10
        cards = (f"M{self.card_x(i):g} {up:g}V{self.under:g}" for i in range(len(self.machines)))
        cables = "".join(line(d, "line", 1.5) for d in cards)
        return cables + line(f"M0 {self.under:g}H{self.width:g}", "ink", 2.5)


def _short(card: Device, room: float, beside: Device | None) -> Device:
    """The card's address: whole if it has the width to itself, else its host part, if that fits."""
    if not beside:
        return card
    host = "." + card.address.rpartition(".")[2] if "." in card.address else ""
    fits = mono(card.name) + mono(host, 11.5) + 22 < room
    return Device(card.name, host if fits else "", card.mtu)


def _chip(chip: Chip, trunk: float, y: float, right: float) -> str:
    left, several = trunk + 10, chip.count > 1
    w = right - left
    net, host = spread(chip.addresses)
    sign = ":" if ":" in net else "."
    tail: tuple[tuple[str, str], ...] = ((f"{net}{sign}" if net else "", "s"), (host, "b"))
    if chip.host:
        tail = (("uses the machine's", "s"),)
    elif chip.unready:
        words = f"{chip.unready} not ready " if several else "not ready "
        tail = ((words, "s"), (f"{sign}{host}" if host else "", "m b"))
    elif not host:
        tail = (("no address", "s"),)
    name = f"{chip.name} ×{chip.count}" if several else chip.name
    space = f"{chip.namespace}/" if chip.namespace else ""
    room = w - 24 - _wide(tail)
    if net and not chip.unready and not chip.host and mono(space + name) > room:
        tail = ((sign, "s"), (host, "b"))  # the bridge below says the rest of the address
        room = w - 24 - _wide(tail)
    if chip.unready and mono(name) > room:
        tail = tail[:1]
        room = w - 24 - _wide(tail)
    if chip.host and mono(space + name) > room:
        tail = (("host", "s"),)
        room = w - 24 - _wide(tail)
    if space and mono(space + name) > room:
        left_over = room - mono(name) - mono("/")
        space = fit(space[:-1], left_over) + "/" if left_over > mono("abc") else ""
    dashes = "3 3" if chip.unready else None
    return el(
        "g",
        rect(left + 3, y + 3, w, 22, "paper", "line", rx=4) if several else "",
        rect(left, y, w, 22, "paper", "line", rx=4, stroke_dasharray=dashes),
        "" if chip.host else line(f"M{trunk:g} {y + 11:g}H{left:g}", "line", 1.5),
        spans(left + 7, y + 15.5, (space, "s"), (fit(name, room - mono(space)), ""), cls="m"),
        spans(right - 7, y + 15.5, *tail, cls="x end" if _worded(tail) else "m x end"),
    )


def _worded(tail: tuple[tuple[str, str], ...]) -> bool:
    return tail[0][0].endswith(("ready ", "address", "machine's", "host"))


def _wide(tail: tuple[tuple[str, str], ...]) -> float:
    measure = sans if _worded(tail) else mono
    return sum(measure(words, 11.5) for words, _ in tail)


def _device(x: float, y: float, w: float, device: Device, *, double: bool = False) -> str:
    inner = rect(x + 3, y + 3, w - 6, 18, "none", "wrap", rx=2) if double else ""
    stroke = "wrap" if double else "ink"
    return "".join([
        rect(x, y, w, 24, "paper", stroke, rx=4, stroke_width=1.2),
        inner,
        text(x + 9, y + 16.5, fit(device.name, w - 14), "m b"),
        text(x + w - 8, y + 16.5, device.address, "m x s end") if device.address else "",
    ])  # fmt: skip


def _risers(bands: list[_Band]) -> str:
    """What joins the rows of machines at the right edge."""
    parts = []
    for one, two in pairwise(bands):
        parts.append(line(f"M{one.width:g} {one.under:g}H{WIDTH - 4}V{two.under:g}H{two.width:g}",
                          "ink", 2.5))  # fmt: skip
        if one.tunnelled and two.tunnelled:
            x, last = WIDTH - 14, len(two.machines) - 1
            d = f"M{one.tunnel_x(len(one.machines) - 1):g} {one.over:g}"
            parts.append(
                line(f"M{x:g} {one.over:g}V{two.over:g}", "paper", 11)
                + tunnel(f"{d}H{x:g}V{two.over:g}H{two.tunnel_x(last):g}")
            )
    return "".join(parts)


def _below(band: _Band, seen: Picture) -> str:
    """The underlay's name, the router, and what lies outside, on a grid of at least thirds."""
    under, columns = band.under, max(3, min(len(seen.machines), ABREAST))
    column = (band.width - GAP * (columns - 1)) / columns
    mid, right = ((columns // 2) * (column + GAP), (columns - 1) * (column + GAP))
    router = Device("router", seen.router)
    dots = {"stroke_dasharray": "1 4", "stroke_linecap": "round", "stroke_width": 2}
    y = under + 22
    cables = f"M{mid + column / 2:g} {under:g}v22M{mid + column:g} {y + 12:g}H{right:g}"
    return "".join([
        text(2, y, "underlay", "b x"),
        text(2, y + 16, f"{seen.underlay}, MTU {seen.mtu}", "s x"),
        line(cables, "line", 1.5),
        _device(mid, y, column, router),
        rect(right, y, column - 1, 24, "none", "line", rx=12, **dots),
        spans(right + column / 2, y + 16.5, ("outside", "m b"), (_gap(seen.outside), "m x s"),
              cls="mid"),
    ])  # fmt: skip


def _gap(address: str) -> str:
    return f"  {address}" if address else ""


def _notes(seen: Picture) -> list[str]:
    notes = []
    if seen.waiting:
        names = ", ".join(seen.waiting[:3])
        more = f" and {len(seen.waiting) - 3} more" if len(seen.waiting) > 3 else ""
        verb = "waits" if len(seen.waiting) == 1 else "wait"
        notes.append(fit(f"{names}{more} {verb} for a machine.", WIDTH + 60, 11.5))
    if seen.hidden:
        pods = "system pod is" if seen.hidden == 1 else "system pods are"
        notes.append(f"{seen.hidden} {pods} not drawn.")
    return notes


def _title(seen: Picture) -> str:
    pods = sum(len(m.pods) for m in seen.machines)
    return f"{plural(len(seen.machines), 'machine')}, {plural(pods, 'pod')}, one flat pod network."


def twin(seen: Picture) -> str:
    """The machines and their pods in words."""
    tunnel_ = next((m.tunnel for m in seen.machines if m.tunnel), None)
    joined = (
        f"the tunnel {tunnel_.name} ({tunnel_.note or 'encapsulation'}, MTU {tunnel_.mtu}) "
        "joins their pod networks"
        if tunnel_
        else "routes join their pod networks and nothing is wrapped"
    )
    machines = plural(len(seen.machines), "machine")
    hang = "hangs" if len(seen.machines) == 1 else "hang"
    first = f"{machines} {hang} on one underlay, {seen.underlay}, MTU {seen.mtu}; {joined}."
    rows = [_machine_words(m, grouped=seen.grouped) for m in seen.machines]
    to = f", to {seen.outside}" if seen.outside else ""
    last = [f"A router at {seen.router} leads outside{to}."] if seen.router else []
    return "\n".join([first, *rows, *last, *_notes(seen)])


def _machine_words(machine: Machine, *, grouped: bool) -> str:
    through = f" through bridge {machine.bridge.name}" if machine.bridge else ""
    gives = f" gives out {machine.cidr}{through};" if machine.cidr else " has no pod range;"
    chips = [_chip_words(c) for c in machine.chips(grouped=grouped)]
    named = ", ".join(chips[:12]) + (f" and {len(chips) - 12} more" if len(chips) > 12 else "")
    return f"{machine.name} ({machine.address}){gives} its pods: {named or 'none'}."


def _chip_words(chip: Chip) -> str:
    if chip.count > 1:
        unready = f" ({chip.unready} not ready)" if chip.unready else ""
        return f"{chip.full} x{chip.count}{unready}"
    where = "on the machine's own network" if chip.host else ", ".join(chip.addresses)
    return f"{chip.full} {where or 'without an address'}{' (not ready)' if chip.unready else ''}"
