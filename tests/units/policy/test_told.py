"""Verdicts in words: all pairs, what a change opened, and why."""

from __future__ import annotations

import pytest

from labkit import kubectl, scenario
from labkit.errors import CommandError, NotFound
from labkit.policy.told import brief

HEAD = """apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: %s}
spec:
  podSelector: {matchLabels: {app: %s}}
  %s
"""
FRONT = "ingress: [{from: [{podSelector: {matchLabels: {app: frontend}}}], ports: [{port: 80}]}]"
DENY = "policyTypes: [Egress]"


def shop(*rules: tuple[str, str], cni: str = "calico"):
    lab = scenario("shop", cni=cni, proxy_mode="iptables")
    for number, (app, rule) in enumerate(rules):
        lab.apply(HEAD % (f"p{number}", app, rule))
    return lab


def test_a_cluster_without_policies_is_told_in_one_line():
    assert repr(shop().reachability(8080)) == "Policy verdicts on TCP 8080: 25 pairs, all open."


def test_only_receivers_that_are_closed_to_somebody_are_told_with_who_does_not_agree():
    lab = shop(("backend", FRONT), ("db", DENY))
    assert repr(lab.reachability(80)).splitlines()[:6] == [
        "Policy verdicts on TCP 80: 25 pairs, 19 open, 6 closed.",
        "into default/backend",
        "  open to    default/backend (itself), default/frontend",
        "  closed to  default/db (neither end agrees), ops/monitoring, pay/payments",
        "into default/frontend",
        "  open to    default/backend, default/frontend (itself), ops/monitoring, pay/payments",
    ]
    assert "  closed to  default/db (may not send)" in repr(lab.reachability(80))


BRIEF = {
    # who enters a guarded pod, and who is kept back by its own end: (rules, port, words)
    "nobody is guarded": ((), 80, "All pairs are open."),
    "the few that enter": ((("db", FRONT),), 80, "Into default/db: only default/frontend."),
    "nobody else": (
        (("db", "ingress: []"), ("backend", "ingress: []")),
        80,
        "Into default/backend, default/db: nobody.",
    ),
    "the few that do not": (
        (("db", DENY),),
        80,
        "Into default/backend, default/frontend, ops/monitoring, pay/payments: "
        "all but default/db (may not send).",
    ),
    "both ends": (
        (("backend", FRONT), ("db", DENY), ("frontend", DENY)),
        80,
        "Into default/backend: nobody; of the others: default/db (neither end agrees), "
        "default/frontend (may not send).",
    ),
}


@pytest.mark.parametrize(("rules", "port", "words"), BRIEF.values(), ids=BRIEF)
def test_in_brief_receivers_that_are_open_alike_stand_together(rules, port, words):
    assert words in brief(shop(*rules).reachability(port))


def test_long_lists_end_after_eight_names():
    lab = shop(("backend", "ingress: []"))
    kubectl(lab, "scale deployment frontend --replicas=12")
    closed = next(r for r in repr(lab.reachability(80)).splitlines() if "closed" in r[:10])
    assert closed.endswith(" and 7 more")


REASONS = {
    # what it shows: (rules, source, destination, port, sentence)
    "nothing": ((), "default/db", "default/backend", 80, "no policy isolates either end"),
    "itself": ((("backend", "ingress: []"),), "default/backend", "default/backend", 80,
               "a pod always reaches itself"),
    "a rule": ((("backend", FRONT),), "default/frontend", "default/backend", 80,
               "p0 rule 1 (line 6) lets it in"),
    "a port": ((("backend", FRONT),), "default/frontend", "default/backend", 8080,
               "default/backend does not let it in: p0 rule 1 (line 6): source matches line 6, "
               "port differs: line 6 says TCP 80"),
    "no rule": ((("backend", "ingress: []"),), "default/db", "default/backend", 80,
                "default/backend does not let it in: p0 has no ingress rule"),
    "both ends": ((("backend", "ingress: []"), ("db", DENY)), "default/db", "default/backend", 80,
                  "default/db may not send it: p1 has no egress rule; "
                  "default/backend does not let it in: p0 has no ingress rule"),
    "the nearest of two policies": (
        (("backend", "ingress: [{ports: [{port: 1}]}]"), ("backend", FRONT)),
        "default/frontend", "default/backend", 8080,
        "default/backend does not let it in: p0 rule 1 (line 6): asks for no source, "
        "port differs: line 6 says TCP 1; 1 more rule does not match either"),
}  # fmt: skip


