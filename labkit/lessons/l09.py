"""L09 · Service names, headless, ExternalName: its guesses and how its exercises are judged."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from labkit.api.datafiles import DATA
from labkit.cluster import Cluster
from labkit.dns.message import address_text
from labkit.lessons.exercises import (
    Exercise,
    Guess,
    Judgement,
    Lesson,
    always_filled,
    open_fields,
)
from labkit.lessons.l09_moved import DOMAIN, found, moved, shop

FILES = DATA.parent / "notebooks" / "lessons"


# --- L09-1: the shortest name -----------------------------------------------------------------


class Asked(NamedTuple):
    """Where a name is typed, the namespace there, and what it has to mean: its words in order."""

    place: str
    namespace: str
    words: tuple[str, ...]


SIX = {
    "a": Asked("pod/frontend", "default", ("backend", "default")),
    "b": Asked("pod/pay/payments", "pay", ("backend", "default")),
    "c": Asked("pod/ops/monitoring", "ops", ("payments", "pay")),
    "d": Asked("pod/pay/refunds", "pay", ("payments", "pay")),
    "e": Asked("pod/backend", "default", ("store-0", "store", "default")),
    "f": Asked("pod/ops/backup", "ops", ("store-1", "store", "default")),
}


def six() -> Cluster:
    """The shop with the pods of the exercise."""
    lab = shop()
    for name in ("store", "six"):
        lab.apply(FILES / f"L09-{name}.yaml")
    return lab


def later() -> Cluster:
    """The same a day on: every pod replaced, and other Services of the same names elsewhere."""
    lab = six()
    lab.apply(DECOYS)
    for pod in ("store-0", "store-1"):
        lab.apply(TAKEN.format(pod[-1]))
        lab.delete(f"pod/{pod}")
    return lab


DECOYS = """apiVersion: v1
kind: Service
metadata: {name: backend, namespace: ops}
spec: {ports: [{port: 80}]}
---
apiVersion: v1
kind: Service
metadata: {name: store, namespace: ops}
spec: {ports: [{port: 80}]}
"""
TAKEN = """apiVersion: v1
kind: Pod
metadata: {{name: newcomer-{}}}
spec: {{containers: [{{name: newcomer, image: newcomer}}]}}
"""


def meant(lab: Cluster, asked: Asked) -> frozenset[str]:
    """The addresses that the full name has."""
    return found(lab, asked.place, f"{'.'.join(asked.words)}.{DOMAIN}.")


def fewest(lab: Cluster, asked: Asked) -> int:
    """How many words the shortest name that works has: the full one, cut at its dots."""
    whole = (*asked.words, *DOMAIN.split("."))
    return next(
        count
        for count in range(1, len(whole) + 1)
        if found(lab, asked.place, ".".join(whole[:count])) == meant(lab, asked)
    )


def _shortest(answer: Mapping[str, object]) -> Judgement:
    today, tomorrow = six(), later()
    wrong = {}
    for letter, asked in SIX.items():
        name = str(answer.get(letter, "")).strip().lower()
        if fault := _wrong_name(today, tomorrow, asked, name):
            wrong[letter] = fault
    if not wrong:
        return Judgement("SOLVED", "six names that work, and none of them has a word too many.")
    letter, (says, belief, words) = next(iter(wrong.items()))
    return _not_yet(f"{letter}: {says}.", belief, words, [x for x in SIX if x not in wrong])


def _not_yet(says: str, belief: str, words: str, right: list[str]) -> Judgement:
    """What was observed, the belief and its question, and the letters that are right already."""
    looks = f"This looks like {belief}: {words}" if belief else words
    praise = f" Right so far: {', '.join(right)}." if right else ""
    return Judgement("NOT YET", f"{says} {looks}{praise}", belief)


def _wrong_name(
    today: Cluster, tomorrow: Cluster, asked: Asked, name: str
) -> tuple[str, str, str] | None:
    """What was observed, the belief and a question; None if the name is right."""
    if not name or set(name) - set("abcdefghijklmnopqrstuvwxyz0123456789-."):
        return "that is no name", "", "Write words with dots between, no scheme and no port."
    if address_text(name):
        again = "observed an address, wanted a name"
        return again, "", "What happens to it when somebody replaces what is behind?"
    now, wanted = found(today, asked.place, name), meant(today, asked)
    if not now:
        return _unknown(asked, name)
    if now != wanted:
        return f"observed {', '.join(sorted(now))}", "", _other(asked, now)
    if found(tomorrow, asked.place, name) != meant(tomorrow, asked):
        says = "it works today and not tomorrow"
        return says, "", "What does it spell: a name, or an address with dashes?"
    words = len(name.rstrip(".").split("."))
    if words > fewest(today, asked):
        says = f"it works, with {words} words; fewer do"
        return says, "", "Which of them would this pod's search list put back?"
    return None


def _unknown(asked: Asked, name: str) -> tuple[str, str, str]:
    says = "observed no such name"
    if name.endswith("."):
        return says, "", "The last dot says that nothing may be added. Is the name whole?"
    stays, abroad = asked.words[:-1], asked.words[-1] != asked.namespace
    if abroad and tuple(name.split(".")) in (stays, (*stays, asked.namespace)):
        words = "a name that is known at home, used abroad. In whose namespace is it looked for?"
        return says, "M19", f"{words} Look again at L09-08."
    if len(stays) > 1 and name.split(".") == [stays[0]]:
        return says, "", "A pod has a name below its headless Service. Look again at L09-24."
    return says, "", "Compare the order of its words with the table in section 3."


def _other(asked: Asked, now: frozenset[str]) -> str:
    if len(now) > 1:
        return "That is the whole list. Which one of the pods is wanted?"
    return "That is somebody else. Whose name did you write?"


# --- L09-2: aliases ---------------------------------------------------------------------------

ALIAS = """apiVersion: v1
kind: Service
metadata: {{name: {}}}
spec: {{type: ExternalName, externalName: {}}}
"""
CHOICES = ("page", "404", "certificate", "no address", "refused", "timeout")
CASES = {  # letter: (the Service's name, what it says, the URL that is called)
    "a": ("files", "shop.example", "http://files/"),
    "b": ("till", "payments.pay.svc.cluster.local", "http://till:8443/"),
    "c": ("till", "payments.pay", "http://till:8443/"),
    "d": ("card", "203.0.113.9", "http://card/"),
    "e": ("card", "api.stripe.com", "https://card.default.svc.cluster.local/"),
}


def came(letter: str) -> str:
    """What the program in the frontend gets: computed by looking up and connecting."""
    name, target, url = CASES[letter]
    lab = shop()
    lab.apply(ALIAS.format(name, target))
    got = lab.request("pod/frontend", url)
    if got.connection is None:
        return "no address"
    if got.mismatch:
        return "certificate"
    if got.status:
        return "page" if got else str(got.status)
    return {"timed out": "timeout"}.get(got.connection.outcome, got.connection.outcome)


def _aliases(answer: Mapping[str, object]) -> Judgement:
    told = {x: " ".join(str(answer.get(x, "")).lower().split()) for x in CASES}
    wrong = {letter: given for letter, given in told.items() if given != came(letter)}
    if not wrong:
        return Judgement("SOLVED", "every alias leads where you said, and no further.")
    letter, given = next(iter(wrong.items()))
    belief, words = _alias_belief(letter, given)
    right = [x for x in CASES if x not in wrong]
    return _not_yet(f'{letter}: you say "{given}"; it ends otherwise.', belief, words, right)


def _alias_belief(letter: str, given: str) -> tuple[str, str]:
    """What a wrong guess says about its author; never the right one."""
    if given not in CHOICES:
        return "", "Choose one of the six."
    if letter in "ae" and given == "page":
        return "M18", "an alias taken for somebody who speaks for you. What does the far site hear?"
    if letter == "d" and given in ("page", "404"):
        return "M18", (
            "an alias taken for a door to an address. It may hold a name only. Which record"
            " would the server give?"
        )
    if letter == "c" and given == "page":
        return "M19", (
            "a short name used where nobody completes it. Who reads the search list, and who"
            " follows an alias?"
        )
    if letter == "b":
        return "M18", (
            "an alias taken for a thing of its own that may fail. Follow the name, then dial"
            " as if you had typed that."
        )
    if letter == "a" and given == "certificate":
        return "", "Is there one in this call? Read the URL's first word."
    if letter == "e" and given == "404":
        return "", "It is heard, but by whom first? Look again at L09-33."
    return "", "First the name: does it lead to an address? Only then ask who hears what."


LESSON = Lesson(
    number="L09",
    guesses=(
        Guess("L09-P1", ("as typed", "pay", "default")),
        Guess("L09-P2", ("a", "b", "c", "d"), letters=True),
        Guess("L09-P3", ("one", "both", "none")),
        Guess("L09-P4", ("page", "certificate", "refused")),
        Guess("L09-P5", ("page", "refused", "timeout")),
    ),
    exercises=(
        Exercise(
            "L09-1",
            hints=(
                "for each line ask first: do both live in one namespace?",
                "write the whole name, then cut words off its end as long as it works.",
                '`views.names(lab.resolve("pod/pay/payments", name))` shows each name that is'
                " tried. On a real cluster: `nslookup` in that pod.",
            ),
            judge=_shortest,
            unfilled=open_fields,
            leaks=("backend.default", "payments.pay", "store-0.store", "store-1.store"),
        ),
        Exercise(
            "L09-2",
            hints=(
                "for each line write down two things: the address, and the name that is said.",
                "who completes a name, who follows an alias, and who compares names?",
                "apply the Service to a fork of the lab, and read the first lines of its"
                " `request`.",
            ),
            judge=_aliases,
            unfilled=open_fields,
            leaks=('"a": "404"', '"d": "no address"', '"e": "certificate"'),
        ),
        Exercise(
            "L09-3",
            hints=(
                "compare the rows of L09-43 with the full name of the Service.",
                "which word did the file in the old pod add, and which one does the new pod add?",
                '`kubectl(lab, "get services -A")` shows where the Service lives. Write as much of'
                " its name as a stranger needs.",
            ),
            judge=moved,
            unfilled=always_filled,
            leaks=("backend.default", "default.svc"),
        ),
    ),
)
