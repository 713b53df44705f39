"""Answers to L14's exercises: what solves them, and what beginners try."""

POLICY = '''answer = lab.fork()
answer.apply("""apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: lock, namespace: pay}
spec:
  podSelector: {}
  %s
  egress:
%s
""")'''
SYSTEM = "namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: kube-system}}"
DEFAULT = "namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: default}}"
NAME = "kubernetes.io/metadata.name"
DNS_PODS = "podSelector: {matchLabels: {k8s-app: kube-dns}}"
DB_PODS = "podSelector: {matchLabels: {app: db}}"
BOTH = "ports: [{protocol: UDP, port: 53}, {protocol: TCP, port: 53}]"
RULES = {
    "dns": f"  - to: [{{{SYSTEM}, {DNS_PODS}}}]\n    {BOTH}",
    "db": f"  - to: [{{{DEFAULT}, {DB_PODS}}}]\n    ports: [{{port: 5432}}]",
    "company": "  - to: [{ipBlock: {cidr: 203.0.113.0/24}}]\n    ports: [{port: 443}]",
}


def lock(head: str = "policyTypes: [Egress]", **changed: str) -> str:
    """The right policy but for the rules that are named; an empty one is left out."""
    return POLICY % (head, "\n".join(rule for rule in (RULES | changed).values() if rule))


THREE = "answer = lab.fork()" + "".join(
    f'''
answer.apply("""apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {{name: {name}, namespace: pay}}
spec:
  podSelector: {{}}
  policyTypes: [Egress]
  egress:
{rule}
""")'''
    for name, rule in RULES.items()
)

GUARD = '''answer = lab.fork()
answer.apply("""apiVersion: policy.networking.k8s.io/v1alpha2
kind: ClusterNetworkPolicy
metadata: {name: names}
spec:
  tier: %s
  priority: %s
  subject: {namespaces: {}}
  egress:
%s
""")'''
UDP = "udp: {destinationPort: {number: 53}}"
TCP = "tcp: {destinationPort: {number: 53}}"
BY_NAME = "{destinationNamedPort: dns}, {destinationNamedPort: dns-tcp}"
PEER = f"pods: {{{SYSTEM}, {DNS_PODS}}}"


def rule(action: str = "Accept", peer: str = PEER, protocols: str = f"{{{UDP}}}, {{{TCP}}}") -> str:
    asked = f"\n    protocols: [{protocols}]" if protocols else ""
    return f"  - action: {action}\n    to: [{{{peer}}}]{asked}"


def guard(*rules: str, tier: str = "Admin", priority: int = 10) -> str:
    return GUARD % (tier, priority, "\n".join(rules))


INSIDE = '''answer = lab
lab.apply("""apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: stay-inside}
spec:
  podSelector: {}
  policyTypes: [Egress]
  egress:
  - to: [{podSelector: {}}]
  - to: [%s]
    %s
""")'''
ADDED = '''answer = lab
lab.apply("""apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: names}
spec:
  podSelector: {}
  policyTypes: [Egress]
  egress:
%s
""")'''

SOLVED = [
    ("L14-1", "one policy, three rules", lock()),
    ("L14-1", "three policies", THREE),
    (
        "L14-1",
        "the two protocols as two rules",
        lock(
            dns=f"  - to: [{{{SYSTEM}, {DNS_PODS}}}]\n    ports: [{{protocol: UDP, port: 53}}]\n"
            f"  - to: [{{{SYSTEM}, {DNS_PODS}}}]\n    ports: [{{port: 53}}]"
        ),
    ),
    ("L14-2", "one rule, two protocols", guard(rule())),
    (
        "L14-2",
        "two rules, and the first priority",
        guard(rule(protocols=f"{{{UDP}}}"), rule(protocols=f"{{{TCP}}}"), priority=0),
    ),
    ("L14-3", "the pods in place of the address", INSIDE % (f"{{{SYSTEM}, {DNS_PODS}}}", BOTH)),
    ("L14-3", "a second policy beside the first", ADDED % RULES["dns"]),
    ("L14-1", "ports by name", lock(dns=RULES["dns"].replace("UDP, port: 53", "UDP, port: dns"))),
    ("L14-2", "ports by name", guard(rule(protocols=BY_NAME))),
    ("L14-3", "a guardrail above", guard(rule()).replace("lab.fork()", "lab")),
]

