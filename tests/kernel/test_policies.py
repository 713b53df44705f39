"""Compiled policies in a real kernel: who gets through is what the matcher says."""

from __future__ import annotations

import re
from concurrent.futures import ThreadPoolExecutor
from ipaddress import ip_network
from random import Random

import pytest
from msgspec.structs import replace

from labkit.api.state import State
from labkit.kernel import netfilter as nf
from labkit.kernel import text
from labkit.kernel.ipsets import ipset_save
from labkit.kernel.netns import Network
from labkit.kernel.nft_text import table_text
from labkit.policy.matcher import judge
from labkit.traffic.program import program
from tests.clusters import three_nodes
from tests.kernel.edits import each_rule, first_rule, sysctl, together
from tests.kernel.model import Flow, expected
from tests.kernel.real import Real
from tests.kernel.test_proxy_tables import in_new_namespace, tables
from tests.policies import Question, cluster, questions

pytestmark = pytest.mark.needs("ipset")
SEEDS = range(30)
PROBES, AT_ONCE = 60, 16
PATIENCE, MORE_PATIENCE = 0.4, 3.0  # seconds until "timed out"; and when that would be wrong
SILENCE = ("timed out",)
Verdicts = list[tuple[Question, bool]]
BRIDGE_NF = "net.bridge.bridge-nf-call-iptables"


def gets_through(real: Real, question: Question, wanted: bool) -> bool:
    """Whether the target heard of it, whatever it answered."""
    flow = question.flow
    ask = (flow.protocol, question.start, question.address, flow.port)
    seen = real.ask(*ask, PATIENCE)
    if seen == SILENCE and wanted:
        # The first frame of a machine may be lost while it asks for a MAC address.
        seen = real.ask(*ask, MORE_PATIENCE)
    assert seen[0] in ("answered", "refused", "timed out"), (str(question), seen)
    return seen != SILENCE


def chosen(state: State, dice: Random) -> Verdicts:
    """Some flows with their verdicts: as many closed ones as open ones, if there are any."""
    asked = questions(state)
    dice.shuffle(asked)
    judged = [(question, judge(state, question.flow).allowed) for question in asked]
    closed = [pair for pair in judged if not pair[1]][: PROBES // 2]
    return closed + [pair for pair in judged if pair[1]][: PROBES - len(closed)]


def disagreements(network: Network, wanted: Verdicts) -> list[str]:
    """Flows that a real kernel treats otherwise than their verdicts say."""
    with Real(network) as real, ThreadPoolExecutor(AT_ONCE) as pool:
        found = pool.map(lambda pair: gets_through(real, *pair), wanted)
        return [
            f"{question}: got through is {seen}, allowed is {allowed}"
            for (question, allowed), seen in zip(wanted, found, strict=True)
            if seen != allowed
        ]


@pytest.mark.parametrize("seed", SEEDS)
def test_a_real_kernel_lets_through_what_the_policies_let_through(seed):
    dice = Random(seed)
    state = cluster(dice)
    assert disagreements(program(state), chosen(state, dice)) == []


@pytest.mark.parametrize("seed", SEEDS[:12])
def test_a_real_kernel_goes_through_the_tiers_of_cluster_policies(seed):
    dice = Random(seed)
    state = cluster(dice, tiers=4)
    assert disagreements(program(state), chosen(state, dice)) == []


def test_tiers_that_take_a_pass_for_the_end_are_noticed():
    hasty = each_rule("node/", lambda chain, rule: ACCEPT if passes(rule) else rule)
    for dice in map(Random, SEEDS):
        state = cluster(dice, tiers=4)
        if disagreements(hasty(program(state)), chosen(state, dice)):
            return
    pytest.fail("no cluster told the difference")


ACCEPT = nf.Rule((), nf.Verdict("ACCEPT"))


def passes(rule: nf.Rule) -> bool:
    return rule.target == nf.SetMark(0x20000, 0x20000)


@pytest.mark.parametrize("tiers", [0, 4])
@pytest.mark.parametrize("seed", SEEDS[:12])
def test_the_kernel_prints_the_rules_as_the_lab_does(seed, tiers):
    network = program(cluster(Random(seed), tiers=tiers))
    with Real(network, listen=False) as real:
        for name in ("node/node-1", "node/node-2"):
            netns = network.namespaces[name]
            saved = re.sub(r"\[\d+:\d+\]", "[0:0]", real.inside(name, "iptables-save"))
            rows = [row for row in saved.splitlines() if not row.startswith("#")]
            assert rows == text.iptables_save(netns).splitlines(), name
            for table in (t for t in netns.ruleset.tables if t.tool == "nft"):
                printed = real.inside(name, "nft", "list", "table", table.family, table.name)
                assert printed == table_text(table), name


def test_the_kernel_takes_the_rules_beside_ipvs():
    state = cluster(Random(1))
    state = State(replace(state.config, proxy_mode="ipvs"), state.objects)
    netns = program(state).namespaces["node/node-1"]
    rules = text.iptables_save(netns)
    assert "cali-forward-endpoint-mark" in rules
    sets = ipset_save(netns.ruleset.sets.values())
    command = "ipset restore <<'END'\n" + sets + "END\niptables-restore && iptables-save"
    assert tables(in_new_namespace(command, rules)) == tables(rules)


def test_the_probes_meet_both_verdicts():
    drawn = [pair[1] for dice in map(Random, SEEDS) for pair in chosen(cluster(dice), dice)]
    assert drawn.count(True) > 300
    assert drawn.count(False) > 300


def test_rules_that_forget_the_holes_of_blocks_are_noticed():
    forgetful = each_rule("node/", lambda chain, rule: None if makes_a_hole(rule) else rule)
    for dice in map(Random, SEEDS):
        state = cluster(dice)
        if disagreements(forgetful(program(state)), chosen(state, dice)):
            return
    pytest.fail("no cluster told the difference")


def makes_a_hole(rule: nf.Rule) -> bool:
    ends = any(isinstance(m, nf.Source | nf.Destination) for m in rule.matches)
    return ends and rule.target == nf.SetMark(0, 0x80000)


# --- br_netfilter ----------------------------------------------------------------------------


def test_pods_without_a_bridge_do_not_need_br_netfilter():
    dice = Random(3)
    state = cluster(dice)
    network = sysctl("node/", BRIDGE_NF, 0)(program(state))
    assert disagreements(network, chosen(state, dice)) == []


def drops_between(one: str, other: str) -> nf.Rule:
    ends = nf.Source(ip_network(one)), nf.Destination(ip_network(other))
    return nf.Rule(ends, nf.Verdict("DROP"))


ON_A_BRIDGE = {
    # whether bridges show their traffic to iptables: what becomes of a packet that is denied
    1: "timed out",
    0: "answered",
}


@pytest.mark.parametrize(("value", "heard"), ON_A_BRIDGE.items())
def test_what_denies_on_a_bridge_is_bypassed_without_br_netfilter(value, heard):
    """flannel itself denies nothing: the rule stands for any engine beside it."""
    denied = first_rule(
        "node/node-2", "filter", "FORWARD", drops_between("10.244.2.3", "10.244.2.2")
    )
    network = together(denied, sysctl("node/", BRIDGE_NF, value))(program(three_nodes()))
    flow = Flow("pod/default/client", "10.244.2.2", 8080)
    assert {seen[0] for seen in expected(network, flow)} == {heard}
    with Real(network) as real:
        assert real.ask("TCP", flow.start, flow.address, flow.port, PATIENCE)[0] == heard
