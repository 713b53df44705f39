"""Cases for a packet detective: a shop with one fault, drawn from a seed, and what people saw.

Everything in a report is observed in the model after the fault was planted, so that no seed
can tell of a symptom that is not there.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from labkit.api.core import Pod
from labkit.api.listens import LISTENS
from labkit.api.names import SYSTEM
from labkit.cluster import Cluster
from labkit.errors import CommandError, LabError
from labkit.given import checked
from labkit.kernel.dice import SeededDice
from labkit.lessons.exercises import apply_changed
from labkit.lessons.scenarios import scenario
from labkit.traffic import faults
from labkit.traffic.sites import OUTSIDE

CASES = 6
ENOUGH = 10  # questions that a case may take
TRACE = 3  # what a question costs that no real cluster answers

CAUSES = {
    "a": "the program listens for its own pod only",
    "b": "the Service selects no pod, or the wrong ones",
    "c": "the Service's port, target port or protocol does not fit the pod",
    "d": "pods run, and none is ready",
    "e": "a node has lost a route",
    "f": "the Service's traffic policy leaves some nodes without a pod",
    "g": "the name points to a name that does not exist",
    "h": "the cluster's DNS servers, or their Corefile",
}


class Call(msgspec.Struct, frozen=True):
    """Somebody calls a URL; in a healthy shop `by` answers: a workload, or a name far away."""

    source: str
    url: str
    by: str

    @property
    def says(self) -> str:
        return f"{self.source.removeprefix('pod/')} -> {self.url}"

    def seen(self, lab: Cluster) -> str:
        """What the caller notices in some tries, asked of a copy: it counts as no question.

        One try would not do, since the kernel draws one of the pods, also of CoreDNS's.
        """
        copy = lab.fork()
        wrong = [came for _ in range(TRIES) if (came := self._came(copy)) != WELL]
        often = "" if len(wrong) == TRIES else ", at times"
        return " or ".join(dict.fromkeys(wrong)) + often if wrong else WELL

    def _came(self, lab: Cluster) -> str:
        try:
            found = lab.request(self.source, self.url)
        except LabError as error:
            return f"an error ({str(error).splitlines()[0]})"
        if found.connection is None:
            denied = found.resolution.lookup.problem in ("NXDOMAIN", "NODATA")
            return '"no such name"' if denied else "no answer from DNS"
        who = found.served_by
        if who == OUTSIDE:
            who = found.resolution.lookup.canonical.rstrip(".")
        if found.connection and who != self.by and not who.startswith(f"{self.by}-"):
            return f"an answer, but from {who}"
        return SEEN.get(found.connection.outcome, found.connection.outcome)


TRIES = 4
SEEN = {
    "answered": "an answer",
    "refused": '"connection refused"',
    "timed out": "a timeout",
    "unreachable": '"unreachable"',
}
WELL = SEEN["answered"]
CALLS = (
    Call("pod/frontend", "http://backend", "backend"),
    Call("pod/backend", "http://db:5432", "db"),
    Call("pod/backend", "http://payments.pay:8443", "pay/payments"),
    Call("pod/ops/monitoring", "http://frontend.default:8080", "frontend"),
    Call("pod/backend", "http://archive", "db.example.com"),
    *(Call("outside", f"http://192.168.7.{n}:30080", "frontend") for n in (11, 12, 13)),
)
MORE = (
    # What the shop has got since the first lessons: a door to the street, and a name for afar.
    {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "door"},
        "spec": {
            "type": "NodePort",
            "selector": {"app": "frontend"},
            "ports": [{"port": 8080, "nodePort": 30080}],
        },
    },
    {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "archive"},
        "spec": {"type": "ExternalName", "externalName": "db.example.com"},
    },
)


class Case(msgspec.Struct, frozen=True, kw_only=True):
    """One case: `lab` is the shop to look into and to mend, `start` how it was found.

    `truth` is the letter of the cause in `CAUSES`, `said` the learner's; `...` while open.
    """

    number: int
    seed: int
    report: str
    lab: Cluster
    start: Cluster
    truth: str
    said: Any = ...

    def closed(self, cause: object) -> Case:
        """The case with a cause named: a letter of the list. A new name is a question, too."""
        named = f"named {cause}"
        if str(cause) in CAUSES and named not in self.lab.asked:
            self.lab.asked.append(named)
        return msgspec.structs.replace(self, said=cause)

    @property
    def cost(self) -> int:
        """Questions so far; a call such as `trace` counts for three."""
        return sum(1 if ":" in line or " " in line else TRACE for line in self.lab.asked)

    def __repr__(self) -> str:
        asked = f"{self.cost} of {ENOUGH} questions asked"
        return f"Case {self.number}, seed {self.seed}\n{self.report}\n{asked}"


@checked
def open_case(number: int, seed: int = 1) -> Case:
    """Case 1 to 6 of a seed: six faults of different kinds, in an order of the seed's own.

    Raises:
        CommandError: there is no such case.
    """
    if number not in range(1, CASES + 1):
        raise CommandError(f"case {number!r}: there are cases 1 to {CASES}")
    dice = SeededDice(seed)
    kinds = list(FAULTS)
    for last in range(len(kinds) - 1, 0, -1):  # Fisher and Yates
        other = dice.below(last + 1)
        kinds[last], kinds[other] = kinds[other], kinds[last]
    truth = kinds[number - 1]
    lab = scenario("shop", cni="flannel/host-gw", proxy_mode="iptables")
    lab.apply(MORE)
    dice = SeededDice(seed * CASES + number)
    choices = FAULTS[truth]
    choices[dice.below(len(choices))](lab, dice)
    lab = _as_found(lab)
    report = _report(lab, dice)
    return Case(number=number, seed=seed, report=report, lab=lab, start=lab.fork(), truth=truth)


def _as_found(lab: Cluster) -> Cluster:
    """The shop as a detective finds it: no act that could be undone, and no question asked."""
    first, *_, last = lab.history
    return Cluster([first, last._replace(act=1)], seed=lab.seed)


PEOPLE = ("Ana", "Ravi", "Mei", "Tomas", "Ines", "Jonas")
TIMES = ("Monday, 08:50", "Tuesday, 11:15", "Wednesday, 16:30", "Thursday, 09:05", "Friday, 14:40")


def _report(lab: Cluster, dice: SeededDice) -> str:
    """Who saw what: the first call that fails, those that fail beside it, and how many work."""
    seen = [(call, call.seen(lab)) for call in CALLS]
    wrong = [(call, what) for call, what in seen if what != WELL]
    call, what = wrong[0]
    who, when = PEOPLE[dice.below(len(PEOPLE))], TIMES[dice.below(len(TIMES))]
    more = [f"  {other.says}: {came}" for other, came in wrong[1:]]
    return "\n".join(
        (
            f"{when}. {who} tries from {call.source}:",
            f"  curl {call.url}: {what}",
            *(["Others report:", *more] if more else []),
            f"The other {len(seen) - len(wrong)} of the shop's {len(seen)} calls work.",
        )
    )


def not_ready(lab: Cluster) -> tuple[str, ...]:
    """The shop's pods that say of themselves that they cannot serve."""
    pods = [pod for pod in lab.state.list(Pod) if pod.namespace not in SYSTEM]
    return tuple(pod.name for pod in pods if not pod.ready)


