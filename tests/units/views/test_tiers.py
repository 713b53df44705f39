"""The tiers of a verdict, drawn and told: the sender's side first, up to who decides."""

from __future__ import annotations

import pytest

from labkit import Cluster, scenario, views
from labkit.views.tiers import picture, stations, words

NETWORK_POLICY = """\
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: db}
spec:
  podSelector: {matchLabels: {app: db}}
  ingress:
  - from:
    - podSelector: {matchLabels: {app: backend}}
"""
GUARDRAIL = """\
apiVersion: policy.networking.k8s.io/v1alpha2
kind: ClusterNetworkPolicy
metadata: {name: "%s"}
spec:
  tier: %s
  priority: 10
  subject:
    namespaces: {}
  ingress:
  - action: %s
    from:
    - namespaces: {}
"""
NAME = "guardrail"


def shop(tier: str = "", action: str = "", name: str = NAME) -> Cluster:
    lab = scenario("shop", cni="calico")
    lab.apply(NETWORK_POLICY)
    if tier:
        lab.apply(GUARDRAIL % (name, tier, action))
    return lab


CASES = {
    # (tier, action): what each tier says about frontend -> db, the sender's side being open
    ("", ""): ("goes on", "Deny"),
    ("Admin", "Accept"): ("Accept",),
    ("Admin", "Deny"): ("Deny",),
    ("Admin", "Pass"): ("Pass", "Deny"),
    ("Baseline", "Accept"): ("goes on", "Deny"),
}
LONG = "a-guardrail-whose-name-is-far-too-long-for-its-box"
DRAWN = {
    # verdicts for the browser to lay out
    "decided by the team": lambda: shop().allowed("pod/frontend", "pod/db:5432"),
    "passed on": lambda: shop("Admin", "Pass").allowed("pod/ops/monitoring", "pod/db:5432"),
    "a long name": lambda: shop("Admin", "Deny", LONG).allowed("pod/frontend", "pod/db:5432"),
    "from outside": lambda: shop().allowed("outside", "pod/backend:8080"),
}
OPEN = ("goes on", "goes on", "goes on", "Accept")


@pytest.mark.parametrize(("policy", "said"), CASES.items(), ids=map("-".join, CASES))
def test_the_tiers_are_asked_in_order_until_one_decides(policy, said):
    verdict = shop(*policy).allowed("pod/frontend", "pod/db:5432")
    asked = stations(verdict)
    assert tuple(s.says for s in asked) == (*OPEN, *said)
    assert bool(verdict) == (asked[-1].says == "Accept")


def test_without_a_network_policy_the_baseline_decides():
    verdict = shop("Baseline", "Deny").allowed("pod/frontend", "pod/backend:8080")
    says = [(s.tier, s.says) for s in stations(verdict) if s.lane == 1]
    assert says == [("Admin", "goes on"), ("NetworkPolicy", "goes on"), ("Baseline", "Deny")]


def test_a_packet_that_may_not_leave_is_asked_nothing_at_the_receiver():
    lab = shop()
    egress = NETWORK_POLICY.replace("ingress:", "egress:").replace("from:", "to:")
    lab.apply(egress.replace("name: db", "name: out"))
    verdict = lab.allowed("pod/db", "pod/frontend:8080")
    assert {s.lane for s in stations(verdict)} == {0}
    assert "Entering default/frontend: not asked" in words(verdict)


def test_whom_no_policy_selects_passes_no_tier():
    verdict = shop().allowed("outside", "pod/backend:8080")
    assert stations(verdict)[0].rows == ("no policy selects it",)


def test_the_twin_names_policy_rule_and_line():
    told = repr(views.tiers(shop("Admin", "Deny").allowed("pod/frontend", "pod/db:5432")))
    assert told.splitlines()[0] == "default/frontend asks default/db, TCP 5432: denied."
    assert "entering default/db, tier Admin (guardrail, rule 1) decides." in told
    assert (
        "5. Entering default/db, Admin: guardrail rule 1 (line 10): Deny, matches line 12" in told
    )


def test_where_nothing_is_enforced_the_words_say_so():
    lab = scenario("shop", cni="flannel")
    assert "enforces no policy" in words(lab.allowed("pod/frontend", "pod/db:5432"))


def test_every_station_can_be_stepped_to():
    widget = views.tiers(shop("Admin", "Pass").allowed("pod/frontend", "pod/db:5432"))
    assert widget.moves == {"step": (0, 1, 2, 3, 4, 5)}
    assert 'aria-label="Next tier"' in widget.shell


def test_a_rule_s_name_is_words_and_never_markup():
    lab = shop()
    named = GUARDRAIL.replace("- action", '- name: "<script>x</script>"\n    action')
    lab.apply(named % (NAME, "Admin", "Deny"))
    verdict = lab.allowed("pod/frontend", "pod/db:5432")
    widget = views.tiers(verdict)
    assert "<script>x" in widget.words
    assert "<script>" not in widget.shell + "".join(f["why"] for f in widget.frames)
    assert picture(verdict) == picture(verdict)


def test_a_picture_of_policies_names_the_tiers_that_it_does_not_draw():
    lab = scenario("shop", cni="calico")
    assert "ClusterNetworkPolicy" not in views.policies(lab).twin
    lab.apply(GUARDRAIL % ("guard", "Admin", "Accept"))
    assert views.policies(lab).twin.splitlines()[-1] == "Not drawn: ClusterNetworkPolicy guard."
