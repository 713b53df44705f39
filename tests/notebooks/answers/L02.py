"""Answers to L02's exercises: what solves them, and what beginners try."""

DOORS = {"1": "192.168.7.11", "2": "192.168.7.12", "3": "192.168.7.13"}


def typed(*lines: str) -> str:
    """The learner's cell: each line `NODE: COMMAND` is typed on that node."""
    rows = [f'on(answer, "node-{line[0]}", "{line[3:]}")' for line in lines]
    return "\n".join(["answer = lab.fork()", *rows])


def rows(verb: str = "add", tail: str = "", order: str = "123", length: str = "0/24") -> list[str]:
    return [
        f"{here}: ip route {verb} 10.244.{far}.{length} via {DOORS[far]}{tail}"
        for here in order
        for far in order
        if far != here
    ]


NODE_3 = 'answer = nodes.replace("10.244.2.128/25", "%s")'

SOLVED = [
    ("L02-1", "six rows", typed(*rows())),
    ("L02-1", "replace in place of add", typed(*rows("replace"))),
    ("L02-1", "with the device, in another order", typed(*rows(tail=" dev eth0", order="312"))),
    ("L02-2", "the range that is usual", NODE_3 % "10.244.3.0/24"),
    ("L02-2", "another free range", NODE_3 % "10.244.77.0/24"),
    (
        "L02-2",
        "the old owner gives half away",
        ('answer = nodes.replace("10.244.2.0/24", "10.244.2.0/25")'),
    ),
]

SMALL = NODE_3 % "10.244.3.0/29"
WITHOUT_LAST = rows()[:-1]

SOLVED.append(
    (
        "L02-2",
        "no range, so that the cluster gives one",
        'answer = nodes.replace("podCIDR: 10.244.2.128/25", "")',
    )
)

# (exercise, what was tried, code, verdict, misconception)
WRONG = [
    ("L02-1", "nothing typed", "answer = lab.fork()", "NOT YET", ""),
    (
        "L02-1",
        "pods deleted, in the hope that Kubernetes carries",
        'answer = lab.fork()\nkubectl(answer, "scale deployment backend --replicas=2")',
        "NOT YET",
        "M03",
    ),
    (
        "L02-1",
        "a Service in place of rows",
        'answer = lab.fork()\nkubectl(answer, "delete service backend")',
        "NOT YET",
        "M03",
    ),
    (
        "L02-1",
        "a new shop, where flannel writes the rows",
        'answer = scenario("shop", cni="flannel/host-gw", proxy_mode="iptables")',
        "NOT YET",
        "",
    ),
    ("L02-1", "rows on node-1 only", typed(*rows()[:2]), "NOT YET", ""),
    ("L02-1", "one row forgotten", typed(*WITHOUT_LAST), "NOT YET", ""),
    (
        "L02-1",
        "the router as the door",
        typed(*[row.rpartition(" ")[0] + " 192.168.7.1" for row in rows()]),
        "NOT YET",
        "",
    ),
    (
        "L02-1",
        "the right device and no door",
        typed(*[row.partition(" via")[0] + " dev eth0" for row in rows()]),
        "NOT YET",
        "",
    ),
    (
        "L02-1",
        "the bridge as the device",
        typed(*[row.partition(" via")[0] + " dev cni0" for row in rows()]),
        "NOT YET",
        "",
    ),
    ("L02-1", "one row a pod", typed(*rows(length="2/32")), "NOT YET", ""),
    (
        "L02-1",
        "all pods by way of node-2",
        typed(
            "1: ip route add 10.244.0.0/16 via 192.168.7.12",
            "3: ip route add 10.244.0.0/16 via 192.168.7.12",
            *[row for row in rows() if row[0] == "2"],
        ),
        "NOT YET",
        "",
    ),
    (
        "L02-1",
        "a row for all, to be safe",
        typed(*rows(), "1: ip route add 10.244.0.0/16 via 192.168.7.12"),
        "NOT YET",
        "",
    ),
    (
        "L02-1",
        "the default route pointed at a node",
        typed(*rows(), "1: ip route replace default via 192.168.7.12"),
        "NOT YET",
        "",
    ),
    (
        "L02-1",
        "the default route deleted",
        typed(*rows(), "1: ip route del default"),
        "YOU BROKE SOMETHING THAT WORKED",
        "",
    ),
    ("L02-2", "nothing changed", "answer = nodes", "NOT YET", ""),
    ("L02-2", "a range of the same node, smaller", NODE_3 % "10.244.2.192/26", "NOT YET", ""),
    ("L02-2", "both own it all", NODE_3 % "10.244.2.0/24", "YOU BROKE SOMETHING THAT WORKED", ""),
    (
        "L02-2",
        "half of node-1's range",
        NODE_3 % "10.244.1.128/25",
        "YOU BROKE SOMETHING THAT WORKED",
        "",
    ),
    (
        "L02-2",
        "outside the cluster's range",
        NODE_3 % "10.245.3.0/24",
        "YOU BROKE SOMETHING THAT WORKED",
        "",
    ),
    ("L02-2", "an address in place of a range", NODE_3 % "10.244.3.1/24", "NOT YET", ""),
    ("L02-2", "not a range", NODE_3 % "10.244.3", "NOT YET", ""),
    (
        "L02-2",
        "the whole cluster's range",
        (NODE_3 % "10.244.0.0/16"),
        "NOT YET",
        "",
    ),
    ("L02-2", "a range that is soon full", SMALL, "NOT YET", ""),
    (
        "L02-2",
        "the node taken away",
        'answer = nodes.rpartition("---")[0]',
        "NOT YET",
        "",
    ),
]
