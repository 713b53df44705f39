"""L01 · The flat network and the shared namespace: its guesses and how its exercises are judged."""

from __future__ import annotations

from collections.abc import Mapping
from ipaddress import ip_interface
from typing import Any

from labkit.api.core import Container, Pod, Service
from labkit.api.listens import listening
from labkit.cluster import Cluster
from labkit.errors import LabError
from labkit.kernel.packet import Address
from labkit.lessons.exercises import Exercise, Guess, Judgement, Lesson, no_answer, open_fields
from labkit.lessons.scenarios import scenario

TILL = """apiVersion: v1
kind: Pod
metadata: {{name: till, labels: {{app: till}}}}
spec:
  containers:
  - {{name: app, image: "shop.example/till:2.0", ports: [{{containerPort: 8080}}]}}
  - {{name: metrics, image: "shop.example/metrics:2.0", ports: [{{containerPort: {metrics}}}]}}
"""
CALLS = {
    "a": ("pod/frontend", "pod/pay/payments:8443"),
    "b": ("pod/frontend", "pod/db:5432"),
    "c": ("pod/till", "127.0.0.1:9100"),
    "d": ("pod/frontend", "outside:443"),
    "e": ("node/node-1", "pod/db:5432"),
    "f": ("a hostNetwork pod of node-1", "pod/frontend:8080"),
}
ASKED = "abcd"  # the rest is for experts


def _shop(*texts: str) -> Cluster:
    lab = scenario("shop", cni="flannel", proxy_mode="iptables")
    for text in texts:
        lab.apply(text)
    return lab


# --- L01-1: which source address the receiver sees --------------------------------------------


def seen_source(lab: Cluster, letter: str) -> Address:
    """The source of the call's first packet at its end, as the model walks it."""
    source, target = CALLS[letter]
    if letter == "f":
        source = _host_pod(lab, "node-1")
    return lab.trace(source, target).request.packet.src


def _host_pod(lab: Cluster, node: str) -> str:
    pods = lab.list("pods", namespace="*")
    found = next(p for p in pods if p.spec.host_network and p.spec.node_name == node)
    return f"pod/{found.namespace}/{found.name}"


def _sources(answer: Mapping[str, object]) -> Judgement:
    lab = _shop(TILL.format(metrics=9100))
    letters = [letter for letter in CALLS if letter in ASKED or letter in answer]
    wrong = {}
    for letter in letters:
        given = _address(answer.get(letter, ""))
        key = seen_source(lab, letter)
        if given != key and not (given and given.is_loopback and key.is_loopback):
            wrong[letter] = given
    if not wrong:
        return Judgement("SOLVED", "every receiver sees the address that you named.")
    letter, given = next(iter(wrong.items()))
    belief, words = _belief(lab, letter, given)
    looks = f"This looks like {belief}: {words}" if belief else words
    right = ", ".join(x for x in letters if x not in wrong)
    praise = f" Right so far: {right}." if right else ""
    return Judgement("NOT YET", f"{letter}: {_named(lab, given)} {looks}{praise}", belief)


def _address(given: object) -> Address | None:
    """The address in `10.0.0.1`, `10.0.0.1:41000`, `10.0.0.1/24` or `localhost`; else None."""
    text = str(given).strip().lower().replace("localhost", "127.0.0.1")
    if text.count(":") == 1:
        text = text.partition(":")[0]
    try:
        return ip_interface(text.strip("[]")).ip
    except ValueError:
        return None


def _owner(lab: Cluster, address: Address | None) -> tuple[str, str]:
    """The namespace and the device that carry the address; a Service carries it nowhere."""
    if address and any(s.spec.cluster_ip == str(address) for s in lab.state.list(Service)):
        return "service", ""
    for name, netns in lab.network.namespaces.items():
        for link in netns.links:
            if link.name != "lo" and any(a.ip == address for a in link.addresses):
                return name, link.name
    return ("loopback", "lo") if address and address.is_loopback else ("", "")


