"""L14 · Egress, DNS, ipBlock, and beyond v1: its guesses and how its exercises are judged."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from labkit.api.cluster_policy import ClusterNetworkPolicy, ClusterRule
from labkit.api.networking import NetworkPolicy, NetworkPolicyPeer
from labkit.cluster import Cluster
from labkit.lessons.exercises import Exercise, Guess, Judgement, Lesson, always_filled
from labkit.lessons.scenarios import scenario
from labkit.lessons.ways import Belief, Way, closed, dns, judge, renewed, with_pods

COMPANY, COREDNS = "203.0.113.9", "pod/kube-system/coredns:53"


def peers(lab: Cluster, namespace: str) -> Iterator[NetworkPolicyPeer]:
    """Every egress peer that the NetworkPolicies of a namespace name."""
    for policy in lab.state.list(NetworkPolicy, namespace):
        for rule in policy.spec.egress or ():
            yield from rule.to


def has_block(lab: Cluster, namespace: str, lead: str) -> bool:
    """Whether an ipBlock there begins with these digits."""
    found = (peer.ip_block for peer in peers(lab, namespace))
    return any(block is not None and block.cidr.startswith(lead) for block in found)


SERVICE_BLOCK = (
    "M33",
    "a Service's address written down. Which address is in the packet when the policy looks?"
    " See L14-18.",
)
POD_BLOCK = (
    "M33",
    "a pod's address written down. Its next copy has another one. What of a pod stays?",
)
NO_DNS = ("M32", "a closed egress taken to leave names alone. What must a pod ask first?")
UDP_ONLY = ("M32", "DNS taken for UDP alone. Which of two questions in L14-12 was silent?")


# --- L14-1: the auditors' list ----------------------------------------------------------------

PAY = "pod/pay/payments"
LOCK = """apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: lock, namespace: pay}
spec: {podSelector: {}, policyTypes: [Egress], egress: []}
"""
STRANGERS: tuple[tuple[str, str, dict[str, str]], ...] = (
    ("pay", "refunds", {"app": "refunds"}),
    ("pay", "my-db", {"app": "db"}),
    ("ops", "old-db", {"app": "db"}),
    ("ops", "my-dns", {"k8s-app": "kube-dns"}),
    ("kube-system", "helper", {"app": "helper"}),
)
LIST = (
    Way("frontend -> payments", "pod/frontend", PAY, 8443),
    *dns(PAY),
    Way("payments -> db", PAY, "pod/db", 5432),
    Way("payments -> the card company", PAY, COMPANY, 443),
    Way("payments -> 203.0.113.254, port 443", PAY, "203.0.113.254", 443),
    closed("payments -> backend", PAY, "pod/backend", 8080),
    closed("payments -> backend, port 5432", PAY, "pod/backend", 5432),
    closed("payments -> db, port 22", PAY, "pod/db", 22),
    closed("payments -> db, port 5433", PAY, "pod/db", 5433),
    closed("payments -> CoreDNS, port 9153", PAY, "dns", 9153),
    closed("payments -> CoreDNS, SCTP 53", PAY, "dns", 53, "SCTP"),
    closed("payments -> the card company, port 80", PAY, COMPANY, 80),
    closed("payments -> the card company, port 444", PAY, COMPANY, 444),
    closed("payments -> 203.0.112.9, port 443", PAY, "203.0.112.9", 443),
    closed("payments -> 198.51.100.7, port 443", PAY, "198.51.100.7", 443),
    closed("payments -> 198.51.100.7, UDP 53", PAY, "198.51.100.7", 53, "UDP"),
)
LATER = (
    *dns("pod/pay/refunds"),
    Way("refunds -> db", "pod/pay/refunds", "pod/db", 5432),
    closed("refunds, a new pod of pay -> backend", "pod/pay/refunds", "pod/backend", 8080),
    closed("payments -> a pod of pay that calls itself db", PAY, "pod/pay/my-db", 5432),
    closed("payments -> a pod of ops that calls itself db", PAY, "pod/ops/old-db", 5432),
    closed("payments -> a pod of ops that calls itself DNS", PAY, "pod/ops/my-dns", 53, "UDP"),
    closed("payments -> a pod beside CoreDNS, UDP 53", PAY, "pod/kube-system/helper", 53, "UDP"),
)


def no_rule(answer: object) -> str | None:
    """For a cluster whose policy still has the empty list that it was handed out with."""
    if not isinstance(answer, Cluster):
        return always_filled(answer)
    found = answer.state.list(NetworkPolicy, "pay")
    return "no rule yet" if found and not any(p.spec.egress for p in found) else None


def _listed(answer: Cluster) -> Judgement:
    before = _shop()
    before.apply(LOCK)
    stages = ((answer, LIST), (renewed(answer), LIST), (with_pods(answer, *STRANGERS), LATER))
    start = with_pods(before, *STRANGERS)
    for number, (lab, ways) in enumerate(stages):
        if found := judge(start, lab, ways, _listed_belief(answer, renewed=number == 1)):
            return found
    return Judgement("SOLVED", "the three ways are open, to new pods too, and nothing else is.")


def _listed_belief(lab: Cluster, *, renewed: bool) -> Callable[[Way], Belief]:
    def belief(way: Way) -> Belief:
        if way.wanted == "closed":
            return _too_open(lab, way)
        if way.source != PAY and way.target == PAY:
            words = "a policy about what leaves, taken to close nothing else. What is isolated?"
            return "M26", words
        if renewed:
            return POD_BLOCK
        if way.target == "dns":
            return _no_names(lab, "pay", way)
        if way.target == "pod/db":
            if has_block(lab, "pay", "10.96."):
                return SERVICE_BLOCK
            if any(p.pod_selector and p.namespace_selector is None for p in peers(lab, "pay")):
                return "M29", "a podSelector taken to see every namespace. Where does it look?"
        return "", "Which rule is for it, and what does that rule ask of the other end?"

    return belief


def _no_names(lab: Cluster, namespace: str, way: Way) -> Belief:
    if has_block(lab, namespace, "10.96."):
        return SERVICE_BLOCK
    alone = (p for p in peers(lab, namespace) if p.pod_selector and p.namespace_selector is None)
    if any(p.pod_selector and "k8s-app" in p.pod_selector.match_labels for p in alone):
        return "M29", "a podSelector taken to see every namespace. Where does CoreDNS live?"
    return UDP_ONLY if way.protocol == "TCP" else NO_DNS


def _too_open(lab: Cluster, way: Way) -> Belief:
    rules = [r for p in lab.state.list(NetworkPolicy, "pay") for r in p.spec.egress or ()]
    if any(not rule.to for rule in rules):
        return "M27", "a rule without `to` read as a rule for somebody. Whom does it leave out?"
    if way.port in (22, 9153, 80) and any(not rule.ports for rule in rules):
        return "M27", "a rule without ports read as a rule for one port. Which does it leave out?"
    one_sided = [p for p in peers(lab, "pay") if p.ip_block is None]
    if any(p.pod_selector is None for p in one_sided):
        if any(p.namespace_selector is None for p in one_sided):
            return "M28", "two peers where you say one. How many dashes stand under `to`?"
        return "", "This is a whole namespace. Which of its pods is meant?"
    return "", "Which rule lets it out? `lab.allowed` names it, with its line."


# --- L14-2: a guardrail -----------------------------------------------------------------------

WALL = """apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: zz-closed, namespace: %s}
spec: {podSelector: {}, policyTypes: [Egress]}
"""
TEAM_DB = """apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: zz-db}
spec: {podSelector: {matchLabels: {app: db}}, ingress: []}
"""
SPACE = "apiVersion: v1\nkind: Namespace\nmetadata: {name: newborn}\n"
OURS = ("pod/frontend", "pod/ops/monitoring", PAY, "pod/newborn/first")
AS_BEFORE = (
    Way("frontend -> backend", "pod/frontend", "pod/backend", 8080),
    Way("monitoring -> frontend", "pod/ops/monitoring", "pod/frontend", 8080),
    Way("payments -> db", PAY, "pod/db", 5432),
    Way("frontend -> outside", "pod/frontend", COMPANY, 80),
    closed("payments -> backend", PAY, "pod/backend", 8080),
    closed("payments -> the card company, port 80", PAY, COMPANY, 80),
)
GUARDED = (
    *(way for source in OURS for way in dns(source)),
    closed("payments -> backend, where all egress is closed", PAY, "pod/backend", 8080),
    closed("frontend -> CoreDNS, port 9153", "pod/frontend", "dns", 9153),
    closed("frontend -> CoreDNS, UDP 54", "pod/frontend", "dns", 54, "UDP"),
    closed("frontend -> backend, port 53", "pod/frontend", "pod/backend", 53),
    closed("frontend -> a pod of ops that calls itself DNS", "pod/frontend", "pod/ops/my-dns", 53),
    closed("frontend -> a pod beside CoreDNS, 53", "pod/frontend", "pod/kube-system/helper", 53),
    closed("frontend -> 198.51.100.7, UDP 53", "pod/frontend", "198.51.100.7", 53, "UDP"),
    closed("monitoring -> db, which lets nobody in", "pod/ops/monitoring", "pod/db", 5432),
)


def no_cluster_rule(answer: object) -> str | None:
    """The same for the cluster's policy."""
    if not isinstance(answer, Cluster):
        return always_filled(answer)
    found = answer.state.list(ClusterNetworkPolicy)
    return "no rule yet" if found and not _rules(found) else None