@pytest.mark.parametrize(
    ("rules", "source", "destination", "port", "words"), REASONS.values(), ids=REASONS
)
def test_a_reason_is_one_sentence_with_policy_rule_and_line(
    rules, source, destination, port, words
):
    reach = shop(*rules).reachability(port)
    at = {name: n for n, name in enumerate(reach.names)}
    assert reach.reason(at[source], at[destination]) == words


def test_a_difference_names_what_decides_now():
    before = shop(("backend", "ingress: []"))
    after = shop(("backend", FRONT), ("frontend", "ingress: []"))
    told = [str(c) for c in before.reachability(80).diff(after.reachability(80))]
    assert told[2] == ("opened  default/frontend to default/backend: p0 rule 1 (line 6) lets it in")
    assert told[0] == (
        "closed  default/backend to default/frontend: "
        "default/frontend does not let it in: p1 has no ingress rule"
    )
    assert len(told) == 5
    assert before.reachability(80).diff(before.reachability(80)) == ()


def test_every_pair_that_differs_is_told_and_no_other():
    before, after = shop(("backend", FRONT)), shop(("db", DENY), ("backend", "ingress: [{}]"))
    a, b = before.reachability(8080), after.reachability(8080)
    frames = a.frame(), b.frame()
    told = {(c.source, c.destination): c.opened for c in a.diff(b)}
    for source in a.names:
        for destination in a.names:
            was, now = (bool(f.loc[source, destination]) for f in frames)
            assert told.get((source, destination)) == (None if was == now else now)


# --- lab.explain -----------------------------------------------------------------------------


def test_an_explanation_says_what_a_rule_that_missed_would_let_in():
    lab = shop(("backend", FRONT), ("frontend", "egress: [{to: [{namespaceSelector: {}}]}]"))
    assert repr(lab.explain("pod/frontend", "svc/backend:80")).splitlines()[1:] == [
        "default/frontend may not open a connection to default/backend, TCP 8080.",
        "Leaving default/frontend: allowed; p1 isolates it for egress, and a rule matches.",
        "  Rule 1 (line 6): destination matches line 6, asks for no port.",
        "Entering default/backend: denied; p0 isolates it for ingress, and no rule matches.",
        "  Rule 1 (line 6): source matches line 6, port differs: line 6 says TCP 80."
        " It lets in pods with app=frontend in default, on TCP 80.",
    ]


def test_a_service_is_explained_as_its_endpoint():
    found = shop().explain("pod/frontend", "svc/backend:80")
    assert found
    assert repr(found).startswith("svc/backend:80 stands for 192.168.120.1:8080:")


def test_a_plugin_that_enforces_nothing_is_said_where_policies_deny():
    lab = shop(("backend", "ingress: []"), cni="flannel")
    found = lab.explain("pod/frontend", "pod/backend:8080")
    assert not found
    assert "But flannel enforces no policy: the connection opens all the same." in repr(found)
    assert "flannel" not in repr(lab.explain("pod/backend", "pod/db:5432"))


def test_what_cannot_be_explained_is_one_line():
    lab = shop()
    lab.delete("deployment/db")
    for target, kind in (("svc/db:5432", NotFound), ("pod/backend", CommandError)):
        with pytest.raises(kind) as caught:
            lab.explain("pod/frontend", target)
        assert len(str(caught.value).splitlines()) == 1


PEERS = {
    # what a rule's peer says: how it is told
    "podSelector: {}": "all pods in default",
    "namespaceSelector: {}": "all pods in all namespaces",
    "namespaceSelector: {matchLabels: {a: b}}": "all pods in namespaces with a=b",
    "namespaceSelector: {}, podSelector: {matchLabels: {a: b}}": (
        "pods with a=b in all namespaces"
    ),
    'ipBlock: {cidr: 10.0.0.0/8, except: ["10.1.0.0/16"]}': (
        "addresses in 10.0.0.0/8 except 10.1.0.0/16"
    ),
}


@pytest.mark.parametrize(("peer", "words"), PEERS.items(), ids=PEERS)
def test_a_peer_in_words(peer, words):
    lab = shop(("backend", f"ingress: [{{from: [{{{peer}}}], ports: [{{protocol: UDP}}]}}]"))
    told = repr(lab.explain("outside", "pod/backend:80"))
    assert told.endswith(f"It lets in {words}, on any UDP port.")