def calls_after_a_restart(lab: Cluster) -> Cluster:
    """A copy in which every pod of the shop was replaced: what holds there will last."""
    copy = lab.fork()
    pods = [pod for pod in copy.state.list(Pod) if pod.namespace not in SYSTEM]
    copy.delete(*(f"pod/{pod.namespace}/{pod.name}" for pod in pods))
    return copy


# --- faults -----------------------------------------------------------------------------------

SERVICES = ("backend", "db", "pay/payments")


def _one_of(dice: SeededDice, items: tuple[str, ...]) -> str:
    return items[dice.below(len(items))]


def _misspelt(word: str, dice: SeededDice) -> str:
    """The word with two neighbours swapped, as hurried fingers do."""
    places = [n for n in range(1, len(word) - 1) if word[n] != word[n + 1]]
    if not places:
        return word + word[-1]
    at = places[dice.below(len(places))]
    return word[:at] + word[at + 1] + word[at] + word[at + 2 :]


def _selector(lab: Cluster, dice: SeededDice) -> None:
    def change(manifest: dict[str, Any]) -> None:
        selector = manifest["spec"]["selector"]
        selector["app"] = _misspelt(selector["app"], dice)

    apply_changed(lab, f"svc/{_one_of(dice, SERVICES)}", change)


