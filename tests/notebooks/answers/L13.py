"""Answers to L13's exercises: what solves them, and what beginners try."""

RIGHT = {"a": "anyone", "b": "own namespace", "c": "all pods", "d": "nobody"}


def four(**changed: str) -> str:
    return f"answer = {RIGHT | changed!r}"


def behind(rules: str, more: str = "") -> str:
    """The head and these rules; `more` is another document."""
    return f'answer = head + """{rules}"""{more}'


FRONT = "podSelector: {matchLabels: {app: frontend}}"
OPS = "namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: ops}}"
MON = "podSelector: {matchLabels: {app: monitoring}}"
GUIDE = "  ingress: [{from: [{podSelector: {matchLabels: {app: frontend}}}], ports: [%s]}]"
SERVICE = '''
answer += """
---
apiVersion: v1
kind: Service
metadata: {name: backend}
spec: {selector: {app: backend}, ports: [{port: %s, targetPort: %s}]}
"""'''
TARGET = """
  ingress:
  - from:
    - podSelector: {matchLabels: {app: frontend}}
    - namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: ops}}
      podSelector: {matchLabels: {app: monitoring}}
    ports: [{port: 8080}]
"""


def peers(*lines: str, ports: str = "    ports: [{port: 8080}]\n") -> str:
    listed = "".join(f"    {line}\n" for line in lines)
    return behind(f"\n  ingress:\n  - from:\n{listed}{ports}")


def db(rules: str, more: str = "") -> str:
    return f'answer = head.replace("backend", "db") + """{rules}"""{more}'


BACKEND = "podSelector: {matchLabels: {app: backend}}"
PAY = "{namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: pay}}, podSelector: {matchLabels: {app: payments}}}"  # noqa: E501
GUESTS = f"[{{{BACKEND}}}, {PAY}]"
SECOND = '''
answer += """
---
""" + head.replace("metadata: {name: backend", "metadata: {name: second").replace("backend", "db") + """%s"""'''  # noqa: E501
TWO = '''
answer += """
---
""" + head.replace("metadata: {name: backend", "metadata: {name: second") + """%s"""'''

DEPLOYMENT = """
from pathlib import Path
lab.apply(Path("lessons/L13-monday.yaml").read_text().replace("name: web", "name: http"))
answer = lab"""
POLICY = '''
lab.apply(head + """%s""")
answer = lab'''
MONDAY_SERVICE = '''
lab.apply("""apiVersion: v1
kind: Service
metadata: {name: backend}
spec: {selector: {app: backend}, ports: [{name: http, port: 80, targetPort: 8080}]}
""")
answer = lab'''

SOLVED = [
    ("L13-1", "the reference", four()),
    ("L13-1", "with capitals and blanks", four(a=" Anyone", b="own  namespace")),
    ("L13-2", "a number", behind(GUIDE % "{port: 8080}")),
    ("L13-2", "a number with its protocol", behind(GUIDE % "{protocol: TCP, port: 8080}")),
    ("L13-2", "the name in the pod", behind(GUIDE % "{port: http}")),
    ("L13-2", "a range of one", behind(GUIDE % "{port: 8080, endPort: 8080}")),
    ("L13-3", "one rule with two peers", behind(TARGET)),
    (
        "L13-3",
        "two rules",
        behind(
            f"\n  ingress:\n  - from: [{{{FRONT}}}]\n    ports: [{{port: 8080}}]\n"
            f"  - from: [{{{OPS}, {MON}}}]\n    ports: [{{port: http}}]\n"
        ),
    ),
    (
        "L13-3",
        "two policies",
        behind(f"  ingress: [{{from: [{{{FRONT}}}], ports: [{{port: 8080}}]}}]")
        + TWO % f"  ingress: [{{from: [{{{OPS}, {MON}}}], ports: [{{port: 8080}}]}}]",
    ),
    (
        "L13-3",
        "an expression",
        peers(
            "- podSelector: {matchExpressions: [{key: app, operator: In, values: [frontend]}]}",
            f"- {{{OPS}, {MON}}}",
        ),
    ),
    (
        "L13-4",
        "two blanks in place of the dash",
        db(
            f"\n  ingress:\n  - from:\n    - {BACKEND}\n    - {PAY}\n    ports:\n    - port: 5432\n"
        ),
    ),
    (
        "L13-4",
        "two rules, each with the port",
        db(
            f"\n  ingress:\n  - from: [{{{BACKEND}}}]\n    ports: [{{port: 5432}}]\n"
            f"  - from: [{PAY}]\n    ports: [{{port: 5432}}]\n"
        ),
    ),
    (
        "L13-4",
        "two policies",
        db(f"  ingress: [{{from: [{{{BACKEND}}}], ports: [{{port: 5432}}]}}]")
        + SECOND % f"  ingress: [{{from: [{PAY}], ports: [{{port: 5432}}]}}]",
    ),
    ("L13-5", "the name given back", DEPLOYMENT),
    ("L13-5", "the new name in the policy", POLICY % (GUIDE % "{port: web}")),
    ("L13-5", "a number in the policy", POLICY % (GUIDE % "{port: 8080}")),
]

