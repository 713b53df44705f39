"""L04 · ClusterIP: an address nobody owns: its guesses and how its exercises are judged."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import msgspec

from labkit.api.apps import Deployment, PodTemplate
from labkit.api.core import Pod, PortProtocol, Service, ServicePortSpec
from labkit.api.discovery import SERVICE_NAME, EndpointSlice
from labkit.api.listens import listening
from labkit.cluster import Cluster
from labkit.errors import LabError
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
    open_fields,
)
from labkit.lessons.scenarios import scenario

SHOP = (
    Probe("frontend -> http://backend", "pod/frontend", "svc/backend:80", by="backend"),
    Probe("frontend -> db", "pod/frontend", "svc/db:5432", by="db"),
    Probe("monitoring -> frontend", "pod/ops/monitoring", "svc/frontend:8080", by="frontend"),
)
PAY = Probe("frontend -> payments", "pod/frontend", "svc/pay/payments:8443", by="pay/payments")
CLIENTS = ("frontend", "ops/monitoring", "pay/payments")


def _shop() -> Cluster:
    return scenario("shop", cni="flannel", proxy_mode="iptables")


# --- L04-1: five Services ---------------------------------------------------------------------


class Asked(msgspec.Struct, frozen=True):
    """What the callers dial."""

    name: str
    port: int
    protocol: PortProtocol = "TCP"
    namespace: str = "default"

    @property
    def dialled(self) -> str:
        return self.name if self.namespace == "default" else f"{self.name}.{self.namespace}"

    @property
    def workload(self) -> str:
        """How traces call its pods, as a beginning."""
        return self.name if self.namespace == "default" else f"{self.namespace}/{self.name}"


FIVE = (
    Asked("search", 80),
    Asked("reviews", 80),
    Asked("images", 80),
    Asked("stats", 8125, "UDP"),
    Asked("invoices", 80, namespace="pay"),
)
ANSWER = "an answer"


def seen(lab: Cluster, client: str, asked: Asked) -> str:
    """What every connection of this client sees; the worst, if chance decides."""
    service = lab.state.get(Service, asked.name, asked.namespace)
    if service is None:
        return "no Service of that name"
    place = f"{service.spec.cluster_ip}:{asked.port}"
    try:
        ends = lab.outcomes(f"pod/{client}", place, protocol=asked.protocol).ends
    except LabError:
        return "a Service without an address"
    for failure, words in (("timed out", "a timeout"), ("refused", '"refused"')):
        if failure in ends:
            return words
    others = [end for end in ends if not _is_of(end, asked.workload)]
    return f"an answer from {others[0]}" if others else ANSWER


def _is_of(title: str, workload: str) -> bool:
    return title == workload or title.startswith(f"{workload}-")


def _five(answer: Cluster) -> Judgement:
    for probe in SHOP:
        if (now := observe(answer, probe)) != probe.wanted:
            says = f"{probe.says}: it was {probe.wanted}, now it is {now}."
            return Judgement("YOU BROKE SOMETHING THAT WORKED", f"{says} Which Service is that?")
    wrong = {asked: found for asked in FIVE if (found := _wrong(answer, asked))}
    if wrong:
        asked, (client, now) = next(iter(wrong.items()))
        belief, words = _five_belief(answer, asked, now)
        looks = f"This looks like {belief}: {words}" if belief else words
        right = ", ".join(a.name for a in FIVE if a not in wrong)
        praise = f" Right so far: {right}." if right else ""
        says = f"{client} -> {asked.dialled}, {asked.protocol} {asked.port}: observed {now},"
        wanted = ANSWER if ANSWER not in now else f"one from {asked.name}"
        return Judgement("NOT YET", f"{says} wanted {wanted}. {looks}{praise}", belief)
    return _lasting(answer) or Judgement(
        "SOLVED", "all five answer every caller, also with new pods behind them."
    )


def _wrong(lab: Cluster, asked: Asked) -> tuple[str, str] | None:
    """The first client that does not get its answer, and what it sees."""
    found = ((client, seen(lab, client, asked)) for client in CLIENTS)
    return next(((client, now) for client, now in found if now != ANSWER), None)


def _five_belief(lab: Cluster, asked: Asked, now: str) -> tuple[str, str]:
    """The misconception behind a Service that does not answer, if it is a known one."""
    service = lab.state.get(Service, asked.name, asked.namespace)
    if service is None:
        return "", "A selector sees its own namespace only. Where do these pods live?"
    same = [p for p in service.spec.ports if p.port == asked.port]
    port = next((p for p in same if p.protocol == asked.protocol), None)
    if port is None and same:
        return "", "The numbers fit. What else must fit before a rule matches?"
    if port is None:
        return "M06", "the pod's number moved to the client's side. Whose number is `port`?"
    if now.startswith("an answer from"):
        return "", "Somebody answers, but which program is it?"
    return _behind(lab, asked, port)


def _behind(lab: Cluster, asked: Asked, port: ServicePortSpec) -> tuple[str, str]:
    """What is wrong between the Service's port and the program."""
    slices = [
        s
        for s in lab.state.list(EndpointSlice, asked.namespace)
        if s.labels.get(SERVICE_NAME) == asked.name
    ]
    if not any(s.endpoints for s in slices):
        return "", "Its list of endpoints is empty. Compare its selector with the pods, by letter."
    if not any(s.ports for s in slices):
        return "M06", (
            "a port's name looked up in the wrong place. It is a name that the pod declares."
            " Which one does it?"
        )
    pods = [p for p in lab.state.list(Pod, asked.namespace) if p.labels.get("app") == asked.name]
    noted = {c.container_port for p in pods for x in p.spec.containers for c in x.ports}
    open_ports = {x.port for p in pods for x in listening(p)}
    if noted - open_ports:
        return "M06", "a containerPort taken to open a port. Look again at L04-22."
    return "M06", (
        "one number taken for two. The packet arrives, and in the pod nobody listens there."
        " Look again at L04-18."
    )


