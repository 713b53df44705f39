"""What the policies mean for one pair of places: `lab.allowed` and its words."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from labkit.api.core import PortProtocol
from labkit.api.state import State
from labkit.cni import cni_of
from labkit.errors import CommandError, NotFound
from labkit.policy.ends import End, address_end, pod_end
from labkit.policy.explain import Lines, explain
from labkit.policy.matcher import DEFAULT, Flow, Step, Verdict, judge
from labkit.policy.reading import Reading
from labkit.policy.sentences import tell
from labkit.proxy import service_ports
from labkit.traffic.places import resolve_place, resolve_target, split_port


class Allowed(msgspec.Struct, frozen=True):
    """Whether the policies let a connection open; True or False in a condition.

    `because` holds (policy, rule, effect) for each policy that had a say: its name, the field
    path of the rule that let the flow pass (empty where none did) and what followed: `allows`,
    `isolates`, or for a ClusterNetworkPolicy `denies in tier Admin` and the like.
    `enforced` is False where the CNI heeds no policy: then the packet goes through anyway.
    `lines` and `reading` are what the words were made with.
    """

    verdict: Verdict
    enforced: bool
    words: str
    lines: Lines = {}
    reading: Reading = DEFAULT

    @property
    def allowed(self) -> bool:
        return self.verdict.allowed

    @property
    def because(self) -> tuple[tuple[str, str, str], ...]:
        found: list[tuple[str, str, str]] = []
        for side in (self.verdict.leaving, self.verdict.entering):
            found += _spoken(side.admin)
            passed = {r.rule.policy.name: r.rule.at for r in side.rules if r.matches}
            for policy in side.policies:
                rule = passed.get(policy.name, "")
                found.append((policy.name, rule, "allows" if rule else "isolates"))
            found += _spoken(side.baseline)
        return tuple(found)

    def __bool__(self) -> bool:
        return self.allowed

    def __repr__(self) -> str:
        return self.words


def _spoken(step: Step | None) -> Iterator[tuple[str, str, str]]:
    """What a tier of ClusterNetworkPolicies said, if one of its rules matched."""
    if step is not None and step.decided is not None:
        verb = {"Accept": "accepts", "Deny": "denies", "Pass": "passes"}[step.decided.action]
        yield step.decided.policy.name, step.decided.at, f"{verb} in tier {step.tier}"


def allowed(
    state: State,
    source: str,
    target: str,
    *,
    namespace: str,
    protocol: PortProtocol = "TCP",
    lines: Lines,
    reading: Reading = DEFAULT,
) -> Allowed:
    """The verdict of all policies on `source` opening a connection to `target`.

    Args:
        source: a pod, a node or an address.
        target: the same with a port of the receiver: `pod/db:5432`, `203.0.113.9:443`.
        lines: object -> field path -> line, for the reasons.

    Raises:
        NotFound: no such place.
        CommandError: the target is a Service or has no port.
    """
    flow = flow_between(state, source, target, protocol, namespace=namespace, reading=reading)
    verdict = judge(state, flow, reading)
    enforced = cni_of(state.config).enforces_policies
    words = explain(verdict, lines, reading)
    if not verdict.allowed and not enforced:
        words += f"\n  but {state.config.cni} enforces no policy: the connection opens all the same"
    return Allowed(verdict, enforced, words, lines, reading)


class Explanation(msgspec.Struct, frozen=True):
    """The reasons of a verdict in sentences; True or False in a condition, as `Allowed` is."""

    verdict: Verdict
    words: str

    def __bool__(self) -> bool:
        return self.verdict.allowed

    def __repr__(self) -> str:
        return self.words


def explained(
    state: State,
    source: str,
    target: str,
    *,
    namespace: str,
    protocol: PortProtocol = "TCP",
    lines: Lines,
) -> Explanation:
    """Why policies let a connection open or not: which rule, which line, whom it would let pass.

    `target` may be a Service, too: it stands for its first endpoint, as a packet meets a policy
    after the Service was left. Arguments and errors else as `allowed`.
    """
    first = ""
    if target.startswith("svc/"):
        asked, target = target, _behind(state, target, namespace, protocol)
        first = f"{asked} stands for {target}: the address is rewritten before the pod's door.\n"
    found = allowed(state, source, target, namespace=namespace, protocol=protocol, lines=lines)
    words = tell(found.verdict, lines, DEFAULT)
    if not found and not found.enforced:
        words += f"\nBut {state.config.cni} enforces no policy: the connection opens all the same."
    return Explanation(found.verdict, f"{first}{words}")


def _behind(state: State, target: str, namespace: str, protocol: PortProtocol) -> str:
    """The address and port of a Service's first endpoint."""
    goal = resolve_target(state, target, namespace=namespace, protocol=protocol)
    wanted = (goal.address, goal.port, protocol)
    for port in service_ports(state):
        if (port.cluster_ip, port.port, port.protocol) == wanted and port.endpoints:
            return str(port.endpoints[0])
    raise NotFound(f"{target}: no endpoint stands behind it, so there is no door to judge")


def flow_between(
    state: State,
    source: str,
    target: str,
    protocol: PortProtocol,
    *,
    namespace: str,
    reading: Reading = DEFAULT,
) -> Flow:
    """The flow that two places name, as policies see it; raises as `allowed`."""
    place, port = split_port(target)
    if not port.isdecimal():
        raise CommandError(f"{target}: policies judge a port; write for example {place}:8080")
    if place.startswith("svc/"):
        raise CommandError(f"{target}: policies see pods and not Services; write pod/NAME:PORT")
    return Flow(
        _end(state, source, namespace, reading),
        _end(state, place, namespace, reading),
        protocol,
        int(port),
    )


def _end(state: State, text: str, namespace: str, reading: Reading) -> End:
    spot = resolve_place(state, text, namespace)
    if spot.pod is not None:
        return pod_end(state, spot.pod, reading)
    return address_end(state, spot.addresses[0], reading)
