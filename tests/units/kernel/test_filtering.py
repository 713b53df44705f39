"""One base chain, one packet: what is decided, by which rule, after how many."""

from __future__ import annotations

from fractions import Fraction

import pytest

from labkit.kernel.dice import FirstDice, SeededDice
from labkit.kernel.filtering import Seen, evaluate
from labkit.kernel.host import host
from labkit.kernel.rules_text import rule_text
from tests.units.kernel.networks import LO, machine, packet, tables, veth

HERE = host(machine("node/here", [LO, veth("eth0", None, "192.168.7.11/24")]))


def decide(text: str, sent=None, dice=None, states=("NEW",), mark=0, out_device=""):
    """Every (chance, deciding row or policy, rules visited) of the table's first chain."""
    (table,) = tables(text)
    sent = sent or packet("10.244.1.2", "10.96.0.10")
    seen = Seen(HERE, sent, int(sent.src), int(sent.dst), sent.protocol.lower(), "cni0",
                out_device, frozenset(states))  # fmt: skip
    base = next(iter(table.chains.values()))
    return [(chance, told(d), d.visited) for chance, d in evaluate(table, base, seen, mark, dice)]


def told(decision) -> str:
    if decision.rule is None:
        return f"policy {decision.target.name}"
    return rule_text(decision.rule, decision.path[-1])


def one(text: str, **more) -> str:
    ((_, row, _),) = decide(text, **more)
    return row


HEAD = "*filter\n:FORWARD ACCEPT\n:A -\n:B -\n"
MATCHES = {
    # what it shows: (rule, does it match a SYN from 10.244.1.2:41000 to 10.96.0.10:80)
    "source net": ("-s 10.244.0.0/16", True),
    "other source net": ("-s 10.245.0.0/16", False),
    "not that source net": ("! -s 10.244.0.0/16", False),
    "destination": ("-d 10.96.0.10/32", True),
    "not that destination": ("! -d 10.96.0.10/32", False),
    "in device": ("-i cni0", True),
    "in device by its beginning": ("-i cn+", True),
    "out device": ("-o eth0", False),
    "protocol": ("-p udp", False),
    "port": ("-p tcp -m tcp --dport 80", True),
    "port range": ("-p tcp -m tcp --dport 70:79", False),
    "not the port range": ("-p tcp -m tcp ! --dport 70:79", True),
    "source port": ("-p tcp -m tcp --sport 41000", True),
    "mark": ("-m mark --mark 0x4000/0x4000", False),
    "not the mark": ("-m mark ! --mark 0x4000/0x4000", True),
    "state": ("-m conntrack --ctstate RELATED,ESTABLISHED", False),
    "not the state": ("-m conntrack ! --ctstate INVALID", True),
    "an address of this machine": ("-m addrtype --dst-type LOCAL", False),
    "a comment matches everything": ('-m comment --comment "why"', True),
}


@pytest.mark.parametrize(("rule", "matches"), MATCHES.values(), ids=MATCHES)
def test_matches(rule, matches):
    row = one(f"{HEAD}-A FORWARD {rule} -j DROP\nCOMMIT")
    assert row.endswith("-j DROP") == matches


