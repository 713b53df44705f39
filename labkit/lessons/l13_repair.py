"""L13-2 and L13-5: the guide's pair, and a release that silenced a policy."""

from __future__ import annotations

from labkit.api.core import Service
from labkit.api.networking import NetworkPolicy
from labkit.cluster import Cluster
from labkit.cni import cni_of
from labkit.lessons.doors import (
    NEWCOMERS,
    OUTSIDE,
    Belief,
    Door,
    Found,
    judged,
    look,
    loose,
    put,
    scaled,
    shop,
    wrong_doors,
)
from labkit.lessons.exercises import Judgement
from labkit.lessons.l13_shops import ALL, HEAD, hidden, namesakes

GUIDE = HEAD % ("backend", "backend") + (
    "  ingress: [{from: [{podSelector: {matchLabels: {app: frontend}}}], ports: [{port: 80}]}]"
)

# --- L13-2: repair the guide ------------------------------------------------------------------

PAGE = Door("default/frontend", "backend", 80, "the page", page=True)
REPAIRED = (
    PAGE,
    *(Door(source, "backend", 8080) for source in (*ALL, OUTSIDE)),
    Door("default/frontend", "backend", 9100),
    Door("default/frontend", "backend", 80),
    Door("default/backend", "db", 5432, "open"),
)


def _says(door: Door) -> str:
    """The pod's own port is a token of the solution, so it is not said."""
    name = door.source.removeprefix("default/")
    if door.page:
        return f"{name} -> http://{door.target}"
    port = "" if door.port in (8080, 5432) else f", port {door.port}"
    return f"{name} -> {door.target}{port}"


def repaired(answer: str | Cluster) -> Judgement:
    seen = put(answer, shop(*NEWCOMERS))
    before = put(GUIDE, shop(*NEWCOMERS))
    if found := wrong_doors(before, seen, REPAIRED):
        return _repair_judged(seen, found)
    for words, lab in hidden():
        before = put(GUIDE, lab.fork())
        doors = (*REPAIRED, *namesakes(lab, "frontend", "monitoring"))
        if found := wrong_doors(before, put(answer, lab), doors):
            asks = Belief(words="What does your peer describe: the visitor, or this one pod of it?")
            return judged(found[0], f"{words}: {_says(found[0].door)}", asks)
    return loose(seen, "backend", 8080, "YOU BROKE SOMETHING THAT WORKED") or Judgement(
        "SOLVED", "the page arrives, and every other door of the backend is shut."
    )


def _repair_judged(lab: Cluster, found: list[Found]) -> Judgement:
    first, waits = found[0], any(one.door.page for one in found)
    says = _says(first.door)
    if first.door.target == "db":
        also = ", and the frontend still waits" if waits else ""
        words = "a rule written for replies. What else does such a rule isolate?"
        lead = "The way back was never shut; see L13-47."
        return judged(first, says, Belief(lead=lead, number="M31", words=words), also)
    if first.door.page:
        return judged(first, says, _no_page(lab, first.seen))
    opening = "" if waits else f"The page arrives. {'But' if first.broke else 'Still,'} "
    also = "; nobody listens there and nobody may knock" if first.door.port == 80 else ""
    number, words = _open_belief(lab, first)
    return judged(first, says, Belief(opening, "", number, words), also)


def _no_page(lab: Cluster, seen: str) -> Belief:
    """Why the frontend still waits."""
    service = lab.state.get(Service, "backend", "default")
    if seen == '"refused"':
        words = "the two ports made equal. Which of the two can you choose freely?"
        return Belief(
            "", "The policy agrees now, but in the pod nobody listens there.", "M30", words
        )
    if service is None or all(port.port != 80 for port in service.spec.ports):
        words = "the Service bent until it fits the policy."
        return Belief("", "Clients know the Service as port 80.", "M30", words)
    if look(lab, Door("default/frontend", "backend", 80)) == "open":
        words = "the policy's port read as the Service's port. Look again at L13-09, row 2."
        return Belief("", "", "M30", words)
    return Belief(words="Which of your rules lets the frontend in, and at which port?")


def _open_belief(lab: Cluster, first: Found) -> tuple[str, str]:
    """Why a door of the backend stands open."""
    if not cni_of(lab.config).enforces_policies:
        return "M24", "a policy taken to act by itself. Who enforces it in your cluster?"
    if not any(p.spec.pod_selector.matches({"app": "backend"}) for p in _policies(lab)):
        return "M23", "a pod that no policy selects is open to all."
    if first.door.port == 9100:
        return "M27", "a missing list inside a rule asks for nothing. Look again at L13-21."
    if first.door.port == 80:
        return "M30", "the Service's port kept to be safe."
    if look(lab, Door("default/frontend", "backend", 9100)) == "open":
        return "M28", (
            "a dash that opens a second rule, so that either is enough. Count the rules that you"
            " wrote."
        )
    rules = [rule for policy in _policies(lab) for rule in policy.spec.ingress or ()]
    if any(not rule.from_ for rule in rules):
        return "M27", "a missing list inside a rule asks for nothing. Look again at L13-21."
    if first.door.source == "pay/frontend":
        return "M29", "the border that stops a label has been taken down for all."
    return "", "Whom else does your peer describe?"


# --- L13-5: nobody touched the policy ---------------------------------------------------------

MONDAY = (
    PAGE,
    *(Door(source, "backend", 8080) for source in ("ops/monitoring", "default/db", "pay/payments")),
    Door("default/frontend", "backend", 9100),
    Door("default/backend", "db", 5432, "open"),
)


def monday(answer: Cluster) -> Judgement:
    found = [
        Found(one.door, one.seen, not one.door.page) for one in wrong_doors(None, answer, MONDAY)
    ]
    found.sort(key=lambda one: not one.broke)
    if not found:
        found = wrong_doors(None, scaled(answer.fork(), "backend", 2), MONDAY)
    if not found:
        return loose(answer, "backend", 8080, "YOU BROKE SOMETHING THAT WORKED") or Judgement(
            "SOLVED", "the page arrives, and the walls stand."
        )
    first, waits = found[0], any(one.door.page for one in found)
    if first.door.page:
        return judged(first, _says(first.door), _silent(answer))
    opening = "" if waits else "The page arrives. But "
    if first.seen == "closed":
        return judged(first, _says(first.door), Belief(opening))
    number, words = _open_belief(answer, first)
    return judged(first, _says(first.door), Belief(opening, "", number, words))


def _policies(lab: Cluster) -> tuple[NetworkPolicy, ...]:
    return lab.state.list(NetworkPolicy, "default")


def _silent(lab: Cluster) -> Belief:
    """Why the policy with a named port stays silent."""
    service = lab.state.get(Service, "backend", "default")
    if service is not None and any(port.name for port in service.spec.ports):
        words = "the policy's port looked up in the Service. Policies do not read Services."
        return Belief(number="M30", words=words)
    if look(lab, Door("default/frontend", "backend", 80)) == "open":
        return Belief(number="M30", words="the Service's port in a policy.")
    return Belief()