def _guarded(answer: Cluster) -> Judgement:
    before = _shop()
    before.apply(TUESDAY)
    if found := judge(before, answer, AS_BEFORE, _guard_belief(answer)):
        return found
    walled, after = _walled(before), _walled(answer)
    if found := judge(walled, after, GUARDED, _guard_belief(after)):
        return found
    if found := judge(walled, renewed(after), GUARDED, lambda way: POD_BLOCK):
        return found
    return Judgement("SOLVED", "every pod can ask for names, and no team's wall has moved.")


def _walled(lab: Cluster) -> Cluster:
    """A copy in which every team has closed all egress, and the database everything."""
    copy = lab.fork()
    copy.apply(SPACE)
    copy = with_pods(copy, ("newborn", "first", {"app": "first"}), *STRANGERS)
    for space in ("default", "ops", "pay", "newborn"):
        copy.apply(WALL % space)
    copy.apply(TEAM_DB)
    return copy


def _guard_belief(lab: Cluster) -> Callable[[Way], Belief]:
    policies = lab.state.list(ClusterNetworkPolicy)

    def belief(way: Way) -> Belief:
        if way.target != "dns" or way.wanted == "closed":
            if not lab.state.list(NetworkPolicy, "pay"):
                return "M23", "a pod that no policy selects is open. What kept `pay` closed?"
            return "", _too_much(policies)
        if not policies:
            return "", "There is no ClusterNetworkPolicy. Who stands above the teams?"
        if _service_networks(policies):
            return SERVICE_BLOCK
        if all(p.spec.tier == "Baseline" for p in policies):
            return "", "A team's policy has spoken first. In which row of L14-34 is yours?"
        asked = lab.allowed(way.source, COREDNS, protocol=way.protocol).verdict.leaving.admin
        if asked is not None and not asked.policies:
            return "", "No policy of the Admin tier is about this pod. Whom is yours about?"
        if way.protocol == "TCP" and _accepts(policies):
            return UDP_ONLY
        return "", "What is asked after your rule, and what does the team say there?"

    return belief


