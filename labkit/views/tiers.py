"""The tiers that a connection is judged by, stepped one by one for both of its ends."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import msgspec

from labkit.policy.explain import told_rules
from labkit.policy.explain_tiers import told_step
from labkit.policy.matcher import Side
from labkit.policy.matcher import Step as Tier
from labkit.traffic.meaning import Allowed
from labkit.views.figure import figure
from labkit.views.marks import dropped, numbered
from labkit.views.stepper import Frame, controls, stepped
from labkit.views.svg import clean, el, fit, line, rect, sans, text

if TYPE_CHECKING:
    from labkit.views.widgets import Stepper

TIERS = ("Admin", "NetworkPolicy", "Baseline", "default")
Says = Literal["Accept", "Deny", "Pass", "goes on"]
LEFT, BOX, GAP, TALL, LANE = 12.0, 146.0, 12.0, 62.0, 166.0
RAIL, OPEN, EXIT = 104.0, 136.0, 648.0  # px below a lane's top; and where its rails end


class Station(msgspec.Struct, frozen=True):
    """One tier asked about one end; `says` is Accept or Deny where it decides.

    `tier` is empty for an end that no policy judges; `who` names policy and rule, if any.
    """

    lane: int
    tier: str
    says: Says
    who: str
    rows: tuple[str, ...]

    @property
    def final(self) -> bool:
        return self.says in ("Accept", "Deny")


def tiers(allowed: Allowed) -> Stepper:
    """A widget that steps a verdict of `lab.allowed` through its tiers, sender's side first."""
    asked = stations(allowed)
    shown = tuple(_frame(allowed, n, station) for n, station in enumerate(asked))
    ring = el("circle", class_="token", r=15) + "</svg>"
    shell = f"{picture(allowed).removesuffix('</svg>')}{ring}\n{controls(shown, 'tier')}"
    return stepped(shell, shown, f"{title(allowed)}\n{words(allowed)}")


def stations(allowed: Allowed) -> tuple[Station, ...]:
    """The tiers in the order of asking; the receiver's only if the sender's let it leave."""
    verdict = allowed.verdict
    leaving = _side(allowed, 0, verdict.leaving)
    if not verdict.leaving.allowed:
        return leaving
    return (*leaving, *_side(allowed, 1, verdict.entering))


def _side(allowed: Allowed, lane: int, side: Side) -> tuple[Station, ...]:
    if side.admin is None:
        return (Station(lane, "", "Accept", "", (side.why,)),)
    found: list[Station] = [_tier(allowed, lane, side.admin)]
    if not found[-1].final:
        found.append(_network_policies(allowed, lane, side))
    if side.baseline is not None:
        found.append(_tier(allowed, lane, side.baseline))
    if not found[-1].final:
        rows = ("no tier has decided, and Kubernetes is open by default",)
        found.append(Station(lane, "default", "Accept", "", rows))
    return tuple(found)


def _tier(allowed: Allowed, lane: int, step: Tier) -> Station:
    if not step.policies:
        return Station(lane, step.tier, "goes on", "", ("no policy of this tier is about it",))
    if step.decided is None:
        return Station(lane, step.tier, "goes on", "", (told_step(step, allowed.lines),))
    who = f"{step.decided.policy.name}, rule {step.decided.number + 1}"
    return Station(lane, step.tier, step.decided.action, who, (told_step(step, allowed.lines),))


def _network_policies(allowed: Allowed, lane: int, side: Side) -> Station:
    if not side.policies:
        way = "Egress" if lane == 0 else "Ingress"
        nobody = f"no NetworkPolicy isolates it for {way.lower()}"
        return Station(lane, "NetworkPolicy", "goes on", "", (nobody,))
    told = told_rules(side, allowed.verdict.flow, allowed.lines, allowed.reading)
    rows = tuple(row for _, row in told)
    who = ", ".join(policy.name for policy in side.policies)
    return Station(lane, "NetworkPolicy", "Accept" if side.allowed else "Deny", who, rows)


# --- words ------------------------------------------------------------------------------------


def title(allowed: Allowed) -> str:
    flow = allowed.verdict.flow
    asks = f"{flow.source.title} asks {flow.destination.title}, {flow.protocol} {flow.port}"
    return f"{asks}: {'allowed' if allowed else 'denied'}."


def words(allowed: Allowed) -> str:
    """First who decided, then a sentence for each tier that was asked."""
    asked = stations(allowed)
    lines = [_decision(allowed, asked)]
    for number, station in enumerate(asked, start=1):
        lines.append(f"{number}. {_sentence(allowed, station)}")
    if asked[-1].lane == 0:
        end = allowed.verdict.entering.end.title
        lines.append(f"Entering {end}: not asked, the packet does not get that far.")
    if not allowed.enforced:
        lines.append("This cluster's CNI enforces no policy: the connection opens all the same.")
    return "\n".join(lines)


def _decision(allowed: Allowed, asked: tuple[Station, ...]) -> str:
    told = (f"{_end(allowed, s.lane)}, {_named(s)} decides" for s in asked if s.final)
    words = "; ".join(told)
    return f"{words[0].upper()}{words[1:]}."


def _named(station: Station) -> str:
    if not station.tier:
        return "no tier"
    name = "the default" if station.tier == "default" else f"tier {station.tier}"
    return f"{name} ({station.who})" if station.who else name


def _end(allowed: Allowed, lane: int) -> str:
    verdict = allowed.verdict
    side = verdict.entering if lane else verdict.leaving
    return f"{'entering' if lane else 'leaving'} {side.end.title}"


THEN = {
    "Accept": "So it may pass here.",
    "Deny": "So it is dropped here.",
    "Pass": "So the next tier is asked.",
    "goes on": "So the next tier is asked.",
}


