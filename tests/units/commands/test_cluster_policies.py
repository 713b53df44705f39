"""kubectl on a kind that was installed: ClusterNetworkPolicy."""

from __future__ import annotations

import pytest

from labkit import Cluster, kubectl

POLICY = """\
apiVersion: policy.networking.k8s.io/v1alpha2
kind: ClusterNetworkPolicy
metadata: {name: watch}
spec:
  tier: Admin
  priority: 10
  subject: {namespaces: {}}
  ingress:
  - action: Accept
    from: [{namespaces: {}}]
"""
TABLE = "NAME    TIER    PRIORITY   AGE\nwatch   Admin   10         0s"
DESCRIBED = """\
Spec:
  Ingress:
    Action:  Accept
    From:
      Namespaces:
  Priority:  10
  Subject:
    Namespaces:
  Tier:  Admin
"""


@pytest.fixture
def lab() -> Cluster:
    lab = Cluster.from_manifests(nodes=1, cni="calico")
    lab.apply(POLICY)
    return lab


@pytest.mark.parametrize(
    "words", ["cnp", "clusternetworkpolicies", "clusternetworkpolicy watch", "cnp -n pay", "cnp -A"]
)
def test_it_is_listed_without_a_namespace(lab, words):
    assert kubectl(lab, f"get {words}") == TABLE


def test_it_is_described_field_by_field(lab):
    told = str(kubectl(lab, "describe cnp watch"))
    assert [" ".join(row.split()) for row in DESCRIBED.splitlines()] == [
        " ".join(row.split()) for row in told[told.index("Spec:") :].splitlines()[:-1]
    ]


def test_a_priority_is_patched_by_another_apply_and_the_object_deleted(lab):
    lab.apply(POLICY.replace("priority: 10", "priority: 20"))
    assert lab.get("cnp/watch").spec.priority == 20
    assert lab.get("cnp/watch").metadata.generation == 2
    gone = 'clusternetworkpolicy.policy.networking.k8s.io "watch" deleted'
    assert kubectl(lab, "delete cnp watch") == gone