def _named(lab: Cluster, given: Address | None) -> str:
    """Whose address the learner wrote, without the address: it may be right elsewhere."""
    if given is None:
        return "no address yet that can be read."
    netns, device = _owner(lab, given)
    if netns in ("", "service", "loopback"):
        whose = {"": "nobody here", "service": "a Service", "loopback": "every machine itself"}
        return f"your address belongs to {whose[netns]}."
    title = lab.network.namespaces[netns].title
    place = f"{device} of {title}" if netns.startswith("node/") else title
    place = "the router" if netns == "router" else place
    return f"your address belongs to {place}."


def _belief(lab: Cluster, letter: str, given: Address | None) -> tuple[str, str]:
    """The misconception behind a wrong address, if it is a known one, and what to ask."""
    netns, device = _owner(lab, given)
    if given is None:
        return "", "Write it in quotation marks, as the tables print it."
    if letter == "c":
        return "M01", (
            "containers taken for machines with a network each. Nothing leaves the pod here:"
            " which device does `localhost` mean?"
        )
    if netns == "pod/default/till" or netns == _target(lab, letter):
        return "", "Asked is who is calling, not who is called."
    if letter == "d":
        return _beyond(netns)
    if letter in "ef":
        return "", "By which device does the packet leave node-1, and which address has that one?"
    if netns.startswith("node/") and device == "eth0":
        return "M02", (
            "NAT put at the node's door. This call stays among pods: does any row of its trace"
            " change the source?"
        )
    return "", "Does any row of the trace in section 2 (L01-11) change the source?"


def _target(lab: Cluster, letter: str) -> str:
    return lab.trace(*CALLS[letter]).request.end if letter != "f" else ""


def _beyond(netns: str) -> tuple[str, str]:
    """What is wrong with a source that the bank does not see."""
    if netns.startswith("pod/"):
        return "M02", (
            '"without NAT" taken to hold everywhere. It holds between pods; look again at what'
            " node-1 does in section 3 (L01-16)."
        )
    if netns.startswith("node/"):
        return "", "A node it is. Which one, and which of its devices does the packet leave by?"
    return "", "Which row of L01-16 rewrites the source, and on which machine?"


# --- L01-2: two containers, one port ----------------------------------------------------------


def _both_run(answer: Any) -> Judgement:
    lab = answer if isinstance(answer, Cluster) else _with_manifest(answer)
    pod = lab.state.get(Pod, "till", "default")
    if pod is None:
        return Judgement("NOT YET", "observed no pod named till, wanted one with both containers.")
    for fault in (_held_together(lab, pod), _clients_served(lab, pod), _both_ready(lab, pod)):
        if fault:
            return fault
    return _metrics_found(lab, pod) or Judgement(
        "SOLVED", "both containers run, and each has a port of its own on the one address."
    )


def _with_manifest(text: Any) -> Cluster:
    """The shop with the broken till taken away and the learner's manifest in its place."""
    lab = _shop(TILL.format(metrics=8080))
    lab.delete("pod/till")
    lab.apply([text] if isinstance(text, Mapping) else text)
    return lab


def _held_together(lab: Cluster, pod: Pod) -> Judgement | None:
    names = {c.name for c in _containers(pod)}
    lost = [name for name in ("app", "metrics") if name not in names]
    if lost:
        others = (p for p in lab.state.list(Pod) if p.name != "till")
        moved = any(c.name in lost for p in others for c in _containers(p))
        says = f"till: observed no container {lost[0]}, wanted both in this pod."
        if moved:
            return Judgement(
                "NOT YET",
                f"{says} This looks like M01: a program given a network of its own to talk."
                " Who will answer at `localhost` now?",
                "M01",
            )
        return Judgement("NOT YET", f"{says} Somebody still reads its figures.")
    if pod.spec.host_network:
        return Judgement(
            "NOT YET",
            "till: observed the node's address, wanted one of its own."
            " Now it shares its ports with every program of that machine.",
        )
    return None


