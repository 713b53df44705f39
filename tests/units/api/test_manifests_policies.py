"""ClusterNetworkPolicies as the API server sees them: each row a change, and what it says then."""

# ruff: noqa: E501 - the expected lines stand as a learner reads them

from __future__ import annotations

import pytest

from labkit.api.cluster_policy import ClusterNetworkPolicy
from labkit.api.manifests import load
from labkit.api.objects import decode, encode
from labkit.errors import ManifestError

GOOD = """\
apiVersion: policy.networking.k8s.io/v1alpha2
kind: ClusterNetworkPolicy
metadata:
  name: guardrail
spec:
  tier: Admin
  priority: 10
  subject:
    namespaces: {}
  egress:
  - name: dns
    action: Accept
    to:
    - pods:
        podSelector: {}
    protocols:
    - udp:
        destinationPort: {number: 53}
  - action: Deny
    to:
    - networks: [0.0.0.0/0]
    protocols:
    - tcp:
        destinationPort:
          range: {start: 80, end: 90}
"""
FAULTS = {
    # what is wrong: (text, instead, what is said)
    "a tier that is none": (
        "tier: Admin",
        "tier: Application",
        "6 .spec.tier: `Application` is not one of Admin, Baseline",
    ),
    "a priority beyond the last": (
        "priority: 10",
        "priority: 1001",
        "7 .spec.priority: 1001 is not in 0-1000",
    ),
    "no priority": ("  priority: 10\n", "", "5 .spec: `priority` is missing; add it"),
    "an action of another product": (
        "action: Deny",
        "action: Drop",
        "19 .spec.egress[1].action: `Drop` is not one of Accept, Deny, Pass",
    ),
    "no peer": (
        "    - networks: [0.0.0.0/0]\n",
        "    - {}\n",
        "21 .spec.egress[1].to[0]: says nothing; give `namespaces`, `pods`, `nodes`, `networks` or `domainNames`",
    ),
    "two peers in one item": (
        "networks: [0.0.0.0/0]",
        "{networks: [0.0.0.0/0], namespaces: {}}",
        "21 .spec.egress[1].to[0]: has `namespaces` and `networks`; keep one of them",
    ),
    "an empty list of peers": (
        "    to:\n    - networks: [0.0.0.0/0]\n",
        "    to: []\n",
        "20 .spec.egress[1].to: is empty; it has at least one item",
    ),
    "a name for a network": (
        "0.0.0.0/0",
        "api.example.com",
        "21 .spec.egress[1].to[0].networks[0]: `api.example.com` is no CIDR such as 10.244.0.0/16 or fd00::/64",
    ),
    "a range backwards": (
        "{start: 80, end: 90}",
        "{start: 90, end: 80}",
        "25 .spec.egress[1].protocols[0].tcp.destinationPort.range.end: 80 is not more than start 90; give the larger one, or a `number`",
    ),
    "a protocol without a port": (
        "    - tcp:\n        destinationPort:\n          range: {start: 80, end: 90}\n",
        "    - tcp: {}\n",
        "23 .spec.egress[1].protocols[0].tcp: says nothing; give `destinationPort`",
    ),
    "ports as in a NetworkPolicy": (
        "    protocols:\n    - tcp:\n        destinationPort:\n          range: {start: 80, end: 90}\n",
        "    ports:\n    - port: 80\n",
        "22 .spec.egress[1]: unknown field `ports`; ports stand under `protocols`, as `- tcp: {destinationPort: {number: …}}`",
    ),
    "domain names in a denial": (
        "networks: [0.0.0.0/0]",
        "domainNames: [example.com]",
        "21 .spec.egress[1].to[0]: `domainNames` goes with action Accept only; deny the rest by a rule below",
    ),
    "a port's name for a network": (
        "    - tcp:\n        destinationPort:\n          range: {start: 80, end: 90}\n",
        "    - destinationNamedPort: http\n",
        "21 .spec.egress[1].to[0]: `networks` does not go with destinationNamedPort; give the number",
    ),
}


def test_a_good_one_is_let_through_and_comes_back_as_it_was():
    (loaded,) = load(GOOD)
    policy = decode(loaded.manifest)
    assert isinstance(policy, ClusterNetworkPolicy)
    assert policy.spec.egress[1].peers[0].networks == ("0.0.0.0/0",)
    assert encode(policy) == loaded.manifest


@pytest.mark.parametrize(("text", "instead", "said"), FAULTS.values(), ids=FAULTS)
def test_one_line_says_what_is_wrong(text, instead, said):
    assert text in GOOD
    with pytest.raises(ManifestError) as error:
        load(GOOD.replace(text, instead))
    line, rest = said.split(" ", 1)
    assert str(error.value) == f"input:{line} ClusterNetworkPolicy/guardrail {rest}"


NOT_IN_V1 = {
    # a key that people expect of a NetworkPolicy: what it says
    "deny": "can only allow; what no rule allows is closed once a policy selects the pod",
    "action": "can only allow; what no rule allows is closed once a policy selects the pod",
    "path": "sees addresses and ports, never what is inside a request",
}


@pytest.mark.parametrize(("key", "said"), NOT_IN_V1.items(), ids=NOT_IN_V1)
def test_what_a_network_policy_cannot_say_is_refused_with_the_reason(key, said):
    manifest = {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": {"name": "x"},
        "spec": {"podSelector": {}, "ingress": [{key: "x"}]},
    }
    with pytest.raises(ManifestError, match=f"unknown field `{key}`; a NetworkPolicy {said}"):
        load([manifest])
