"""What a second reader says of policies, by line."""

from __future__ import annotations

import pytest

from labkit import Cluster, LabError, scenario

HEAD = """apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: door}
spec:
  podSelector: {matchLabels: {app: %s}}
%s"""


def reviewed(rules: str, app: str = "backend") -> str:
    lab = scenario("shop", cni="calico")
    lab.apply(HEAD % (app, rules))
    return str(lab.review())


FROM = (
    "  ingress:\n    - from: [{podSelector: {matchLabels: {app: %s}}}]\n      ports: [{port: %s}]\n"
)
FINDINGS = {
    # what it shows: (the rules, what is said)
    "a selector of nobody": (
        ("", "bakend"),
        "default/door:5: selects nothing: no pod of namespace default has app=bakend",
    ),
    "a peer of another namespace": (
        (FROM % ("payments", 8080), "backend"),
        "default/door:7: describes nobody: no pod of its own namespace fits; "
        "compare labels and namespace",
    ),
    "the port that callers dial": (
        (FROM % ("frontend", 80), "backend"),
        "default/door:8: the Service's port: TCP 80 is the port of svc/backend; "
        "a policy judges the pod's: the pods listen on TCP 8080",
    ),
    "a port of nobody": (
        (FROM % ("frontend", 9), "backend"),
        "default/door:8: a port that no pod has: TCP 9; the pods listen on TCP 8080",
    ),
    "a name of nobody": (
        (FROM % ("frontend", "metrics"), "backend"),
        "default/door:8: a port that no pod has: TCP metrics; the pods listen on TCP 8080",
    ),
    "the same door twice": (
        ("  ingress:\n    - ports: [{port: 8080}]\n    - ports: [{port: 8080}]\n", "backend"),
        "default/door:8: adds nothing: other rules already allow all that this one does; it can go",
    ),
    "a narrow door beside a wide one": (
        (FROM % ("frontend", 8080) + "    - ports: [{port: 8000, endPort: 9000}]\n", "backend"),
        "default/door:7: adds nothing: other rules already allow all that this one does; it can go",
    ),
    "egress without names": (
        ("  egress:\n    - ports: [{port: 5432}]\n", "backend"),
        "default/door:6: forgets DNS: default/backend cannot reach the cluster's DNS pods on "
        "UDP 53: names time out",
    ),
}
SILENT = {
    "a door that is used": (FROM % ("frontend", 8080), "backend"),
    "a range that holds the port": ("  ingress:\n    - ports: [{port: 80, endPort: 9000}]\n", "db"),
    "a wall on purpose": ("  policyTypes: [Egress]\n", "backend"),
    "egress to anybody": ("  egress:\n    - {}\n", "backend"),
    "egress to the world": (
        "  egress:\n    - ports: [{port: 53, protocol: UDP}]\n"
        "    - to: [{ipBlock: {cidr: 203.0.113.0/24}}]\n      ports: [{port: 443}]\n",
        "backend",
    ),
}


@pytest.mark.parametrize(("given", "says"), FINDINGS.values(), ids=FINDINGS)
def test_each_finding_names_place_fault_and_cure(given, says):
    assert reviewed(*given) == says


@pytest.mark.parametrize("given", SILENT.values(), ids=SILENT)
def test_nothing_is_said_of_what_has_its_effect(given):
    assert reviewed(*given) == "Nothing found: every line concerns some pod that is there."


GUARD = """apiVersion: policy.networking.k8s.io/v1alpha2
kind: ClusterNetworkPolicy
metadata: {name: guard}
spec:
  tier: %s
  priority: 1
  subject: {namespaces: {}}
  egress: [{action: %s, to: [{namespaces: {}}]}]
"""
BESIDE = """\
Not reviewed: ClusterNetworkPolicy guard. Where the tier Admin decides, no NetworkPolicy is asked.
"""
NO_NAMES = ("  egress:\n    - ports: [{port: 5432}]\n", "backend")
TWICE = ("  ingress:\n    - ports: [{port: 8080}]\n    - ports: [{port: 8080}]\n", "backend")
NOTHING = "Nothing found: every line concerns some pod that is there."
TIERS = {
    # what it shows: (tier, action, the rules, what is said)
    "an Admin that opens names": ("Admin", "Accept", NO_NAMES, NOTHING),
    "an Admin that closes names": ("Admin", "Deny", NO_NAMES, NOTHING),
    "an Admin that passes": (
        "Admin",
        "Pass",
        NO_NAMES,
        FINDINGS["egress without names"][1],
    ),
    "Baseline is not asked": ("Baseline", "Accept", NO_NAMES, FINDINGS["egress without names"][1]),
    "a rule twice is once too often under any tier": (
        "Admin",
        "Deny",
        TWICE,
        FINDINGS["the same door twice"][1],
    ),
}


