"""`diff(a, b)`: what two clusters differ in, at three depths: objects, tables, reachability."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Literal

import msgspec

from labkit.api.core import Pod
from labkit.api.listens import listening
from labkit.api.merge import LAST_APPLIED
from labkit.api.names import SYSTEM, title_of
from labkit.api.objects import encode
from labkit.api.state import Key, State
from labkit.cluster import Cluster
from labkit.given import checked
from labkit.kernel import text
from labkit.kernel.bpf import service_list
from labkit.kernel.ipsets import ipset_save
from labkit.kernel.ipvs import ipvsadm_list
from labkit.kernel.netns import Netns, Network
from labkit.traffic.connect import connect

SERVER_SIDE = {"uid", "resourceVersion", "creationTimestamp", "generation", LAST_APPLIED}
MOST_PAIRS = 2500  # above it, reachability is not compared
MOST_ROWS = 3  # of one side of a table, in the text
PRINTERS: Mapping[str, Callable[[Netns], str]] = {
    "ip addr": text.ip_addr,
    "ip route": text.ip_route,
    "ip neigh": text.ip_neigh,
    "bridge fdb": text.bridge_fdb,
    "ipset save": lambda netns: ipset_save(netns.ruleset.sets.values()),
    "iptables-save": text.iptables_save,
    "nft list ruleset": text.nft_list_ruleset,
    "ipvsadm -Ln": lambda netns: (
        ipvsadm_list(netns.virtual_servers) if netns.virtual_servers else ""
    ),
    "cilium-dbg service list": lambda netns: service_list(netns.maps) if netns.maps else "",
}


class ObjectChange(msgspec.Struct, frozen=True):
    """`fields` has `.spec.replicas: 1 -> 3` and the like, if both clusters have the object."""

    key: Key
    kind: Literal["only in a", "only in b", "changed"]
    fields: tuple[str, ...] = ()


class TableChange(msgspec.Struct, frozen=True):
    """Rows that a command prints in one namespace in only one of the clusters."""

    netns: str
    command: str
    only_a: tuple[str, ...]
    only_b: tuple[str, ...]


class CellChange(msgspec.Struct, frozen=True):
    """A pod's port that another pod reaches in only one of the clusters, with both outcomes."""

    source: str
    target: str
    a: str
    b: str


class Diff(msgspec.Struct, frozen=True):
    """What differs; true if anything does. `skipped` says why cells were not compared."""

    objects: tuple[ObjectChange, ...]
    tables: tuple[TableChange, ...]
    reachability: tuple[CellChange, ...]
    skipped: str = ""

    def __bool__(self) -> bool:
        return bool(self.objects or self.tables or self.reachability)

    def __str__(self) -> str:
        return "\n".join(_lines(self))

    __repr__ = __str__


@checked
def diff(a: Cluster, b: Cluster) -> Diff:
    """The differences of two clusters; stamps such as uid and resourceVersion do not count.

    Reachability is that of pods' listening ports from all pods, those of the system left out.
    """
    cells, skipped = _cells(a, b)
    return Diff(
        objects=tuple(_objects(a.state, b.state)),
        tables=tuple(_tables(a, b)),
        reachability=tuple(cells),
        skipped=skipped,
    )


# --- objects ---------------------------------------------------------------------------------


def _objects(a: State, b: State) -> Iterator[ObjectChange]:
    for key in sorted(a.objects.keys() | b.objects.keys()):
        old, new = a.objects.get(key), b.objects.get(key)
        if old is None or new is None:
            yield ObjectChange(key, "only in a" if new is None else "only in b")
        elif old is not new and (fields := tuple(_fields(encode(old), encode(new), ""))):
            yield ObjectChange(key, "changed", fields)


def _fields(old: Any, new: Any, path: str) -> Iterator[str]:
    if old == new:
        return
    if isinstance(old, dict) and isinstance(new, dict):
        for key in sorted((old.keys() | new.keys()) - SERVER_SIDE):
            yield from _fields(old.get(key), new.get(key), f"{path}.{key}")
    elif isinstance(old, list) and isinstance(new, list) and len(old) == len(new):
        for i, pair in enumerate(zip(old, new, strict=True)):
            yield from _fields(*pair, f"{path}[{i}]")
    elif all(isinstance(x, str) and "\n" in x for x in (old, new)):
        lines = old.splitlines(), new.splitlines()
        changed = (" / ".join(x.strip() for x in _without(*p)) for p in (lines, lines[::-1]))
        yield f"{path}: {' -> '.join(each or '(no line)' for each in changed)}"
    else:
        yield f"{path}: {_short(old)} -> {_short(new)}"


def _short(value: Any) -> str:
    if value is None:
        return "(none)"
    plain = isinstance(value, int | str) and "\n" not in str(value)
    written = str(value) if plain else msgspec.json.encode(value).decode()
    return written if len(written) <= 60 else written[:57] + "..."


