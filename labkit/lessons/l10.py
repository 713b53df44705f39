"""L10 · CoreDNS: its guesses and how its exercises are judged: by looking names up."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache
from typing import Any, NamedTuple

from labkit.api.core import ConfigMap, Node, Pod
from labkit.api.datafiles import DATA
from labkit.cluster import Cluster
from labkit.dns.corefile import CorefileError
from labkit.dns.process import is_coredns, node_file
from labkit.dns.server import load
from labkit.errors import LabError
from labkit.lessons.exercises import Exercise, Guess, Judgement, Lesson, Standing, always_filled
from labkit.lessons.scenarios import scenario
from labkit.traffic.resolve import Resolution

FILES = DATA.parent / "notebooks" / "lessons"
OUTSIDE = "203.0.113.9"
FRONTEND = "pod/frontend"


@cache
def _untouched() -> Cluster:
    return scenario("shop", cni="flannel", proxy_mode="iptables")


def _shop() -> Cluster:
    """The shop as each exercise begins."""
    return _untouched().fork()


def service(lab: Cluster, name: str, namespace: str = "default") -> None:
    """A Service that nobody has heard of before."""
    meta = {"name": name, "namespace": namespace}
    manifest = {"apiVersion": "v1", "kind": "Service", "metadata": meta}
    lab.apply([{**manifest, "spec": {"selector": {"app": "backend"}, "ports": [{"port": 80}]}}])


def renewed(lab: Cluster, namespace: str, **labels: str) -> None:
    """Deletes the pods with these labels; who owns them makes new ones."""
    for pod in lab.state.list(Pod, namespace):
        if labels.items() <= pod.labels.items():
            lab.delete(f"pod/{namespace}/{pod.name}")


def corefile(lab: Cluster) -> str:
    found = lab.state.get(ConfigMap, "coredns", "kube-system")
    return found.data.get("Corefile", "") if found else ""


def faulty(lab: Cluster) -> tuple[str, str] | None:
    """What to ask somebody whose Corefile CoreDNS does not take."""
    try:
        load(corefile(lab))
    except CorefileError:
        return "", "CoreDNS did not take this file. What does its log say?"
    return None


class Fact(NamedTuple):
    """One name looked up: what is seen, what is wanted, and the belief behind a difference."""

    says: str
    seen: str
    wanted: str
    belief: tuple[str, str] = ("", "")

    @property
    def right(self) -> bool:
        return self.seen == self.wanted


def judged(before: Iterable[Fact], after: Iterable[Fact], solved: str) -> Judgement:
    """SOLVED if all is as wanted; what was right before and is not any more comes first."""
    held = {fact.says for fact in before if fact.right}
    wrong = [fact for fact in after if not fact.right]
    if not wrong:
        return Judgement("SOLVED", solved)
    broken = [fact for fact in wrong if fact.says in held]
    fact = (broken or wrong)[0]
    standing: Standing = "YOU BROKE SOMETHING THAT WORKED" if broken else "NOT YET"
    now = f"it was {fact.wanted}, now it is {fact.seen}." if broken else ""
    number, words = fact.belief
    looks = f" This looks like {number}: {words}" if number else f" {words}" if words else ""
    told = now or f"observed {fact.seen}, wanted {fact.wanted}."
    return Judgement(standing, f"{fact.says}: {told}{looks}", number)


# --- L10-1: from eight questions to two -------------------------------------------------------

CALLED = ("api.stripe.com", "www.example.com", "db.example.com", "www.example.org")
STRANGERS = (*CALLED, "github.com", "kubernetes.io")
OWN = ("backend", "db", "payments.pay", "monitoring.ops", "ledger.pay", "db.default.svc")
FOUND, KEPT_INSIDE = "found", "nobody outside"
CUT = (
    "two questions each, and the shop's short names stay at home.\n"
    "`db.default.svc` has two dots as well. Look it up in `answer`: who is asked first?"
)


def _asked_outside(found: Resolution) -> bool:
    return any(q.server == "outside" or OUTSIDE in _onward(q) for q in found.questions)


def _onward(question: Any) -> tuple[str, ...]:
    return question.reply.upstreams if question.reply else ()


def _whom(found: Resolution) -> str:
    return "the server outside" if _asked_outside(found) else KEPT_INSIDE


def _seen(found: Resolution) -> str:
    return FOUND if found.addresses else "not found"


def costs(lab: Cluster) -> list[Fact]:
    """Twelve names as the frontend's resolver asks for them, and one while CoreDNS is away."""
    facts, why = [], _spent(lab)
    home = ("", "Which line of `/etc/resolv.conf` completes the shop's short names?")
    leak = ("M20", "one name taken for one question. Which one is asked first now, and by whom?")
    for name in OWN:
        found = lab.resolve(FRONTEND, name)
        facts.append(Fact(f"frontend looks up {name}", _seen(found), FOUND, home))
        # Names with more dots go out first where two questions are enough: the task says so.
        if name.count(".") < 2:
            says = f"who outside is asked for {name}"
            facts.append(Fact(says, _whom(found), KEPT_INSIDE, leak))
    for name in STRANGERS:
        found = lab.resolve(FRONTEND, name)
        facts.append(Fact(f"frontend looks up {name}", _seen(found), FOUND))
        if name in CALLED:
            count = len(found.questions)
            words = f"{count} questions"
            belief = why if count > 2 else ("", "Who keeps that address up to date, in each pod?")
            facts.append(Fact(f"frontend asks for {name}", words, "2 questions", belief))
    return [*facts, _while_away(lab)]


