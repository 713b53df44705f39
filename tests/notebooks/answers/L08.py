"""Answers to L08's exercises: what solves them, and what beginners try."""

from __future__ import annotations


def table(**changed: str) -> str:
    """The table of L08-1, right but for what is changed."""
    right = {
        "a": "node",
        "b": "timeout",
        "c": "node",
        "d": "client",
        "e": "node",
        "f": "balancer",
    }
    return f"answer = {right | changed}"


def pods(one: object, two: object, three: object) -> str:
    return f'answer = {{"node-1": {one!r}, "node-2": {two!r}, "node-3": {three!r}}}'


HEAD = """answer = lab.fork()
answer.apply(\"\"\"
apiVersion: apps/v1
kind: %s
metadata: {name: frontend}
spec:
  %sselector: {matchLabels: {app: frontend}}
  template:
    metadata: {labels: {app: frontend}, annotations: {labkit.dev/listens: "8080/TCP"}}
    spec: {%scontainers: [{name: frontend, image: "shop.example/frontend:1.1"}]}
\"\"\")"""
SPREAD = (
    "topologySpreadConstraints: [{maxSkew: 1, topologyKey: kubernetes.io/hostname, "
    "whenUnsatisfiable: DoNotSchedule, labelSelector: {matchLabels: {app: frontend}}}], "
)
APART = (
    "affinity: {podAntiAffinity: {requiredDuringSchedulingIgnoredDuringExecution: "
    "[{topologyKey: kubernetes.io/hostname, labelSelector: {matchLabels: {app: frontend}}}]}}, "
)
POD = """apiVersion: v1
kind: Pod
metadata: {name: f%d, labels: {app: frontend}, annotations: {labkit.dev/listens: "8080/TCP"}}
spec: {nodeName: node-%d, containers: [{name: f, image: f}]}
"""
LABEL = "node.kubernetes.io/exclude-from-external-load-balancers="
SERVICE = """answer = lab.fork()
answer.apply(\"\"\"
apiVersion: v1
kind: Service
metadata: {name: frontend}
spec: {type: %s, externalTrafficPolicy: %s, selector: {app: frontend},
       ports: [{port: 80, targetPort: 8080, nodePort: 30080}]}
\"\"\")"""
DAEMONS = HEAD % ("DaemonSet", "", "") + '\nanswer.delete("deployment/frontend")'

# (exercise, what it shows, code)
SOLVED = [
    ("L08-1", "the reference", table()),
    ("L08-1", "with capitals and blanks", table(b=" Timeout", d="CLIENT")),
    ("L08-2", "two doors with three pods each", pods(3, 3, 0)),
    ("L08-2", "two doors with two pods each", pods(2, 2, 0)),
    ("L08-2", "two doors with four pods each", pods(4, 4, 0)),
    ("L08-3", "a pod on each node", HEAD % ("Deployment", "replicas: 3\n  ", "")),
    ("L08-3", "spread by a constraint", HEAD % ("Deployment", "replicas: 6\n  ", SPREAD)),
    ("L08-3", "a DaemonSet in its place", DAEMONS),
    (
        "L08-3",
        "no two on one node",
        HEAD % ("Deployment", "replicas: 3\n  ", APART),
    ),
]

# (exercise, what was tried, code, verdict, misconception)
WRONG = [
    ("L08-1", "a door only where the pod is", table(a="timeout"), "NOT YET", "M14"),
    ("L08-1", "no NAT from outside either", table(a="client"), "NOT YET", "M02"),
    ("L08-1", "no NAT behind a balancer", table(c="client"), "NOT YET", "M02"),
    ("L08-1", "a node port that always leads on", table(b="node"), "NOT YET", "M14"),
    ("L08-1", "Local loses packets everywhere", table(d="timeout"), "NOT YET", "M15"),
    ("L08-1", "a policy that undoes a proxy", table(f="client"), "NOT YET", "M14"),
    ("L08-1", "the proxy's address kept under Cluster", table(e="balancer"), "NOT YET", ""),
    ("L08-1", "a word that is no choice", table(a="customer"), "NOT YET", ""),
    ("L08-1", "a balancer before closed doors", table(c="timeout"), "NOT YET", "M14"),
    ("L08-1", "a proxy that loses packets", table(f="timeout"), "NOT YET", "M15"),
    ("L08-2", "one pod on every node", pods(1, 1, 1), "NOT YET", ""),
    ("L08-2", "as many as there is room", pods(4, 4, 1), "NOT YET", "M15"),
    ("L08-2", "a little of everything", pods(2, 1, 1), "NOT YET", "M15"),
    ("L08-2", "unequal doors", pods(4, 3, 0), "NOT YET", "M15"),
    ("L08-2", "all on one node", pods(4, 0, 0), "NOT YET", ""),
    ("L08-2", "more than there is room", pods(5, 5, 0), "NOT YET", ""),
    ("L08-2", "a word for a number", pods("two", 2, 0), "NOT YET", ""),
    ("L08-3", "nothing changed", "answer = lab", "NOT YET", "M15"),
    (
        "L08-3",
        "more pods on the same node",
        'kubectl(lab, "scale deployment frontend --replicas=6"); answer = lab',
        "NOT YET",
        "M15",
    ),
    (
        "L08-3",
        "one pod too few",
        HEAD % ("Deployment", "replicas: 2\n  ", ""),
        "NOT YET",
        "M15",
    ),
    (
        "L08-3",
        "another node in place of the first",
        HEAD
        % ("Deployment", "replicas: 3\n  ", "nodeSelector: {kubernetes.io/hostname: node-2}, "),
        "NOT YET",
        "M15",
    ),
    (
        "L08-3",
        "the policy given up",
        SERVICE % ("LoadBalancer", "Cluster"),
        "YOU BROKE SOMETHING THAT WORKED",
        "M14",
    ),
    (
        "L08-3",
        "other pods behind the Service",
        'kubectl(lab, "scale deployment backend --replicas=6")\n'
        + (SERVICE % ("LoadBalancer", "Local")).replace("app: frontend", "app: backend"),
        "NOT YET",
        "",
    ),
    (
        "L08-3",
        "the other nodes deleted",
        'answer = lab.fork(); answer.delete("node/node-2"); answer.delete("node/node-3")',
        "NOT YET",
        "",
    ),
    (
        "L08-3",
        "the other nodes taken from the balancer",
        f'kubectl(lab, "label node node-2 node-3 {LABEL}"); answer = lab',
        "NOT YET",
        "",
    ),
    (
        "L08-3",
        "pods that nobody makes again",
        f"answer = lab.fork()\nfor n in (2, 3):\n    answer.apply({POD!r} % (n, n))",
        "NOT YET",
        "",
    ),
    (
        "L08-3",
        "pods that listen elsewhere",
        (HEAD % ("Deployment", "replicas: 3\n  ", "")).replace("8080/TCP", "80/TCP"),
        "NOT YET",
        "",
    ),
    ("L08-3", "the balancer given up", SERVICE % ("NodePort", "Local"), "NOT YET", ""),
    (
        "L08-3",
        "another balancer",
        'answer = lab.fork(load_balancer="aws-nlb-instance")',
        "NOT YET",
        "",
    ),
]
