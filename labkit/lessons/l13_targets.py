"""L13-3 and L13-4: a target to hit, and a bug to hunt."""

from __future__ import annotations

from labkit.api.networking import NetworkPolicy
from labkit.cluster import Cluster
from labkit.lessons.doors import (
    NEWCOMERS,
    OUTSIDE,
    Belief,
    Door,
    Found,
    judged,
    loose,
    put,
    senders,
    shop,
    wrong_doors,
)
from labkit.lessons.exercises import Judgement
from labkit.lessons.l13_shops import ALL, HEAD, hidden, namesakes

# --- L13-3: hit the target --------------------------------------------------------------------

VISITORS = ("default/frontend", "ops/monitoring")
TARGET = (
    *(Door(source, "backend", 8080, "open") for source in VISITORS),
    *(Door(source, "backend", 8080) for source in (*ALL, OUTSIDE) if source not in VISITORS),
    *(Door(source, "backend", port) for port in (9100, 80) for source in (*VISITORS, *ALL)),
)


def hit(answer: str | Cluster) -> Judgement:
    seen = put(answer, shop(*NEWCOMERS))
    if found := wrong_doors(None, seen, TARGET):
        return _target_judged(seen, found[0])
    for words, lab in hidden():
        doors = (*TARGET, *namesakes(lab, "frontend", "monitoring"))
        if found := wrong_doors(None, put(answer, lab), doors):
            says = f"{words}: {found[0].door.says}"
            return judged(found[0], says, Belief(words="Whom does each of your peers describe?"))
    return loose(seen, "backend", 8080, "NOT YET") or Judgement(
        "SOLVED", "two visitors at one port, and nobody else."
    )


def _target_judged(lab: Cluster, first: Found) -> Judgement:
    inside = {port: senders(lab, "backend", port) for port in (8080, 9100, 80)}
    door, says = first.door, first.door.says
    if inside[9100] == set(VISITORS) and len(inside[8080]) > len(VISITORS):
        words = "a dash that opens a second rule, so that either is enough. How many rules?"
        return judged(first, says, Belief("", "Your peers are right.", "M28", words))
    if set(VISITORS) in (inside[8080], inside[80]):
        says += f", port {door.port}"
        if inside[8080] and door.port == 9100:
            words = "a missing list inside a rule asks for nothing."
            return judged(first, says, Belief("", "Your peers are right.", "M27", words))
        words = "the Service's port in a policy."
        return judged(first, says, Belief("", "Your peers are right.", "M30", words))
    return _wrong_peers(first, says, inside[8080])


def _wrong_peers(first: Found, says: str, inside: set[str]) -> Judgement:
    source = first.door.source
    if source == "ops/shell":
        words = (
            'a dash that makes "or" where you say "and". How many tickets did you print? Look'
            " again at L13-36."
        )
        return judged(first, says, Belief(number="M28", words=words))
    if source == "default/frontend" and "ops/monitoring" in inside:
        words = '"and" where you say "or". Your ticket asks the frontend to live in two places.'
        return judged(first, says, Belief(number="M28", words=words))
    if source == "ops/monitoring" and "default/monitoring" in inside:
        words = "a podSelector taken to see every namespace. Look again at L13-28."
        also = "; default/monitoring has come in its place"
        return judged(first, says, Belief(number="M29", words=words), also)
    if source == "pay/frontend" and first.seen == "open":
        lead = "The border that stops a label has been taken down for all."
        return judged(
            first, says, Belief("", lead, "M29", "a label trusted wherever it comes from.")
        )
    words = "Say the target aloud once more: who is described by each of your peers?"
    return judged(first, says, Belief(words=words))


# --- L13-4: bug hunt --------------------------------------------------------------------------

SCANNED = (
    HEAD % ("db", "db")
    + """  ingress:
  - from:
    - podSelector: {matchLabels: {app: backend}}
    - namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: pay}}
      podSelector: {matchLabels: {app: payments}}
  - ports:
    - port: 5432
"""
)
GUESTS = ("default/backend", "pay/payments")
STRANGERS = ("ops/shell", "default/frontend", "default/monitoring", "ops/monitoring",
             "pay/frontend", OUTSIDE)  # fmt: skip
MENDED = (
    Door("ops/shell", "db", 5432),
    *(Door(source, "db", 5432, "open") for source in GUESTS),
    *(Door(source, "db", 5432) for source in STRANGERS[1:]),
    *(Door("ops/shell", "db", port) for port in (22, 9100)),
    *(Door(source, "db", port) for port in (9100, 22) for source in (*GUESTS, *STRANGERS[1:])),
)


def mended(answer: str | Cluster) -> Judgement:
    seen = put(answer, shop(*NEWCOMERS))
    before = put(SCANNED, shop(*NEWCOMERS))
    if found := wrong_doors(before, seen, MENDED):
        return _bug_judged(seen, found[0])
    for words, lab in hidden():
        doors = (*MENDED, *(Door(t, "db", 5432) for t in ("ops/backend",) if _has(lab, t)))
        if found := wrong_doors(None, put(answer, lab), doors):
            says = f"{words}: {found[0].door.says}, port {found[0].door.port}"
            return judged(found[0], says, Belief(words="Whom does each of your peers describe?"))
    return loose(seen, "db", 5432, "NOT YET") or Judgement(
        "SOLVED", "two guests, one port, one meaning."
    )


def _has(lab: Cluster, title: str) -> bool:
    space, _, name = title.partition("/")
    return any(pod.name == name for pod in lab.list("pods", namespace=space))


def _bug_judged(lab: Cluster, first: Found) -> Judgement:
    door = first.door
    says = f"{door.source.removeprefix('default/')} -> db, port {door.port}"
    policies = [p for p in lab.state.list(NetworkPolicy, "default") if _guards_db(p)]
    if not policies:
        words = "a pod that no policy selects is open to all."
        return judged(first, says, Belief(number="M23", words=words))
    if door.source == "pay/payments" and first.seen == "closed":
        words = "a podSelector taken to see every namespace."
        return judged(first, says, Belief(number="M29", words=words))
    if door.port == 5432 and first.seen == "open":
        return judged(first, says, _still_open(policies))
    if door.source in GUESTS and first.seen == "open":
        return judged(first, says, _every_port(lab))
    return judged(first, says, Belief(words="Read your rules aloud: who, and at which port?"))


def _guards_db(policy: NetworkPolicy) -> bool:
    return policy.spec.pod_selector.matches({"app": "db"})


def _still_open(policies: list[NetworkPolicy]) -> Belief:
    if len(policies) > 1:
        return Belief(
            number="M25", words="a policy meant to forbid. Policies only add; L12 shows it."
        )
    rules = policies[0].manifest["spec"].get("ingress") or []
    if any("from" in rule and not rule["from"] for rule in rules):
        return Belief(number="M27", words='an empty list inside a rule read as "nobody".')
    return Belief(words="Which of your rules says yes, and what does it ask for?")


def _every_port(lab: Cluster) -> Belief:
    """A guest may open every port: one rule without a port, or a rule for each guest."""
    if senders(lab, "db", 9100) >= set(GUESTS):
        words = "a missing list inside a rule asks for nothing. It was so before your change, too."
        return Belief("The shell is out. Still, ", "", "M27", words)
    words = (
        "each dash under ingress opens a rule of its own. Which of your rules knows about ports?"
    )
    return Belief(number="M28", words=words)
