"""L00 · Win day one: what its guesses allow and how its exercises are judged."""

from __future__ import annotations

from typing import Any

from labkit.api.apps import Deployment
from labkit.api.core import Service
from labkit.api.discovery import SERVICE_NAME, EndpointSlice
from labkit.cluster import Cluster
from labkit.lessons.exercises import (
    Exercise,
    Guess,
    Judgement,
    Lesson,
    Probe,
    always_filled,
    apply_changed,
    judge_probes,
)
from labkit.lessons.scenarios import scenario

SHOP = (
    Probe("frontend -> http://backend", "pod/frontend", "svc/backend:80", by="backend"),
    Probe("frontend -> db", "pod/frontend", "svc/db:5432", by="db"),
    Probe("frontend -> payments", "pod/frontend", "svc/pay/payments:8443", by="pay/payments"),
)
CART = Probe("frontend -> http://cart", "pod/frontend", "svc/cart:80", by="cart")


def _shop() -> Cluster:
    return scenario("shop", cni="flannel", proxy_mode="iptables")


# --- L00-1 ------------------------------------------------------------------------------------


def _cart(answer: Cluster) -> Judgement:
    probes = (*SHOP, CART)
    judged = judge_probes(_shop(), answer, probes, lambda _, seen: _belief(answer, seen))
    if judged.standing != "SOLVED":
        return judged
    later = judge_probes(answer, _released(answer), (CART,), _until_then)
    if later.standing != "SOLVED":
        return Judgement("NOT YET", later.says)
    return Judgement("SOLVED", "the cart answers, and its next release will answer too.")


def _belief(answer: Cluster, seen: str) -> tuple[str, str]:
    """What a wrong answer looks like: (misconception, one sentence)."""
    if seen.startswith("a page from"):
        return "", "Somebody answers, but who carries the label that you chose?"
    if seen.startswith("an error"):
        return "", "Clients know the Service as `cart`, port 80: both stay."
    if _stands_behind(answer):
        return (
            "M06",
            "the number for clients taken for the pod's. On which port does the pod listen?",
        )
    service = answer.state.get(Service, "cart", "default")
    if service is not None and service.labels:
        return "", "Labels *on* the Service choose nobody. Which field chooses?"
    return "", ""


def _stands_behind(lab: Cluster) -> bool:
    slices = lab.state.list(EndpointSlice, "default")
    return any(s.endpoints for s in slices if s.labels.get(SERVICE_NAME) == "cart")


def _released(answer: Cluster) -> Cluster:
    """The same cluster after the cart's next release: new pods from a new template."""
    later = answer.fork()
    apply_changed(later, "deployment/cart", _next_release)
    for pod in later.list("pods"):
        if pod.name.startswith("cart-") and not pod.metadata.owner_references:
            later.delete(f"pod/{pod.name}")
    return later


def _next_release(manifest: dict[str, Any]) -> None:
    manifest["spec"]["template"]["spec"]["containers"][0]["image"] = "shop.example/cart:1.1"


def _until_then(probe: Probe, seen: str) -> tuple[str, str]:
    return "", "The page arrives, until the next release. Which labels would a new pod carry?"


# --- L00-2 ------------------------------------------------------------------------------------


def _evening(answer: Cluster) -> Judgement:
    if not _was_scaled_down(answer):
        words = "this shop never had the fault. Run the cell above (L00-27) and mend that one."
        return Judgement("NOT YET", words)
    wanted = answer.state.get(Deployment, "backend", "default")
    if wanted is None:
        return Judgement(
            "YOU BROKE SOMETHING THAT WORKED",
            "the Deployment of the backend is gone. Run the cell above (L00-27) for a fresh start.",
        )
    judged = judge_probes(_without_backend(), answer, SHOP, _wrong_program)
    if judged.standing != "SOLVED":
        return judged
    if not wanted.spec.replicas:
        return Judgement("NOT YET", "the page arrives, but no Deployment looks after its pod.")
    return Judgement("SOLVED", "the Deployment keeps its pods again, and the frontend is answered.")


def _was_scaled_down(answer: Cluster) -> bool:
    changes = (event.after for event in answer.watch())
    return any(isinstance(o, Deployment) and o.spec.replicas == 0 for o in changes)


def _without_backend() -> Cluster:
    lab = _shop()
    lab.delete("deployment/backend")
    return lab


def _wrong_program(probe: Probe, seen: str) -> tuple[str, str]:
    if seen.startswith("a page from"):
        return "", "This page was drawn by the wrong program. Whose pods are missing?"
    return "", ""


LESSON = Lesson(
    number="L00",
    guesses=(
        Guess("L00-P1", ("frontend", "node-1", "node-2", "in between")),
        Guess("L00-P2", ("backend", "node-2", "node-1")),
    ),
    exercises=(
        Exercise(
            "L00-1",
            hints=(
                "compare two columns in the tables above (L00-24): LABELS and SELECTOR.",
                "which words does the Service ask for, and does any pod carry exactly these?",
                "ask `kubectl get endpointslices` before and after each try: who stands behind?",
            ),
            judge=_cart,
            unfilled=always_filled,
            leaks=("app: cart ", "app=cart ", "app: cart.", "tier: checkout", "tier=checkout"),
        ),
        Exercise(
            "L00-2",
            hints=(
                "read the last row of the trace above (L00-27): what does the Service lack?",
                "which pods should stand behind it, and how many of them do you see?",
                "`kubectl get deployments` shows wanted and ready side by side. Whose is odd?",
            ),
            judge=_evening,
            unfilled=always_filled,
            leaks=("replicas", "scale deployment"),
        ),
    ),
)