# (exercise, what was tried, code, verdict, misconception)
WRONG = [
    (
        "L14-1",
        "nothing opened",
        POLICY % ("policyTypes: [Egress]", "    []"),
        "NOT YET",
        "",
    ),
    ("L14-1", "DNS forgotten", lock(dns=""), "NOT YET", "M32"),
    (
        "L14-1",
        "DNS over UDP only",
        lock(dns=f"  - to: [{{{SYSTEM}, {DNS_PODS}}}]\n    ports: [{{protocol: UDP, port: 53}}]"),
        "NOT YET",
        "M32",
    ),
    (
        "L14-1",
        "the address of the DNS Service",
        lock(dns=f"  - to: [{{ipBlock: {{cidr: 10.96.0.10/32}}}}]\n    {BOTH}"),
        "NOT YET",
        "M33",
    ),
    (
        "L14-1",
        "the address of the database's Service",
        lock(db="  - to: [{ipBlock: {cidr: 10.96.1.3/32}}]\n    ports: [{port: 5432}]"),
        "NOT YET",
        "M33",
    ),
    (
        "L14-1",
        "the address of the database's pod",
        lock(db="  - to: [{ipBlock: {cidr: 192.168.204.193/32}}]\n    ports: [{port: 5432}]"),
        "NOT YET",
        "M33",
    ),
    (
        "L14-1",
        "the label without the namespace",
        lock(dns=f"  - to: [{{{DNS_PODS}}}]\n    {BOTH}"),
        "NOT YET",
        "M29",
    ),
    (
        "L14-1",
        "two dashes",
        lock(db=f"  - to: [{{{DEFAULT}}}, {{{DB_PODS}}}]\n    ports: [{{port: 5432}}]"),
        "YOU BROKE SOMETHING THAT WORKED",
        "M28",
    ),
    (
        "L14-1",
        "port 53 to anybody",
        lock(dns=f"  - {BOTH}"),
        "YOU BROKE SOMETHING THAT WORKED",
        "M27",
    ),
    (
        "L14-1",
        "no port for the database",
        lock(db=f"  - to: [{{{DEFAULT}, {DB_PODS}}}]"),
        "YOU BROKE SOMETHING THAT WORKED",
        "M27",
    ),
    (
        "L14-1",
        "the whole world on port 443",
        lock(company="  - to: [{ipBlock: {cidr: 0.0.0.0/0}}]\n    ports: [{port: 443}]"),
        "YOU BROKE SOMETHING THAT WORKED",
        "",
    ),
    (
        "L14-1",
        "one address of the company",
        lock(company="  - to: [{ipBlock: {cidr: 203.0.113.9/32}}]\n    ports: [{port: 443}]"),
        "NOT YET",
        "",
    ),
    (
        "L14-1",
        "twice the company's range",
        lock(company="  - to: [{ipBlock: {cidr: 203.0.112.0/23}}]\n    ports: [{port: 443}]"),
        "YOU BROKE SOMETHING THAT WORKED",
        "",
    ),
    (
        "L14-1",
        "more ports than one",
        lock(db=f"  - to: [{{{DEFAULT}, {DB_PODS}}}]\n    ports: [{{port: 5000, endPort: 6000}}]"),
        "YOU BROKE SOMETHING THAT WORKED",
        "",
    ),
    (
        "L14-1",
        "all pods of default on the database's port",
        lock(db=f"  - to: [{{{DEFAULT}}}]\n    ports: [{{port: 5432}}]"),
        "YOU BROKE SOMETHING THAT WORKED",
        "",
    ),
    (
        "L14-1",
        "all pods beside CoreDNS",
        lock(dns=f"  - to: [{{{SYSTEM}}}]\n    {BOTH}"),
        "YOU BROKE SOMETHING THAT WORKED",
        "",
    ),
    (
        "L14-1",
        "the pods of today",
        lock().replace("podSelector: {}", "podSelector: {matchLabels: {app: payments}}", 1),
        "YOU BROKE SOMETHING THAT WORKED",
        "",
    ),
    (
        "L14-1",
        "no CoreDNS left",
        lock() + '\nkubectl(answer, "scale deployment coredns -n kube-system --replicas=0")',
        "NOT YET",
        "",
    ),
    (
        "L14-1",
        "both directions isolated",
        lock(head="policyTypes: [Ingress, Egress]"),
        "YOU BROKE SOMETHING THAT WORKED",
        "M26",
    ),
    (
        "L14-2",
        "passed on, in the tier behind",
        guard("  - action: Pass\n    to: [{namespaces: {}}]", tier="Baseline"),
        "NOT YET",
        "",
    ),
    ("L14-2", "no rule", guard("    []"), "NOT YET", ""),
    (
        "L14-2",
        "about the namespaces of today",
        guard(rule())
        .replace("{namespaces: {}}", "{namespaces: {matchExpressions: [TODAY]}}", 1)
        .replace("TODAY", f"{{key: {NAME}, operator: In, values: [default, ops, pay]}}"),
        "NOT YET",
        "",
    ),
    (
        "L14-2",
        "the addresses of CoreDNS' pods",
        guard(rule(peer="networks: [192.168.120.2/32, 192.168.204.194/32]")),
        "NOT YET",
        "M33",
    ),
    (
        "L14-2",
        "everybody who wears the label",
        guard(rule(peer=f"pods: {{namespaceSelector: {{}}, {DNS_PODS}}}")),
        "YOU BROKE SOMETHING THAT WORKED",
        "",
    ),
    (
        "L14-2",
        "the whole namespace of CoreDNS",
        guard(rule(peer="namespaces: {matchLabels: {kubernetes.io/metadata.name: kube-system}}")),
        "YOU BROKE SOMETHING THAT WORKED",
        "",
    ),
    (
        "L14-2",
        "the team's wall torn down",
        guard(rule()) + '\nkubectl(answer, "delete netpol lock -n pay")',
        "YOU BROKE SOMETHING THAT WORKED",
        "M23",
    ),
    ("L14-2", "the tier behind the teams", guard(rule(), tier="Baseline"), "NOT YET", ""),
    ("L14-2", "passed on to the teams", guard(rule("Pass")), "NOT YET", ""),
    ("L14-2", "UDP only", guard(rule(protocols=f"{{{UDP}}}")), "NOT YET", "M32"),
    (
        "L14-2",
        "the address of the DNS Service",
        guard(rule(peer="networks: [10.96.0.10/32]")),
        "NOT YET",
        "M33",
    ),
    (
        "L14-2",
        "the rest denied",
        guard(rule(), rule("Deny", "namespaces: {}", "")),
        "YOU BROKE SOMETHING THAT WORKED",
        "",
    ),
    (
        "L14-2",
        "everybody's port 53",
        guard(rule(peer="networks: [0.0.0.0/0]")),
        "YOU BROKE SOMETHING THAT WORKED",
        "",
    ),
    (
        "L14-2",
        "every port of CoreDNS",
        guard(rule(protocols="")),
        "YOU BROKE SOMETHING THAT WORKED",
        "",
    ),
    (
        "L14-2",
        "a NetworkPolicy in one namespace",
        lock(),
        "NOT YET",
        "",
    ),
    ("L14-3", "nothing changed", "answer = lab", "NOT YET", ""),
    (
        "L14-3",
        "the range of all Services",
        INSIDE % ("{ipBlock: {cidr: 10.96.0.0/12}}", BOTH),
        "NOT YET",
        "M33",
    ),
    (
        "L14-3",
        "the pods' addresses",
        INSIDE
        % ("{ipBlock: {cidr: 192.168.120.2/32}}, {ipBlock: {cidr: 192.168.204.194/32}}", BOTH),
        "NOT YET",
        "M33",
    ),
    (
        "L14-3",
        "the label without the namespace",
        INSIDE % (f"{{{DNS_PODS}}}", BOTH),
        "NOT YET",
        "M29",
    ),
    (
        "L14-3",
        "UDP only",
        INSIDE % (f"{{{SYSTEM}, {DNS_PODS}}}", "ports: [{protocol: UDP, port: 53}]"),
        "NOT YET",
        "M32",
    ),
    (
        "L14-3",
        "the range of all pods",
        INSIDE % ("{ipBlock: {cidr: 192.168.0.0/16}}", BOTH),
        "YOU BROKE SOMETHING THAT WORKED",
        "",
    ),
    (
        "L14-3",
        "port 53 to anybody",
        ADDED % f"  - {BOTH}",
        "YOU BROKE SOMETHING THAT WORKED",
        "M27",
    ),
    (
        "L14-3",
        "the policy deleted",
        'answer = lab\nlab.delete("netpol/stay-inside")',
        "YOU BROKE SOMETHING THAT WORKED",
        "M23",
    ),
    (
        "L14-3",
        "CoreDNS started again",
        'answer = lab\nkubectl(lab, "delete pod -n kube-system -l k8s-app=kube-dns")',
        "NOT YET",
        "",
    ),
]
