"""A stretch of time: pods, their entries in the slice, each node's rules, and who is failed.

kube-proxy learns of a change later than the API server, and on each node at another moment. Here
that is a delay for each node: the rules of a moment are those that the objects had so many
seconds before, under the pods of now. Each tick's chances come from walking those tables.

*The lab simplifies*: a delay stays the same all the time, and the slice itself follows the pods
at once.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from fractions import Fraction
from typing import Any

import msgspec

from labkit.api.core import Node, Pod
from labkit.api.listens import listening
from labkit.api.state import State
from labkit.given import Seconds, checked
from labkit.kernel.conntrack import Conntrack
from labkit.kernel.dice import FirstDice
from labkit.kernel.netns import Network
from labkit.kernel.outcomes import outcomes as walks
from labkit.kernel.packet import Packet, endpoint
from labkit.proxy import node_view, service_ports
from labkit.proxy.services import Endpoint, ServicePort, usable_endpoints
from labkit.traffic.chances import FAILURES
from labkit.traffic.connect import Medium, asked, seen
from labkit.traffic.film import Film, Moment, Shot

Known = dict[Hashable, Mapping[str, Fraction]]  # what a tick hangs on -> its failures


class Tick(msgspec.Struct, frozen=True, kw_only=True):
    """What a new connection meets at one moment; `at` in seconds since the first tick.

    `failures`: what the client sees in place of an answer, each with its chance; empty if all
    are answered.
    """

    at: float
    failures: Mapping[str, Fraction]

    @property
    def failed(self) -> Fraction:
        """The chance that a new connection is not answered."""
        return sum(self.failures.values(), Fraction(0))


class Life(msgspec.Struct, frozen=True, kw_only=True):
    """One pod, tick by tick.

    `pod`: "" (not there), "not ready", "ready", "terminating". `entry`, its conditions in the
    slice: "" (none), "not ready", "ready", "serving" (and terminating), "terminating".
    `used`: for each node, whether its rules send there. `held`: whether a connection that was
    opened at the first tick still lives; empty where none was opened.
    """

    name: str
    address: str
    pod: tuple[str, ...]
    listens: tuple[bool, ...]
    entry: tuple[str, ...]
    used: Mapping[str, tuple[bool, ...]]
    held: tuple[bool, ...] = ()


class Timeline(msgspec.Struct, frozen=True, kw_only=True):
    """One new connection at every tick, from `source` to `target`, and why it fared so.

    `delays`: seconds by which each node's rules are late. `acts`: (seconds since the first tick,
    what somebody did by kubectl).
    """

    source: str
    target: str
    node: str  # the client's, "" for the outside
    delays: Mapping[str, float]
    ticks: tuple[Tick, ...]
    lives: tuple[Life, ...]
    acts: tuple[tuple[float, str], ...] = ()

    @property
    def failed(self) -> Fraction:
        """How many of the new connections, one at each tick, are to be expected to fail."""
        return sum((tick.failed for tick in self.ticks), Fraction(0))

    def __str__(self) -> str:
        late = ", ".join(f"{node} {delay:g} s" for node, delay in self.delays.items())
        head = f"{self.source} -> {self.target}, {len(self.ticks)} new connections"
        return f"{head}: {number(self.failed)} of them fail\nrules are late on {late}"

    __repr__ = __str__


def number(chance: Fraction) -> str:
    """`0`, `1/3`, `2.7`: exact below one, else to a tenth."""
    return str(chance) if chance <= 1 or chance.denominator == 1 else f"{float(chance):.1f}"


@checked
def timeline(
    history: Sequence[Moment],
    source: str,
    target: str,
    *,
    last: Seconds = 30.0,
    delay: Seconds | Mapping[str, Seconds] = 0.0,
    step: Seconds = 1.0,
    namespace: str = "default",
) -> Timeline:
    """The last `last` seconds of a history, with a new connection every `step` seconds.

    Args:
        delay: seconds by which the rules of all nodes are late, or of each by its name.

    Raises:
        NotFound, CommandError: source or target are not there, or the stretch is none.
    """
    film = Film(history, last, step, delay)
    question = film.question(source, target, namespace)
    pod, packet = question.spot.pod, question.packet
    place = endpoint(packet.dst, packet.dport)
    return Timeline(
        source=question.spot.text,
        target=target,
        node=pod.spec.node_name if pod else question.spot.text if question.spot.node else "",
        delays=film.delays,
        ticks=_ticks(film, source, place, namespace),
        lives=tuple(_lives(film.shots, place, _held(film, source, place, namespace))),
        acts=tuple(_acts(history, film.first)),
    )


def failed(
    history: Sequence[Moment], source: str, target: str, known: Known | None = None, **how: Any
) -> tuple[tuple[float, Mapping[str, Fraction]], ...]:
    """Only the ticks at which a connection may fail, with each failure's chance; as `timeline`.

    For a pod that calls a Service, while nothing but the Service's pods changes: then a tick at
    which its node has the rules of another, and the same addresses listen, is walked once.

    Args:
        known: ticks walked before, in histories of the same cluster; new ones are added.
    """
    namespace, known = how.pop("namespace", "default"), {} if known is None else known
    film = Film(history, how["last"], how.get("step", 1.0), how.get("delay", 0.0))
    question = film.question(source, target, namespace)
    assert question.spot.pod
    place = endpoint(question.packet.dst, question.packet.dport)
    found = []
    for shot in film.shots:
        sight = _sight(shot, question.spot.pod.spec.node_name, place)
        if sight not in known:
            known[sight] = _failures(shot, film.network(shot), source, place, namespace)
        found.append((shot.at - film.first, known[sight]))
    return tuple(tick for tick in found if tick[1])


def _sight(shot: Shot, node: str, place: str) -> Hashable:
    """What decides a call from that node: its rules for the Service, and who listens there now."""
    port = _port(shot.then[node], place)
    ends = {e.address for e in port.endpoints} if port else set()
    pods = [(a, pod) for pod in shot.state.list(Pod) for a in pod.addresses if a in ends]
    return port, frozenset((a, listening(pod, shot.at)) for a, pod in pods)


# --- connections ------------------------------------------------------------------------------


def _ticks(film: Film, source: str, place: str, namespace: str) -> tuple[Tick, ...]:
    """A new connection at every shot; the kernels remember nothing of the others."""
    known: dict[int, dict[str, Fraction]] = {}
    ticks = []
    for shot in film.shots:
        network = film.network(shot)
        if id(network) not in known:
            known[id(network)] = _failures(shot, network, source, place, namespace)
        ticks.append(Tick(at=shot.at - film.first, failures=known[id(network)]))
    return tuple(ticks)


def _failures(
    shot: Shot, network: Network, source: str, place: str, namespace: str
) -> dict[str, Fraction]:
    found: dict[str, Fraction] = {}
    for end, chance, _ in _ways(shot, network, source, place, namespace):
        if end in FAILURES:
            found[end] = found.get(end, Fraction(0)) + chance
    return dict(sorted(found.items()))


def _ways(
    shot: Shot, network: Network, source: str, place: str, namespace: str
) -> Iterator[tuple[str, Fraction, _Open]]:
    """Every way of a new connection: who answers it or how it fails, its chance, what stays open.

    Who answers is a namespace of the network, such as `pod/default/web`.
    """
    question = asked(shot.state, network, source, place, namespace=namespace)
    start, packet = question.spot.netns, question.packet
    medium = Medium(network, FirstDice(), shot.at)
    more = msgspec.structs.replace(packet, flags="PSH,ACK")
    for chance, trace in walks(network, start, packet, {}, shot.at):
        exchange = medium.answer(trace)
        outcome = seen(start, *exchange)
        end = trace.end if outcome == "answered" else outcome
        yield end, chance, _Open(start, more, exchange.conntrack)


class _Open(msgspec.Struct, frozen=True):
    """A connection that is open: its next packet, and what the kernels remember of it."""

    start: str
    packet: Packet
    conntrack: Conntrack

    def lives(self, network: Network, now: float) -> bool:
        medium = Medium(network, FirstDice(), now)
        exchange = medium.exchange(self.start, self.packet, self.conntrack)
        return seen(self.start, *exchange) == "answered"


Held = Mapping[str, tuple[bool, ...]]  # `pod/default/web` -> tick by tick


def _held(film: Film, source: str, place: str, namespace: str) -> Held:
    """What becomes of connections that were opened at the first tick, one to each pod."""
    first = film.shots[0]
    ways = _ways(first, film.network(first), source, place, namespace)
    opened = {end: way for end, _, way in ways if end not in FAILURES}
    found: dict[str, tuple[bool, ...]] = dict.fromkeys(opened, ())
    last: Network | None = None
    for shot in film.shots:
        network = film.network(shot)
        for end, way in opened.items():
            before = found[end]
            lives = all(before[-1:]) and (network is last or way.lives(network, shot.at))
            found[end] = (*before, lives)
        last = network
    return found


# --- lanes ------------------------------------------------------------------------------------


def _port(state: State, place: str) -> ServicePort | None:
    """The Service port at an address, as a state has it."""
    ports = service_ports(state)
    return next((p for p in ports if endpoint(p.cluster_ip, p.port) == place), None)


def _lives(shots: Sequence[Shot], place: str, held: Held) -> Iterator[Life]:
    """The pods that were ever in the list, in the order in which they came."""
    lists = [_entries(_port(shot.state, place)) for shot in shots]
    rules = {node: [_used(shot, node, place) for shot in shots] for node in shots[0].then}
    for address in dict.fromkeys(a for found in lists for a in found):
        pods = [_pod_at(shot.state, address) for shot in shots]
        first = next((pod for pod in pods if pod), None)
        if first is None:
            continue
        yield Life(
            name=first.name,
            address=address,
            pod=tuple(_phase(pod) for pod in pods),
            listens=tuple(
                pod is not None and bool(listening(pod, shot.at))
                for pod, shot in zip(pods, shots, strict=True)
            ),
            entry=tuple(found.get(address, "") for found in lists),
            used={node: tuple(address in tick for tick in row) for node, row in rules.items()},
            held=held.get(f"pod/{first.namespace}/{first.name}", ()),
        )


def _entries(port: ServicePort | None) -> dict[str, str]:
    """Address -> its conditions in one word."""
    return {str(e.address): _conditions(e) for e in (port.endpoints if port else ())}


def _conditions(entry: Endpoint) -> str:
    if entry.ready:
        return "ready"
    if entry.terminating:
        return "serving" if entry.serving else "terminating"
    return "not ready"


def _used(shot: Shot, node: str, place: str) -> frozenset[str]:
    """The addresses to which a node's rules may send a packet."""
    port, machine = _port(shot.then[node], place), shot.state.get(Node, node)
    if port is None or machine is None:
        return frozenset()
    zone = node_view(machine, shot.state.config).zone
    usable = usable_endpoints(port, node, zone).under(port.internal_policy)
    return frozenset(str(e.address) for e in usable)


def _pod_at(state: State, address: str) -> Pod | None:
    pods: Mapping[str, Pod] = state.cached(_by_address)
    return pods.get(address)


def _by_address(state: State) -> Mapping[str, Pod]:
    return {str(a): p for p in state.list(Pod) for a in p.addresses if not p.spec.host_network}


def _phase(pod: Pod | None) -> str:
    if pod is None:
        return ""
    if pod.metadata.deletion_timestamp:
        return "terminating"
    return "ready" if pod.ready else "not ready"


def _acts(history: Iterable[Moment], first: float) -> Iterator[tuple[float, str]]:
    for moment in history:
        for event in moment.events:
            if event.actor == "kubectl" and moment.state.now >= max(first, 1):
                leaving = event.after and event.after.metadata.deletion_timestamp
                verb = "deleted" if leaving else event.verb
                what = f"{event.key.kind.lower()}/{event.key.name} {verb}"
                yield moment.state.now - first, what
