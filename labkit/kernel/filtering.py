"""Rules applied to a packet: one evaluation, with dice or of every side.

Rules that name one exact destination are found by it instead of being tried one by one; how
many the kernel would have looked at is counted all the same.
"""

from __future__ import annotations

from bisect import bisect_left
from fractions import Fraction

import msgspec

from labkit.kernel.clients import NFT_SIZE, RECENT_SIZE, Remember
from labkit.kernel.dice import Dice
from labkit.kernel.kept import kept
from labkit.kernel.matching import Check, Seen, check_of
from labkit.kernel.netfilter import (
    Chain,
    Comment,
    Destination,
    Dnat,
    Jump,
    Marking,
    Masquerade,
    NoTrack,
    RandomDnat,
    RandomJump,
    Recent,
    Reject,
    Rule,
    SetMark,
    Snat,
    Statistic,
    Table,
    Target,
    Update,
    Verdict,
    VerdictMap,
)
from labkit.kernel.nft_sets import verdict

ONE = Fraction(1)
ACCEPT, DROP = Verdict("ACCEPT"), Verdict("DROP")
DEEPEST = 64  # jumps; the kernel refuses to load rule sets that jump in circles


class Marked(msgspec.Struct, frozen=True):
    """A rule on the way that changed the mark or has something to say; the mark after it."""

    chain: str
    rule: Rule
    mark: int


class Decision(msgspec.Struct, frozen=True):
    """What a base chain made of a packet.

    `rule` is the one that decided, None where the chain's policy did; `path` the chains from
    the base chain to the one that decided; `visited` how many rules were looked at; `tool`
    says in whose words the rules are written, `remembered` which lists the source enters, and
    `untracked` the rule that hides the packet from connection tracking.
    """

    target: Target
    rule: Rule | None
    path: tuple[str, ...]
    mark: int
    marked: tuple[Marked, ...]
    visited: int
    tool: str = "iptables"
    remembered: tuple[Remember, ...] = ()
    untracked: Rule | None = None


class Line(msgspec.Struct):
    """One rule made ready: its checks, n of its `statistic` (0 without one), what it remembers.

    A `plain` rule does what its target says and no more.
    """

    checks: tuple[Check, ...]
    one_in: int
    remembers: tuple[Remember, ...]
    rule: Rule
    plain: bool


class Compiled(msgspec.Struct):
    """A chain made ready. `exact` finds the rules that name one destination."""

    name: str
    lines: tuple[Line, ...]
    general: tuple[int, ...]
    exact: dict[int, tuple[int, ...]]
    policy: Verdict


class Frame(msgspec.Struct, frozen=True):
    """Where to go on after a jump."""

    chain: Compiled
    start: int
    path: tuple[str, ...]
    caller: Frame | None


class Branch(msgspec.Struct):
    """One side of what may happen, at a place in a chain."""

    chance: Fraction
    chain: Compiled
    start: int
    path: tuple[str, ...]
    caller: Frame | None
    mark: int
    marked: tuple[Marked, ...]
    visited: int
    remembered: tuple[Remember, ...] = ()
    untracked: Rule | None = None
    side: int | None = None  # which side of the rule at `start` this branch takes


def evaluate(
    table: Table, base: Chain, seen: Seen, mark: int, dice: Dice | None = None
) -> tuple[tuple[Fraction, Decision], ...]:
    """What a base chain decides: one decision with `dice`, else each with its exact chance.

    Chances sum to 1; the order is that of the rules. Equal decisions are not merged.
    """
    decided = []
    waiting = [Branch(ONE, compiled(base), 0, (base.name,), None, mark, (), 0)]
    while waiting:
        branch = waiting.pop()
        decided.append(follow(table, branch, seen, dice, waiting))
    return tuple(decided)


def follow(
    table: Table, at: Branch, seen: Seen, dice: Dice | None, waiting: list[Branch]
) -> tuple[Fraction, Decision]:
    """One branch to its end; the sides not taken are put on `waiting`."""
    while True:
        hit = next_hit(at, seen, dice, waiting)
        if hit is None:
            at.visited += len(at.chain.lines) - at.start
            if not go_back(at):
                return at.chance, decision(table, at, at.chain.policy, None)
            continue
        line = at.chain.lines[hit]
        rule, target = line.rule, line.rule.target
        at.visited += hit + 1 - at.start
        if not line.plain:
            target = plain_target(table, at, hit, seen, dice, waiting)
        at.start = hit + 1
        if isinstance(target, Jump):
            enter(table, at, target)
        elif target == RETURN:
            if rule.says:
                at.marked = (*at.marked, Marked(at.path[-1], rule, at.mark))
            if not go_back(at):
                return at.chance, decision(table, at, at.chain.policy, rule)
        elif target is not None:
            return at.chance, decision(table, at, target, rule)


RETURN = Verdict("RETURN")
PLAIN = (Jump, Verdict, Reject, Dnat, Snat, Masquerade, type(None))


