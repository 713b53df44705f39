"""Answers to L10's exercises: what solves them, and what beginners try."""


def spec(lines: str) -> str:
    """The frontend's Deployment with more lines in its pods' spec."""
    return f'answer = lab.fork()\nanswer.apply(frontend + """{lines}""")'


OPTION = "      dnsConfig:\n        options:\n        - {name: ndots, value: %r}\n"
OWN_FILE = """      dnsPolicy: None
      dnsConfig:
        nameservers: [10.96.0.10]
        searches: [%s]
        options: [{name: ndots, value: "2"}]
"""
ENDINGS = "default.svc.cluster.local, svc.cluster.local, cluster.local"


def edit(*pairs: tuple[str, str], lab: str = "lab", more: str = "") -> str:
    """The Corefile of `lab` with words replaced."""
    changes = "".join(f".replace({old!r}, {new!r})" for old, new in pairs)
    return f"""place = {{"name": "coredns", "namespace": "kube-system"}}
config = {{"apiVersion": "v1", "kind": "ConfigMap", "metadata": place}}
answer = {lab}
text = answer.get("configmap/kube-system/coredns").data["Corefile"]{changes}
answer.apply([config | {{"data": {{"Corefile": text}}}}]){more}"""


FORK = "lab.fork()"
NODES = """
for node in lab.list("nodes"):
    file = {"labkit.dev/resolv-conf": "nameserver 203.0.113.9"}
    meta = {"name": node.name, "annotations": file}
    lab.apply([{"apiVersion": "v1", "kind": "Node", "metadata": meta}])
answer = lab"""
RESTART = """
for pod in lab.list("pods", namespace="kube-system", selector="k8s-app=kube-dns"):
    lab.delete(f"pod/kube-system/{pod.name}")
"""
NEVER = (
    "cache 30 {\n       disable success cluster.local\n       disable denial cluster.local\n    }"
)
FORWARD = "forward . /etc/resolv.conf {\n       max_concurrent 1000\n    }"
OWN_BLOCK = """cluster.local:53 {
    errors
    kubernetes cluster.local
    loadbalance
}
.:53 {"""

SOLVED = [
    ("L10-1", "the number in the pod's file", spec(OPTION % "2")),
    ("L10-1", "a file of one's own", spec(OWN_FILE % ENDINGS)),
    (
        "L10-1",
        "the server walks the search list",
        edit(("insecure", "verified"), ("loop", "loop\n    autopath @kubernetes"), lab=FORK),
    ),
    ("L10-2", "as in a new cluster", edit(("cache 30", NEVER))),
    (
        "L10-2",
        "only the no of the cluster",
        edit(("cache 30", "cache 30 {\n disable denial cluster.local\n}")),
    ),
    ("L10-2", "a block of its own for the cluster", edit((".:53 {", OWN_BLOCK))),
    ("L10-3", "the company's server", edit(("/etc/resolv.conf", "203.0.113.9"))),
    (
        "L10-3",
        "without the limit of questions",
        edit((FORWARD, "forward . 203.0.113.9 { \n policy sequential\n }")),
    ),
    (
        "L10-3",
        "with its port, and a restart",
        edit(("/etc/resolv.conf", "203.0.113.9:53"), more=RESTART),
    ),
]

# (exercise, what was tried, code, verdict, misconception)
WRONG = [
    ("L10-1", "nothing changed", "answer = lab.fork()", "NOT YET", "M20"),
    ("L10-1", "one dot fewer than needed", spec(OPTION % "3"), "NOT YET", ""),
    ("L10-1", "a longer memory", edit(("cache 30", "cache 3600"), lab=FORK), "NOT YET", "M20"),
    (
        "L10-1",
        "a cache on each node",
        'answer = scenario("shop", node_local_dns=True)',
        "NOT YET",
        "M20",
    ),
    (
        "L10-1",
        "the names of the shop sent outside first",
        spec(OPTION % "1"),
        "YOU BROKE SOMETHING THAT WORKED",
        "M20",
    ),
    (
        "L10-1",
        "a server outside as a second one",
        spec((OWN_FILE % ENDINGS).replace("10.96.0.10", "10.96.0.10, 203.0.113.9")),
        "YOU BROKE SOMETHING THAT WORKED",
        "",
    ),
    (
        "L10-1",
        "the address written down",
        spec("      hostAliases: [{ip: 203.0.113.9, hostnames: [api.stripe.com]}]\n"),
        "NOT YET",
        "",
    ),
    (
        "L10-1",
        "the node's file",
        spec("      dnsPolicy: Default\n"),
        "YOU BROKE SOMETHING THAT WORKED",
        "",
    ),
    (
        "L10-1",
        "the endings thrown away",
        spec(OWN_FILE % ""),
        "YOU BROKE SOMETHING THAT WORKED",
        "",
    ),
    (
        "L10-1",
        "the frontend thrown away",
        'answer = lab.fork(); answer.delete("deployment/frontend")',
        "YOU BROKE SOMETHING THAT WORKED",
        "",
    ),
    ("L10-2", "nothing changed", "answer = lab", "NOT YET", "M21"),
    ("L10-2", "waited for", "lab.wait(31); answer = lab", "NOT YET", "M21"),
    ("L10-2", "restarted", f"{RESTART}answer = lab", "NOT YET", "M21"),
    ("L10-2", "a shorter memory", edit(("cache 30", "cache 5")), "NOT YET", "M21"),
    ("L10-2", "a shorter ttl", edit(("ttl 30", "ttl 0")), "NOT YET", "M21"),
    (
        "L10-2",
        "no cache at all",
        edit(("    cache 30\n", "")),
        "YOU BROKE SOMETHING THAT WORKED",
        "",
    ),
    (
        "L10-2",
        "no denial remembered at all",
        edit(("cache 30", "cache 30 {\n disable denial\n}")),
        "YOU BROKE SOMETHING THAT WORKED",
        "",
    ),
    ("L10-2", "a word mistyped", edit(("cache 30", "cahce 30")), "NOT YET", ""),
    (
        "L10-2",
        "a cache for some zones outside",
        edit(("cache 30", "cache 30 org example")),
        "YOU BROKE SOMETHING THAT WORKED",
        "",
    ),
    (
        "L10-2",
        "CoreDNS scaled away",
        'kubectl(lab, "scale deployment coredns -n kube-system --replicas=0"); answer = lab',
        "YOU BROKE SOMETHING THAT WORKED",
        "",
    ),
    ("L10-3", "nothing changed", "answer = lab", "NOT YET", ""),
    ("L10-3", "restarted", f"{RESTART}answer = lab", "NOT YET", ""),
    ("L10-3", "the alarm switched off", edit(("    loop\n", "")), "NOT YET", ""),
    ("L10-3", "nobody asked outside", edit((FORWARD, "")), "NOT YET", ""),
    ("L10-3", "nobody there", edit(("/etc/resolv.conf", "192.0.2.53")), "NOT YET", ""),
    ("L10-3", "the nodes changed", NODES, "YOU BROKE SOMETHING THAT WORKED", ""),
    ("L10-3", "its own Service asked", edit(("/etc/resolv.conf", "10.96.0.10")), "NOT YET", ""),
]