def _lasting(answer: Cluster) -> Judgement | None:
    """None if the Deployments are as they were and new pods answer as the old ones do."""
    for asked in FIVE:
        first, now = _templates(answer, asked)
        if first != now:
            says = f"deployment/{asked.name}: observed a change, wanted it as it was."
            return Judgement("NOT YET", f"{says} Which Service can be mended in its place?")
    grown = answer.fork()
    for asked in FIVE:
        name = f"deployment/{asked.namespace}/{asked.name}"
        apply_changed(grown, name, lambda m: m["spec"].update(replicas=2))
    for namespace in ("default", "pay"):
        _renew(grown, namespace)
    for asked in FIVE:
        if wrong := _wrong(grown, asked):
            says = f"{wrong[0]} -> {asked.dialled}: observed {wrong[1]}, wanted {ANSWER}"
            return Judgement("NOT YET", f"{says}, once its pods are new. What do those lack?")
    return None


def _templates(lab: Cluster, asked: Asked) -> tuple[PodTemplate | None, PodTemplate | None]:
    """The Deployment's template as it first was, and as it is."""
    wanted = (asked.namespace, asked.name)
    found = [
        e.after.spec.template
        for e in lab.watch()
        if isinstance(e.after, Deployment) and (e.after.namespace, e.after.name) == wanted
    ]
    last = lab.state.get(Deployment, asked.name, asked.namespace)
    return (found[0] if found else None), (last.spec.template if last else None)


def _renew(lab: Cluster, namespace: str) -> None:
    """Lets the Deployments put new pods in the place of all; a pod that nobody owns is gone."""
    for pod in lab.list("pods", namespace=namespace):
        lab.delete(f"pod/{namespace}/{pod.name}")


# --- L04-2: cause and message -----------------------------------------------------------------

SERVICE = """apiVersion: v1
kind: Service
metadata: {name: backend}
spec: {selector: {app: backend}, ports: [{%s}]}
"""
LOOPBACK = """apiVersion: apps/v1
kind: Deployment
metadata: {name: backend}
spec:
  selector: {matchLabels: {app: backend}}
  template:
    metadata: {labels: {app: backend}, annotations: {labkit.dev/listens: "127.0.0.1:8080/TCP"}}
    spec: {containers: [{name: backend, image: b, ports: [{name: http, containerPort: 8080}]}]}
"""
CHOICES = ("an answer", "refused by the node", "refused by the pod", "timeout")
CASES = {  # letter: (what is applied to the shop, the port that is dialled; 0 is a ping)
    "a": (LOOPBACK, 80),
    "b": ("", 8080),
    "c": (SERVICE % "port: 80, targetPort: 8080, protocol: UDP", 80),
    "d": (SERVICE % "port: 80, targetPort: web", 80),
    "e": ("", 0),
}


def message(letter: str) -> str:
    """What the frontend sees in a case, and by whom: computed by walking the packet."""
    text, port = CASES[letter]
    lab = _shop()
    if text:
        lab.apply(text)
    address = lab.get("svc/backend").spec.cluster_ip
    if port:
        tried = lab.trace("pod/frontend", f"{address}:{port}")
    else:
        tried = lab.trace("pod/frontend", address, protocol="ICMP")
    if tried.outcome != "refused":
        return {"timed out": "timeout", "answered": "an answer"}.get(tried.outcome, tried.outcome)
    return f"refused by the {tried.places[tried.request.end].kind}"