def plain_target(
    table: Table, at: Branch, hit: int, seen: Seen, dice: Dice | None, waiting: list[Branch]
) -> Target | None:
    """What a rule that matched comes to: a jump, a verdict or a rewrite; None goes on below it."""
    rule, target = at.chain.lines[hit].rule, at.chain.lines[hit].rule.target
    at.remembered += at.chain.lines[hit].remembers
    if isinstance(target, Update):
        at.remembered += (Remember(target.name, table.sets[target.name].timeout or 0, NFT_SIZE),)
        return None
    if isinstance(target, Marking):
        set_mark(at, target.mark, rule)
        target = target.then
    if isinstance(target, RandomJump | RandomDnat):
        sides = target.jumps if isinstance(target, RandomJump) else target.ends
        return sides[drawn(at, len(sides), hit, dice, waiting)]
    if isinstance(target, VerdictMap):
        return verdict(table, target.name, target.fields, seen.packet, seen.protocol)
    if isinstance(target, SetMark):
        set_mark(at, target, rule)
        return None
    if isinstance(target, NoTrack):
        at.untracked = at.untracked or rule
        return None
    return target


def set_mark(at: Branch, target: SetMark, rule: Rule) -> None:
    at.mark = at.mark & ~target.mask ^ target.value
    at.marked = (*at.marked, Marked(at.path[-1], rule, at.mark))


def drawn(at: Branch, n: int, hit: int, dice: Dice | None, waiting: list[Branch]) -> int:
    """Which of n equal sides: dice say it, without them every side goes on, the first one here."""
    if at.side is not None:
        side, at.side = at.side, None
        return side
    if dice is not None:
        return dice.below(n)
    at.chance /= n
    for side in range(n - 1, 0, -1):
        other = msgspec.structs.replace(at, side=side, start=hit)
        other.visited -= 1  # it comes to this rule once more
        waiting.append(other)
    return 0


def next_hit(at: Branch, seen: Seen, dice: Dice | None, waiting: list[Branch]) -> int | None:
    """The place of the next rule that matches, from `at.start` on."""
    chain = at.chain
    order = chain.exact.get(seen.dst, chain.general)
    if at.start:
        order = order[bisect_left(order, at.start) :]
    for index in order:
        line = chain.lines[index]
        for check in line.checks:
            if not check(seen, at.mark):
                break
        else:
            if not line.one_in or taken(at, line.one_in, index, dice, waiting):
                return index
    return None


def taken(at: Branch, one_in: int, index: int, dice: Dice | None, waiting: list[Branch]) -> bool:
    """Whether a `statistic` rule matches: dice say it, without them both sides go on."""
    if dice is not None:
        return dice.below(one_in) == 0
    if one_in > 1:
        other = msgspec.structs.replace(at)
        other.chance = at.chance * Fraction(one_in - 1, one_in)
        other.visited += index + 1 - at.start
        other.start = index + 1
        waiting.append(other)
        at.chance /= one_in
    return True


def enter(table: Table, at: Branch, jump: Jump) -> None:
    assert jump.chain in table.chains, f"{table.name}: jump to {jump.chain}, which is not there"
    assert len(at.path) < DEEPEST, f"{table.name}: {jump.chain} jumps in a circle"
    chain = compiled(table.chains[jump.chain])
    if not jump.goto:
        if not chain.lines:
            return  # nothing in it: back behind the jump at once
        at.caller = Frame(at.chain, at.start, at.path, at.caller)
    at.chain, at.start = chain, 0
    at.path = (*at.path, jump.chain)


def go_back(at: Branch) -> bool:
    """Back behind the jump; False in the base chain, where the policy decides."""
    if at.caller is None:
        return False
    frame = at.caller
    at.chain, at.start, at.path, at.caller = frame.chain, frame.start, frame.path, frame.caller
    return True


def decision(table: Table, at: Branch, target: Target, rule: Rule | None) -> Decision:
    return Decision(
        target=target,
        rule=rule,
        path=at.path,
        mark=at.mark,
        marked=at.marked,
        visited=at.visited,
        tool=table.tool,
        remembered=at.remembered,
        untracked=at.untracked,
    )


# --- chains made ready -------------------------------------------------------------------


def compiled(chain: Chain) -> Compiled:
    return kept(chain, "compiled", compile_chain)


def compile_chain(chain: Chain) -> Compiled:
    named: dict[int, list[int]] = {}
    general = []
    for index, rule in enumerate(chain.rules):
        exact = exact_destination(rule)
        if exact is None:
            general.append(index)
        else:
            named.setdefault(exact, []).append(index)
    return Compiled(
        name=chain.name,
        lines=tuple(compile_rule(rule) for rule in chain.rules),
        general=tuple(general),
        exact={dst: tuple(sorted([*rows, *general])) for dst, rows in named.items()},
        policy=DROP if chain.policy == "DROP" else ACCEPT,
    )


def exact_destination(rule: Rule) -> int | None:
    for match in rule.matches:
        if isinstance(match, Destination) and not match.negate:
            net = match.net
            return int(net.network_address) if net.prefixlen == net.max_prefixlen else None
    return None


def compile_rule(rule: Rule) -> Line:
    checks, one_in = [], 0
    recent = (m for m in rule.matches if isinstance(m, Recent) and m.action == "set")
    remembers = tuple(Remember(m.name, m.seconds, RECENT_SIZE) for m in recent)
    for match in rule.matches:
        if isinstance(match, Statistic):
            one_in = match.one_in
        elif not isinstance(match, Comment):
            checks.append(check_of(match))
    plain = isinstance(rule.target, PLAIN) and not remembers
    return Line(tuple(checks), one_in, remembers, rule, plain)
