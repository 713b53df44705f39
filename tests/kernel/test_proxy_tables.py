"""kube-proxy's tables go into a real kernel and come out as the lab prints them."""

from __future__ import annotations

import json
import subprocess

import pytest

from labkit.kernel.nft_text import table_text
from labkit.kernel.text import iptables_save
from tests.conformance.proxy import machine
from tests.golden.texts import HERE
from tests.needs import ROOT

RULESETS = sorted(p.name for p in HERE.glob("nft-list-ruleset-*.txt"))
STORED = ROOT / "tests" / "conformance" / "cases" / "proxy.jsonl"
CASES = [json.loads(line) for line in STORED.read_text(encoding="utf-8").splitlines()]
SAVES = sorted(p.name for p in HERE.glob("iptables-save-*.txt"))


def in_new_namespace(command: str, text: str) -> str:
    """What the shell command prints in a network namespace of its own."""
    words = ["unshare", "--net", "sh", "-c", command]
    done = subprocess.run(words, input=text, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def tables(text: str) -> dict[str, list[str]]:
    """The rows of each table; iptables-nft and -legacy print the tables in different orders."""
    found: dict[str, list[str]] = {}
    for line in text.splitlines():
        if line.startswith("*"):
            rows = found.setdefault(line, [])
        elif line[:1] in (":", "-"):
            rows.append(line)
    return found


@pytest.mark.needs("root", "iptables")
@pytest.mark.parametrize("variant", ["nft", "legacy"])
@pytest.mark.parametrize("name", SAVES)
def test_a_real_iptables_saves_what_the_lab_prints(name, variant):
    text = (HERE / name).read_text(encoding="utf-8")
    command = f"iptables-{variant}-restore && iptables-{variant}-save"
    assert tables(in_new_namespace(command, text)) == tables(text)


@pytest.mark.needs("root", "iptables", "ipset")
def test_a_real_ipset_and_iptables_take_what_ipvs_mode_asks_for():
    sets, rules = (
        (HERE / f"ipvs-{name}-node-1.txt").read_text(encoding="utf-8")
        for name in ("ipset-save", "iptables-save")
    )
    command = "ipset restore <<'END'\n" + sets + "END\niptables-restore && iptables-save"
    assert tables(in_new_namespace(command, rules)) == tables(rules)


@pytest.mark.needs("root", "nft")
@pytest.mark.parametrize("name", RULESETS)
def test_a_real_nft_lists_what_the_lab_prints(name):
    text = (HERE / name).read_text(encoding="utf-8")
    assert in_new_namespace("nft -f - && nft list ruleset", text) == text


@pytest.mark.needs("root", "iptables", "nft")
@pytest.mark.parametrize("family", ["ip", "ip6"])
@pytest.mark.parametrize("case", CASES, ids=lambda case: case["name"])
def test_every_conformance_case_has_tables_that_a_real_kernel_takes(case, family):
    if "nftables" in case["modes"]:
        text = "".join(nft_tables(case, family))
        assert in_new_namespace("nft -f - && nft list ruleset", text) == text
    if "iptables" in case["modes"]:
        netns = machine(case, "iptables", case["packet"]["at_node"])
        text = iptables_save(netns, family=family)
        command = {"ip": "iptables", "ip6": "ip6tables"}[family]
        printed = in_new_namespace(f"{command}-restore && {command}-save", text)
        assert tables(printed) == tables(text)


def nft_tables(case, family):
    netns = machine(case, "nftables", case["packet"]["at_node"])
    own = (t for t in netns.ruleset.tables if t.tool == "nft" and t.family == family)
    return map(table_text, own)