def _too_much(policies: tuple[ClusterNetworkPolicy, ...]) -> str:
    if any(rule.action == "Deny" for rule in _rules(policies)):
        return "A guardrail that denies the rest closes what teams opened. What follows no rule?"
    return "Your rule says more than DNS. Which of its parts is too wide?"


def _rules(policies: tuple[ClusterNetworkPolicy, ...]) -> tuple[ClusterRule, ...]:
    return tuple(r for p in policies for r in (*p.spec.egress, *p.spec.ingress))


def _accepts(policies: tuple[ClusterNetworkPolicy, ...]) -> bool:
    return any(rule.action == "Accept" for rule in _rules(policies))


def _service_networks(policies: tuple[ClusterNetworkPolicy, ...]) -> bool:
    found = (n for rule in _rules(policies) for peer in rule.peers for n in peer.networks)
    return any(network.startswith("10.96.") for network in found)


# --- L14-3: DNS is down, again ----------------------------------------------------------------

FRIDAY = (
    *dns("pod/frontend"),
    *dns("pod/backend"),
    Way("frontend -> backend", "pod/frontend", "pod/backend", 8080),
    closed("frontend -> payments", "pod/frontend", PAY, 8443),
    closed("frontend -> 203.0.113.9, port 443", "pod/frontend", COMPANY, 443),
    closed("frontend -> 203.0.113.9, UDP 53", "pod/frontend", COMPANY, 53, "UDP"),
    closed("frontend -> CoreDNS, port 9153", "pod/frontend", "dns", 9153),
    closed("frontend -> monitoring, UDP 53", "pod/frontend", "pod/ops/monitoring", 53, "UDP"),
)


