"""L09-3: a program that moved to another namespace, and how its cure is judged."""

from __future__ import annotations

from urllib.parse import urlsplit

from labkit.api.apps import Deployment
from labkit.api.core import Pod, Service
from labkit.cluster import Cluster
from labkit.dns.message import address_text
from labkit.errors import LabError
from labkit.lessons.exercises import Judgement, Probe, judge_probes
from labkit.lessons.scenarios import scenario

DOMAIN = "svc.cluster.local"
SHOP = (
    Probe("frontend -> http://backend", "pod/frontend", "svc/backend:80", by="backend"),
    Probe("frontend -> db", "pod/frontend", "svc/db:5432", by="db"),
    Probe("frontend -> payments", "pod/frontend", "svc/pay/payments:8443", by="pay/payments"),
)


def shop() -> Cluster:
    return scenario("shop", cni="flannel", proxy_mode="iptables")


MOVED = """apiVersion: apps/v1
kind: Deployment
metadata: {name: refunds, namespace: pay}
spec:
  selector: {matchLabels: {app: refunds}}
  template:
    metadata: {labels: {app: refunds}}
    spec:
      containers:
      - name: refunds
        image: shop.example/refunds:1.0
        env: [{name: BACKEND_URL, value: "http://backend/orders"}]
"""
NEW_ADDRESS = """apiVersion: v1
kind: Service
metadata: {name: backend}
spec: {clusterIP: 10.96.200.9, selector: {app: backend}, ports: [{port: 80, targetPort: 8080}]}
"""


def tomorrow(lab: Cluster) -> Cluster:
    """The same lab after the backend's Service was made again, and its pods replaced."""
    after = lab.fork()
    after.delete("svc/default/backend")
    after.apply(NEW_ADDRESS)
    for pod in after.state.list(Pod, "default"):
        if pod.labels.get("app") == "backend":
            after.delete(f"pod/{pod.name}")
    return after


def url_of(lab: Cluster) -> str:
    """What the program reads when it starts; empty if it is not told."""
    deployment = lab.state.get(Deployment, "refunds", "pay")
    if deployment is None:
        return ""
    spec = deployment.manifest["spec"]["template"]["spec"]
    variables = [e for c in spec.get("containers", ()) for e in c.get("env") or ()]
    return next((str(e.get("value", "")) for e in variables if e["name"] == "BACKEND_URL"), "")


def called(lab: Cluster) -> str:
    """What the moved program sees when it calls: a page and by whom, or how it ends."""
    url = url_of(lab)
    if not url:
        return "no URL to call"
    pod = next((p for p in lab.state.list(Pod, "pay") if p.labels.get("app") == "refunds"), None)
    if pod is None:
        return "no such program in pay"
    try:
        got = lab.fork().request(f"pod/pay/{pod.name}", url)
    except LabError as error:
        return str(error).splitlines()[0]
    if got.connection is None:
        return "no such host"
    return f"a page from {got.served_by}" if got else got.connection.outcome


WANTED = "a page from backend"


def moved(answer: Cluster) -> Judgement:
    before = shop()
    before.apply(MOVED)
    judged = judge_probes(before, answer, SHOP)
    if judged.standing != "SOLVED":
        return judged
    if (name := _names_broken(before, answer)) is not None:
        says = f"{name}: it had an address, now it has another one or none."
        return Judgement("YOU BROKE SOMETHING THAT WORKED", f"{says} Which Service is that?")
    if not (now := called(answer)).startswith(WANTED):
        belief, words = _moved_belief(answer, now)
        looks = f"This looks like {belief}: {words}" if belief else words
        says = f"refunds calls its BACKEND_URL: observed {now}, wanted {WANTED}."
        return Judgement("NOT YET", f"{says} {looks}".rstrip(), belief)
    if not (now := called(tomorrow(answer))).startswith(WANTED):
        says = f"refunds -> backend at its new address: observed {now}, wanted {WANTED}."
        return Judgement("NOT YET", f"{says} Who should keep it up to date, you or the cluster?")
    if (path := urlsplit(url_of(answer)).path) != urlsplit(url_of(before)).path:
        says = f"refunds finds the backend, and asks it for {path or '/'}."
        return Judgement("NOT YET", f"{says} What did it ask for before? Only the host was wrong.")
    return Judgement("SOLVED", "refunds finds the backend, today and at its next address.")


def found(lab: Cluster, place: str, name: str) -> frozenset[str]:
    """The addresses that a name has in that pod, asked without leaving a trace."""
    return frozenset(lab.fork().resolve(place, name).lookup.addresses)


def _names_broken(before: Cluster, after: Cluster) -> str | None:
    """A name that the shop's own pods use and that means something else now."""
    used = (("pod/frontend", "backend"), ("pod/frontend", "db"), ("pod/pay/payments", "payments"))
    for place, name in used:
        if found(before, place, name) != found(after, place, name):
            return f"{place.removeprefix('pod/')} looks up {name}"
    return None


def _moved_belief(lab: Cluster, now: str) -> tuple[str, str]:
    alias = lab.state.get(Service, "backend", "pay")
    if alias and alias.spec.type == "ExternalName":
        target = alias.spec.external_name
        if address_text(target):
            return "M18", "an alias taken for a door to an address. What may it hold?"
        if not target.rstrip(".").endswith(DOMAIN):
            return "M19", (
                "a short name behind an alias, where nobody completes it. Who reads the"
                " search list?"
            )
    if alias and now in ("refused", "timed out"):
        return "M19", (
            "a Service made again at home. Its selector sees one namespace only. Where do the"
            " backend's pods live?"
        )
    if now in ("no such program in pay", "no URL to call"):
        return "", "The program stays where its owners work, and reads the same variable."
    if "backend.pay" in url_of(lab):
        return "M19", "a name that says its own home in place of the other's. Where is backend?"
    if now == "no such host":
        return "", "Which names did the resolver ask for, and which one exists?"
    return "", "The name is found. Whose is it, and which port does that Service have?"