def _other_tier(lab: Cluster, dice: SeededDice) -> None:
    """A second label in the selector that no pod carries."""
    track = _one_of(dice, ("stable", "blue", "v2"))

    def change(manifest: dict[str, Any]) -> None:
        manifest["spec"]["selector"]["track"] = track

    apply_changed(lab, f"svc/{_one_of(dice, SERVICES)}", change)


def _target_port(lab: Cluster, dice: SeededDice) -> None:
    off = 1 + dice.below(9)

    def change(manifest: dict[str, Any]) -> None:
        port = manifest["spec"]["ports"][0]
        port["targetPort"] = port["targetPort"] + off

    apply_changed(lab, f"svc/{_one_of(dice, SERVICES)}", change)


def _protocol(lab: Cluster, dice: SeededDice) -> None:
    def change(manifest: dict[str, Any]) -> None:
        manifest["spec"]["ports"][0]["protocol"] = "UDP"

    apply_changed(lab, f"svc/{_one_of(dice, SERVICES)}", change)


def _for_itself(lab: Cluster, dice: SeededDice) -> None:
    """The program hears only what its own pod sends."""

    def change(manifest: dict[str, Any]) -> None:
        notes = manifest["spec"]["template"]["metadata"]["annotations"]
        notes[LISTENS] = f"127.0.0.1:{notes[LISTENS]}"

    apply_changed(lab, f"deploy/{_one_of(dice, SERVICES)}", change)


def _never_ready(lab: Cluster, dice: SeededDice) -> None:
    """A readiness probe that knocks at a port where nobody listens."""
    port = 8081 + dice.below(9)

    def change(manifest: dict[str, Any]) -> None:
        (container,) = manifest["spec"]["template"]["spec"]["containers"]
        container["readinessProbe"] = {"tcpSocket": {"port": port}}
        manifest["spec"]["strategy"] = {"type": "Recreate"}

    apply_changed(lab, f"deploy/{_one_of(dice, SERVICES)}", change)


def _route(lab: Cluster, dice: SeededDice) -> None:
    node, other = ((1, 2), (2, 3), (2, 1), (3, 1))[dice.below(4)]
    lab.inject(faults.missing_route(f"node-{node}", f"10.244.{other}.0/24"))


def _local(lab: Cluster, dice: SeededDice) -> None:
    def change(manifest: dict[str, Any]) -> None:
        manifest["spec"]["externalTrafficPolicy"] = "Local"

    apply_changed(lab, "svc/door", change)


def _far_name(lab: Cluster, dice: SeededDice) -> None:
    def change(manifest: dict[str, Any]) -> None:
        name = manifest["spec"]["externalName"].split(".")
        at = dice.below(2)
        name[at] = _misspelt(name[at], dice)
        manifest["spec"]["externalName"] = ".".join(name)

    apply_changed(lab, "svc/archive", change)


def _no_servers(lab: Cluster, dice: SeededDice) -> None:
    def change(manifest: dict[str, Any]) -> None:
        manifest["spec"]["replicas"] = 0

    apply_changed(lab, "deploy/kube-system/coredns", change)


def _other_zone(lab: Cluster, dice: SeededDice) -> None:
    def change(manifest: dict[str, Any]) -> None:
        zone = f"cluster.{_misspelt('local', dice)}"
        text = manifest["data"]["Corefile"]
        manifest["data"]["Corefile"] = text.replace(
            "kubernetes cluster.local", f"kubernetes {zone}"
        )

    apply_changed(lab, "configmap/kube-system/coredns", change)


Plant = Callable[[Cluster, SeededDice], None]
FAULTS: dict[str, tuple[Plant, ...]] = {
    "a": (_for_itself,),
    "b": (_selector, _other_tier),
    "c": (_target_port, _protocol),
    "d": (_never_ready,),
    "e": (_route,),
    "f": (_local,),
    "g": (_far_name,),
    "h": (_no_servers, _other_zone),
}
