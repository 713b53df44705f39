"""Answers to L11's cases (seed 7): what closes them, and what detectives in a hurry hand in."""

APPLY = 'lab.apply("""%s""")'
DB = "apiVersion: v1\nkind: Service\nmetadata: {name: db}\nspec: {%s}\n"
PORT = "{port: 5432, targetPort: 5432, protocol: TCP}"
SELECTOR = APPLY % (DB % "selector: {app: db}, ports: [%s]" % PORT)
ROUTE = 'on(lab, "node-2", "ip route add 10.244.1.0/24 via 192.168.7.11 dev eth0")'
DOOR = """apiVersion: v1
kind: Service
metadata: {name: door}
spec:
  type: NodePort
  externalTrafficPolicy: %s
  selector: {app: frontend}
  ports: [{port: 8080, nodePort: 30080}]
"""
ARCHIVE = """apiVersion: v1
kind: Service
metadata: {name: archive}
spec: {type: ExternalName, externalName: %s}
"""
LISTENS = """apiVersion: apps/v1
kind: Deployment
metadata: {name: payments, namespace: pay}
spec:
  selector: {matchLabels: {app: payments}}
  template:
    metadata: {labels: {app: payments}, annotations: {labkit.dev/listens: "%s"}}
    spec: {containers: [{name: payments, image: "shop.example/payments:1.0"}]}
"""
RELABEL = "kubectl(lab, f'label pod {lab.get(\"pod/db\").name} app=dbb --overwrite')"
LOOK = "for _ in range(4): kubectl(lab, 'get pods')\n"


def closed(cause: str, mend: str = "") -> str:
    return f"{mend}\nanswer = case.closed({cause!r})"


SOLVED = [
    ("L11-1", "the label mended", closed("b", SELECTOR)),
    ("L11-1", "looked first", closed("b", LOOK + SELECTOR)),
    ("L11-2", "the row put back", closed("e", ROUTE)),
    ("L11-2", "the row without a device", closed("e", ROUTE.replace(" dev eth0", ""))),
    ("L11-3", "any node may answer", closed("f", APPLY % (DOOR % "Cluster"))),
    (
        "L11-3",
        "a pod on each node",
        closed("f", "kubectl(lab, 'scale deploy/frontend --replicas=3')"),
    ),
    ("L11-4", "the protocol mended", closed("c", SELECTOR)),
    (
        "L11-4",
        "both protocols",
        closed(
            "c",
            APPLY
            % (
                DB % "selector: {app: db}, ports: [{name: t, port: 5432}, "
                "{name: u, port: 5432, protocol: UDP}]"
            ),
        ),
    ),
    ("L11-5", "the name mended", closed("g", APPLY % (ARCHIVE % "db.example.com"))),
    ("L11-5", "the name with its dot", closed("g", APPLY % (ARCHIVE % "db.example.com."))),
    ("L11-6", "listening for all", closed("a", APPLY % (LISTENS % "8443/TCP"))),
    ("L11-6", "on every address, written out", closed("a", APPLY % (LISTENS % "0.0.0.0:8443/TCP"))),
]
BROKE = "YOU BROKE SOMETHING THAT WORKED"
WRONG = [
    ("L11-1", "nothing mended", closed("b"), "NOT YET", ""),
    ("L11-1", "a node blamed", closed("e", SELECTOR), "NOT YET", "M40"),
    (
        "L11-1",
        "the label put on the pod only",
        closed(
            "b",
            "pod = lab.get('pod/db').name\nkubectl(lab, f'label pod {pod} app=dbb --overwrite')",
        ),
        "NOT YET",
        "",
    ),
    (
        "L11-1",
        "somebody else answers",
        closed(
            "b", APPLY % (DB % "selector: {app: backend}, ports: [{port: 5432, targetPort: 8080}]")
        ),
        "NOT YET",
        "",
    ),
    ("L11-1", "asked too often", closed("b", LOOK * 3 + SELECTOR), "NOT YET", ""),
    ("L11-2", "DNS blamed", closed("h", ROUTE), "NOT YET", "M22"),
    ("L11-2", "the Service blamed", closed("b", ROUTE), "NOT YET", "M40"),
    ("L11-2", "the wrong way", closed("e", ROUTE.replace(".11", ".13")), "NOT YET", ""),
    ("L11-3", "routes blamed", closed("e", APPLY % (DOOR % "Cluster")), "NOT YET", "M15"),
    ("L11-3", "nothing mended", closed("f"), "NOT YET", ""),
    (
        "L11-3",
        "a pod on two nodes",
        closed("f", "kubectl(lab, 'scale deploy/frontend --replicas=2')"),
        "NOT YET",
        "",
    ),
    ("L11-4", "the selector blamed", closed("b", SELECTOR), "NOT YET", "M06"),
    ("L11-4", "the program blamed", closed("a", SELECTOR), "NOT YET", "M06"),
    (
        "L11-4",
        "the Service taken away",
        closed("c", "lab.delete('svc/backend')"),
        BROKE,
        "",
    ),
    ("L11-5", "DNS blamed", closed("h", APPLY % (ARCHIVE % "db.example.com")), "NOT YET", "M22"),
    (
        "L11-5",
        "CoreDNS switched off and on",
        closed("g", "kubectl(lab, 'scale deploy/coredns -n kube-system --replicas=0')"),
        BROKE,
        "",
    ),
    (
        "L11-5",
        "a name that exists, and is another",
        closed("g", APPLY % (ARCHIVE % "api.stripe.com")),
        "NOT YET",
        "",
    ),
    ("L11-5", "another typo", closed("g", APPLY % (ARCHIVE % "db.exmaple.com")), "NOT YET", ""),
    ("L11-6", "ports blamed", closed("c", APPLY % (LISTENS % "8443/TCP")), "NOT YET", "M06"),
    ("L11-6", "a containerPort declared", closed("a"), "NOT YET", ""),
    (
        "L11-6",
        "a second program beside the deaf one",
        closed("a", APPLY % (LISTENS % "8443/TCP").replace("{name: payments,", "{name: other,", 1)),
        "NOT YET",
        "",
    ),
    ("L11-6", "another port", closed("a", APPLY % (LISTENS % "8444/TCP")), "NOT YET", ""),
]
