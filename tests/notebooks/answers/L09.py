"""Answers to L09's exercises: what solves them, and what beginners try."""

SIX = {
    "a": "backend",
    "b": "backend.default",
    "c": "payments.pay",
    "d": "payments",
    "e": "store-0.store",
    "f": "store-1.store.default",
}


def six(**changed: str) -> str:
    return f"answer = {SIX | changed!r}"


CAME = {"a": "404", "b": "page", "c": "no address", "d": "no address", "e": "certificate"}


def came(**changed: str) -> str:
    return f"answer = {CAME | changed!r}"


URL = 'answer = lab; lab.apply(refunds.replace("http://backend/", "http://{}/"))'
ALIAS = '''answer = lab
lab.apply("""apiVersion: v1
kind: Service
metadata: {name: backend, namespace: pay}
spec: {%s}
""")'''
ENDPOINT = '''answer = lab
lab.apply("""apiVersion: v1
kind: Service
metadata: {name: backend, namespace: pay}
spec: {ports: [{port: 80, targetPort: 8080}]}
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: backend-1, namespace: pay, labels: {kubernetes.io/service-name: backend}}
addressType: IPv4
ports: [{port: 8080, protocol: TCP}]
endpoints: [{addresses: [10.244.2.2], conditions: {ready: true}}]
""")'''

SOLVED = [
    ("L09-1", "the reference", six()),
    ("L09-1", "with capitals and blanks", six(a=" Backend", c="PAYMENTS.pay ")),
    ("L09-2", "the reference", came()),
    ("L09-2", "with capitals and blanks", came(c="No  address", e=" Certificate")),
    ("L09-3", "the namespace said", URL.format("backend.default")),
    ("L09-3", "the full name", URL.format("backend.default.svc.cluster.local")),
    ("L09-3", "the full name with a last dot", URL.format("backend.default.svc.cluster.local.")),
    (
        "L09-3",
        "an alias in the program's namespace",
        ALIAS % "type: ExternalName, externalName: backend.default.svc.cluster.local",
    ),
    (
        "L09-3",
        "one more ending in the search list",
        "answer = lab; lab.apply(refunds.replace('      containers:',"
        " '      dnsConfig: {searches: [default.svc.cluster.local]}\\n      containers:'))",
    ),
]

# (exercise, what was tried, code, verdict, misconception)
WRONG = [
    ("L09-1", "a short name abroad", six(b="backend"), "NOT YET", "M19"),
    ("L09-1", "a pod's short name abroad", six(f="store-1.store"), "NOT YET", "M19"),
    ("L09-1", "the full name", six(a="backend.default.svc.cluster.local"), "NOT YET", ""),
    ("L09-1", "a namespace too many", six(d="payments.pay"), "NOT YET", ""),
    ("L09-1", "an address", six(c="10.96.1.4"), "NOT YET", ""),
    ("L09-1", "a pod without its Service", six(e="store-0"), "NOT YET", ""),
    ("L09-1", "the list for one of it", six(e="store"), "NOT YET", ""),
    ("L09-1", "the words turned round", six(c="pay.payments"), "NOT YET", ""),
    ("L09-1", "its own namespace said", six(b="backend.pay"), "NOT YET", "M19"),
    ("L09-1", "a pod's address with dashes", six(f="10-244-3-4.default.pod"), "NOT YET", ""),
    ("L09-1", "a last dot on half a name", six(b="backend.default."), "NOT YET", ""),
    ("L09-1", "a URL", six(a="http://backend"), "NOT YET", ""),
    ("L09-1", "another Service", six(a="db"), "NOT YET", ""),
    ("L09-2", "an alias that speaks for its client", came(a="page"), "NOT YET", "M18"),
    ("L09-2", "the full name cures TLS", came(e="page"), "NOT YET", "M18"),
    ("L09-2", "an alias to an address", came(d="page"), "NOT YET", "M18"),
    ("L09-2", "a short name behind an alias", came(c="page"), "NOT YET", "M19"),
    ("L09-2", "an alias without a port", came(b="timeout"), "NOT YET", "M18"),
    ("L09-2", "a certificate without TLS", came(a="certificate"), "NOT YET", ""),
    ("L09-2", "the site hears the name first", came(e="404"), "NOT YET", ""),
    ("L09-2", "a word that is no choice", came(b="200"), "NOT YET", ""),
    ("L09-3", "nothing changed", "answer = lab", "NOT YET", ""),
    (
        "L09-3",
        "a Service at home with nobody behind it",
        ALIAS % "selector: {app: backend}, ports: [{port: 80, targetPort: 8080}]",
        "NOT YET",
        "M19",
    ),
    (
        "L09-3",
        "an alias to a short name",
        ALIAS % "type: ExternalName, externalName: backend.default",
        "NOT YET",
        "M19",
    ),
    (
        "L09-3",
        "an alias to an address",
        ALIAS % "type: ExternalName, externalName: 10.96.1.2",
        "NOT YET",
        "M18",
    ),
    ("L09-3", "its own namespace", URL.format("backend.pay"), "NOT YET", "M19"),
    ("L09-3", "the words turned round", URL.format("default.backend"), "NOT YET", ""),
    ("L09-3", "the pod's port", URL.format("backend.default:8080"), "NOT YET", ""),
    (
        "L09-3",
        "the path lost",
        "answer = lab; lab.apply(refunds.replace('backend/orders', 'backend.default'))",
        "NOT YET",
        "",
    ),
    ("L09-3", "today's pod behind a Service at home", ENDPOINT, "NOT YET", ""),
    ("L09-3", "an address", URL.format("10.96.1.2"), "NOT YET", ""),
    (
        "L09-3",
        "moved back",
        "answer = lab; lab.apply(refunds.replace('namespace: pay', 'namespace: default'));"
        " lab.delete('deployment/pay/refunds')",
        "NOT YET",
        "",
    ),
    (
        "L09-3",
        "the backend's Service moved, too",
        "answer = lab; lab.delete('svc/backend')",
        "YOU BROKE SOMETHING THAT WORKED",
        "",
    ),
]
