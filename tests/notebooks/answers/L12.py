"""Answers to L12's exercises: what solves them, and what beginners try."""

HEAD = """apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: %s, namespace: %s}
spec:
  podSelector: {%s}
"""


def policy(name: str, guards: str = "", rules: str = "", namespace: str = "default") -> str:
    chosen = f"matchLabels: {{app: {guards}}}" if guards else ""
    return HEAD % (name, namespace, chosen) + (f"  {rules}\n" if rules else "")


def rule(*apps: str) -> str:
    peers = ", ".join(f"{{podSelector: {{matchLabels: {{app: {app}}}}}}}" for app in apps)
    return f"ingress: [{{from: [{peers}]}}]"


def answer(*policies: str) -> str:
    text = "---\n".join(policies)
    return f'answer = """{text}"""'


DENY = policy("nobody-enters")
BACKEND = policy("backend-from-frontend", "backend", rule("frontend"))
DB = policy("db-from-backend", "db", rule("backend"))
OUT = policy("out", "", "policyTypes: [Egress]\n  egress: [{}]")
FORK = 'answer = lab.fork(cni="calico")'

SOLVED = [
    ("L12-1", "default deny and two allows", answer(DENY, BACKEND, DB)),
    ("L12-1", "in another order", answer(DB, DENY, BACKEND)),
    (
        "L12-1",
        "with the type and the rules spelled out",
        answer(policy("deny", "", "policyTypes: [Ingress]\n  ingress: []"), BACKEND, DB),
    ),
    (
        "L12-1",
        "the lesson's own file and variables",
        "front = db_from_frontend.replace('db', 'backend')\n"
        "answer = '---\\n'.join([nobody_enters, db_from_backend, front])",
    ),
    (
        "L12-1",
        "a deny for all but two",
        answer(
            policy("deny").replace(
                "{}", "{matchExpressions: [{key: app, operator: NotIn, values: [backend, db]}]}"
            ),
            BACKEND,
            DB,
        ),
    ),
    ("L12-1", "every way out allowed", answer(DENY, OUT, BACKEND, DB)),
    (
        "L12-1",
        "a cluster",
        answer(DENY, BACKEND, DB)
        + "\ntext, answer = answer, scenario('shop', cni='calico'); answer.apply(text)",
    ),
    ("L12-2", "a plugin that enforces", FORK),
    ("L12-2", "another backend of it", 'answer = lab.fork(cni="calico/vxlan")'),
    (
        "L12-2",
        "another mode of kube-proxy as well",
        'answer = lab.fork(cni="calico", proxy_mode="nftables")',
    ),
]

NOT, BROKE = "NOT YET", "YOU BROKE SOMETHING THAT WORKED"

# (exercise, what was tried, code, verdict, misconception)
WRONG = [
    ("L12-1", "nothing", 'answer = ""', NOT, "M23"),
    ("L12-1", "only two allows", answer(BACKEND, DB), NOT, "M23"),
    ("L12-1", "the three pods by name", answer(BACKEND, DB, policy("f", "frontend")), NOT, "M23"),
    ("L12-1", "only the default deny", answer(DENY), BROKE, ""),
    (
        "L12-1",
        "both directions denied",
        answer(policy("deny", "", "policyTypes: [Ingress, Egress]"), BACKEND, DB),
        BROKE,
        "",
    ),
    (
        "L12-1",
        "policies that forbid",
        answer(
            policy("all", "", "ingress: [{}]"),
            *(policy(f"no-{app}", app) for app in ("frontend", "backend", "db")),
        ),
        NOT,
        "M25",
    ),
    (
        "L12-1",
        "one more allowing policy abroad",
        answer(DENY, BACKEND, DB, policy("ops", "monitoring", rule("monitoring"), "ops")),
        BROKE,
        "M26",
    ),
    (
        "L12-1",
        "the senders guarded",
        answer(DENY, policy("a", "frontend", rule("backend")), policy("b", "backend", rule("db"))),
        BROKE,
        "",
    ),
    (
        "L12-1",
        "the whole namespace let in",
        answer(DENY, BACKEND, DB, policy("own", "db", "ingress: [{from: [{podSelector: {}}]}]")),
        NOT,
        "",
    ),
    (
        "L12-1",
        "everyone opens to the frontend",
        answer(DENY, policy("a", "", rule("frontend")), DB),
        NOT,
        "",
    ),
    (
        "L12-1",
        "some ports only",
        answer(DENY, BACKEND, DB.replace("ingress: [{", "ingress: [{ports: [{protocol: TCP}], ")),
        NOT,
        "",
    ),
    (
        "L12-1",
        "a deny for three names",
        answer(
            policy("deny").replace(
                "{}",
                "{matchExpressions: [{key: app, operator: In, values: [frontend, backend, db]}]}",
            ),
            BACKEND,
            DB,
        ),
        NOT,
        "M23",
    ),
    (
        "L12-1",
        "another namespace denied, too",
        answer(DENY, BACKEND, DB, policy("deny", namespace="ops")),
        BROKE,
        "",
    ),
    ("L12-2", "nothing changed", "answer = lab", NOT, ""),
    ("L12-2", "a default deny as well", f'lab.apply("""{DENY}"""); answer = lab', NOT, "M24"),
    (
        "L12-2",
        "the stranger's way out denied",
        f'lab.apply("""{policy("out", "monitoring", "policyTypes: [Egress]", "ops")}""")\nanswer = lab',  # noqa: E501
        NOT,
        "M24",
    ),
    ("L12-2", "another mode of kube-proxy", 'answer = lab.fork(proxy_mode="nftables")', NOT, ""),
    (
        "L12-2",
        "another plugin, the policy forgotten",
        'answer = scenario("shop", cni="calico")',
        NOT,
        "M23",
    ),
    ("L12-2", "the Service taken away", 'lab.delete("svc/db"); answer = lab', BROKE, ""),
    (
        "L12-2",
        "another plugin and too many walls",
        f'answer = lab.fork(cni="calico"); answer.apply("""{DENY}""")',
        BROKE,
        "",
    ),
]
