"""L00 · Win day one: what its guesses allow and how its exercises are judged."""

from __future__ import annotations

from labkit.api.apps import Deployment
from labkit.cluster import Cluster
from labkit.lessons.exercises import (
    Exercise,
    Guess,
    Judgement,
    Lesson,
    Probe,
    always_filled,
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


def _cart(answer: Cluster) -> Judgement:
    judged = judge_probes(_shop(), answer, (*SHOP, CART), _cart_belief)
    if judged.standing != "SOLVED":
        return judged
    renewed = answer.fork()
    for pod in renewed.list("pods"):
        if pod.name.startswith("cart-"):
            renewed.delete(f"pod/{pod.name}")
    later = judge_probes(answer, renewed, (CART,), _renewed)
    if later.standing != "SOLVED":
        return Judgement("NOT YET", later.says)
    return Judgement("SOLVED", "the cart answers, and goes on answering with a new pod.")


def _cart_belief(probe: Probe, seen: str) -> tuple[str, str]:
    if seen.startswith("a page from"):
        return "", "Somebody answers, but who carries the label that you chose?"
    return "", ""


def _renewed(probe: Probe, seen: str) -> tuple[str, str]:
    return "", (
        "The page arrives today, but a new pod of the Deployment would not get it."
        " Where do new pods take their labels from?"
    )


def _evening(answer: Cluster) -> Judgement:
    judged = judge_probes(_without_backend(), answer, SHOP, _evening_belief)
    wanted = answer.state.get(Deployment, "backend", "default")
    if judged.standing == "SOLVED" and (wanted is None or not wanted.spec.replicas):
        return Judgement("NOT YET", "the page arrives, but no Deployment looks after its pod.")
    return judged


def _without_backend() -> Cluster:
    lab = _shop()
    lab.delete("deployment/backend")
    return lab


def _evening_belief(probe: Probe, seen: str) -> tuple[str, str]:
    if seen.startswith("a page from"):
        return "", "This page was drawn by the wrong program. Whose pods are missing?"
    return "", ""


LESSON = Lesson(
    number="L00",
    guesses=(
        Guess("L00-P1", ("frontend", "node-1", "node-2", "in between")),
        Guess("L00-P2", ("page", "refused", "timeout")),
    ),
    exercises=(
        Exercise(
            "L00-1",
            hints=(
                "compare two columns of L00-24: the labels of the pods, and the selectors.",
                "which words does the Service ask for, and does any pod carry exactly these?",
                "ask `kubectl get endpointslices` before and after each try: who stands behind?",
            ),
            judge=_cart,
            unfilled=always_filled,
            leaks=("app: cart}", "app=cart ", "tier: checkout", "tier=checkout"),
        ),
        Exercise(
            "L00-2",
            hints=(
                "read the last row of the trace in L00-27: what does the Service lack?",
                "which pods should stand behind it, and how many of them do you see?",
                "`kubectl get deployments` shows wanted and ready side by side. Whose is odd?",
            ),
            judge=_evening,
            unfilled=always_filled,
            leaks=("replicas", "scale"),
        ),
    ),
)
