"""Answers to L05's exercises: what solves them, and what beginners try."""

FAIR = ("1/4", "1/3", "1/2", "1")


def chances(*rules: str, formula: str = "1/(n-k+1)") -> str:
    fields = {f"rule {k}": text for k, text in enumerate(rules, start=1)}
    return f"answer = {fields | {'rule k of n': formula}!r}"


WAYS = {"a": "lc", "b": "random", "c": "rr", "d": "sticky", "mode of rr and lc": "ipvs"}


def ways(**changed: str) -> str:
    mode = changed.pop("mode", "ipvs")
    return f"answer = {WAYS | changed | {'mode of rr and lc': mode}!r}"


PORTS = ("veth71d0e1ba", "vethb3559c30", "veth8874f4c7")


def mended(*ports: str, first: str = "", last: str = "") -> str:
    lines = [f'on(lab, "node-3", "bridge link set dev {port} hairpin on")' for port in ports]
    return "\n".join([*filter(None, (first, *lines, last)), "answer = lab"])


SOLVED = [
    ("L05-1", "the reference", chances(*FAIR)),
    (
        "L05-1",
        "decimals, and the formula turned round",
        chances("0.25", "1/3", "0.5", "1.0", formula="1 / (1 + n - k)"),
    ),
    ("L05-1", "with blanks", chances(" 1/4", "1 / 3", "2/4", "4/4", formula=" 1/((n - k) + 1) ")),
    ("L05-1", "without quotes", f"{chances(*FAIR)} | {{'rule 2': 1 / 3, 'rule 4': 1}}"),
    ("L05-2", "the reference", ways()),
    ("L05-2", "the mode with its word", ways(mode="IPVS mode")),
    ("L05-2", "with capitals and blanks", ways(a="LC", c=" rr ", mode="IPVS")),
    ("L05-3", "all three ports", mended(*PORTS)),
    ("L05-3", "in another order, and again", mended(*reversed(PORTS), *PORTS)),
]

# (exercise, what was tried, code, verdict, misconception)
WRONG = [
    ("L05-1", "one share for all", chances(*["1/4"] * 4, formula="1/n"), "NOT YET", "M09"),
    (
        "L05-1",
        "the first made strong",
        chances("1", "1/2", "1/3", "1/4", formula="1/k"),
        "NOT YET",
        "M09",
    ),
    ("L05-1", "the last one left open", chances("1/4", "1/3", "1/2", "1/2"), "NOT YET", ""),
    ("L05-1", "halves", chances("1/2", "1/2", "1/2", "1"), "NOT YET", ""),
    ("L05-1", "no chance at all", chances("25 %", "1/3", "1/2", "1"), "NOT YET", ""),
    ("L05-1", "four right, the formula a share", chances(*FAIR, formula="1/n"), "NOT YET", "M09"),
    ("L05-1", "four right, one too few", chances(*FAIR, formula="1/(n-k)"), "NOT YET", ""),
    ("L05-1", "a formula that is none", chances(*FAIR, formula="one by one"), "NOT YET", ""),
    ("L05-2", "dice taken for turns", ways(b="rr", c="random"), "NOT YET", "M08"),
    ("L05-2", "a count taken for a memory", ways(a="sticky", d="lc"), "NOT YET", ""),
    ("L05-2", "dice taken for a count", ways(a="random", b="lc"), "NOT YET", ""),
    ("L05-2", "turns in iptables", ways(mode="iptables"), "NOT YET", "M08"),
    ("L05-2", "a way that is none", ways(a="least"), "NOT YET", ""),
    ("L05-2", "dice taken for a memory", ways(b="sticky", d="random"), "NOT YET", ""),
    ("L05-3", "nothing changed", "answer = lab", "NOT YET", "M13"),
    (
        "L05-3",
        "a new pod in place of the bad one",
        'lab.delete("pod/backend-nhrrn42kln-vq7xs")\nanswer = lab',
        "NOT YET",
        "M13",
    ),
    ("L05-3", "one port only", mended(PORTS[2]), "NOT YET", "M13"),
    (
        "L05-3",
        "fewer pods",
        'kubectl(lab, "scale deployment backend --replicas=2")\nanswer = lab',
        "YOU BROKE SOMETHING THAT WORKED",
        "",
    ),
    ("L05-3", "the past undone", "lab.undo()\nanswer = lab", "NOT YET", ""),
    (
        "L05-3",
        "another mode of kube-proxy",
        'answer = lab.fork(proxy_mode="nftables")',
        "NOT YET",
        "",
    ),
    (
        "L05-3",
        "the node deleted",
        'kubectl(lab, "delete node node-3")\nanswer = lab',
        "YOU BROKE SOMETHING THAT WORKED",
        "",
    ),
    (
        "L05-3",
        "another Deployment deleted",
        mended(*PORTS, last='kubectl(lab, "delete deployment db")'),
        "YOU BROKE SOMETHING THAT WORKED",
        "",
    ),
    (
        "L05-3",
        "the Service deleted",
        'lab.delete("svc/backend")\nanswer = lab',
        "YOU BROKE SOMETHING THAT WORKED",
        "",
    ),
]
