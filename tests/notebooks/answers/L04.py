"""Answers to L04's exercises: what solves them, and what beginners try."""

HEAD = (
    "apiVersion: v1\nkind: Service\nmetadata: {name: %s}\nspec: {selector: {app: %s}, ports: [%s]}"
)
RIGHT = {
    "search": HEAD % ("search", "search", "{port: 80, targetPort: 8080}"),
    "reviews": HEAD % ("reviews", "reviews", "{port: 80, targetPort: 9090}"),
    "images": HEAD % ("images", "images", "{port: 80, targetPort: web}"),
    "stats": HEAD % ("stats", "stats", "{port: 8125, targetPort: 8125, protocol: UDP}"),
    "invoices": HEAD % ("invoices, namespace: pay", "invoices", "{port: 80, targetPort: 8080}"),
}
DEPLOYMENT = '''
answer.apply("""apiVersion: apps/v1
kind: Deployment
metadata: {name: reviews}
spec:
  selector: {matchLabels: {app: reviews}}
  template:
    metadata: {labels: {app: reviews}, annotations: {labkit.dev/listens: "%s/TCP"}}
    spec:
      containers: [{name: reviews, image: shop.example/reviews:1.0, ports: [{containerPort: 80}]}]
""")'''


def five(more: str = "", **changed: str) -> str:
    """The right Services but for those named; None leaves one as the release brought it."""
    texts = [text for text in (RIGHT | changed).values() if text]
    joined = "\n---\n".join(texts)
    return f'answer = lab.fork()\nanswer.apply("""{joined}""")' + more


def service(name: str, ports: str, app: str = "") -> str:
    return HEAD % (name, app or name.partition(",")[0], ports)


CAUSES = {
    "a": "refused by the pod",
    "b": "timeout",
    "c": "timeout",
    "d": "refused by the node",
    "e": "timeout",
}


def causes(**changed: str) -> str:
    return f"answer = {CAUSES | changed!r}"


PAY = '''answer = lab
lab.apply("""apiVersion: v1
kind: Service
metadata: {name: payments, namespace: pay}
spec: {selector: {%s}, ports: [{port: %s, targetPort: %s}]}
""")'''

SOLVED = [
    ("L04-1", "numbers and a name", five()),
    (
        "L04-1",
        "the number in place of the name",
        five(images=service("images", "{port: 80, targetPort: 8080}")),
    ),
    (
        "L04-1",
        "the Service's own port names, and both protocols",
        five(
            reviews=service("reviews", "{name: http, port: 80, targetPort: 9090}"),
            stats=service(
                "stats",
                "{name: udp, port: 8125, protocol: UDP}, {name: tcp, port: 8125, protocol: TCP}",
            ),
        ),
    ),
    (
        "L04-1",
        "the homeless Service taken away",
        five(more='\nanswer.delete("svc/invoices")'),
    ),
    ("L04-2", "the reference", causes()),
    ("L04-2", "with capitals and blanks", causes(c=" Timeout", d="Refused by  the node")),
    ("L04-3", "the word mended", PAY % ("app: payments, release: stable", 8443, 8443)),
    ("L04-3", "the word taken away", PAY % ("app: payments", 8443, 8443)),
]

# (exercise, what was tried, code, verdict, misconception)
WRONG = [
    ("L04-1", "nothing changed", "answer = lab.fork()", "NOT YET", ""),
    (
        "L04-1",
        "the pod's number on both sides",
        five(reviews=service("reviews", "{port: 9090, targetPort: 9090}")),
        "NOT YET",
        "M06",
    ),
    ("L04-1", "one number for two", five(reviews=""), "NOT YET", "M06"),
    (
        "L04-1",
        "the Service's port given the name",
        five(images=service("images", "{name: http, port: 80, targetPort: http}")),
        "NOT YET",
        "M06",
    ),
    (
        "L04-1",
        "a containerPort to open the port",
        five(reviews="", more=DEPLOYMENT % 9090),
        "NOT YET",
        "M06",
    ),
    (
        "L04-1",
        "the program moved in place of the Service",
        five(reviews="", more=DEPLOYMENT % 80),
        "NOT YET",
        "",
    ),
    ("L04-1", "the protocol forgotten", five(stats=""), "NOT YET", ""),
    (
        "L04-1",
        "the namespace forgotten",
        five(invoices=service("invoices", "{port: 80, targetPort: 8080}")),
        "NOT YET",
        "",
    ),
    (
        "L04-1",
        "the label on the pod that runs",
        five(search="", more='\nkubectl(answer, "label pod -l app=search app=serach --overwrite")'),
        "NOT YET",
        "",
    ),
    (
        "L04-1",
        "search sent to the backend",
        five(search=service("search", "{port: 80, targetPort: 8080}", app="backend")),
        "NOT YET",
        "",
    ),
    (
        "L04-1",
        "the shop's own Service changed",
        five(more='\nanswer.delete("svc/backend")'),
        "YOU BROKE SOMETHING THAT WORKED",
        "",
    ),
    ("L04-2", "silence taken for a refusal", causes(b="refused by the node"), "NOT YET", "M40"),
    ("L04-2", "a refusal taken for silence", causes(a="timeout"), "NOT YET", "M40"),
    ("L04-2", "a protocol taken for no matter", causes(c="refused by the pod"), "NOT YET", "M40"),
    (
        "L04-2",
        "a name taken for the port itself",
        causes(d="refused by the pod"),
        "NOT YET",
        "M06",
    ),
    (
        "L04-2",
        "a listener on loopback taken for an empty list",
        causes(a="refused by the node"),
        "NOT YET",
        "",
    ),
    ("L04-2", "a ping expected back", causes(e="an answer"), "NOT YET", "M05"),
    ("L04-2", "the pod's number at the Service", causes(b="an answer"), "NOT YET", "M06"),
    ("L04-2", "loopback taken for no matter", causes(a="an answer"), "NOT YET", ""),
    ("L04-2", "a word that is no choice", causes(a="refused"), "NOT YET", ""),
    ("L04-3", "nothing changed", "answer = lab", "NOT YET", ""),
    (
        "L04-3",
        "the ports changed",
        PAY % ("app: payments, release: stabel", 443, 8443),
        "NOT YET",
        "M06",
    ),
    (
        "L04-3",
        "more pods",
        'kubectl(lab, "scale deployment payments -n pay --replicas=3"); answer = lab',
        "NOT YET",
        "",
    ),
    (
        "L04-3",
        "the label on the pod that runs",
        'kubectl(lab, "label pod -n pay -l app=payments release=stabel --overwrite"); answer = lab',
        "NOT YET",
        "",
    ),
    (
        "L04-3",
        "another Service lost on the way",
        'kubectl(lab, "delete service db"); answer = lab',
        "YOU BROKE SOMETHING THAT WORKED",
        "",
    ),
]