@pytest.mark.parametrize(("tier", "action", "given", "says"), TIERS.values(), ids=TIERS)
def test_tiers_are_named_and_make_no_finding_untrue(tier, action, given, says):
    lab = scenario("shop", cni="calico")
    lab.apply(GUARD % (tier, action))
    rules, app = given
    lab.apply(HEAD % (app, rules))
    assert str(lab.review()) == BESIDE + says


def test_a_proposal_says_that_tiers_are_asked_first():
    lab = scenario("shop", cni="calico")
    lab.apply(GUARD % ("Admin", "Accept"))
    proposal = str(lab.propose(("pod/frontend", "pod/backend:8080")))
    assert proposal.startswith("# ClusterNetworkPolicy guard: not read, and in tier Admin asked ")
    lab.apply(proposal)


def test_where_no_text_is_known_the_path_is_named():
    lab = scenario("shop", cni="calico")
    lab.apply(
        [
            {
                "apiVersion": "networking.k8s.io/v1",
                "kind": "NetworkPolicy",
                "metadata": {"name": "door"},
                "spec": {"podSelector": {"matchLabels": {"app": "nobody"}}},
            }
        ]
    )
    assert str(lab.review()).startswith("default/door .spec.podSelector: selects nothing")


def test_the_shops_flows_become_policies_that_keep_just_these():
    lab = scenario("shop", cni="calico")
    proposal = lab.propose(
        ("pod/frontend", "pod/backend:8080"),
        ("pod/backend", "pod/db:5432"),
        ("pod/backend", "pod/pay/payments:8443"),
    )
    lab.apply(str(proposal))
    # Each pod reaches itself, and nobody guards ops/monitoring from the four others.
    assert str(lab.port_map()).splitlines()[0] == (
        "5 pods, 25 pairs: 9 open on every port, 3 on some, 13 on none"
    )
    assert str(lab.review()) == "Nothing found: every line concerns some pod that is there."


def test_a_protocol_may_follow_a_port():
    lab = scenario("shop", cni="calico")
    (_, door) = lab.propose(("pod/frontend", "pod/db:53/UDP")).policies
    assert door["spec"]["ingress"][0]["ports"] == [{"protocol": "UDP", "port": 53}]


def test_nobody_guards_what_is_no_pod():
    lab = scenario("shop", cni="calico")
    with pytest.raises(LabError, match=r"203\.0\.113\.9: no policy guards it; name flows to pods"):
        lab.propose(("pod/frontend", "203.0.113.9:443"))


def test_the_map_knows_no_other_pod():
    with pytest.raises(LabError, match="ghost: no such pod on the map; write namespace/name"):
        Cluster.from_manifests().port_map().between("ghost", "ghost")


def test_the_world_is_cut_along_the_blocks_that_policies_name():
    lab = scenario("shop", cni="calico")
    block = "{ipBlock: {cidr: 203.0.113.0/24, except: [203.0.113.8/29]}}"
    lab.apply(HEAD % ("frontend", f"  ingress:\n    - from: [{block}]\n"))
    frame = lab.outside(8080).frame()
    column = next(name for name in frame.columns if "frontend" in name)
    assert frame[column][[row for row in frame.index if row.startswith("from")]].to_dict() == {
        "from elsewhere but 203.0.113.0/24": False,
        "from 203.0.113.0/24 but 203.0.113.8/29": True,
        "from 203.0.113.8/29": False,
    }
    assert str(lab.outside(8080)).splitlines()[3:6] == [
        "203.0.113.0/24 but 203.0.113.8/29",
        "  may call          every pod",
        "  may be called by  every pod",
    ]
