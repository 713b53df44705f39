"""Requests of many clients over time, and which pod gets them: connections are not requests.

A node chooses a pod once for each connection; the requests that travel on it go where it goes.
A client that holds the list of pods, or a proxy that reads requests, chooses for each request.

A connection lives as long as its pod, whether or not the pod is still chosen for new ones.

*The lab simplifies*: clients ask at an even pace, answers take no time, and new endpoints are
known everywhere at once. A pod that leaves closes its connections at once. A client whose
connection fails does not try again before the next one.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Literal, get_args

import msgspec

from labkit.api.core import Node
from labkit.api.names import workloads
from labkit.api.state import State
from labkit.errors import CommandError, NotFound
from labkit.kernel.netns import Network
from labkit.traffic.chances import FAILURES
from labkit.traffic.text import plural
from labkit.traffic.ways import Stage, Way, listed, way

if TYPE_CHECKING:
    import pandas as pd

    from labkit.traffic.arrivals import Numbers, Opened, Pace

Chooser = Literal["node", "client", "proxy"]
SPANS = 12  # columns of the table of requests
MOST = 5_000_000  # connections of one run
LARGEST = 100_000_000  # of any number in a demand


class Demand(msgspec.Struct, frozen=True, kw_only=True):
    """What the clients do.

    `rate` is in requests a second of each client, `seconds` the length of the run. A connection
    is closed after `per_connection` requests, or by the first request that would find it
    `max_age` seconds old; None is never. `chooses` says who picks a pod: the node once for each
    connection, or the client or a proxy for each request, in turn.
    """

    clients: int = 8
    rate: float = 10.0
    per_connection: int | None = None
    max_age: float | None = None
    chooses: Chooser = "node"
    seconds: float = 60.0

    def __post_init__(self) -> None:
        for name in ("clients", "rate", "per_connection", "max_age", "seconds"):
            value, whole = getattr(self, name), name in ("clients", "per_connection")
            if value is None and name in ("per_connection", "max_age"):
                continue
            if not (isinstance(value, int if whole else int | float) and value > 0):
                number = "whole number" if whole else "number"
                raise CommandError(f"load: {name} is {value!r}; give a {number} above 0")
            if value > LARGEST:
                raise CommandError(f"load: {name} is too large; give at most {LARGEST}")
        if self.chooses not in get_args(Chooser):
            raise CommandError(
                f"load: chooses is {self.chooses!r}; choose {', '.join(get_args(Chooser))}"
            )
        if self.chooses == "client" and (self.per_connection or self.max_age):
            raise CommandError(
                "load: a client with the list keeps its connections; leave out per_connection"
                " and max_age"
            )
        if self.clients * self.rate * self.seconds / self.each > MOST:
            raise CommandError(f"load: more than {MOST} connections; ask for fewer clients")

    @classmethod
    def of(cls, how: Mapping[str, Any]) -> Demand:
        """The demand with these fields; CommandError for a field that there is not."""
        strange = [name for name in how if name not in cls.__struct_fields__]
        if strange:
            known = ", ".join(cls.__struct_fields__)
            raise CommandError(f"load: there is no `{strange[0]}`; there are {known}")
        return cls(**how)

    @property
    def each(self) -> int:
        """How many requests travel on one connection."""
        aged = self.most if self.max_age is None else max(1, math.ceil(self.max_age * self.rate))
        return min(self.per_connection or self.most, aged, self.most)

    @property
    def most(self) -> int:
        """More requests than a client sends: a connection for so many does not end."""
        return math.ceil(self.rate * self.seconds) + 1

    @property
    def words(self) -> str:
        pace = f"{plural(self.clients, 'client')}, {plural(self.rate, 'request')} a second each"
        if self.chooses == "client":
            return f"{pace}; each client holds the list of pods"
        if self.chooses == "proxy":
            return f"{pace}; a proxy reads requests"
        ends = [f"after {plural(self.per_connection, 'request')}"] if self.per_connection else []
        ends += [f"at an age of {self.max_age:g} s"] if self.max_age else []
        one, s = ("one connection", "s") if self.clients == 1 and not ends else ("connections", "")
        return f"{pace}; {one} that {f'end{s} ' + ' or '.join(ends) if ends else f'never end{s}'}"


class Load(msgspec.Struct, frozen=True, kw_only=True):
    """What came of a demand: requests by pod and by span of time.

    `ends` are pods in the order in which they came, then what clients saw in place of a pod.
    `requests[i][k]` counts those of `ends[i]` in span k, of which there are SPANS; `opened` the
    connections of each; between the seconds `since` and `until` it is given new ones.
    `changes` are the seconds at which the cluster changed.
    """

    source: str
    target: str
    demand: Demand
    ends: tuple[str, ...]
    requests: tuple[tuple[int, ...], ...]
    opened: tuple[int, ...]
    since: tuple[float, ...]
    until: tuple[float, ...]
    changes: tuple[float, ...] = ()

    @property
    def span(self) -> float:
        """Seconds of one column."""
        return self.demand.seconds / SPANS

    @property
    def totals(self) -> dict[str, int]:
        """Requests of each end over the whole run."""
        return {end: sum(row) for end, row in zip(self.ends, self.requests, strict=True)}

    @property
    def connections(self) -> dict[str, int]:
        """Connections that each end was given."""
        return dict(zip(self.ends, self.opened, strict=True))

    def spread(self, since: float | None = None) -> float:
        """By how much the busiest pod is above the mean, as a share: 0.1 is 10 %.

        Over the pods that are there from second `since` (None: the last change) to the end, and
        their requests in the spans from then on; infinite if there are none.
        """
        start = since if since is not None else max(self.changes, default=0.0)
        first = math.ceil(start / self.span - 1e-9)
        found = [
            sum(row[first:])
            for end, row, born, gone in self._rows()
            if end not in FAILURES and born <= start and gone >= self.demand.seconds
        ]
        return max(found) * len(found) / sum(found) - 1 if sum(found) else math.inf

    def _rows(self) -> zip[tuple[str, tuple[int, ...], float, float]]:
        return zip(self.ends, self.requests, self.since, self.until, strict=True)

    def frame(self) -> pd.DataFrame:
        """One row for each pod, one column for each span, named by its first second."""
        import pandas as pd

        columns = [self.span * k for k in range(SPANS)]
        return pd.DataFrame(self.requests, index=list(self.ends), columns=columns)

    @property
    def answer(self) -> str:
        """The result in one sentence."""
        totals = {end: n for end, n in self.totals.items() if end not in FAILURES}
        failed = sum(self.totals.values()) - sum(totals.values())
        bad = f" {plural(failed, 'request')} got no answer." if failed else ""
        if not sum(totals.values()):
            return f"No pod got a request.{bad}"
        since = f" since second {max(self.changes):g}" if self.changes else ""
        busy = sum(n > 0 for n in totals.values())
        over = f"the busiest has {self.spread() * 100:.0f} % more than the mean{since}"
        return f"{busy} of {plural(len(totals), 'pod')} got requests; {over}.{bad}"

    def __str__(self) -> str:
        wide = max(len(end) for end in self.ends)
        head = f"{self.source} -> {self.target}: {self.demand.words}, {self.demand.seconds:g} s"
        rows = [
            f"  {end:{wide}}  {n:7} requests  {100 * n / max(1, sum(self.totals.values())):5.1f} %"
            f"  {plural(self.connections[end], 'connection')}"
            for end, n in self.totals.items()
        ]
        return "\n".join([head, *rows, self.answer])

    __repr__ = __str__


# --- a run ----------------------------------------------------------------------------------


def load(
    times: Sequence[tuple[float, State, Network]],
    source: str,
    target: str,
    demand: Demand,
    namespace: str = "default",
    seed: int = 1,
) -> Load:
    """What each pod gets while clients at `source` ask `target`.

    Args:
        times: the cluster over time: (second, state, network), the first from second 0 on.
        source: a place, whose clients share its address, or `deployment/NAME`: its pods in turn.
        target: `svc/backend:80`, `node/node-1:30080` and the like.

    Raises:
        NotFound, CommandError: source or target are not there, with the nearest names.
    """
    from labkit.traffic.arrivals import Pace, uniforms

    stages = _stages(times, demand)
    places = _places(stages[0].state, source, namespace)
    pace = Pace(uniforms(seed, demand.clients) / demand.rate, demand.rate)
    edges = [demand.seconds * k / SPANS for k in range(SPANS + 1)]
    ends: list[list[str]]
    if demand.chooses == "node":
        ways = [[way(s, p, target, namespace) for p in places] for s in stages]
        ends = [[e for w in row for e in w.ends] for row in ways]
        made = _connected(stages, ways, _numbered(ends), pace, demand, seed)
        requests, opened = _counts(made, pace, edges, len(_numbered(ends)))
    else:
        # The proxy stands on a node, as many ingress controllers do.
        holder = places[0] if demand.chooses == "client" else _node(stages[0].state)
        ends = [list(listed(s, holder, target, namespace)) for s in stages]
        requests, opened = _in_turn(stages, ends, _numbered(ends), pace, edges, demand)
    there = [_there(stages, ends, end, demand.seconds) for end in _numbered(ends)]
    since, until = zip(*there, strict=True)
    return Load(
        source=source,
        target=target,
        demand=demand,
        ends=tuple(_numbered(ends)),
        requests=tuple(tuple(row) for row in requests.tolist()),
        opened=tuple(opened),
        since=since,
        until=until,
        changes=tuple(now.start for then, now in pairwise(stages) if now.differs(then)),
    )


def _stages(times: Sequence[tuple[float, State, Network]], demand: Demand) -> list[Stage]:
    """The stages in order; CommandError for one that begins outside the run."""
    outside = [start for start, *_ in times if not 0 <= start < demand.seconds]
    if outside:
        run = f"give a second from 0 to below {demand.seconds:g}"
        raise CommandError(f"load: after second {outside[0]:g}: {run}")
    return [Stage(*time) for time in sorted(times, key=lambda time: time[0])]


def _places(state: State, source: str, namespace: str) -> tuple[str, ...]:
    """The places where clients stand: the pods of a Deployment, or the one that is named."""
    kind, _, name = source.partition("/")
    if kind not in ("deployment", "deploy", "deployments"):
        return (source,)
    where, _, short = name.rpartition("/")
    pods = workloads(state).get((where or namespace, short), ())
    if not pods:
        raise NotFound(f"{source}: no Deployment of that name has a pod; see kubectl get pods")
    return tuple(f"pod/{pod.namespace}/{pod.name}" for pod in pods)


def _node(state: State) -> str:
    return f"node/{state.list(Node)[0].name}"


def _numbered(ends: Sequence[Sequence[str]]) -> dict[str, int]:
    """Every end with its row: as they come, pods by name, failures last."""
    found = dict.fromkeys(e for row in ends for e in sorted(set(row)))
    return {e: i for i, e in enumerate(sorted(found, key=lambda e: e in FAILURES))}


def _there(
    stages: Sequence[Stage], ends: Sequence[Sequence[str]], end: str, seconds: float
) -> tuple[float, float]:
    """From and until which second somebody may get connections."""
    starts = [stage.start for stage in stages]
    spans = zip(starts, [*starts[1:], seconds], ends, strict=True)
    found = [(start, stop) for start, stop, row in spans if end in row]
    return found[0][0], found[-1][1]


def _connected(
    stages: Sequence[Stage],
    ways: Sequence[Sequence[Way]],
    number: dict[str, int],
    pace: Pace,
    demand: Demand,
    seed: int,
) -> Opened:
    """All connections of a run, each with its pod."""
    from labkit.traffic import arrivals

    age = arrivals.uniforms(~seed, demand.clients) * (demand.each < demand.most)
    waiting = arrivals.opened(pace, demand.each, demand.seconds, age)
    starts = [stage.start for stage in stages]
    done = waiting.where(waiting.at < 0)
    memory = arrivals.Memory()
    for k, (start, end) in enumerate(zip(starts, [*starts[1:], math.inf], strict=True)):
        there = [number[end] for end in number if end in stages[k].living]
        done, again = arrivals.broken(done, pace, start, arrivals.numbers(there))
        waiting = arrivals.joined([waiting, again]).ordered()
        now = waiting.at < end
        chosen = arrivals.chosen(ways[k], waiting.where(now), pace, number, memory, seed + k)
        done, waiting = arrivals.joined([done, chosen]), waiting.where(~now)
    return done


def _counts(
    made: Opened, pace: Pace, edges: Sequence[float], many: int
) -> tuple[Numbers, list[int]]:
    from labkit.traffic.arrivals import counted

    opened = [0] * many
    for end in made.end.tolist():
        opened[end] += 1
    return counted(made, pace, edges, many), opened


def _in_turn(
    stages: Sequence[Stage],
    lists: Sequence[Sequence[str]],
    number: dict[str, int],
    pace: Pace,
    edges: Sequence[float],
    demand: Demand,
) -> tuple[Numbers, list[int]]:
    """Requests that are dealt one by one; each client, or the proxy, has a connection to each."""
    from labkit.traffic.arrivals import dealt

    parts = []
    sent, holders = pace.asked, demand.clients
    if demand.chooses == "proxy":
        sent, holders = pace.together, 1
    starts = [stage.start for stage in stages]
    for pods, start, end in zip(lists, starts, [*starts[1:], math.inf], strict=True):
        within = [min(max(edge, start), end) for edge in edges]
        rows = [number[pod] for pod in pods]
        parts.append(dealt(sent, within, rows, len(number)))
    return sum(parts[1:], parts[0]), [holders] * len(number)
