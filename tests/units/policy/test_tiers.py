"""ClusterNetworkPolicies around NetworkPolicies: who has the last word.

One pod `default/web` is asked for on TCP 8080 by `ops/shell`; each row adds policies.
"""

from __future__ import annotations

from typing import Any

import pytest

from labkit import Cluster
from labkit.policy.reading import DEFAULT, Reading
from labkit.policy.sentences import sentence
from labkit.traffic.meaning import allowed

PODS = """\
apiVersion: v1
kind: Namespace
metadata: {name: ops, labels: {team: ops}}
---
apiVersion: v1
kind: Pod
metadata: {name: web, labels: {app: web}}
spec:
  nodeName: node-1
  containers: [{name: c, image: shop.example/web:1, ports: [{name: http, containerPort: 8080}]}]
---
apiVersion: v1
kind: Pod
metadata: {name: shell, namespace: ops, labels: {app: shell}}
spec:
  nodeName: node-2
  containers: [{name: c, image: shop.example/shell:1}]
"""
ALL: dict[str, Any] = {"namespaces": {}}
OPS = {"namespaces": {"matchLabels": {"team": "ops"}}}
WEB_PODS = {"pods": {"podSelector": {"matchLabels": {"app": "web"}}}}


def rule(action: str, peer: dict[str, Any] = ALL, **more: Any) -> dict[str, Any]:
    return {"action": action, "from": [peer], **more}


def to(action: str, peer: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"action": action, "to": [peer], **more}


def tier(
    name: str,
    *ingress: dict[str, Any],
    tier: str = "Admin",
    priority: int = 10,
    subject: dict[str, Any] = ALL,
    egress: tuple[dict[str, Any], ...] = (),
) -> dict[str, Any]:
    spec = {"tier": tier, "priority": priority, "subject": subject}
    spec |= {"ingress": list(ingress)} if ingress else {}
    spec |= {"egress": list(egress)} if egress else {}
    return {
        "apiVersion": "policy.networking.k8s.io/v1alpha2",
        "kind": "ClusterNetworkPolicy",
        "metadata": {"name": name},
        "spec": spec,
    }


def v1(*rules: dict[str, Any]) -> dict[str, Any]:
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": {"name": "web"},
        "spec": {"podSelector": {"matchLabels": {"app": "web"}}, "ingress": list(rules)},
    }


def base(name: str, *ingress: dict[str, Any], **how: Any) -> dict[str, Any]:
    return tier(name, *ingress, tier="Baseline", **how)


PORT_8080 = [{"tcp": {"destinationPort": {"number": 8080}}}]
PORT_80 = [{"tcp": {"destinationPort": {"number": 80}}}]
RANGE = [{"tcp": {"destinationPort": {"range": {"start": 8000, "end": 8080}}}}]
UDP = [{"udp": {"destinationPort": {"number": 8080}}}]
NAMED = [{"destinationNamedPort": "http"}]
OTHER_NAME = [{"destinationNamedPort": "dns"}]
CASES = {
    # what it shows: (policies, open)
    "nobody speaks": ([], True),
    "Admin denies": ([tier("a", rule("Deny"))], False),
    "Admin accepts what a NetworkPolicy closes": ([tier("a", rule("Accept")), v1()], True),
    "Admin denies what a NetworkPolicy opens": ([tier("a", rule("Deny")), v1({})], False),
    "Admin passes to a NetworkPolicy that closes": ([tier("a", rule("Pass")), v1()], False),
    "Admin passes and no NetworkPolicy selects": ([tier("a", rule("Pass"))], True),
    "Pass jumps over the later rules of its tier": (
        [tier("a", rule("Pass")), tier("b", rule("Deny"), priority=20)],
        True,
    ),
    "a lower number is asked first": (
        [tier("a", rule("Deny"), priority=20), tier("b", rule("Accept"), priority=5)],
        True,
    ),
    "the first rule that matches decides": ([tier("a", rule("Accept"), rule("Deny"))], True),
    "a rule for others does not decide": (
        [tier("a", rule("Accept", WEB_PODS), rule("Deny"))],
        False,
    ),
    "Baseline denies where no NetworkPolicy selects": ([base("b", rule("Deny"))], False),
    "a NetworkPolicy wins over Baseline": ([base("b", rule("Deny")), v1({})], True),
    "a NetworkPolicy that closes is final": ([base("b", rule("Accept")), v1()], False),
    "Admin passes to Baseline": ([tier("a", rule("Pass")), base("b", rule("Deny"))], False),
    "Baseline passes to the default": (
        [base("b", rule("Pass")), base("c", rule("Deny"), priority=20)],
        True,
    ),
    "no rule of Baseline matches": ([base("b", rule("Deny", WEB_PODS))], True),
    "a policy about others": ([tier("a", rule("Deny"), subject=OPS)], True),
    "pods as the subject": ([tier("a", rule("Deny"), subject=WEB_PODS)], False),
    "the sender's side counts, too": (
        [tier("a", subject=OPS, egress=(to("Deny", WEB_PODS),))],
        False,
    ),
    "Accept of one end does not bind the other": (
        [tier("a", subject=OPS, egress=(to("Accept", ALL),)), v1()],
        False,
    ),
    "networks cover pods": ([tier("a", egress=(to("Deny", {"networks": ["0.0.0.0/0"]}),))], False),
    "other networks": ([tier("a", egress=(to("Deny", {"networks": ["203.0.113.0/24"]}),))], True),
    "the port": ([tier("a", rule("Deny", protocols=PORT_8080))], False),
    "another port": ([tier("a", rule("Deny", protocols=PORT_80))], True),
    "a range of ports": ([tier("a", rule("Deny", protocols=RANGE))], False),
    "another protocol": ([tier("a", rule("Deny", protocols=UDP))], True),
    # what Calico 3.32 does not understand fails closed
    "Accept to nodes matches nothing": (
        [tier("a", egress=(to("Accept", {"nodes": {}}), to("Deny", ALL)))],
        False,
    ),
    "Deny to nodes denies everything": ([tier("a", egress=(to("Deny", {"nodes": {}}),))], False),
    "Pass to nodes denies everything": ([tier("a", egress=(to("Pass", {"nodes": {}}),))], False),
    "domain names match nothing": (
        [
            tier(
                "a",
                egress=(to("Accept", {"domainNames": ["api.example.com"]}), to("Deny", ALL)),
            )
        ],
        False,
    ),
    # ports by name, which Calico 3.32 knows
    "a port by name": ([tier("a", rule("Accept", protocols=NAMED), rule("Deny"))], True),
    "another port by name": ([tier("a", rule("Deny", protocols=OTHER_NAME))], True),
    "a name and a number": ([tier("a", rule("Deny", protocols=[*PORT_80, *NAMED]))], False),
}


