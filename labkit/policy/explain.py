"""A verdict as sentences: which policy, which rule, and the line of the manifest.

Lines are those of the text that the policy came from; where it came from no text, the field's
path stands in their place.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from labkit.api.meta import LabelSelector
from labkit.api.networking import NetworkPolicy, NetworkPolicyPeer, NetworkPolicyPort
from labkit.api.state import Key, key_of
from labkit.policy.ends import End
from labkit.policy.explain_tiers import told_tiers
from labkit.policy.matcher import Flow, RuleResult, Side, Verdict, named_ports, peer_matches
from labkit.policy.reading import Reading

Lines = Mapping[Key, Mapping[str, int]]


def explain(verdict: Verdict, lines: Lines, reading: Reading) -> str:
    """First line the result, then one for each direction with the rules that decided."""
    flow = verdict.flow
    head = "allowed" if verdict.allowed else "denied"
    sides = (("leaving", verdict.leaving), ("entering", verdict.entering))
    width = max(len(side.end.title) for _, side in sides)
    rows = [f"{head}: {flow.source.title} -> {flow.destination.title}, {flow.protocol} {flow.port}"]
    for word, side in sides:
        rows.append(f"  {word:8}  {side.end.title:{width}}  {_standing(side)}")
        told = (*told_tiers(side, lines), *rules(side, flow, lines, reading))
        rows += [f"            {row}" for row in told]
    return "\n".join(rows)


def _standing(side: Side) -> str:
    state = "open" if side.allowed else "closed"
    if side.why:
        return f"{state}: {side.why}"
    if (step := side.decider) and step.decided:
        return f"{state}: tier {step.tier}, {step.decided.policy.name} says {step.says}"
    names = ", ".join(policy.name for policy in side.policies)
    return f"{state}: isolated by {names}" + ("" if side.allowed else "; no rule matches")


def rules(side: Side, flow: Flow, lines: Lines, reading: Reading) -> Iterator[str]:
    """The rule that lets the flow in; where none does, what every rule misses."""
    for result in side.rules:
        if result.matches:
            yield _rule(result, side, flow, lines, reading)
            return
    for policy in side.policies:
        mine = [result for result in side.rules if result.policy is policy]
        name = f"{policy.name} " if len(side.policies) > 1 else ""
        if not mine:
            yield f"{name}has no `{side.direction.lower()}` rules at all"
        for result in mine:
            yield _rule(result, side, flow, lines, reading)


def _rule(result: RuleResult, side: Side, flow: Flow, lines: Lines, reading: Reading) -> str:
    number = int(result.at[result.at.index("[") + 1 : -1])
    spec = result.policy.spec
    if side.direction == "Ingress":
        rule = (spec.ingress or ())[number]
        peers, ports, word, other = rule.from_, rule.ports, "source", flow.source
    else:
        out = (spec.egress or ())[number]
        peers, ports, word, other = out.to, out.ports, "destination", flow.destination
    name = f"{result.policy.name} " if len(side.policies) > 1 else ""
    at = _Place(result, lines, "from" if side.direction == "Ingress" else "to")
    return (
        f"{name}rule {number + 1} ({at.line()}): "
        f"{_peers(result, peers, word, other, flow, at, reading)}, "
        f"{_ports(result, ports, flow, at, reading)}"
    )


class _Place:
    """Where a part of a rule stands: `line 16`, or its field path where no text is known."""

    def __init__(self, result: RuleResult, lines: Lines, peers: str) -> None:
        self.known = lines.get(key_of(result.policy), {})
        self.rule, self.peers = result.at, peers

    def line(self, *parts: str) -> str:
        """The line of the innermost of the parts that is there."""
        path = self.rule + "".join(parts)
        return f"line {self.known[path]}" if path in self.known else path

    def peer(self, number: int, part: str = "") -> str:
        return self.line(f".{self.peers}[{number}]", part)


def _peers(
    result: RuleResult,
    peers: tuple[NetworkPolicyPeer, ...],
    word: str,
    other: End,
    flow: Flow,
    at: _Place,
    reading: Reading,
) -> str:
    if not peers:
        return f"asks for no {word}"
    for number, peer in enumerate(peers):
        if peer_matches(result.policy, peer, other, flow, reading):
            return f"{word} matches {at.peer(number)}"
    misses = (_miss(result.policy, peer, n, other, at) for n, peer in enumerate(peers))
    return f"{word} differs: {'; '.join(misses)}"


def _miss(
    policy: NetworkPolicy, peer: NetworkPolicyPeer, number: int, other: End, at: _Place
) -> str:
    """What one peer wants that the other end is not."""
    if peer.ip_block is not None:
        holes = f" except {', '.join(peer.ip_block.except_)}" if peer.ip_block.except_ else ""
        return f"{at.peer(number, '.ipBlock')} covers {peer.ip_block.cidr}{holes}"
    if other.pod is None:
        return f"{at.peer(number)} describes pods, and {other.title} is none"
    spaces = peer.namespace_selector
    if spaces is None and other.pod.namespace != policy.namespace:
        return f"{at.peer(number)} looks in namespace {policy.namespace} only"
    if spaces is not None and not spaces.matches(other.namespace_labels):
        return f"{at.peer(number, '.namespaceSelector')} wants a namespace with {wants(spaces)}"
    assert peer.pod_selector is not None, "a peer without selectors and block is refused on apply"
    return f"{at.peer(number, '.podSelector')} wants {wants(peer.pod_selector)}"


def wants(selector: LabelSelector) -> str:
    """A selector as kubectl prints it: `app=web,role in (a,b)`; `no label` for an empty one."""
    words = {"In": "in", "NotIn": "notin"}
    parts = [f"{k}={v}" for k, v in selector.match_labels.items()]
    for need in selector.match_expressions:
        if need.operator == "Exists":
            parts.append(need.key)
        elif need.operator == "DoesNotExist":
            parts.append(f"!{need.key}")
        else:
            parts.append(f"{need.key} {words[need.operator]} ({','.join(need.values)})")
    return ",".join(parts) or "no label"


def _ports(
    result: RuleResult,
    ports: tuple[NetworkPolicyPort, ...],
    flow: Flow,
    at: _Place,
    reading: Reading,
) -> str:
    if not ports:
        return "asks for no port"
    if result.port_matches:
        return "port matches"
    misses = (_other_port(port, n, flow, at, reading) for n, port in enumerate(ports))
    return f"port differs: {'; '.join(misses)}"


def _other_port(
    port: NetworkPolicyPort, number: int, flow: Flow, at: _Place, reading: Reading
) -> str:
    part = f".ports[{number}]"
    where = at.line(part, ".port" if port.port is not None else "")
    end = f"-{port.end_port}" if port.end_port else ""
    says = f"{where} says {port.protocol}" + (f" {port.port}{end}" if port.port is not None else "")
    if not isinstance(port.port, str) or flow.destination.pod is None:
        return says
    numbers = named_ports(flow.destination.pod, port.port, port.protocol, reading)
    title = flow.destination.title
    if not numbers:
        return f"{says}, and {title} has no port of that name"
    return f"{says}, which is {', '.join(map(str, numbers))} in {title}"