def _sentence(allowed: Allowed, station: Station) -> str:
    """Which end, which tier, what it says, and what follows."""
    head = _end(allowed, station.lane)
    tier = f", {station.tier}" if station.tier else ""
    said = "; ".join(station.rows)
    if station.tier == "NetworkPolicy" and station.final:
        said = f"isolated by {station.who}; {said}"
    return f"{head[0].upper()}{head[1:]}{tier}: {said}. {THEN[station.says]}"


def _frame(allowed: Allowed, number: int, station: Station) -> Frame:
    rows = "".join(f"<dd>{clean(row)}</dd>" for row in station.rows)
    return Frame(
        at=_at(station),
        say=_sentence(allowed, station),
        why=f"<dt>decided by</dt>{rows}",
        short=f"{number + 1}: {_named(station)} {station.says}",
    )


# --- the picture ------------------------------------------------------------------------------


def picture(allowed: Allowed) -> str:
    """Two lanes of four tiers; a rail under them leads to the next tier, another one out."""
    asked = stations(allowed)
    body = [_lane(allowed, lane, asked) for lane in (0, 1)]
    body += [_box(n, station) for n, station in enumerate(asked)]
    body += [_segment(n, asked) for n in range(len(asked))]
    body += [_stop(n, station) for n, station in enumerate(asked)]
    return figure(title(allowed), words(allowed), 2 * LANE, *body).svg


def _x(tier: str) -> float:
    return LEFT + (BOX + GAP) * (TIERS.index(tier) if tier else 0)


def _at(station: Station) -> tuple[float, float]:
    x = _x(station.tier) + BOX / 2
    return (x, station.lane * LANE + RAIL) if station.tier else (LEFT + 14, _open(station.lane))


def _open(lane: int) -> float:
    return lane * LANE + OPEN


def _lane(allowed: Allowed, lane: int, asked: tuple[Station, ...]) -> str:
    """What stands before anything was asked: whose lane it is, the tiers, the rail out."""
    top = lane * LANE
    mine = [s for s in asked if s.lane == lane]
    verdict = allowed.verdict
    end = (verdict.entering if lane else verdict.leaving).end.title
    way = "entering" if lane else "leaving"
    parts = [
        text(LEFT, top + 16, way, "s"),
        text(LEFT + sans(way) + 8, top + 16, fit(end, 460), "m b"),
        line(f"M{LEFT:g} {_open(lane):g}H{EXIT:g}", "hair", 2),
    ]
    if not any(s.says == "Accept" for s in mine):
        parts.append(_exit(lane, "s"))
    left = [tier for tier in TIERS if tier not in {s.tier for s in mine}]
    parts += [rect(_x(t), top + 26, BOX, TALL, "none", "hair", rx=8) for t in TIERS]
    parts += [text(_x(tier) + 10, top + 44, tier, "s") for tier in left]
    return "".join(parts) + _unasked(lane, left, asked)


def _unasked(lane: int, left: list[str], asked: tuple[Station, ...]) -> str:
    """Said of the tiers behind the one that decides, once it has decided."""
    words = (text(_x(tier) + 10, lane * LANE + 62, "not asked", "x s") for tier in left)
    told = el("g", *words, class_="told")
    at = [n for n, s in enumerate(asked) if s.lane == lane] or [len(asked) - 1]
    return el("g", told, data_hop=at[-1])


def _exit(lane: int, cls: str) -> str:
    return text(EXIT + 8, _open(lane) + 4.5, "open", cls)


def _box(number: int, station: Station) -> str:
    """A tier that was asked: its name, what it says, and the policy that says so."""
    if not station.tier:
        return ""
    x, y = _x(station.tier), station.lane * LANE + 26
    cls = {"Accept": "b go", "Deny": "b stop"}.get(station.says, "")
    told = el(
        "g",
        text(x + 10, y + 36, _short(station), f"x {cls}"),
        text(x + 10, y + 53, fit(station.who, BOX - 20, 11.5), "m x s"),
        class_="told",
    )
    box = rect(x, y, BOX, TALL, "wash", "line", rx=8)
    return el("g", box, text(x + 10, y + 18, station.tier, "b"), told, data_hop=number)


def _short(station: Station) -> str:
    if station.tier == "NetworkPolicy":
        return {"Accept": "a rule lets it pass", "Deny": "isolates, no rule"}.get(
            station.says, "isolates nobody here"
        )
    if station.tier == "default":
        return "lets it pass"
    return {"goes on": "no rule for it"}.get(station.says, station.says)


def _segment(number: int, asked: tuple[Station, ...]) -> str:
    """The way to a station: from the tier before, or from the start of its lane."""
    station = asked[number]
    x, y = _at(station)
    before = asked[number - 1] if number else None
    if before is None or before.lane != station.lane:
        way = f"M{LEFT:g} {y:g}H{x:g}"
    else:
        way = f"M{_at(before)[0]:g} {y:g}H{x:g}"
    out = ""
    if station.says == "Accept":
        down = f"V{_open(station.lane):g}H{EXIT:g}"
        out = line(f"M{x:g} {y:g}{down}", "go", 3, stroke_linejoin="round")
        out += _exit(station.lane, "b go")
    track = line(way, "go", 3, class_="track", data_seg=number)
    return track + el("g", out, data_hop=number) if out else track


def _stop(number: int, station: Station) -> str:
    x, y = _at(station)
    if station.says == "Deny":
        bar = line(f"M{x + 20:g} {y - 13:g}v26", "stop", 4)
        said = text(x + 30, y + 4.5, "dropped here", "b stop")
        return el("g", dropped(x, y), bar, said, data_hop=number)
    return el("g", numbered(number + 1, x, y), data_hop=number)