@pytest.mark.parametrize(("policies", "is_open"), CASES.values(), ids=CASES)
def test_the_last_word(policies, is_open):
    lab = Cluster.from_manifests(PODS, cni="calico")
    lab.apply(policies)
    assert bool(lab.allowed("pod/ops/shell", "pod/web:8080")) == is_open
    assert (lab.trace("pod/ops/shell", "pod/web:8080").outcome != "timed out") == is_open
    reach = lab.reachability(8080)
    ends = [f"{p.namespace}/{p.name}" for p in reach.pods]
    assert reach.open(ends.index("ops/shell"), ends.index("default/web")) == is_open


@pytest.mark.parametrize(("node", "is_open"), [("node-1", False), ("node-7", True)])
def test_a_product_that_knows_the_experimental_channel_reads_it(node, is_open):
    lab = Cluster.from_manifests(PODS, cni="calico")
    nodes = to("Deny", {"nodes": {"matchLabels": {"kubernetes.io/hostname": node}}})
    lab.apply([tier("a", egress=(nodes,))])
    how: Any = {"namespace": "default", "lines": {}, "reading": Reading(experimental=True)}
    assert bool(allowed(lab.state, "pod/ops/shell", "node/node-1:22", **how)) == is_open


WORDS = """\
denied: ops/shell -> default/web, TCP 8080
  leaving   ops/shell    open: no policy isolates it for egress
  entering  default/web  closed: tier Baseline, b says Deny
            Admin: a rule 1 'watch' (line 12): Pass, matches line 15, port matches
            Baseline: b rule 1 (line 30): Deny, matches line 32, asks for no port"""
TEXT = """\
apiVersion: policy.networking.k8s.io/v1alpha2
kind: ClusterNetworkPolicy
metadata:
  name: a
spec:
  tier: Admin
  priority: 0
  subject:
    namespaces: {}

  ingress:
  - name: watch
    action: Pass
    from:
    - namespaces: {}
    protocols:
    - tcp:
        destinationPort: {number: 8080}
---
apiVersion: policy.networking.k8s.io/v1alpha2
kind: ClusterNetworkPolicy
metadata:
  name: b
spec:
  tier: Baseline
  priority: 0
  subject:
    namespaces: {}
  ingress:
  - action: Deny
    from:
    - namespaces: {}
"""


def test_the_words_name_tier_policy_rule_and_line():
    lab = Cluster.from_manifests(PODS, cni="calico")
    lab.apply(TEXT)
    verdict = lab.allowed("pod/ops/shell", "pod/web:8080")
    assert str(verdict) == WORDS
    assert verdict.because == (
        ("a", ".spec.ingress[0]", "passes in tier Admin"),
        ("b", ".spec.ingress[0]", "denies in tier Baseline"),
    )


def test_a_rule_that_fails_closed_says_why():
    lab = Cluster.from_manifests(PODS, cni="calico")
    lab.apply([tier("a", egress=(to("Pass", {"nodes": {}}),))])
    words = "Pass then denies everything"
    assert f"Deny, for `nodes` is not understood here: {words}" in str(
        lab.allowed("pod/ops/shell", "pod/web:8080")
    )


def test_the_sentences_tell_of_tiers():
    lab = Cluster.from_manifests(PODS, cni="calico")
    lab.apply(TEXT)
    told = str(lab.explain("pod/ops/shell", "pod/web:8080")).splitlines()
    assert "Entering default/web: denied; tier Baseline decides." in told
    assert "  Baseline: b rule 1 (line 30): Deny, matches line 32, asks for no port." in told
    assert "tier Baseline" in sentence(
        lab.allowed("pod/ops/shell", "pod/web:8080").verdict, {}, DEFAULT
    )
    lab.apply([tier("c", rule("Accept"), priority=0)])
    lab.apply([tier("a", rule("Accept"), priority=1)])
    assert "tier Admin lets it in" in sentence(
        lab.allowed("pod/ops/shell", "pod/web:8080").verdict, {}, DEFAULT
    )
