"""`Cluster`, the one thing in the lab that changes: immutable states with a cursor."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from labkit.api import acts, find, manifests, setup
from labkit.api.acts import Applied
from labkit.api.state import ClusterConfig, Event, Key, State
from labkit.cni import cni_of
from labkit.controllers import passing, ripening, settle, step
from labkit.dns.plugin import Names
from labkit.edge.loadbalancer import balancer_named
from labkit.errors import NotFound
from labkit.given import checked
from labkit.policies import Policies
from labkit.proxy import mode_of, service_ports, without_stale

if TYPE_CHECKING:
    from labkit.given import Nodes, Seconds
    from labkit.kernel.conntrack import Conntrack
    from labkit.kernel.netns import Network
    from labkit.kernel.packet import Protocol
    from labkit.traffic.chances import Chances
    from labkit.traffic.connect import Medium
    from labkit.traffic.connection import Connection
    from labkit.traffic.faults import Fault
    from labkit.traffic.load import Load
    from labkit.traffic.request import Request
    from labkit.traffic.resolve import Resolution
    from labkit.traffic.timeline import Timeline

Source = str | Path | Sequence[Mapping[str, Any]]
FIRST_PORT = 41000


class Moment(NamedTuple):
    """One state of the history: what led to it, and which act of the learner that belongs to."""

    state: State
    events: tuple[Event, ...]
    act: int
    faults: tuple[Fault, ...]
    conntrack: Conntrack


@checked
class Cluster(Policies):
    """A cluster in memory; every change is an act that `undo` takes back with all that followed.

    Args:
        moments: the history up to now, never empty.

    Attributes:
        namespace: what a name without a namespace means.
        conntrack: what the kernels remember of the connections made by `connect`.
        names: what CoreDNS's caches remember of the names looked up.
        last: the last Connection of `trace` or `connect`.
        lines: object -> field path -> line, as far as the object came from text.
        seed: of the dice that stand for the kernel's randomness.
        asked: the questions put to it so far: a call such as `trace`, or a line of a terminal.
    """

    def __init__(self, moments: Sequence[Moment], *, seed: int = 1) -> None:
        self._moments = list(moments)
        self._paused = False
        self._sport = FIRST_PORT
        self.namespace = "default"
        self.conntrack: Conntrack = moments[-1].conntrack
        self.last: Connection | None = None
        self.lines: dict[Key, Mapping[str, int]] = {}
        self.seed = seed
        self.names = Names()
        self.asked: list[str] = []

    @classmethod
    def from_manifests(
        cls, source: Source = (), nodes: Nodes = 3, *, seed: int = 1, **config: Any
    ) -> Cluster:
        """A settled cluster that holds what a file, a text or a list of mappings says.

        Args:
            source: one line that ends in .yaml, .yml or .json, or a `Path`, is a file.
            nodes: how many, where the input has and names none.
            config: fields of `ClusterConfig`, such as cni and proxy_mode.

        Raises:
            LabError: a manifest is wrong, or an option is.
        """
        options = _configured(ClusterConfig(), config)
        loaded = manifests.load(source)
        state, events = setup.built(tuple(x.manifest for x in loaded), nodes, options)
        lab = cls([Moment(State(state.config), (), 0, (), {})], seed=seed)
        lab._remember(state, events)
        lab._extend(ripening(lab.state), 1, ())
        lab._note_lines(loaded)
        return lab

    # --- what is there ---------------------------------------------------------------------

    @property
    def state(self) -> State:
        """The objects now; edits of injected faults are in it."""
        return self._moments[-1].state

    @property
    def config(self) -> ClusterConfig:
        return self.state.config

    @property
    def faults(self) -> tuple[Fault, ...]:
        """What `inject` has broken and nobody mended."""
        return self._moments[-1].faults

    @property
    def history(self) -> tuple[Moment, ...]:
        """All states so far, the first one empty."""
        return tuple(self._moments)

    @property
    def network(self) -> Network:
        """The kernel tables of all machines and pods, faults included."""
        from labkit.traffic.faults import faulty
        from labkit.traffic.program import program

        return faulty(program(self.state), self.faults)

    def get(self, text: str) -> Any:
        """The object `KIND/NAME` or `KIND/NAMESPACE/NAME`; a pod also by its workload's name.

        Raises:
            NotFound: with the nearest names.
        """
        return find.find(self.state, text, self.namespace)

    def list(
        self, kind: str, *, selector: str = "", namespace: str | None = None
    ) -> tuple[Any, ...]:
        """The objects of a kind; `namespace` None is `lab.namespace`, "*" is all of them."""
        place = None if namespace == "*" else namespace or self.namespace
        return find.objects(self.state, kind, selector, place)

    def watch(self, since: int = 0) -> tuple[Event, ...]:
        """Every write after revision `since`, in order."""
        events = (e for moment in self._moments for e in moment.events)
        return tuple(e for e in events if e.revision > since)

    # --- acts ------------------------------------------------------------------------------

    def apply(self, source: Source) -> tuple[Applied, ...]:
        """`kubectl apply -f`: one outcome for each object; a refused apply changes nothing."""
        return self._with_manifests(acts.apply, source)

    def create(self, source: Source) -> tuple[Applied, ...]:
        """`kubectl create -f`: Conflict if an object is there already."""
        return self._with_manifests(acts.create, source)

    def replace(self, source: Source) -> tuple[Applied, ...]:
        """`kubectl replace -f`: NotFound if an object is not there."""
        return self._with_manifests(acts.replace, source)

    def delete(self, *texts: str, grace: int | None = None) -> tuple[Applied, ...]:
        """Deletes `svc/backend`, `pod/pay/payments` and so on, with all that depends on them.

        Pods whose programs take time to stop get `grace` seconds, None for what they say.
        """
        keys = [find.key_at(self.state, text, self.namespace) for text in texts]
        done = acts.delete(self.state, keys, grace)
        self._remember(done.state, done.events)
        return done.lines

    def inject(self, fault: Fault) -> Fault:
        """Breaks something; `undo` mends it."""
        fault.check(self.network)
        state = fault.state(self.state) if fault.state else self.state
        self._remember(state, setup.differences(self.state, state), (*self.faults, fault))
        return fault

    def wait(self, seconds: Seconds) -> float:
        """Lets the cluster's clock run; returns its new time in seconds since the start."""
        until = self.state.now + seconds
        passes = [(self.state.at_time(until), ())] if self._paused else passing(self.state, until)
        self._extend(passes, self._moments[-1].act + 1, self.faults)
        return self.state.now

    def pause(self) -> None:
        """Stops the controllers; `step` then lets one of them act."""
        self._paused = True

    def resume(self) -> None:
        """Lets the controllers run again, as far as they have something to do."""
        self._paused = False
        self._extend(settle(self.state), self._moments[-1].act, self.faults)

    def step(self) -> tuple[Event, ...]:
        """One pass of the first controller that has something to write; empty if none has."""
        state, events = step(self.state)
        if events:
            self._extend([(state, events)], self._moments[-1].act, self.faults)
        return events

    # --- time travel -----------------------------------------------------------------------

    def undo(self) -> None:
        """Takes back the last act, with all that the controllers did after it.

        Raises:
            NotFound: there is nothing left to take back.
        """
        act = self._moments[-1].act
        if act <= 1:
            raise NotFound("undo: nothing was changed since the cluster was made")
        self._moments = [moment for moment in self._moments if moment.act < act]
        self.conntrack = self._moments[-1].conntrack

    def at(self, revision: int) -> Cluster:
        """The cluster as it was after the pass that wrote that revision; a copy of its own.

        Raises:
            NotFound: the history does not reach that far.
        """
        count = next((i for i, m in enumerate(self._moments) if m.state.revision >= revision), None)
        if count is None or revision < 0:
            raise NotFound(f"at({revision}): revisions go from 0 to {self.state.revision}")
        return self._copy(self._moments[: count + 1])

    def fork(self, **config: Any) -> Cluster:
        """A copy that goes its own way, with other options if any are given.

        The same objects under another proxy mode; under another CNI or other ranges the
        learner's objects are applied to a new cluster, since addresses change.
        """
        if not config:
            copy = self._copy(self._moments)
            copy.conntrack = self.conntrack
            return copy
        options = _configured(self.config, config)
        state, events = setup.changed(self.state, self.watch(), options)
        fork = self._copy([Moment(State(state.config), (), 0, (), {})])
        fork._remember(state, events)
        fork._extend(ripening(fork.state), 1, ())
        return fork

    # --- traffic ---------------------------------------------------------------------------

    def trace(self, source: str, target: str, **how: Any) -> Connection:
        """Where the first packet of a connection goes; the kernels remember nothing of it.

        Args:
            source: a place: `pod/frontend`, `node/node-1`, `outside`.
            target: `svc/backend:80`, `pod/db:5432`, `10.96.0.20:80`.
            how: as `labkit.traffic.connect.connect`: protocol, sport, size.
        """
        from labkit.traffic.connect import trace

        self.last = trace(self._connection(source, target, how))
        return self.last

    def connect(self, source: str, target: str, **how: Any) -> Connection:
        """Request and answer; conntrack entries stay, and the next one has another port."""
        self.last = self._connection(source, target, how)
        self.conntrack = self.last.conntrack
        self._sport += 1
        return self.last

    def resolve(self, place: str, name: str, type_: str = "A+AAAA", **how: Any) -> Resolution:
        """A name looked up from a place: every question travels to the DNS server as packets."""
        from labkit.traffic.resolve import resolve

        found = resolve(self.state, self._medium(), place, name, type_, **self._asking(how))
        self.conntrack, self.names = found.conntrack, found.names
        return found

    def request(self, place: str, url: str) -> Request:
        """A URL asked for from a place: its name looked up, then a connection to the address."""
        from labkit.traffic.request import request

        how = self._where({**self._asking({}), "dice": self._medium().dice})
        found = request(self.state, self._medium(), place, url, **how)
        self.conntrack, self.names = found.conntrack, found.resolution.names
        self.last, self._sport = found.connection, self._sport + 1
        return found

    def timeline(self, source: str, target: str, **how: Any) -> Timeline:
        """The last seconds with a new connection in each; `how` as `labkit.traffic.timeline`."""
        from labkit.traffic.timeline import timeline

        return timeline(self._moments, source, target, **{"namespace": self.namespace, **how})

    def outcomes(self, source: str, target: str, *, protocol: Protocol = "TCP") -> Chances:
        """All ends that a new connection may have, with exact chances."""
        from labkit.traffic.chances import outcomes

        self.asked.append("outcomes")
        how: dict[str, Any] = {"protocol": protocol, "conntrack": self.conntrack}
        return outcomes(self.state, self.network, source, target, **self._where(how))

    def load(
        self, source: str, target: str, *, after: Mapping[float, Cluster] | None = None, **how: Any
    ) -> Load:
        """Requests of many clients by pod and time; `after` says what the cluster is from when."""
        from labkit.traffic.load import Demand, load

        stages = [(at, lab.state, lab.network) for at, lab in {0.0: self, **(after or {})}.items()]
        return load(stages, source, target, Demand.of(how), self.namespace, self.seed)

    # --- below the surface -----------------------------------------------------------------

    def _connection(self, source: str, target: str, how: dict[str, Any]) -> Connection:
        from labkit.kernel.dice import SeededDice
        from labkit.traffic.connect import connect

        self.asked.append("trace")
        own = {"conntrack": self.conntrack, "dice": SeededDice(self.seed + self._sport)}
        return connect(self.state, self.network, source, target, **self._where({**own, **how}))

    def _medium(self) -> Medium:
        from labkit.kernel.dice import SeededDice
        from labkit.traffic.connect import Medium

        self.asked.append("resolve")
        dice = SeededDice(self.seed + self._sport + self.names.asked)
        return Medium(self.network, dice, self.state.now)

    def _asking(self, how: dict[str, Any]) -> dict[str, Any]:
        past = tuple(moment.state for moment in reversed(self._moments[:-1]))
        own = {"names": self.names, "conntrack": self.conntrack, "past": past}
        return {"namespace": self.namespace, **own, **how}

    def _where(self, how: dict[str, Any]) -> dict[str, Any]:
        return {"namespace": self.namespace, "now": self.state.now, "sport": self._sport, **how}

    def _with_manifests(
        self, act: Callable[[State, Sequence[acts.Manifest], str], acts.Outcome], source: Source
    ) -> tuple[Applied, ...]:
        loaded = manifests.load(source)
        done = act(self.state, [x.manifest for x in loaded], self.namespace)
        if done.events:
            self._remember(done.state, done.events)
        self._note_lines(loaded)
        return done.lines

    def _note_lines(self, loaded: Sequence[manifests.Loaded]) -> None:
        for x in loaded:
            self.lines[acts.key_for(x.manifest, self.namespace)] = x.lines

    def _remember(
        self,
        state: State,
        events: tuple[Event, ...],
        faults: tuple[Fault, ...] | None = None,
    ) -> None:
        """A new act: its own state, then those of the controllers; all or nothing."""
        passes = [(state, events)]
        if not self._paused:
            passes += settle(state)
        self._extend(passes, self._moments[-1].act + 1, self.faults if faults is None else faults)

    def _extend(self, passes: Any, act: int, faults: tuple[Fault, ...]) -> None:
        for state, events in passes:
            self.conntrack = without_stale(service_ports(state), self.conntrack)
            self._moments.append(Moment(state, events, act, faults, self.conntrack))

    def _copy(self, moments: Sequence[Moment]) -> Cluster:
        copy = Cluster(moments, seed=self.seed)
        copy.namespace, copy.lines = self.namespace, dict(self.lines)
        copy._sport = self._sport
        return copy

    def __repr__(self) -> str:
        count = len(self.list("pods", namespace="*"))
        nodes = ", ".join(node.name for node in self.list("nodes"))
        config = self.config
        return f"Cluster: {count} pods on {nodes}; {config.cni}, {config.proxy_mode}"


def _configured(config: ClusterConfig, options: Mapping[str, Any]) -> ClusterConfig:
    """The configuration with these options, whose names of strategies there are."""
    new = setup.configured(config, options)
    if "pod_cidrs" not in options and new.pod_cidrs == cni_of(config).pod_cidrs:
        new = setup.configured(new, {"pod_cidrs": cni_of(new).pod_cidrs})
    mode_of(new)
    balancer_named(new.load_balancer)
    return new