def _named(answer: Cluster) -> Judgement:
    before = _shop()
    before.apply(STAY_INSIDE)
    if found := judge(before, answer, FRIDAY, _friday_belief(before, answer)):
        return found
    if found := judge(before, renewed(answer), FRIDAY, lambda way: POD_BLOCK):
        return found
    return Judgement("SOLVED", "names are found, also with new pods of CoreDNS.")


def _friday_belief(before: Cluster, lab: Cluster) -> Callable[[Way], Belief]:
    def belief(way: Way) -> Belief:
        if _specs(before) == _specs(lab):
            return "", "Where does the question end, and who is it for by then?"
        if way.wanted == "open":
            return _no_names(lab, "default", way) if way.target == "dns" else ("", "")
        policies = lab.state.list(NetworkPolicy, "default")
        if not policies:
            return "M23", "a pod that no policy selects is open. What kept it inside?"
        if any(not rule.to for policy in policies for rule in policy.spec.egress or ()):
            return "M27", "a rule without `to` read as a rule for somebody. Whom does it leave out?"
        return "", "Which rule lets it out? `lab.allowed` names it, with its line."

    return belief


def _specs(lab: Cluster) -> list[object]:
    return [policy.spec for policy in lab.state.list(NetworkPolicy)]


def _shop() -> Cluster:
    return scenario("shop", cni="calico", proxy_mode="iptables")


def _egress(name: str, namespace: str, *rules: dict[str, Any]) -> list[dict[str, Any]]:
    spec = {"podSelector": {}, "policyTypes": ["Egress"], "egress": list(rules)}
    meta = {"name": name, "namespace": namespace}
    head = {"apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy"}
    return [{**head, "metadata": meta, "spec": spec}]


_DB = {
    "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "default"}},
    "podSelector": {"matchLabels": {"app": "db"}},
}
_DNS_PORTS = [{"protocol": "UDP", "port": 53}, {"protocol": "TCP", "port": 53}]
# The same as notebooks/lessons/L14-tuesday.yaml and L14-friday.yaml: what stood before.
TUESDAY = _egress(
    "lock",
    "pay",
    {"to": [_DB], "ports": [{"port": 5432}]},
    {"to": [{"ipBlock": {"cidr": "203.0.113.0/24"}}], "ports": [{"port": 443}]},
)
STAY_INSIDE = _egress(
    "stay-inside",
    "default",
    {"to": [{"podSelector": {}}]},
    {"to": [{"ipBlock": {"cidr": "10.96.0.10/32"}}], "ports": _DNS_PORTS},
)

LESSON = Lesson(
    number="L14",
    guesses=(
        Guess("L14-P1", ("answer", "refused", "timeout")),
        Guess("L14-P2", ("answer", "refused", "timeout")),
        Guess("L14-P3", ("page", "refused", "timeout")),
        Guess("L14-P4", ("a", "b", "c", "d"), letters=True),
        Guess("L14-P5", ("yes", "no", "both")),
    ),
    exercises=(
        Exercise(
            "L14-1",
            hints=(
                "say the list aloud: for each line, who is the other end, and on which port?",
                "for each end: is it a pod, and if so in which namespace, or is it outside?",
                "`lab.allowed` with your `answer`, from `pod/pay/payments` to the end that is"
                " wrong: it names each rule, its line and what it misses.",
            ),
            judge=_listed,
            unfilled=no_rule,
            leaks=("k8s-app: kube-dns", "protocol: UDP", "app: db", "cidr: 203"),
        ),
        Exercise(
            "L14-2",
            hints=(
                "say the task as a policy does: about whom, to whom, on which ports?",
                "read the table of L14-34 from the top: who must speak first, and which of the"
                " three actions ends the asking?",
                "`views.tiers` of `answer.allowed`, from `pod/pay/payments` to"
                " `pod/kube-system/coredns:53`: step to the tier that decides.",
            ),
            judge=_guarded,
            unfilled=no_cluster_rule,
            leaks=("tier: Admin", "action: Accept", "k8s-app: kube-dns"),
        ),
        Exercise(
            "L14-3",
            hints=(
                "trace from `pod/frontend` to `svc/kube-system/kube-dns:53` over UDP, and read the"
                " last two rows.",
                "which address stands in the packet when the policy looks at it?",
                "`lab.allowed` to `pod/kube-system/coredns:53` says which line misses. What of a"
                " pod stays when it moves?",
            ),
            judge=_named,
            unfilled=always_filled,
            leaks=("k8s-app: kube-dns", "namespaceSelector"),
        ),
    ),
)