def _messages(answer: Mapping[str, object]) -> Judgement:
    wrong = {}
    for letter in CASES:
        given = " ".join(str(answer.get(letter, "")).lower().split())
        if given != (key := message(letter)):
            wrong[letter] = (given, key)
    if not wrong:
        return Judgement("SOLVED", "every message has its cause.")
    letter, (given, key) = next(iter(wrong.items()))
    belief, words = _message_belief(letter, given, key)
    looks = f"This looks like {belief}: {words}" if belief else words
    right = ", ".join(x for x in CASES if x not in wrong)
    praise = f" Right so far: {right}." if right else ""
    says = f'{letter}: you say "{given}"; the packet ends otherwise. {looks}{praise}'
    return Judgement("NOT YET", says, belief)


def _message_belief(letter: str, given: str, key: str) -> tuple[str, str]:
    """What a wrong message says about its author; never the right one."""
    if given not in CHOICES:
        return "", "Choose one of the four."
    if letter == "e":
        return "M05", (
            "a ClusterIP taken for the address of a machine. Which device has it, and what does"
            " the rule in L04-09 ask for?"
        )
    if given == "an answer":
        if letter in "bd":
            return "M06", "one number taken for another. On the ruler of L04-18, which must meet?"
        return "", "Go along the ruler of L04-18: what else than a number must meet?"
    if "timeout" in (given, key):
        return "M40", (
            "refused and timed out taken for one. Who knows this address, port and protocol,"
            " and could answer?"
        )
    if letter == "d":
        return "M06", (
            "a number expected where the list has none. To which address and port would the"
            " packet be rewritten?"
        )
    return "", "Is somebody in the list of endpoints? If so, who is the next to decide?"


# --- L04-3: a typing error in a selector ------------------------------------------------------


def _paid(answer: Cluster) -> Judgement:
    before = _shop()
    before.delete("deployment/pay/payments")
    judged = judge_probes(before, answer, (*SHOP, PAY), _pay_belief(answer))
    if judged.standing != "SOLVED":
        return judged
    later = answer.fork()
    _renew(later, "pay")
    if observe(later, PAY) != PAY.wanted:
        says = "frontend -> payments: observed the page today, wanted it with the next pod, too."
        return Judgement("NOT YET", f"{says} Where do new pods take their labels from?")
    return Judgement("SOLVED", "payments answers, and goes on answering with a new pod.")


def _pay_belief(lab: Cluster) -> Callable[[Probe, str], tuple[str, str]]:
    def belief(probe: Probe, seen: str) -> tuple[str, str]:
        service = lab.state.get(Service, "payments", "pay")
        if probe != PAY or service is None:
            return "", ""
        numbers = {(p.port, p.target_port or p.port) for p in service.spec.ports}
        if numbers != {(8443, 8443)}:
            return "M06", "a number changed although the list was empty. Who is in it now?"
        if seen.startswith("a page from"):
            return "", "Somebody answers, but is it the program that takes the money?"
        return "", "How many endpoints has the Service, and which words does it ask for?"

    return belief


LESSON = Lesson(
    number="L04",
    guesses=(
        Guess("L04-P1", ("pod", "every node", "one node", "nowhere")),
        Guess("L04-P2", ("never", "later", "half")),
        Guess("L04-P3", ("page", "refused", "timeout")),
        Guess("L04-P4", ("service", "pod", "node")),
        Guess("L04-P5", ("a", "b", "c", "d"), letters=True),
    ),
    exercises=(
        Exercise(
            "L04-1",
            hints=(
                "take one Service, and go along the ruler of L04-18 from the left.",
                "who is in its EndpointSlice, in which namespace, and with which number?",
                '`kubectl(answer, "get endpointslices -A")`, then `kubectl(answer, "describe'
                ' deployment reviews")`: compare Port with TargetPort, protocol too.',
            ),
            judge=_five,
            unfilled=always_filled,
            leaks=("app: search", "9090", ": web", "protocol: UDP", "namespace: pay"),
        ),
        Exercise(
            "L04-2",
            hints=(
                "for each line ask first: is there a rule for this address, port and protocol?",
                "if there is one: is somebody in the list? If so: does a program listen there?",
                "make a fork as in L04-36, apply the change, and read the last row of its trace.",
            ),
            judge=_messages,
            unfilled=open_fields,
            leaks=('"b": "timeout"', '"a": "refused by the pod"'),
        ),
        Exercise(
            "L04-3",
            hints=(
                "read the last row of the trace in L04-42: what does the Service lack?",
                "which words does it ask for, and does any pod carry exactly these?",
                '`kubectl(lab, "get pods,services -n pay --show-labels -o wide")` shows both.'
                " Compare by letter.",
            ),
            judge=_paid,
            unfilled=always_filled,
            leaks=("stable", "stabel", "release"),
        ),
    ),
)