CHAINS = {
    # what it shows: (rules, row that decides, rules visited)
    "the policy decides at the end": ("", "policy ACCEPT", 0),
    "the first match decides": (
        "-A FORWARD -j DROP\n-A FORWARD -j ACCEPT", "-A FORWARD -j DROP", 1),
    "what a chain does not decide goes on behind the jump": (
        "-A FORWARD -j A\n-A FORWARD -j DROP\n-A A -p udp -j ACCEPT", "-A FORWARD -j DROP", 3),
    "RETURN goes back behind the jump": (
        "-A FORWARD -j A\n-A FORWARD -j DROP\n-A A -j RETURN\n-A A -j ACCEPT",
        "-A FORWARD -j DROP", 3),
    "RETURN in the base chain means its policy": (
        "-A FORWARD -j RETURN\n-A FORWARD -j DROP", "-A FORWARD -j RETURN", 1),
    "goto goes back behind the caller's jump": (
        "-A FORWARD -j A\n-A FORWARD -j DROP\n-A A -g B\n-A A -j ACCEPT\n-A B -p udp -j ACCEPT",
        "-A FORWARD -j DROP", 4),
    "a rule without target only counts": (
        "-A FORWARD -p tcp\n-A FORWARD -j DROP", "-A FORWARD -j DROP", 2),
    "a mark set is seen by later rules": (
        "-A FORWARD -j MARK --set-xmark 0x4000/0x4000\n"
        "-A FORWARD -m mark --mark 0x4000/0x4000 -j DROP",
        "-A FORWARD -m mark --mark 0x4000/0x4000 -j DROP", 2),
    "a mark can be taken back": (
        "-A FORWARD -j MARK --set-xmark 0x4000/0x4000\n"
        "-A FORWARD -j MARK --set-xmark 0x4000/0x0\n"
        "-A FORWARD -m mark --mark 0x4000/0x4000 -j DROP", "policy ACCEPT", 3),
    "rules for other destinations are counted though they are not tried": (
        "-A FORWARD -d 10.96.0.1/32 -j DROP\n-A FORWARD -d 10.96.0.2/32 -j DROP\n"
        "-A FORWARD -d 10.96.0.10/32 -j ACCEPT", "-A FORWARD -d 10.96.0.10/32 -j ACCEPT", 3),
    "a general rule keeps its place among exact ones": (
        "-A FORWARD -d 10.96.0.1/32 -j DROP\n-A FORWARD -p tcp -j DROP\n"
        "-A FORWARD -d 10.96.0.10/32 -j ACCEPT", "-A FORWARD -p tcp -j DROP", 2),
}  # fmt: skip


@pytest.mark.parametrize(("rules", "row", "visited"), CHAINS.values(), ids=CHAINS)
def test_chains(rules, row, visited):
    ((chance, decided, count),) = decide(f"{HEAD}{rules}\nCOMMIT")
    assert (chance, decided, count) == (1, row, visited)


THREE = """*filter
:FORWARD DROP
-A FORWARD -m statistic --mode random --probability 0.33333333349 -p tcp -j ACCEPT
-A FORWARD -m statistic --mode random --probability 0.5 -p icmp -j ACCEPT
-A FORWARD -m statistic --mode random --probability 0.5 -s 10.244.0.0/16 -j ACCEPT
-A FORWARD -d 10.96.0.10/32 -j ACCEPT
COMMIT"""


def test_without_dice_both_sides_of_a_chance_are_followed():
    found = decide(THREE)
    assert [chance for chance, _, _ in found] == [Fraction(1, 3)] * 3
    assert [visited for _, _, visited in found] == [1, 3, 4]


def test_dice_pick_one_side():
    assert [v for _, _, v in decide(THREE, dice=FirstDice())] == [1]
    seen = {decide(THREE, dice=SeededDice(seed))[0][2] for seed in range(30)}
    assert seen == {1, 3, 4}


def test_a_chance_is_not_spent_on_a_rule_that_does_not_match():
    assert [
        v for _, _, v in decide(THREE, sent=packet("10.1.1.1", "10.2.2.2", protocol="UDP"))
    ] == [4]


def test_a_form_that_no_compiler_emits_is_an_error():
    with pytest.raises(TypeError, match="BROADCAST"):
        decide(f"{HEAD}-A FORWARD -m addrtype --dst-type BROADCAST -j DROP\nCOMMIT")


@pytest.mark.parametrize("jump", ["NOWHERE", "A"])
def test_jumps_to_nowhere_and_in_circles_are_broken_promises(jump):
    with pytest.raises(AssertionError):
        decide(f"{HEAD}-A FORWARD -j A\n-A A -j {jump}\nCOMMIT")


def test_a_table_of_ten_thousand_rules_is_no_deeper_than_one():
    rules = "\n".join(
        f"-A FORWARD -m statistic --mode random --probability {1 / n:.11f} -j ACCEPT"
        for n in range(1500, 1, -1)
    )
    found = decide(f"{HEAD}{rules}\nCOMMIT")
    assert len(found) == 1500
    assert {chance for chance, _, _ in found} == {Fraction(1, 1500)}