NOT, BROKE = "NOT YET", "YOU BROKE SOMETHING THAT WORKED"

# (exercise, what was tried, code, verdict, misconception)
WRONG = [
    ("L13-1", "an empty list as a closed door", four(a="nobody"), NOT, "M27"),
    ("L13-1", "a condition where none is", four(a="all pods"), NOT, "M27"),
    ("L13-1", "a podSelector that sees everything", four(b="all pods"), NOT, "M29"),
    ("L13-1", "an empty selector that matches nothing", four(b="nobody"), NOT, "M27"),
    ("L13-1", "an empty selector as no condition", four(c="anyone"), NOT, "M27"),
    ("L13-1", "an empty selector as a missing one", four(c="own namespace"), NOT, "M27"),
    ("L13-1", "the other direction", four(d="anyone"), NOT, "M27"),
    ("L13-1", "the other direction, all pods", four(d="all pods"), NOT, "M27"),
    ("L13-1", "a word that is no choice", four(d="closed"), NOT, ""),
    ("L13-2", "nothing changed", behind(GUIDE % "{port: 80}"), NOT, "M30"),
    (
        "L13-2",
        "the Service's port, another form",
        behind(f"\n  ingress:\n  - from:\n    - {FRONT}\n    ports:\n    - port: 80\n"),
        NOT,
        "M30",
    ),
    ("L13-2", "no ports", behind(f"  ingress: [{{from: [{{{FRONT}}}]}}]"), BROKE, "M27"),
    (
        "L13-2",
        "a dash before ports",
        behind(f"\n  ingress:\n  - from:\n    - {FRONT}\n  - ports:\n    - port: 8080\n"),
        BROKE,
        "M28",
    ),
    ("L13-2", "both ports", behind(GUIDE % "{port: 80}, {port: 8080}"), NOT, "M30"),
    ("L13-2", "the target moved", behind(GUIDE % "{port: 80}") + SERVICE % (80, 80), NOT, "M30"),
    (
        "L13-2",
        "the Service's port moved",
        behind(GUIDE % "{port: 8080}") + SERVICE % (8080, 8080),
        NOT,
        "M30",
    ),
    (
        "L13-2",
        "an egress rule for the answer",
        behind(GUIDE % "{port: 80}" + f"\n  egress: [{{to: [{{{FRONT}}}]}}]"),
        BROKE,
        "M31",
    ),
    (
        "L13-2",
        "an egress rule beside the right one",
        behind(GUIDE % "{port: 8080}" + f"\n  egress: [{{to: [{{{FRONT}}}]}}]"),
        BROKE,
        "M31",
    ),
    ("L13-2", "from removed", behind("  ingress: [{ports: [{port: 8080}]}]"), BROKE, "M27"),
    (
        "L13-2",
        "the border taken down",
        behind(
            f"  ingress: [{{from: [{{namespaceSelector: {{}}, {FRONT}}}],"
            " ports: [{port: 8080}]}]"
        ),
        BROKE,
        "M29",
    ),
    ("L13-2", "nobody at all", behind("  ingress: []"), NOT, ""),
    (
        "L13-2",
        "today's address",
        behind("  ingress: [{from: [{ipBlock: {cidr: 192.168.35.65/32}}], ports: [{port: 8080}]}]"),
        NOT,
        "",
    ),
    (
        "L13-2",
        "a wide range",
        behind(GUIDE % "{port: 8000, endPort: 8090}"),
        BROKE,
        "",
    ),
    (
        "L13-2",
        "a port for tomorrow",
        behind(GUIDE % "{port: http}, {port: 9090}"),
        BROKE,
        "",
    ),
    (
        "L13-2",
        "every address as well",
        behind(
            f"  ingress: [{{from: [{{{FRONT}}}, {{ipBlock: {{cidr: 0.0.0.0/0}}}}],"
            " ports: [{port: 8080}]}]"
        ),
        BROKE,
        "",
    ),
    ("L13-3", "three peers", peers(f"- {FRONT}", f"- {OPS}", f"- {MON}"), NOT, "M28"),
    (
        "L13-3",
        "one peer for both",
        peers(
            f"- {OPS}",
            "  podSelector: {matchExpressions: [{key: app, operator: In,"
            " values: [frontend, monitoring]}]}",
        ),
        NOT,
        "M28",
    ),
    ("L13-3", "two podSelectors", peers(f"- {FRONT}", f"- {MON}"), NOT, "M29"),
    (
        "L13-3",
        "all namespaces",
        peers(f"- {{namespaceSelector: {{}}, {FRONT}}}", f"- {{namespaceSelector: {{}}, {MON}}}"),
        NOT,
        "M29",
    ),
    (
        "L13-3",
        "the Service's port",
        peers(f"- {FRONT}", f"- {{{OPS}, {MON}}}", ports="    ports: [{port: 80}]\n"),
        NOT,
        "M30",
    ),
    ("L13-3", "no ports", peers(f"- {FRONT}", f"- {{{OPS}, {MON}}}", ports=""), NOT, "M27"),
    (
        "L13-3",
        "a dash before ports",
        peers(f"- {FRONT}", f"- {{{OPS}, {MON}}}", ports="  - ports: [{port: 8080}]\n"),
        NOT,
        "M28",
    ),
    (
        "L13-3",
        "UDP as well",
        peers(
            f"- {FRONT}",
            f"- {{{OPS}, {MON}}}",
            ports="    ports: [{port: http}, {port: 9090, protocol: UDP}]\n",
        ),
        NOT,
        "",
    ),
    ("L13-3", "nobody", behind("  ingress: []"), NOT, ""),
    (
        "L13-4",
        "nothing changed",
        db(f"\n  ingress:\n  - from: {GUESTS}\n  - ports: [{{port: 5432}}]"),
        NOT,
        "",
    ),
    ("L13-4", "the second rule deleted", db(f"  ingress: [{{from: {GUESTS}}}]"), NOT, "M27"),
    (
        "L13-4",
        "from: [] in the second rule",
        db(f"\n  ingress:\n  - from: {GUESTS}\n  - from: []\n    ports: [{{port: 5432}}]"),
        NOT,
        "M27",
    ),
    (
        "L13-4",
        "the port under one of two rules",
        db(
            f"\n  ingress:\n  - from: [{{{BACKEND}}}]\n"
            f"  - from: [{PAY}]\n    ports: [{{port: 5432}}]\n"
        ),
        NOT,
        "M28",
    ),
    (
        "L13-4",
        "a second policy to deny the rest",
        db(f"\n  ingress:\n  - from: {GUESTS}\n  - ports: [{{port: 5432}}]")
        + SECOND % "  ingress: []",
        NOT,
        "M25",
    ),
    (
        "L13-4",
        "payments without its namespace",
        db(
            f"\n  ingress:\n  - from: [{{{BACKEND}}}, {{podSelector: {{matchLabels:"
            " {app: payments}}}]\n    ports: [{port: 5432}]\n"
        ),
        BROKE,
        "M29",
    ),
    (
        "L13-4",
        "some ports more",
        db(f"  ingress: [{{from: {GUESTS}, ports: [{{port: 5432, endPort: 5440}}]}}]"),
        NOT,
        "",
    ),
    (
        "L13-4",
        "the whole namespace of payments",
        db(
            f"\n  ingress:\n  - from: [{{{BACKEND}}}, {{{OPS.replace('ops', 'pay')}}}]\n"
            "    ports: [{port: 5432}]\n"
        ),
        NOT,
        "",
    ),
    ("L13-4", "the policy deleted", 'answer = scenario("shop", cni="calico")', BROKE, "M23"),
    ("L13-5", "nothing changed", "answer = lab", NOT, ""),
    ("L13-5", "the old name at the Service", MONDAY_SERVICE, NOT, "M30"),
    ("L13-5", "the Service's port", POLICY % (GUIDE % "{port: 80}"), NOT, "M30"),
    ("L13-5", "ports removed", POLICY % f"  ingress: [{{from: [{{{FRONT}}}]}}]", BROKE, "M27"),
    ("L13-5", "from removed", POLICY % "  ingress: [{ports: [{port: 8080}]}]", BROKE, "M27"),
    (
        "L13-5",
        "the policy deleted",
        'lab.delete("networkpolicy/backend-policy"); answer = lab',
        BROKE,
        "M23",
    ),
    ("L13-5", "a plugin that enforces nothing", 'answer = lab.fork(cni="flannel")', BROKE, "M24"),
    ("L13-5", "one port more", POLICY % (GUIDE % "{port: web}, {port: 9090}"), BROKE, ""),
]
