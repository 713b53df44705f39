"""Answers to L06's exercises: what solves them, and what beginners try."""


def settings(per_connection: object = None, max_age: object = None, chooses: str = "node") -> str:
    found = {"per_connection": per_connection, "max_age": max_age, "chooses": chooses}
    return f"answer = {found!r}"


def service(more: str = "", kind: str = "NodePort", door: str = ", nodePort: 30080") -> str:
    return f'''answer = lab
lab.apply("""apiVersion: v1
kind: Service
metadata: {{name: backend}}
spec:
  type: {kind}
  selector: {{app: backend}}
  ports: [{{port: 80, targetPort: 8080{door}}}]
  {more}
""")'''


STICKY = "sessionAffinity: ClientIP"
SECONDS = "sessionAffinityConfig: {clientIP: {timeoutSeconds: %s}}"
SCALED = 'answer = lab\nkubectl(lab, "scale deployment backend --replicas=9")'

SOLVED = [
    ("L06-1", "a limited age", settings(max_age=10)),
    ("L06-1", "a list at the client", settings(chooses="client")),
    ("L06-1", "a proxy that reads requests", settings(chooses="proxy")),
    ("L06-1", "a limited number of requests", settings(per_connection=5)),
    ("L06-1", "age and number", settings(per_connection=20, max_age=15.5)),
    ("L06-1", "as short as the price allows", settings(max_age=4)),
    ("L06-1", "an age for the way to a proxy", settings(max_age=10, chooses="proxy")),
    ("L06-2", "no affinity, said so", service("sessionAffinity: None")),
    ("L06-2", "the line taken out", service()),
    (
        "L06-2",
        "the number of the port left to the cluster",
        service("sessionAffinity: None", door=""),
    ),
]

# (exercise, what was tried, code, verdict, misconception)
WRONG = [
    ("L06-1", "nothing changed", settings(), "NOT YET", "M10"),
    ("L06-1", "an age longer than the sale", settings(max_age=600), "NOT YET", "M10"),
    ("L06-1", "requests by the thousand", settings(per_connection=1000), "NOT YET", "M10"),
    ("L06-1", "an age that comes too late", settings(max_age=150), "NOT YET", ""),
    ("L06-1", "a connection for each request", settings(per_connection=1), "NOT YET", ""),
    ("L06-1", "kube-proxy chooses", settings(chooses="kube-proxy"), "NOT YET", ""),
    ("L06-1", "no whole request", settings(per_connection=2.5), "NOT YET", ""),
    ("L06-1", "an age and a list", settings(max_age=10, chooses="client"), "NOT YET", ""),
    (
        "L06-1",
        "fewer workers",
        'answer = {"per_connection": None, "max_age": None, "chooses": "node", "clients": 6}',
        "NOT YET",
        "",
    ),
    ("L06-2", "nothing changed", "answer = lab", "NOT YET", "M17"),
    ("L06-2", "a short memory", service(f"{STICKY}\n  {SECONDS % 2}"), "NOT YET", "M17"),
    (
        "L06-2",
        "the client's own address",
        service(f"{STICKY}\n  externalTrafficPolicy: Local"),
        "NOT YET",
        "M17",
    ),
    ("L06-2", "more pods", SCALED, "NOT YET", "M17"),
    (
        "L06-2",
        "the door closed",
        service("sessionAffinity: None", "ClusterIP", ""),
        "YOU BROKE SOMETHING THAT WORKED",
        "",
    ),
    (
        "L06-2",
        "another door",
        service("sessionAffinity: None", door=", nodePort: 30081"),
        "YOU BROKE SOMETHING THAT WORKED",
        "",
    ),
    (
        "L06-2",
        "no affinity, and more pods",
        service("sessionAffinity: None") + SCALED.partition("lab")[2],
        "NOT YET",
        "",
    ),
]
