"""The upstream cases, asked of the matcher and of all pairs at once."""

from __future__ import annotations

import json
from ipaddress import ip_address
from pathlib import Path

import pytest

from labkit.api.core import Namespace, Pod
from labkit.api.meta import Meta
from labkit.api.objects import decode
from labkit.api.state import ClusterConfig, Key, State, key_of
from labkit.policy.ends import End, address_end, pod_end
from labkit.policy.matcher import DEFAULT, Flow, judge
from labkit.policy.reach import reachability

STORED = Path(__file__).parents[2] / "conformance" / "cases"
CASES = [
    json.loads(line)
    for name in ("networkpolicy", "clusternetworkpolicy")
    for line in (STORED / f"{name}.jsonl").read_text(encoding="utf-8").splitlines()
]


def state_of(manifests: list[dict]) -> State:
    """The objects as they stand; every namespace exists and carries its own name as a label."""
    objects = {key_of(o): o for o in map(decode, manifests)}
    names = {k.namespace for k in objects if k.namespace} | {
        k.name for k in objects if k.kind == "Namespace"
    }
    for name in names:
        key = Key("Namespace", "", name)
        labels = {**(objects[key].labels if key in objects else {})}
        labels["kubernetes.io/metadata.name"] = name
        objects[key] = Namespace(metadata=Meta(name=name, labels=labels))
    return State(ClusterConfig(), objects)


def end_of(state: State, text: str) -> End:
    if "/" in text:
        namespace, name = text.split("/")
        return pod_end(state, state.get(Pod, name, namespace), DEFAULT)
    return address_end(state, ip_address(text), DEFAULT)


@pytest.mark.parametrize("case", CASES, ids=[c["name"] for c in CASES])
def test_the_matcher_answers_as_upstream_does(case):
    state, query = state_of(case["manifests"]), case["query"]
    ends = (end_of(state, query[side]) for side in ("src", "dst"))
    source, destination = ends
    verdict = judge(state, Flow(source, destination, query["protocol"], query["port"]))
    assert verdict.allowed == case["allowed"], case["why"]


PAIRS = [c for c in CASES if "/" in c["query"]["src"] and "/" in c["query"]["dst"]]


@pytest.mark.parametrize("case", PAIRS, ids=[c["name"] for c in PAIRS])
def test_all_pairs_at_once_answer_as_the_matcher_does(case):
    state, query = state_of(case["manifests"]), case["query"]
    reach = reachability(state, query["port"], query["protocol"], system=True)
    for source in range(len(reach.pods)):
        for destination in range(len(reach.pods)):
            verdict = reach.why(source, destination)
            assert reach.open(source, destination) == verdict.allowed
    assert reach.open_pairs == int(reach.frame().to_numpy().sum())
