"""L07 · Endpoints over time: its guesses and how its exercises are judged.

Releases run second by second in small hidden clusters: each seed draws other names, and with
them other start-up times, and another delay for each node's rules.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from fractions import Fraction
from typing import Any

from labkit.api.apps import Deployment
from labkit.api.core import Pod, Service
from labkit.api.objects import encode
from labkit.cluster import Cluster
from labkit.controllers import due
from labkit.errors import LabError
from labkit.kernel.dice import SeededDice
from labkit.lessons.exercises import (
    Exercise,
    Guess,
    Judgement,
    Lesson,
    Probe,
    always_filled,
    apply_changed,
    judge_probes,
    observe,
)
from labkit.lessons.scenarios import scenario
from labkit.traffic.timeline import Known, Life, failed, number

CALL = ("pod/frontend", "svc/backend:80")
SEEDS = 20
MOST_LATE = 2.0  # seconds by which a node's rules may be late
START = "2-6"  # what the programs of the hidden clusters need, whatever the answer says
STEP = 0.5  # seconds between two new connections
BEFORE = 1.0  # seconds before a release that are looked at, too
OVER = 90.0  # seconds after which a release has to be over

BYSTANDERS = (
    *("namespace/pay", "namespace/ops", "namespace/kube-flannel", "deployment/db", "service/db"),
    *("service/frontend", "deployment/kube-system/coredns", "service/kube-system/kube-dns"),
    "daemonset/kube-system/kube-proxy",
)
SHOP = (
    Probe("frontend -> http://backend", "pod/frontend", "svc/backend:80", by="backend"),
    Probe("frontend -> db", "pod/frontend", "svc/db:5432", by="db"),
)
PAY = Probe("frontend -> payments", "pod/frontend", "svc/pay/payments:8443", by="pay/payments")


# --- L07-1: a release that nobody notices -----------------------------------------------------


def _release(answer: Cluster) -> Judgement:
    manifest = _deployment(answer)
    if manifest["spec"].get("replicas", 1) != 3:
        return Judgement("NOT YET", "the shop has three pods. How many are you running?")
    after = answer.fork()
    after.wait(OVER)
    judged = judge_probes(scenario("shop", nodes=2), after, SHOP)
    if judged.standing != "SOLVED":
        return judged
    # A release takes the pods of the one before it away: their pause is what counts.
    base = _small(answer)
    base.apply([_tagged(manifest, "0")])
    base.wait(OVER)
    known: Known = {}
    for seed in range(1, SEEDS + 1):
        lab, begun = base.fork(), base.state.now
        lab.apply([_tagged(manifest, str(seed))])
        _until_quiet(lab)
        how: dict[str, Any] = {"last": lab.state.now - begun + BEFORE}
        how |= {"delay": _late(seed), "step": STEP}
        if bad := failed(lab.history, *CALL, known, **how):
            return _unlucky(lab, how, *bad[0])
        if _old(lab, str(seed)):
            says = f"after {OVER:g} seconds observed old pods, wanted the new version alone."
            return Judgement("NOT YET", f"{says} What do they wait for?")
    return Judgement(
        "SOLVED", f"{SEEDS} releases with up to 2 s of delay, and not one connection failed."
    )


def _deployment(answer: Cluster) -> dict[str, Any]:
    manifest = encode(answer.get("deployment/backend"))
    manifest.pop("status", None)
    kept = ("name", "namespace", "labels")
    manifest["metadata"] = {k: v for k, v in manifest["metadata"].items() if k in kept}
    return manifest


def _small(answer: Cluster) -> Cluster:
    """The shop on two nodes with the answer's Service, and without those who do not matter."""
    lab = scenario("shop", nodes=2)
    lab.delete(*BYSTANDERS)
    service = answer.state.get(Service, "backend", "default")
    if service is not None:
        spec = {k: v for k, v in encode(service)["spec"].items() if not k.startswith("clusterIP")}
        apply_changed(lab, "service/backend", lambda m: m["spec"].update(spec))
    return lab


def _late(seed: int) -> dict[str, float]:
    """How late each node's rules are; one of the two is as late as it gets."""
    dice = SeededDice(seed)
    late = {f"node-{i}": STEP * dice.below(int(MOST_LATE / STEP) + 1) for i in (1, 2)}
    return late | {f"node-{1 + dice.below(2)}": MOST_LATE}


def _until_quiet(lab: Cluster) -> None:
    """Waits until nothing is due any more and every node knows it, `OVER` seconds at most."""
    end = lab.state.now + OVER
    while (moment := due(lab.state)) is not None and moment < end:
        lab.wait(moment - lab.state.now)
    lab.wait(MOST_LATE + 1)


def _tagged(manifest: Mapping[str, Any], tag: str) -> dict[str, Any]:
    """The Deployment with an image of that tag, whose program is as slow as it is."""
    spec = dict(manifest["spec"])
    template = dict(spec["template"])
    meta = dict(template.get("metadata", {}))
    own = {"labkit.dev/listens": "8080/TCP", "labkit.dev/starts-in": START}
    meta["annotations"] = own
    containers = [
        dict(c, image=f"shop.example/backend:{tag}") for c in template["spec"]["containers"]
    ]
    template |= {"metadata": meta, "spec": {**template["spec"], "containers": containers}}
    return {**manifest, "spec": {**spec, "template": template}}


def _old(lab: Cluster, tag: str) -> list[Pod]:
    pods = lab.list("pods", selector="app=backend")
    return [p for p in pods if not p.spec.containers[0].image.endswith(f":{tag}")]