# --- tables ----------------------------------------------------------------------------------


def _tables(a: Cluster, b: Cluster) -> Iterator[TableChange]:
    old, new = a.network.namespaces, b.network.namespaces
    for name in sorted(old.keys() | new.keys()):
        if old.get(name) == new.get(name):
            continue
        for command, printed in PRINTERS.items():
            rows_a, rows_b = (_rows(printed, ns.get(name)) for ns in (old, new))
            only_a, only_b = _without(rows_a, rows_b), _without(rows_b, rows_a)
            if only_a or only_b:
                yield TableChange(name, command, only_a, only_b)


def _rows(printed: Callable[[Netns], str], netns: Netns | None) -> tuple[str, ...]:
    return tuple(printed(netns).splitlines()) if netns else ()


def _without(rows: Sequence[str], others: Sequence[str]) -> tuple[str, ...]:
    """The rows that the others do not have, in their order; each is struck out once."""
    left = Counter(others)
    kept = []
    for row in rows:
        if left[row]:
            left[row] -= 1
        else:
            kept.append(row)
    return tuple(kept)


# --- reachability ------------------------------------------------------------------------------


def _cells(a: Cluster, b: Cluster) -> tuple[list[CellChange], str]:
    networks = a.network, b.network
    if networks[0] == networks[1]:
        return [], ""
    pairs = [(s, t) for s in _sources(a, b) for t in _targets(a, b)]
    if len(pairs) > MOST_PAIRS:
        return [], f"reachability is not compared: {len(pairs)} pairs are more than {MOST_PAIRS}"
    found = []
    for source, target in pairs:
        one, other = (
            _outcome(lab.state, network, source, target)
            for lab, network in zip((a, b), networks, strict=True)
        )
        if one != other:
            place, (protocol, port) = target
            found.append(CellChange(source, f"{place}:{port}/{protocol}", one, other))
    return found, ""


def _learners(lab: Cluster) -> dict[str, Pod]:
    pods = (p for p in lab.state.list(Pod) if p.namespace not in SYSTEM and p.addresses)
    return {_place(lab.state, pod): pod for pod in pods}


def _place(state: State, pod: Pod) -> str:
    title = title_of(state, pod)
    return f"pod/{title}" if "/" in title else f"pod/{pod.namespace}/{title}"


def _sources(a: Cluster, b: Cluster) -> list[str]:
    return sorted(_learners(a).keys() & _learners(b).keys())


def _targets(a: Cluster, b: Cluster) -> list[tuple[str, Any]]:
    """Ports of pods that both clusters have, where either has a listener."""
    one, other = _learners(a), _learners(b)
    found = {
        (place, (listen.protocol, listen.port))
        for place in one.keys() & other.keys()
        for listen in (*listening(one[place]), *listening(other[place]))
    }
    return sorted(found)


def _outcome(state: State, network: Network, source: str, target: tuple[str, Any]) -> str:
    place, (protocol, port) = target
    goal = f"{place}:{port}"
    return connect(state, network, source, goal, protocol=protocol).outcome


# --- text --------------------------------------------------------------------------------------


def _lines(found: Diff) -> Iterator[str]:
    if not found:
        yield "no difference"
    if found.objects:
        yield f"objects: {len(found.objects)} differ"
    for change in found.objects:
        yield f"  {change.key}: {change.kind}"
        yield from (f"    {field}" for field in change.fields)
    if found.tables:
        yield f"tables: {len(found.tables)} differ"
    for (command, *rows), names in _alike(found.tables).items():
        yield f"  {', '.join(names)}, {command}"
        yield from _some("-", rows[0])
        yield from _some("+", rows[1])
    if found.reachability:
        yield f"reachability: {len(found.reachability)} cells differ"
    for cell in found.reachability:
        yield f"  {cell.source} -> {cell.target}: {cell.a} -> {cell.b}"
    if found.skipped:
        yield found.skipped


def _alike(tables: Sequence[TableChange]) -> dict[tuple[Any, ...], list[str]]:
    """What changed in a table, with the names of all machines on which it did so."""
    found: dict[tuple[Any, ...], list[str]] = {}
    for table in tables:
        found.setdefault((table.command, table.only_a, table.only_b), []).append(table.netns)
    return found


def _some(sign: str, rows: Sequence[str]) -> Iterator[str]:
    """The first rows of one side; all of them stand in `tables`."""
    shown = rows if len(rows) <= MOST_ROWS + 1 else rows[:MOST_ROWS]
    yield from (f"    {sign} {row}" for row in shown)
    if len(shown) < len(rows):
        yield f"    {sign} and {len(rows) - len(shown)} more"
