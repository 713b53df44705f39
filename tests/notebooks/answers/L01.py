"""Answers to L01's exercises: what solves them, and what beginners try."""

SOURCES = 'answer = {"a": "%s", "b": "%s", "c": "%s", "d": "%s"}'
POD, NODE, SELF = "10.244.1.2", "192.168.7.11", "127.0.0.1"
RIGHT = SOURCES % (POD, POD, SELF, NODE)

TILL = '''answer = """apiVersion: v1
kind: Pod
metadata: {name: till, labels: {app: till}%s}
spec:%s
  containers:
%s"""'''
APP = "  - {name: app, image: a, ports: [{containerPort: %s}]}\n"
METRICS = "  - {name: metrics, image: m, ports: [{containerPort: %s}]}\n"
SILENT = "  - {name: metrics, image: m}\n"
LISTENS = ', annotations: {labkit.dev/listens: "%s"}'
SERVICE = """---
apiVersion: v1
kind: Service
metadata: {name: metrics}
spec:
  selector: {app: till}
  ports: [{port: 9100, targetPort: 8080}]
"""
ALONE = """---
apiVersion: v1
kind: Pod
metadata: {name: metrics, labels: {app: metrics}}
spec:
  containers:
  - {name: metrics, image: m, ports: [{containerPort: 8080}]}
"""


def till(containers: str, notes: str = "", spec: str = "") -> str:
    return TILL % (notes, spec, containers)


SOLVED = [
    ("L01-1", "the addresses alone", RIGHT),
    (
        "L01-1",
        "with ports, and localhost by its name",
        SOURCES % (f"{POD}:41000", f" {POD} ", "localhost", f"{NODE}:41000"),
    ),
    (
        "L01-1",
        "with the two cases for experts",
        RIGHT.replace("}", ', "e": "10.244.1.0", "f": "10.244.1.1"}'),
    ),
    ("L01-2", "metrics on 9100", till(APP % 8080 + METRICS % 9100)),
    ("L01-2", "metrics on 8081, and first in the list", till(METRICS % 8081 + APP % 8080)),
    ("L01-2", "metrics by the annotation", till(APP % 8080 + SILENT, LISTENS % "8080,9100")),
    (
        "L01-2",
        "a cluster in which it is mended",
        till(APP % 8080 + METRICS % 9100)
        + '\nkubectl(lab, "delete pod till"); lab.apply(answer); answer = lab',
    ),
    (
        "L01-2",
        "metrics as a sidecar",
        till(APP % 8080).replace(
            "  containers:",
            "  initContainers:\n  - {name: metrics, image: m, restartPolicy: Always,"
            " ports: [{containerPort: 9100}]}\n  containers:",
        ),
    ),
]

# (exercise, what was tried, code, verdict, misconception)
WRONG = [
    ("L01-1", "the pod seen by the bank", SOURCES % (POD, POD, SELF, POD), "NOT YET", "M02"),
    ("L01-1", "the node seen inside, near", SOURCES % (NODE, POD, SELF, NODE), "NOT YET", "M02"),
    ("L01-1", "the node seen inside, far", SOURCES % (POD, NODE, SELF, NODE), "NOT YET", "M02"),
    ("L01-1", "the gateway seen", SOURCES % (POD, "10.244.1.1", SELF, NODE), "NOT YET", ""),
    (
        "L01-1",
        "the pod's address for localhost",
        SOURCES % (POD, POD, "10.244.2.4", NODE),
        "NOT YET",
        "M01",
    ),
    (
        "L01-1",
        "a Service for localhost",
        SOURCES % (POD, POD, "10.96.0.10", NODE),
        "NOT YET",
        "M01",
    ),
    (
        "L01-1",
        "the router seen by the bank",
        SOURCES % (POD, POD, SELF, "203.0.113.1"),
        "NOT YET",
        "",
    ),
    ("L01-1", "the wrong node", SOURCES % (POD, POD, SELF, "192.168.7.12"), "NOT YET", ""),
    ("L01-1", "who is called", SOURCES % (POD, "10.244.3.2", SELF, NODE), "NOT YET", ""),
    ("L01-1", "a name", SOURCES % ("frontend", POD, SELF, NODE), "NOT YET", ""),
    ("L01-1", "a case left out", 'answer = {"a": "10.244.1.2"}', "NOT YET", ""),
    (
        "L01-1",
        "an expert's case by the node's own address",
        RIGHT.replace("}", ', "e": "192.168.7.11"}'),
        "NOT YET",
        "",
    ),
    ("L01-2", "nothing changed", till(APP % 8080 + METRICS % 8080), "NOT YET", ""),
    (
        "L01-2",
        "app moved in place of metrics",
        till(APP % 9100 + METRICS % 8080),
        "YOU BROKE SOMETHING THAT WORKED",
        "",
    ),
    (
        "L01-2",
        "metrics started first",
        till(METRICS % 8080 + APP % 8080),
        "YOU BROKE SOMETHING THAT WORKED",
        "",
    ),
    ("L01-2", "metrics removed", till(APP % 8080), "NOT YET", ""),
    (
        "L01-2",
        "metrics in a pod of its own",
        till(APP % 8080).removesuffix('"""') + ALONE + '"""',
        "NOT YET",
        "M01",
    ),
    (
        "L01-2",
        "a Service for metrics",
        till(APP % 8080 + METRICS % 8080).removesuffix('"""') + SERVICE + '"""',
        "NOT YET",
        "M01",
    ),
    (
        "L01-2",
        "the node's network",
        till(APP % 8080 + METRICS % 9100, spec="\n  hostNetwork: true"),
        "NOT YET",
        "",
    ),
    ("L01-2", "the port line of metrics removed", till(APP % 8080 + SILENT), "NOT YET", ""),
    (
        "L01-2",
        "metrics at localhost only",
        till(APP % 8080 + SILENT, LISTENS % "8080,127.0.0.1:9100"),
        "NOT YET",
        "",
    ),
    (
        "L01-2",
        "the pod deleted",
        'answer = lab.fork(); kubectl(answer, "delete pod till")',
        "NOT YET",
        "",
    ),
    ("L01-2", "no manifest at all", 'answer = "metrics: 9100"', "NOT YET", ""),
]
