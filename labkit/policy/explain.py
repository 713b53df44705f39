"""A verdict as sentences: which policy, which rule, and the line of the manifest.

Lines are those of the text that the policy came from; where it came from no text, the field's
path stands in their place.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from labkit.api.meta import LabelSelector
from labkit.api.networking import NetworkPolicy, NetworkPolicyPeer, NetworkPolicyPort
from labkit.api.state import key_of
from labkit.policy.ends import End
from labkit.policy.explain_tiers import Lines as Lines
from labkit.policy.explain_tiers import told_tiers
from labkit.policy.matcher import Flow, RuleResult, Side, Verdict, named_ports, peer_matches
from labkit.policy.parts import PolicyRule
from labkit.policy.reading import Reading


def explain(verdict: Verdict, lines: Lines, reading: Reading) -> str:
    """First line the result, then one for each direction with the rules that decided."""
    flow = verdict.flow
    head = "allowed" if verdict.allowed else "denied"
    sides = (("leaving", verdict.leaving), ("entering", verdict.entering))
    width = max(len(side.end.title) for _, side in sides)
    rows = [f"{head}: {flow.source.title} -> {flow.destination.title}, {flow.protocol} {flow.port}"]
    for word, side in sides:
        rows.append(f"  {word:8}  {side.end.title:{width}}  {_standing(side)}")
        told = (row for _, row in told_rules(side, flow, lines, reading))
        rows += [f"            {row}" for row in (*told_tiers(side, lines), *told)]
    return "\n".join(rows)


def _standing(side: Side) -> str:
    state = "open" if side.allowed else "closed"
    if side.why:
        return f"{state}: {side.why}"
    if (step := side.decider) and step.decided:
        return f"{state}: tier {step.tier}, {step.decided.policy.name} says {step.says}"
    names = ", ".join(policy.name for policy in side.policies)
    return f"{state}: isolated by {names}" + ("" if side.allowed else "; no rule matches")


def told_rules(
    side: Side, flow: Flow, lines: Lines, reading: Reading
) -> Iterator[tuple[RuleResult | None, str]]:
    """The rule that lets the flow in; where none does, what every rule misses.

    Each with its result, None where a policy has no rule that could be told.
    """
    for result in side.rules:
        if result.matches:
            yield result, _rule(result, side, flow, lines, reading)
            return
    for policy in side.policies:
        mine = [result for result in side.rules if result.rule.policy is policy]
        name = f"{policy.name} " if len(side.policies) > 1 else ""
        if not mine:
            yield None, f"{name}has no `{side.direction.lower()}` rules at all"
        for result in mine:
            yield result, _rule(result, side, flow, lines, reading)


def _rule(result: RuleResult, side: Side, flow: Flow, lines: Lines, reading: Reading) -> str:
    rule = result.rule
    name = f"{rule.policy.name} " if len(side.policies) > 1 else ""
    at = _Place(rule, lines)
    ports = "port matches" if result.port_matches else _other_ports(rule, flow, at, reading)
    return (
        f"{name}rule {rule.number + 1} ({at.line()}): {_peers(rule, flow, at, reading)}, "
        f"{ports if rule.ports else 'asks for no port'}"
    )


class _Place:
    """Where a part of a rule stands: `line 16`, or its field path where no text is known."""

    def __init__(self, rule: PolicyRule, lines: Lines) -> None:
        self.rule, self.known = rule, lines.get(key_of(rule.policy), {})

    def line(self, *parts: str) -> str:
        """The line of the innermost of the parts that is there."""
        return self._at(self.rule.at, parts)

    def peer(self, number: int, part: str = "") -> str:
        return self._at(self.rule.peers_at, (f"[{number}]", part))

    def _at(self, path: str, parts: Iterable[str]) -> str:
        path += "".join(parts)
        return f"line {self.known[path]}" if path in self.known else path


def _peers(rule: PolicyRule, flow: Flow, at: _Place, reading: Reading) -> str:
    word, other = "source", flow.source
    if rule.direction == "Egress":
        word, other = "destination", flow.destination
    if not rule.peers:
        return f"asks for no {word}"
    for number, peer in enumerate(rule.peers):
        if peer_matches(rule.policy, peer, other, flow, reading):
            return f"{word} matches {at.peer(number)}"
    misses = (_miss(rule.policy, peer, n, other, at) for n, peer in enumerate(rule.peers))
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


def _other_ports(rule: PolicyRule, flow: Flow, at: _Place, reading: Reading) -> str:
    misses = (_other_port(port, n, flow, at, reading) for n, port in enumerate(rule.ports))
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
