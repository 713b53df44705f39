"""One state, four proxy modes: what a client sees in each, computed, and where they differ."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import msgspec

from labkit.cluster import Cluster
from labkit.errors import CommandError
from labkit.kernel.packet import Protocol
from labkit.proxy import MODES
from labkit.views.figure import Figure
from labkit.views.svg import clean

TRIES = 8  # connections of each call: enough for IPVS to go round a small Service
FORM = "pod/frontend -> svc/backend:80, or with a protocol behind: ... UDP"


class Line(msgspec.Struct, frozen=True):
    """One call, and what is seen of it in each mode, in their order."""

    says: str
    source: str
    target: str
    protocol: Protocol
    seen: tuple[str, ...]

    @property
    def differs(self) -> bool:
        return len(set(self.seen)) > 1


def modes(lab: Cluster, calls: str) -> Figure:
    """What each proxy mode makes of some calls, the objects being the same.

    Args:
        calls: a line each: `what it shows: pod/frontend -> svc/backend:80 TCP`. The protocol
            may be left out; ICMP is a ping.

    Raises:
        CommandError: a line has another form; NotFound: a place is not there.
    """
    labs = {mode: lab.fork(proxy_mode=mode) for mode in MODES}
    lines = [line(labs.values(), row) for row in calls.splitlines() if row.strip()]
    differ = sum(x.differs for x in lines)
    title = f"{len(lines)} calls in {len(MODES)} modes: {differ} differ."
    return Figure(title, twin(lines), below=_table(title, lines))


def line(labs: Iterable[Cluster], row: str) -> Line:
    says, _, call = row.strip().rpartition(": ")
    words = call.replace("->", " ").split()
    if len(words) not in (2, 3):
        raise CommandError(f"views.modes: {row.strip()!r} is no call; write {FORM}")
    source, target = words[:2]
    protocol: Protocol = words[2] if len(words) == 3 else "TCP"  # type: ignore[assignment] # asked() refuses others
    seen = tuple(_seen(each, source, target, protocol) for each in labs)
    return Line(says or f"{source} to {target}", source, target, protocol, seen)


def _seen(lab: Cluster, source: str, target: str, protocol: Protocol) -> str:
    """Everything that the client sees in some new connections: who answers, or what instead."""
    if lab.config.proxy_mode != "ipvs":
        return ", ".join(lab.outcomes(source, target, protocol=protocol).ends)
    turns = lab.fork()
    made = (turns.connect(source, target, protocol=protocol) for _ in range(TRIES))
    ends = {c.places[c.request.end].title if c else c.outcome for c in made}
    return ", ".join(sorted(ends))


# --- the table, and in words ---------------------------------------------------------------


def _table(title: str, lines: list[Line]) -> str:
    heads = "".join(f"<th scope='col' style='width:16%'>{mode}</th>" for mode in MODES)
    head = f"<thead><tr><th scope='col' style='width:36%'>what is tried</th>{heads}</tr></thead>"
    rows = "".join(map(_row, lines))
    caption = f"<p class='verdict'><b>{clean(title)}</b></p>"
    return f"{caption}<table class='modes'>{head}<tbody>{rows}</tbody></table>"


def _row(x: Line) -> str:
    kind, mark = (" class='differs'", "<b>≠</b> ") if x.differs else ("", "")
    what = f"{mark}{clean(x.says)}<small class='mono'>{clean(_call(x))}</small>"
    cells = "".join(f"<td>{clean(seen)}</td>" for seen in x.seen)
    return f"<tr{kind}><th scope='row'>{what}</th>{cells}</tr>"


def _call(x: Line) -> str:
    protocol = "" if x.protocol == "TCP" else f" {x.protocol}"
    return f"{x.source} → {x.target}{protocol}"


def twin(lines: list[Line]) -> str:
    """Where the modes agree, in one line; then every call, those that differ mode by mode."""
    same = [x.says for x in lines if not x.differs]
    different = [x.says for x in lines if x.differs]
    return "\n".join([
        f"The modes agree on {len(same)} calls and differ on {len(different)}.",
        *(words for x in lines for words in _words(x)),
    ])  # fmt: skip


def _words(x: Line) -> Iterator[str]:
    if not x.differs:
        yield f"{x.says}: {x.seen[0]} in all modes."
        return
    found: dict[str, list[str]] = {}
    for mode, seen in zip(MODES, x.seen, strict=True):
        found.setdefault(seen, []).append(mode)
    told = "; ".join(f"{seen} in {' and '.join(names)}" for seen, names in found.items())
    yield f"{x.says}: {told}."