def _while_away(lab: Cluster) -> Fact:
    """A second server in the pod's file is asked as soon as the first one does not answer."""
    fork = lab.fork()
    fork.delete("deployment/kube-system/coredns")
    words = "A second server takes over when the first is silent. What does it know of the shop?"
    asked = {question.server for question in fork.resolve(FRONTEND, "backend").questions}
    out = "the server outside" if "outside" in asked else KEPT_INSIDE
    return Fact("whom the frontend asks while CoreDNS is away", out, KEPT_INSIDE, ("", words))


def _spent(lab: Cluster) -> tuple[str, str]:
    """Why a name still costs too much."""
    shop = _shop()
    if corefile(lab) != corefile(shop) or lab.config != shop.config:
        return "M20", (
            "one name taken for one question. The server may answer sooner, the pod asks as often."
            " Who makes the list?"
        )
    conf = lab.resolve(FRONTEND, "localhost").conf
    if conf.option("ndots", 1) != 5:
        return "", "Count the dots of that name, and compare with the number in the pod's file."
    return "M20", "one name taken for one question. Look again at L10-08: what sends the endings?"


def _prepared(lab: Cluster) -> Cluster:
    """A copy with a name that the learner never saw, and with new frontends."""
    fork = lab.fork()
    service(fork, "ledger", "pay")
    renewed(fork, "default", app="frontend")
    return fork


def _from_eight_to_two(answer: Cluster) -> Judgement:
    try:
        after = costs(_prepared(answer))
    except LabError as error:
        return Judgement("YOU BROKE SOMETHING THAT WORKED", f"{error}. Where is it?")
    return judged(costs(_prepared(_shop())), after, CUT)


# --- L10-2: asked too early -------------------------------------------------------------------

EARLY = ("refunds", "tax.pay")
WAITS = (0, 5, 25, 10)  # seconds between looks: the shortest memory, then half a minute
AT_ONCE, REMEMBERED = "an address at once", "asked outside once for each server"


def older() -> Cluster:
    lab = _shop()
    lab.apply(FILES / "L10-older.yaml")
    return lab


def memory(lab: Cluster) -> list[Fact]:
    """What is remembered, of the cluster and of outside; every server is asked several times."""
    servers = sum(is_coredns(pod) for pod in lab.state.list(Pod))
    facts = []
    for name in ("example.org.", "kubernetes.io.", "nobody.example."):
        asked = [lab.resolve(FRONTEND, name, "A") for _ in range(3 * max(servers, 1))]
        onward = sum(_asked_outside(found) for found in asked)
        seen = REMEMBERED if onward <= servers else "asked outside again and again"
        kind = "a no" if name.startswith("nobody") else "a yes"
        words = "Whose memory did you mean to shorten, and whose went with it?"
        facts.append(Fact(f"{kind} about {name}", seen, REMEMBERED, ("", words)))
    for name in ("backend", "payments.pay"):
        facts.append(Fact(f"frontend looks up {name}", _seen(lab.resolve(FRONTEND, name)), FOUND))
    return facts


def early(lab: Cluster) -> list[Fact]:
    """Names that everybody asks for, whose Services then come; how long until they are found?"""
    fork, waited = lab.fork(), 0
    for name in EARLY * 4:
        fork.resolve(FRONTEND, name)
    for name in EARLY:
        service(fork, *name.split("."))
    for seconds in WAITS:
        fork.wait(seconds)
        waited += seconds
        missing = [name for name in EARLY * 4 if not fork.resolve(FRONTEND, name, "A")]
        if not missing:
            break
    seen = f"{waited} s of NXDOMAIN" if waited else AT_ONCE
    belief = faulty(lab) or _still(waited)
    return [Fact("a new Service refunds, asked for too early", seen, AT_ONCE, belief)]


def _still(waited: int) -> tuple[str, str]:
    if waited >= 30:
        return "M21", (
            "a change in DNS taken to be seen at once. What was cleared today fills up again"
            " tomorrow. Whose names should not be kept?"
        )
    return "M21", "a change in DNS taken to be seen at once. Shorter is not at once."


