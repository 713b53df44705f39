"""A verdict in sentences: what decides, by which rule and line, and what a rule would let pass."""

from __future__ import annotations

from labkit.api.networking import NetworkPolicy, NetworkPolicyPeer, NetworkPolicyPort
from labkit.policy.explain import Lines, told_rules, wants
from labkit.policy.explain_tiers import told_step, told_tiers
from labkit.policy.matcher import Flow, RuleResult, Side, Verdict
from labkit.policy.parts import PolicyRule
from labkit.policy.reading import Reading

WAY = {"Egress": "out", "Ingress": "in"}


def sentence(verdict: Verdict, lines: Lines, reading: Reading) -> str:
    """What decides, in one sentence without its full stop."""
    sides = (verdict.leaving, verdict.entering)
    if all(side.why and not side.why.startswith("no policy isolates") for side in sides):
        return verdict.entering.why
    shut = [side for side in sides if not side.allowed]
    if shut:
        return "; ".join(_closed(side, verdict.flow, lines, reading) for side in shut)
    decided = [side for side in sides if not side.why]
    if not decided:
        return "no policy isolates either end"
    return "; ".join(_opened(side, verdict.flow, lines, reading) for side in decided)


def _opened(side: Side, flow: Flow, lines: Lines, reading: Reading) -> str:
    if side.decider is not None:
        way = WAY[side.direction]
        return f"tier {side.decider.tier} lets it {way}: {told_step(side.decider, lines)}"
    ((result, row),) = told_rules(side, flow, lines, reading)
    assert result is not None, "a side that a rule opened has that rule"
    return f"{_named(result, row.partition(':')[0])} lets it {WAY[side.direction]}"


def _named(result: RuleResult, row: str) -> str:
    """A row with the policy's name in front, which it has only where several are told."""
    name = result.rule.policy.name
    return row if row.startswith(f"{name} ") else f"{name} {row}"


def _closed(side: Side, flow: Flow, lines: Lines, reading: Reading) -> str:
    """The one rule that came nearest, and how many more there are."""
    results = sorted(side.rules, key=lambda r: not (r.peer_matches or r.port_matches))
    title = side.end.title
    verb = "does not let it in" if side.direction == "Ingress" else "may not send it"
    if side.decider is not None:
        return f"{title} {verb}: tier {side.decider.tier}, {told_step(side.decider, lines)}"
    if not results:
        names = ", ".join(policy.name for policy in side.policies)
        lacks = "has no" if len(side.policies) == 1 else "have no"
        return f"{title} {verb}: {names} {lacks} {side.direction.lower()} rule"
    first = results[0]
    row = next(row for r, row in told_rules(side, flow, lines, reading) if r is first)
    more = len(results) - 1
    rest = f"; {more} more rule{'s do' if more > 1 else ' does'} not match either" if more else ""
    return f"{title} {verb}: {_named(first, row)}{rest}"


def tell(verdict: Verdict, lines: Lines, reading: Reading) -> str:
    """The verdict, then a sentence for each direction, each rule, and what it would let pass."""
    flow = verdict.flow
    may = "may" if verdict.allowed else "may not"
    port = f"{flow.protocol} {flow.port}" if flow.port else flow.protocol
    told = [f"{flow.source.title} {may} open a connection to {flow.destination.title}, {port}."]
    for word, side in (("Leaving", verdict.leaving), ("Entering", verdict.entering)):
        told.append(f"{word} {side.end.title}: {_standing(side)}.")
        told += [f"  {row}" for row in _rows(side, flow, lines, reading)]
    return "\n".join(told)


def _standing(side: Side) -> str:
    state = "allowed" if side.allowed else "denied"
    if side.why:
        return f"{state}; {side.why}"
    if side.decider is not None:
        return f"{state}; tier {side.decider.tier} decides"
    names = ", ".join(policy.name for policy in side.policies)
    verb = "isolates" if len(side.policies) == 1 else "isolate"
    ending = "a rule matches" if side.allowed else "no rule matches"
    return f"{state}; {names} {verb} it for {side.direction.lower()}, and {ending}"


def _rows(side: Side, flow: Flow, lines: Lines, reading: Reading) -> list[str]:
    """Each rule's account; one that does not match says whom it would let pass."""
    told = [f"{row}." for row in told_tiers(side, lines)]
    for result, row in told_rules(side, flow, lines, reading):
        row = f"It {row}" if row.startswith("has ") else row
        words = f"{row[0].upper()}{row[1:]}." if row.startswith("rule") else f"{row}."
        lets = result and not result.matches and f" It lets {passes(result.rule)}."
        told.append(words + (lets or ""))
    return told


def passes(rule: PolicyRule) -> str:
    """`in pods with app=web in default, on TCP 80`."""
    words = described(rule)
    return f"in {words}" if rule.direction == "Ingress" else f"out what goes to {words}"


# --- a rule in words --------------------------------------------------------------------------


def described(rule: PolicyRule) -> str:
    """Whom one rule of a policy lets pass, and on which ports."""
    return f"{_peers(rule.policy, rule.peers)}, on {_ports(rule.ports)}"


def _peers(policy: NetworkPolicy, peers: tuple[NetworkPolicyPeer, ...]) -> str:
    return " or ".join(peer_words(policy, peer) for peer in peers) or "anybody"


def peer_words(policy: NetworkPolicy, peer: NetworkPolicyPeer) -> str:
    """`pods with app=web in default`; an empty selector asks for nothing."""
    if peer.ip_block is not None:
        holes = f" except {', '.join(peer.ip_block.except_)}" if peer.ip_block.except_ else ""
        return f"addresses in {peer.ip_block.cidr}{holes}"
    pods, spaces = peer.pod_selector, peer.namespace_selector
    asked = wants(pods) if pods is not None else "no label"
    who = "all pods" if asked == "no label" else f"pods with {asked}"
    if spaces is None:
        return f"{who} in {policy.namespace}"
    where = wants(spaces)
    return (
        f"{who} in all namespaces" if where == "no label" else f"{who} in namespaces with {where}"
    )


def _ports(ports: tuple[NetworkPolicyPort, ...]) -> str:
    return " or ".join(map(port_words, ports)) or "any port"


def port_words(port: NetworkPolicyPort) -> str:
    """`TCP 80`, `TCP 8000-8100`, `TCP http`, `any UDP port`."""
    if port.port is None:
        return f"any {port.protocol} port"
    end = f"-{port.end_port}" if port.end_port else ""
    return f"{port.protocol} {port.port}{end}"