def _clients_served(lab: Cluster, pod: Pod) -> Judgement | None:
    """None if `app` answers on 8080, as it did before."""
    seen = _answers(lab, "pod/frontend", pod, 8080)
    holder = _holder(pod, 8080)
    if seen and holder == "app":
        return None
    now = f"now {holder} does" if seen else "now nobody does"
    return Judgement(
        "YOU BROKE SOMETHING THAT WORKED",
        f"frontend -> till, port 8080: app answered, {now}. Which of the two do the clients know?",
    )


def _both_ready(lab: Cluster, pod: Pod) -> Judgement | None:
    status = pod.status
    ready = sum(c.ready for c in (*status.init_container_statuses, *status.container_statuses))
    if ready >= 2:
        return None
    says = f"till: observed {ready} of 2 containers ready, wanted 2."
    known = {(s.namespace, s.name) for s in _shop().state.list(Service)}
    if any((s.namespace, s.name) not in known for s in lab.state.list(Service)):
        return Judgement(
            "NOT YET",
            f"{says} This looks like M01: a Service used to tell two containers apart."
            " It stands before the pod; what happens inside it?",
            "M01",
        )
    if any(port.host_port for c in _containers(pod) for port in c.ports):
        return Judgement(
            "NOT YET",
            f"{says} This looks like M01: a host port is a door of the *node*."
            " Inside the pod both still ask for the same one.",
            "M01",
        )
    return Judgement("NOT YET", f"{says} Read the log of the one that is not.")


def _metrics_found(lab: Cluster, pod: Pod) -> Judgement | None:
    """None if `metrics` answers on some port, inside the pod and at the pod's address."""
    ports = [x.port for x in listening(pod) if x.protocol == "TCP"]
    own = [port for port in ports if _holder(pod, port) == "metrics"]
    if not own:
        return Judgement(
            "NOT YET", "metrics: runs, but listens on no TCP port. Who is to read its figures?"
        )
    for name, source in (("app, at localhost", "pod/till"), ("frontend", "pod/frontend")):
        if not any(_answers(lab, source, pod, port) for port in own):
            return Judgement(
                "NOT YET", f"{name} -> metrics: observed a refusal, wanted its figures."
            )
    return None


def _containers(pod: Pod) -> tuple[Container, ...]:
    return (*pod.spec.init_containers, *pod.spec.containers)


def _holder(pod: Pod, port: int) -> str:
    """The container that has the port: it declares it, or it is the one that declares none."""
    containers = _containers(pod)
    declared = (c for c in containers if any(p.container_port == port for p in c.ports))
    silent = [c for c in containers if not c.ports] or list(containers[-1:])
    return next(declared, silent[0]).name


def _answers(lab: Cluster, source: str, pod: Pod, port: int) -> bool:
    place = "127.0.0.1" if source == "pod/till" else str(pod.status.pod_ip)
    try:
        return bool(lab.trace(source, f"{place}:{port}"))
    except LabError:
        return False


LESSON = Lesson(
    number="L01",
    guesses=(
        Guess("L01-P1", ("pod", "node", "gateway")),
        Guess("L01-P2", ("pod", "node", "router")),
        Guess("L01-P3", ("service", "own address", "localhost")),
    ),
    exercises=(
        Exercise(
            "L01-1",
            hints=(
                "ask two things of each call: who sends, and does it leave the pods' network?",
                "which calls stay among pods? One row of L01-20 is for them, another for the rest.",
                'trace each call, for example `lab.trace("pod/frontend", "pod/db:5432")`: row 1'
                " names the source. Does a later row change it?",
            ),
            judge=_sources,
            unfilled=open_fields,
            leaks=("10.244.1.", "127.0.0.1", "192.168.7.11"),
        ),
        Exercise(
            "L01-2",
            hints=(
                "one of the two is ready. What does the log of the other say?",
                "the two share one network. Of what can each address have only one holder?",
                '`kubectl(lab, "describe pod till")` lists the port of each container. Compare.',
            ),
            judge=_both_run,
            unfilled=no_answer,
            leaks=("9100", "another port", "containerPort"),
        ),
    ),
)
