"""The stored cases, one test each, and what the runner says of a case that is wrong."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest

from tests.conformance import proxy
from tests.conformance.run import SUBJECTS, main, run_case

CASES = Path(__file__).parent / "cases"
STORED = [
    pytest.param(path.stem, json.loads(line), id=f"{path.stem}: {json.loads(line)['name']}")
    for path in sorted(CASES.glob("*.jsonl"))
    if path.stem in SUBJECTS
    for line in path.read_text(encoding="utf-8").splitlines()
]


@pytest.mark.parametrize(("subject", "case"), STORED)
def test_the_lab_answers_as_the_case_expects(subject, case):
    outcome = run_case(subject, case)
    if outcome.kind == "skip":
        pytest.skip(outcome.text)
    assert outcome.kind == "agree", outcome.text


def verdicts(name, mode):
    """What upstream's case expects of kube-proxy's rules, and what this mode does."""
    case = next(
        c.values[1] for c in STORED if c.values[0] == "proxy" and c.values[1]["name"] == name
    )
    ((_, found),) = proxy.answers({**case, "modes": [mode]})
    return [
        (x["verdict"], sorted(b["ip"] for b in x.get("backends", ())))
        for x in (case["expect"], found)
    ]


PROXY_CASES = [c.values[1]["name"] for c in STORED if c.values[0] == "proxy"]
OTHERWISE = {
    # mode: the cases of rules that it answers otherwise, and how
    "ipvs": {
        "clusterip-undefined-port-iptables": "REJECT",
        "unallocated-clusterip-nftables": "NONE",
        "nodeport-localhost-iptables": "NONE",
        "nodeport-secondary-ip-iptables": "NONE",
        "etp-local-from-another-node": "DNAT",
        "etp-local-lb-vip-no-local": "DNAT",
        "lb-source-range-no-endpoints-iptables": "DROP",
        "itp-local-none-on-node": "REJECT",
    },
    "ebpf": {
        "unallocated-clusterip-nftables": "NONE",
        "wrong-protocol-nftables": "NONE",
        "nodeport-localhost-disabled": "DNAT",
        "nodeport-localhost-nftables": "DNAT",
        "nodeport-secondary-ip-iptables": "NONE",
        "lb-source-range-no-endpoints-iptables": "DROP",
        "itp-local-none-on-node": "REJECT",
        "ipv6-localhost-nodeport-never": "DNAT",
    },
}


@pytest.mark.parametrize("mode", OTHERWISE)
def test_what_is_not_made_of_rules_differs_where_it_is_known_to(mode):
    different = {}
    for name in PROXY_CASES:
        expected, found = verdicts(name, mode)
        if found != expected:
            different[name] = found[0]
    assert different == OTHERWISE[mode]


def report(tmp_path, *cases):
    """What the command prints for these cases, and its exit code."""
    file = tmp_path / "proxy.jsonl"
    file.write_text("".join(json.dumps(case) + "\n" for case in cases), encoding="utf-8")
    out = io.StringIO()
    code = main(["proxy", str(file)], out)
    return code, out.getvalue().splitlines()


def proxy_case(**changes):
    lines = (CASES / "proxy.jsonl").read_text(encoding="utf-8").splitlines()
    cases = (json.loads(line) for line in lines)
    found = next(c for c in cases if c["name"] == "clusterip-undefined-port-iptables")
    return {**found, **changes}


def test_a_case_that_agrees_prints_only_the_tally(tmp_path):
    assert report(tmp_path, proxy_case()) == (0, ["proxy: 1 agree, 0 disagree, 0 skipped"])


def test_a_wrong_verdict_is_told_with_what_came_instead(tmp_path):
    case = proxy_case(expect={"verdict": "DROP"})
    assert report(tmp_path, case) == (
        1,
        [
            f'{case["name"]}: iptables: expected verdict "DROP" got "NONE"',
            "proxy: 0 agree, 1 disagree, 0 skipped",
        ],
    )


def test_an_expectation_that_nobody_explains_is_never_ignored(tmp_path):
    code, lines = report(tmp_path, proxy_case(expect={"verdict": "NONE", "latency": 3}))
    assert code == 1
    assert lines[0].endswith("unknown expectation latency")


POLICY = {
    "name": "from a to b",
    "manifests": [
        {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": n}, "status": {"podIP": ip}}
        for n, ip in (("a", "10.244.1.2"), ("b", "10.244.1.3"))
    ],
    "query": {"src": "default/a", "dst": "10.244.1.3", "protocol": "TCP", "port": 80},
    "allowed": True,
}
CHANGED = {
    # what is changed: (the change, what the runner says)
    "nothing": ({}, ""),
    "the verdict": ({"allowed": False}, "expected allowed false got true"),
    "another expectation": ({"expect": {"because": "x"}}, "unknown expectation because"),
    "another reading": ({"reading": "moon"}, "unknown reading moon"),
    "another question": ({"query": {**POLICY["query"], "ttl": 3}}, "a query asks for dst, port"),
    "a pod that is not there": ({"query": {**POLICY["query"], "src": "x/c"}}, "no pod x/c"),
}


@pytest.mark.parametrize(("change", "words"), CHANGED.values(), ids=CHANGED)
def test_a_policy_case_is_judged_by_all_that_it_says(change, words):
    outcome = run_case("networkpolicy", {**POLICY, **change})
    assert (outcome.kind == "disagree") == bool(words)
    assert words in outcome.text


def test_a_mode_that_is_not_built_is_skipped_by_name(tmp_path):
    code, lines = report(tmp_path, proxy_case(modes=["userspace"]))
    assert (code, lines[-1]) == (0, "proxy: 0 agree, 0 disagree, 1 skipped")
    assert lines[0].endswith("skipped, proxy mode userspace not built yet")


def test_a_configuration_that_nobody_explains_disagrees(tmp_path):
    config = {**proxy_case()["config"], "shuffle": True}
    code, lines = report(tmp_path, proxy_case(config=config))
    assert code == 1
    assert "unknown configuration shuffle" in lines[0]


def test_a_broken_case_does_not_hide_the_others(tmp_path):
    code, lines = report(tmp_path, proxy_case(objects=[{"kind": "Service"}]), proxy_case())
    assert (code, lines[-1]) == (1, "proxy: 1 agree, 1 disagree, 0 skipped")


@pytest.mark.parametrize(
    "words", [[], ["proxy"], ["weather", "cases.jsonl"], ["proxy", "no.jsonl"]]
)
def test_a_command_without_a_subject_and_a_file_is_refused(words):
    out = io.StringIO()
    assert main(words, out) == 2
    assert len(out.getvalue().splitlines()) == 1
