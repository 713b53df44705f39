"""A history looked at second by second: the objects of now, the rules of a little earlier."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

from labkit.api.core import Node, Pod
from labkit.api.lifecycle import STARTS, starts_in
from labkit.api.listens import listening
from labkit.api.state import Event, Key, State
from labkit.api.times import seconds
from labkit.errors import CommandError, NotFound
from labkit.kernel.netns import Network
from labkit.proxy import service_ports
from labkit.traffic.connect import Asked, asked
from labkit.traffic.faults import Fault, faulty
from labkit.traffic.program import lagging

MOST_TICKS = 600
GROUND = ("Node", "Service", "NetworkPolicy", "Namespace", "ConfigMap")
API_SERVER = Key("EndpointSlice", "default", "kubernetes")


class Moment(Protocol):
    """What of a cluster's history counts here."""

    @property
    def state(self) -> State: ...

    @property
    def events(self) -> tuple[Event, ...]: ...

    @property
    def faults(self) -> tuple[Fault, ...]: ...


class Past:
    """A history that can be asked for a time."""

    def __init__(self, history: Sequence[Moment]) -> None:
        self.history = history
        self.times = [moment.state.now for moment in history]
        self.end = self.times[-1]

    def at(self, now: float) -> Moment:
        """The last moment that was not after `now`; the earliest settled one before all."""
        return self.history[bisect_right(self.times, max(now, self.times[0])) - 1]


class Shot:
    """One tick: the objects of now, and what each node's kube-proxy takes for now."""

    def __init__(self, past: Past, at: float, delays: Mapping[str, float]) -> None:
        moment = past.at(at)
        self.at, self.written, self.faults = at, moment.state, moment.faults
        self.state = moment.state.at_time(at)
        self.then = {node: past.at(at - late).state for node, late in delays.items()}


def _delays(nodes: Sequence[str], delay: float | Mapping[str, float]) -> dict[str, float]:
    """Seconds for each node; a node that `delay` does not name is not late."""
    late = delay if isinstance(delay, Mapping) else dict.fromkeys(nodes, delay)
    for name in late:
        if name not in nodes:
            raise NotFound(f"delay: there is no node `{name}`; there are {', '.join(nodes)}")
    return {node: float(late.get(node, 0.0)) for node in nodes}


class Film:
    """The ticks of a stretch; those that have one network share it."""

    def __init__(
        self,
        history: Sequence[Moment],
        last: float,
        step: float,
        delay: float | Mapping[str, float],
    ) -> None:
        if last <= 0 or step <= 0 or last / step > MOST_TICKS:
            raise CommandError(f"last={last:g}, step={step:g}: ask for 1 to {MOST_TICKS} ticks")
        past = Past(history)
        self.first = max(past.end - last, 0.0)
        count = int((past.end - self.first) / step + 1e-6)
        nodes = [node.name for node in past.at(past.end).state.list(Node)]
        self.delays = _delays(nodes, delay)
        clock = (self.first + i * step for i in range(count + 1))
        self.shots = tuple(Shot(past, at, self.delays) for at in clock)
        self._networks: dict[object, Network] = {}
        self._numbers: dict[object, int] = {}
        self._seen: dict[object, int] = {}

    def _number(self, state: State, compute: Callable[[State], object]) -> int:
        """The same number for all states of which `compute` says the same."""
        place = id(state), compute
        if place not in self._seen:
            found = state.cached(compute)
            self._seen[place] = self._numbers.setdefault(found, len(self._numbers))
        return self._seen[place]

    def network(self, shot: Shot) -> Network:
        """Computed once for all ticks that have the same one."""
        ground = self._number(shot.written, _ground), _silent(shot.written, shot.at)
        rules = tuple(self._number(state, service_ports) for state in shot.then.values())
        key = ground, rules, shot.faults
        if key not in self._networks:
            self._networks[key] = faulty(lagging(shot.state, shot.then), shot.faults)
        return self._networks[key]

    def question(self, source: str, target: str, namespace: str) -> Asked:
        """What is asked at the last tick."""
        shot = self.shots[-1]
        return asked(shot.state, self.network(shot), source, target, namespace=namespace)


def _ground(state: State) -> object:
    """All of a state that a network is made of; kube-proxy's rules and the time apart."""
    objects = tuple(id(o) for k, o in state.objects.items() if k.kind in GROUND or k == API_SERVER)
    pods = tuple(
        (
            *(p.namespace, p.name, p.spec.node_name, p.addresses, p.status.phase),
            listening(p),
            *sorted(p.labels.items()),
        )
        for p in state.list(Pod)
    )
    return objects, pods


def _silent(state: State, now: float) -> tuple[str, ...]:
    """The pods whose programs have not begun to listen."""
    starts: dict[str, float] = state.cached(_starts)
    return tuple(name for name, start in starts.items() if now < start)


def _starts(state: State) -> dict[str, float]:
    return {
        f"{p.namespace}/{p.name}": seconds(p.status.start_time) + starts_in(p)
        for p in state.list(Pod)
        if STARTS in p.annotations and p.status.start_time
    }
