"""Random clusters built from the model's tables: where a kernel disagrees the model is wrong."""

from __future__ import annotations

import re
from collections import Counter
from functools import partial
from itertools import pairwise

import pytest

from labkit.kernel import text
from labkit.kernel.dice import SeededDice
from labkit.kernel.nft_text import table_text
from labkit.kernel.walk import walk
from tests.kernel.clusters import SEEDS, flows, network_of, random_cluster
from tests.kernel.model import contradictions, expected, first_packet
from tests.kernel.real import Real

FLOWS, CONNECTIONS = 14, 30
PATIENCE, MORE_PATIENCE = 0.3, 3.0  # seconds until "timed out"; and when that would be wrong


@pytest.fixture(scope="module", params=SEEDS, ids=lambda seed: f"cluster-{seed}")
def pair(request):
    """A cluster of the model, questions to it, and the same cluster alive."""
    lab = random_cluster(request.param)
    network = network_of(lab)
    with Real(network) as real:
        yield network, flows(lab, request.param, FLOWS), real


def stripped(printed: str) -> str:
    return "".join(f"{line.rstrip()}\n" for line in printed.splitlines())


def test_the_kernel_accepts_every_ruleset(pair):
    network, _, real = pair
    for name, netns in network.namespaces.items():
        if netns.ruleset.tables:
            real.inside(name, "iptables-restore", "--test", stdin=text.iptables_save(netns))


def test_iptables_save_prints_our_text_to_the_letter(pair):
    network, _, real = pair
    for name, netns in network.namespaces.items():
        saved = real.inside(name, "iptables-save")
        printed = re.sub(r"\[\d+:\d+\]", "[0:0]", saved)
        rules = "".join(f"{x}\n" for x in printed.splitlines() if not x.startswith("#"))
        assert rules == text.iptables_save(netns), name


def test_nft_prints_our_text_to_the_letter(pair):
    network, _, real = pair
    for name, netns in network.namespaces.items():
        for table in (t for t in netns.ruleset.tables if t.tool == "nft"):
            printed = real.inside(name, "nft", "list", "table", table.family, table.name)
            assert printed == table_text(table), name


def test_ip_and_bridge_print_our_text_to_the_letter(pair):
    network, _, real = pair
    for name, netns in network.namespaces.items():
        assert stripped(real.ip(name, "route")) == text.ip_route(netns), name
        neighbours = real.ip(name, "neigh", "show", "nud", "permanent")
        assert sorted(stripped(neighbours).splitlines()) == sorted(
            text.ip_neigh(netns).splitlines()
        ), name
        for ours, command in ((text.ip_addr, "addr"), (text.ip_link, "link")):
            printed = re.sub(r" link-netns \S+", "", stripped(real.ip(name, command)))
            assert printed == re.sub(r" link-netnsid \d+", "", ours(netns, network)), name


def test_bridge_fdb_prints_our_rows(pair):
    network, _, real = pair
    for name, netns in network.namespaces.items():
        printed = stripped(real.inside(name, "bridge", "fdb")).splitlines()
        # Group addresses are everywhere; what a bridge learned comes and goes.
        kept = [x for x in printed if not x.startswith(("33:33", "01:00:5e"))]
        assert sorted(x for x in kept if x.endswith("permanent")) == sorted(
            text.bridge_fdb(netns).splitlines()
        ), name
        learned = {x for x in kept if not x.endswith("permanent")}
        assert learned <= set(text.bridge_fdb(netns, network=network).splitlines()), name


def test_the_kernel_routes_as_every_hop_says(pair):
    network, questions, real = pair
    checked = 0
    for flow in questions:
        packet = first_packet(network, flow)
        if packet is None:
            continue
        for hop in walk(network, flow.start, packet, SeededDice(7)).hops:
            if hop.action in ("send", "route"):
                words = real.ip(hop.netns, "route", "get", str(hop.after.dst)).split()
                pairs = dict(pairwise(words))
                ours = dict(pairwise(hop.why.split()))
                assert pairs["dev"] == hop.device, hop
                assert pairs.get("via") == ours.get("via"), hop
                checked += 1
    assert checked >= FLOWS


def test_real_connections_end_as_the_model_says(pair):
    network, questions, real = pair
    wrong = []
    for flow in questions:
        want = expected(network, flow)
        wrong += [
            f"{flow}: {line}" for line in contradictions(want, partial(asked, real, flow, want))
        ]
    assert not wrong, "\n".join(wrong)


def asked(real, flow, want) -> Counter:
    """What really happened, many times over where there is something to choose."""
    got = Counter()
    silent = ("timed out",)
    for _ in range(CONNECTIONS if any(s[0] == "answered" for s in want) else 2):
        seen = real.ask(flow.protocol, flow.start, flow.address, flow.port, PATIENCE)
        if seen == silent and silent not in want:
            # The first frame of a machine may be lost while it asks for a MAC address.
            seen = real.ask(flow.protocol, flow.start, flow.address, flow.port, MORE_PATIENCE)
        got[seen] += 1
    return got