def _unlucky(
    lab: Cluster, how: Mapping[str, Any], at: float, failures: Mapping[str, Fraction]
) -> Judgement:
    """What happened at the first moment at which a connection may fail, and the belief behind."""
    end, chance = next(iter(failures.items()))
    count = "a connection" if chance == 1 else f"{number(chance)} of the connections"
    says = f"{at - BEFORE:g} s after the release: observed {count} {end}, wanted none."
    found = lab.timeline(*CALL, **how)
    belief = _cause(
        found.lives, found.node, next(i for i, t in enumerate(found.ticks) if t.at == at)
    )
    return Judgement("NOT YET", f"{says} This looks like M11: {belief}", "M11")


def _cause(lives: tuple[Life, ...], node: str, tick: int) -> str:
    used = [x for x in lives if x.used[node][tick]]
    vain = [x for x in used if not x.listens[tick]]
    if any(x.pod[tick] for x in vain):
        return (
            "a pod that runs taken for one that answers. Who asks the program before it gets"
            " customers? See L07-10."
        )
    if len(vain) < len(used):
        return (
            "a pod that is deleted taken for one that nobody calls any more. Who learns of it"
            " late, and what could the pod do meanwhile? See L07-21."
        )
    return (
        "new pods that run taken for pods that answer: all old ones had ended, and no new one was"
        " known yet. How many may leave at a time?"
    )


# --- L07-2: Running, and refused --------------------------------------------------------------


def _paid(answer: Cluster) -> Judgement:
    if answer.state.get(Deployment, "payments", "pay") is None:
        return Judgement("NOT YET", "the Deployment of payments is gone. Who starts a second pod?")
    later = answer.fork()
    apply_changed(later, "deployment/pay/payments", _given_program)
    later.wait(60)
    judged = judge_probes(scenario("shop", nodes=2), later, SHOP)
    if judged.standing != "SOLVED":
        return judged
    seen = observe(later, PAY)
    if seen != PAY.wanted:
        belief, words = _pay_belief(later)
        looks = f"This looks like {belief}: {words}" if belief else words
        says = f"{PAY.says}, a minute later: observed {seen}, wanted {PAY.wanted}."
        return Judgement("NOT YET", f"{says} {looks}", belief)
    if _grown_fails(later):
        says = "with two pods, one replaced: observed calls that fail, wanted none."
        words = "a pod that runs taken for one that answers. Who may ask the program first?"
        return Judgement("NOT YET", f"{says} This looks like M11: {words}", "M11")
    return Judgement("SOLVED", "payments answers, and a new pod gets no call before it can.")


def _given_program(manifest: dict[str, Any]) -> None:
    """A manifest cannot make a program quicker, or listen elsewhere."""
    meta = manifest["spec"]["template"].setdefault("metadata", {})
    own = {"labkit.dev/listens": "8443/TCP", "labkit.dev/starts-in": "4"}
    meta["annotations"] = {**meta.get("annotations", {}), **own}


def _pay_belief(lab: Cluster) -> tuple[str, str]:
    service = lab.state.get(Service, "payments", "pay")
    if service is None:
        return "", "Where has its Service gone?"
    ports = {p.target_port or p.port for p in service.spec.ports}
    declared = {
        c.container_port for p in _payments(lab) for x in p.spec.containers for c in x.ports
    }
    if ports != {8443} or declared - {8443}:
        return "M06", (
            "a number changed that nobody reads. Which number is asked for, and does the program"
            " listen there?"
        )
    if any(p.status.phase == "Running" and not p.ready for p in _payments(lab)):
        return "M11", (
            "a pod that runs taken for one that gets calls. Read its READY column, then what asks"
            " the program."
        )
    return "", "Who stands in its EndpointSlice, under which conditions?"


def _payments(lab: Cluster) -> Iterator[Pod]:
    yield from lab.list("pods", namespace="pay", selector="app=payments")


def _grown_fails(answer: Cluster) -> bool:
    """With two pods of payments, one of which is replaced, does any call fail?"""
    lab = answer.fork()
    try:
        apply_changed(lab, "deployment/pay/payments", lambda m: m["spec"].update(replicas=2))
        lab.wait(90)
        lab.delete(f"pod/pay/{next(_payments(lab)).name}", grace=0)
        lab.wait(20)
    except (LabError, StopIteration):
        return True
    return bool(failed(lab.history, "pod/frontend", PAY.target, last=21.0))


LESSON = Lesson(
    number="L07",
    guesses=(
        Guess("L07-P1", ("three", "five", "none")),
        Guess("L07-P2", ("nobody", "old", "new")),
        Guess("L07-P3", ("fewer", "more", "none")),
        Guess("L07-P4", ("page", "refused", "timeout")),
    ),
    exercises=(
        Exercise(
            "L07-1",
            hints=(
                "draw your release as in L07-21: where are the crosses, and on which pods?",
                "how long do the rules lead to a pod after it was deleted, and who is ready then?",
                '`answer.wait(60)`, `kubectl(answer, "rollout restart deployment backend")`,'
                " `answer.wait(30)`, and then `views.scrubber(answer.timeline(*call, last=31,"
                " delay=2))`.",
            ),
            judge=_release,
            unfilled=always_filled,
            leaks=(
                "seconds: 2",
                "seconds: 3",
                "seconds: 5",
                "maxUnavailable: 1",
                "maxUnavailable: 0",
            ),
        ),
        Exercise(
            "L07-2",
            hints=(
                "`kubectl get pods -n pay`: which column is not as it should be?",
                "who decides about that column, and on which number does it ask?",
                '`kubectl(lab, "describe pod -n pay")`: compare its line Readiness with the'
                " number on which the program listens.",
            ),
            judge=_paid,
            unfilled=always_filled,
            leaks=("port: 8443", "8080"),
        ),
    ),
)