def _too_early(answer: Cluster) -> Judgement:
    try:
        after = [*memory(answer.fork()), *early(answer)]
    except LabError as error:
        return Judgement("YOU BROKE SOMETHING THAT WORKED", f"{error}. Where is it?")
    return judged(memory(older()), after, "new names are there at once, and outside is remembered.")


# --- L10-3: CoreDNS gives up ------------------------------------------------------------------

ASKERS = (FRONTEND, "pod/pay/payments", "pod/ops/monitoring")


def image() -> Cluster:
    lab = _shop()
    lab.apply(FILES / "L10-image.yaml")
    return lab


def names_work(lab: Cluster) -> list[Fact]:
    """Names of the cluster and of outside, from three pods, then with new pods of CoreDNS."""
    facts = [_nodes(lab)]
    for turn in ("", ", with new pods of CoreDNS"):
        if turn:
            renewed(lab, "kube-system", **{"k8s-app": "kube-dns"})
        for place in ASKERS:
            for name in ("backend.default", "payments.pay", "example.com", "registry.k8s.io"):
                found = lab.resolve(place, name)
                where = place.removeprefix("pod/")
                seen = FOUND if found.addresses else _how(found)
                facts.append(Fact(f"{where} looks up {name}{turn}", seen, FOUND, _why(lab, seen)))
    return facts


def _nodes(lab: Cluster) -> Fact:
    """The files of the nodes, which are somebody else's."""
    servers = {node_file(lab.state, node.name).nameservers for node in lab.state.list(Node)}
    seen = ", ".join(sorted({address for each in servers for address in each}))
    words = "The nodes are not yours. Which file of yours names the server that is asked?"
    return Fact("the nodes' /etc/resolv.conf", seen, "127.0.0.53", ("", words))


def _how(found: Resolution) -> str:
    last = found.questions[-1].sent if found.questions else None
    if last is None:
        return "no question"
    return last.answer.rcode if last.answer else str(last.fault)


def _why(lab: Cluster, seen: str) -> tuple[str, str]:
    text = corefile(lab)
    if text == corefile(_shop()):
        return "", "Its log names who sent a question. Whose address is that, inside its pod?"
    if wrong := faulty(lab):
        return wrong
    if seen == "refused":
        return "", "Read the last line of its log once more. Is it the same line?"
    if "forward" not in text.split():
        return "", "Names of the cluster are back. Who asks for all the others?"
    if "loop" not in text.split():
        return "", "The alarm is off, and the questions still go round. Where do they go?"
    return "", "CoreDNS runs again. Whom does it ask for this name, and who answers there?"


def _gives_up(answer: Cluster) -> Judgement:
    try:
        after = names_work(answer.fork())
    except LabError as error:
        return Judgement("YOU BROKE SOMETHING THAT WORKED", f"{error}. Where is it?")
    before = [_nodes(image())]  # all that was right: no name was found
    return judged(before, after, "all names are found, with new pods as well.")


LESSON = Lesson(
    number="L10",
    guesses=(
        Guess("L10-P1", ("1", "2", "4", "8")),
        Guess("L10-P2", ("forward", "kubernetes", "cache")),
        Guess("L10-P3", ("nothing", "no strangers", "no names")),
        Guess("L10-P4", ("address", "no", "restart")),
        Guess("L10-P5", ("1", "2", "3")),
        Guess("L10-P6", ("address", "both", "nothing")),
    ),
    exercises=(
        Exercise(
            "L10-1",
            hints=(
                'look at the last line of `on(lab, "pod/frontend", "cat /etc/resolv.conf")`.',
                "from how many dots on is a name asked for as it stands, and how many dots have"
                " the names that must not change?",
                "look up `api.stripe.com` and `payments.pay` in `answer`, show both with"
                " `views.queries`, and compare the first lanes.",
            ),
            judge=_from_eight_to_two,
            unfilled=always_filled,
            leaks=("ndots:2", 'value: "2"', "ndots, value"),
        ),
        Exercise(
            "L10-2",
            hints=(
                "show two look-ups of a missing name with `views.plugins`. Who ends the second?",
                "for which names does that plugin help, and for which does it do harm?",
                'compare with the Corefile of a fresh shop: `kubectl(scenario("shop"), "get'
                ' configmap coredns -n kube-system -o yaml")`.',
            ),
            judge=_too_early,
            unfilled=always_filled,
            leaks=("disable denial", "disable success"),
        ),
        Exercise(
            "L10-3",
            hints=(
                'ask for its last words: `kubectl(lab, "logs -n kube-system deployment/coredns")`.',
                "it sends on what it does not know. To which file does its Corefile point, and"
                " what stands in that file on a node?",
                '`on(lab, "node-1", "cat /etc/resolv.conf")` shows an address. Who listens there'
                " when a pod asks?",
            ),
            judge=_gives_up,
            unfilled=always_filled,
            leaks=("forward . 203", "127.0.0.53 ->"),
        ),
    ),
)
