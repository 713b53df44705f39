"""What the tiers of ClusterNetworkPolicies had to say, with the line of each rule."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from labkit.api.state import Key, key_of
from labkit.policy.matcher import ClusterResult, Side, Step

Lines = Mapping[Key, Mapping[str, int]]
"""Object -> field path -> the line of the text that it came from."""


def told_tiers(side: Side, lines: Lines) -> Iterator[str]:
    """A line for each tier that was asked and has policies about the end."""
    for step in (side.admin, side.baseline):
        if step is not None and step.policies:
            yield f"{step.tier}: {told_step(step, lines)}"


def told_step(step: Step, lines: Lines) -> str:
    """`guardrail rule 2 (line 30): Deny, matches line 33`; or that no rule matches."""
    result = step.decided
    if result is None:
        names = ", ".join(policy.name for policy in step.policies)
        return f"no rule of {names} matches" + _closed(step, lines)
    name = f" {result.rule.name!r}" if result.rule.name else ""
    rule = f"{result.policy.name} rule {result.number + 1}{name}"
    head = f"{rule} ({_line(result, lines)}): {result.action}"
    if not result.understood:
        return f"{head}, {_fault(result)}"
    assert result.peer is not None, "an understood rule matches by one of its peers"
    field = "from" if result.rule.from_ else "to"
    port = ", port matches" if result.rule.protocols else ", asks for no port"
    return f"{head}, matches {_line(result, lines, f'.{field}[{result.peer}]')}{port}"


def _line(result: ClusterResult, lines: Lines, part: str = "") -> str:
    path, known = result.at + part, lines.get(key_of(result.policy), {})
    return f"line {known[path]}" if path in known else path


def _fault(result: ClusterResult) -> str:
    """Why a rule fails closed."""
    nodes = any(peer.nodes is not None for peer in result.rule.peers)
    what = "`nodes`" if nodes else "`domainNames`"
    says = "matches nothing" if result.rule.action == "Accept" else "denies everything"
    return f"for {what} is not understood here: {result.rule.action} then {says}"


def _closed(step: Step, lines: Lines) -> str:
    """The rules that would accept if they were understood."""
    lost = [r for r in step.rules if not r.understood]
    return "".join(f"; {_line(r, lines)} {_fault(r)}" for r in lost)
