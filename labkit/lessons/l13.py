"""L13 · Selectors and ports: AND, OR, empty, missing: its guesses and how answers are judged."""

from __future__ import annotations

from collections.abc import Mapping

from labkit.cluster import Cluster
from labkit.lessons.doors import NEWCOMERS, OUTSIDE, no_policy, place, senders, shop
from labkit.lessons.exercises import Exercise, Guess, Judgement, Lesson, always_filled, open_fields
from labkit.lessons.l13_repair import monday, repaired
from labkit.lessons.l13_shops import HEAD
from labkit.lessons.l13_targets import hit, mended

# --- L13-1: four kinds of nothing -------------------------------------------------------------

WHO = ("nobody", "own namespace", "all pods", "anyone")
LINES = {
    "a": "  ingress: [{ports: []}]",
    "b": "  ingress: [{from: [{podSelector: {}}]}]",
    "c": "  ingress: [{from: [{namespaceSelector: {}}]}]",
    "d": "  policyTypes: [Ingress]\n  egress: [{}]",
}
WITNESSES = {"nobody": (), "own namespace": ("default/",), "all pods": ("default/", "ops/", "pay/")}
BELIEFS = {  # (letter, given) or letter: (the witness, misconception, words)
    "a": ("ops/shell", "M27", (
        "an empty list read as a closed door. The list stands inside a rule, so ask what the rule"
        " still demands. Look again at L13-21.")),
    ("a", "all pods"): (OUTSIDE, "M27", "an empty list read as a condition. What does it ask for?"),
    ("b", "all pods"): ("pay/payments", "M29", (
        "a podSelector taken to see every namespace. Look again at L13-28.")),
    ("b", "anyone"): ("pay/payments", "M29", (
        "a podSelector taken to see every namespace. Look again at L13-28.")),
    ("b", "nobody"): ("default/db", "M27", (
        'an empty selector read as "matches nothing". Which labels does it ask a pod for?')),
    "c": (OUTSIDE, "M27", (
        "an empty selector read as no condition at all. It is still a selector. What can a"
        " selector select?")),
    ("c", "own namespace"): ("ops/shell", "M27", (
        "an empty selector read as a missing one. Which label does it ask a namespace for?")),
    ("c", "nobody"): ("ops/shell", "M27", (
        'an empty selector read as "matches nothing". Which label does it ask a namespace for?')),
    "d": ("ops/shell", "M27", (
        "an open list in one direction read as open in the other. Which direction does the"
        " backend's door belong to?")),
    ("d", "own namespace"): ("default/db", "M27", (
        "an open list in one direction read as open in the other. Which direction does the"
        " backend's door belong to?")),
}  # fmt: skip


def who_enters(letter: str, lab: Cluster) -> str:
    """Which of the four choices is true of a line, from every pod and from outside."""
    lab.apply((HEAD % ("backend", "backend")) + LINES[letter])
    (pod,) = lab.list("pods", selector="app=backend")[:1]
    goal = f"pod/{pod.name}:8080"
    if lab.allowed(OUTSIDE, goal):
        return "anyone"
    inside = senders(lab, "backend", 8080)
    if any(not name.startswith("default/") for name in inside):
        return "all pods"
    return "own namespace" if inside else "nobody"


def _four(answer: Mapping[str, object]) -> Judgement:
    lab = shop(*NEWCOMERS)
    keys = {letter: who_enters(letter, lab) for letter in LINES}
    given = {x: " ".join(str(answer.get(x, "")).lower().split()) for x in LINES}
    wrong = [letter for letter in LINES if given[letter] != keys[letter]]
    if not wrong:
        return Judgement("SOLVED", "four kinds of nothing, four meanings.")
    letter = wrong[0]
    right = ", ".join(x for x in LINES if x not in wrong)
    praise = f" Right so far: {right}." if right else ""
    if given[letter] not in WHO:
        return Judgement("NOT YET", f"{letter}: choose one of the four answers.{praise}")
    witness, number, words = BELIEFS.get((letter, given[letter])) or BELIEFS[letter]
    lab.apply((HEAD % ("backend", "backend")) + LINES[letter])
    goes = "gets in" if lab.allowed(place(witness), "pod/backend:8080") else "stays out"
    says = f"{letter}: you say {given[letter]}; {witness} {goes}."
    return Judgement("NOT YET", f"{says} This looks like {number}: {words}{praise}", number)


LESSON = Lesson(
    number="L13",
    guesses=(
        Guess("L13-P1", ("page", "refused", "timeout")),
        Guess("L13-P2", ("a", "b", "c", "d"), letters=True),
        Guess("L13-P3", ("yes", "no")),
        Guess("L13-P4", ("a", "b", "c"), letters=True),
        Guess("L13-P5", ("a", "b", "c"), letters=True),
        Guess("L13-P6", ("page", "timeout")),
    ),
    exercises=(
        Exercise(
            "L13-1",
            hints=(
                "where does the emptiness stand: in the list of rules, inside a rule, or inside a"
                " selector?",
                "An empty selector asks for no label. Which pods carry all the labels that it asks"
                " for? And has the world outside labels at all?",
                "Put the line behind the head, apply it, and ask three witnesses: `pod/db`,"
                " `pod/pay/payments` and the address `203.0.113.9`.",
            ),
            judge=_four,
            unfilled=open_fields,
            leaks=("a: anyone", "b: own namespace", "c: all pods", "d: nobody"),
        ),
        Exercise(
            "L13-2",
            hints=(
                "read row 2 of the trace in L13-09. What in the packet is new after it?",
                "The policy is asked after that row. Which of the numbers in the manifest does it"
                " meet there, and which does it never meet?",
                "On a real cluster you would type `kubectl get service backend -o yaml` and read"
                " the two lines of its port. One is for the client. For whom is the other?",
            ),
            judge=repaired,
            unfilled=no_policy,
            leaks=("8080", "port: http", 'http"'),
        ),
        Exercise(
            "L13-3",
            hints=(
                'say the target as one sentence. Where do you say "or", and where do you say'
                ' "and"?',
                "How many tickets does your sentence need? Write that many dashes under `from`,"
                " then fill in each ticket.",
                "One of the two visitors lives at home and one abroad. Which of them needs two"
                " words to be described?",
            ),
            judge=hit,
            unfilled=no_policy,
            leaks=("matchLabels", "podSelector: ", "namespaceSelector", "port: 8080"),
        ),
        Exercise(
            "L13-4",
            hints=(
                "how many rules does this policy have? Say each of them aloud.",
                "For each rule, write down what it asks of the source, and what it asks of the"
                " port. Two of the four fields stay empty. Which two?",
                "Ask the policy itself: apply it and run `lab.allowed` from `pod/ops/shell` to"
                " `pod/db:5432`. Which rule says yes, and what did it ask for?",
            ),
            judge=mended,
            unfilled=no_policy,
            leaks=("dash before ports", "- podSelector", "matchLabels", "port: 5432"),
        ),
        Exercise(
            "L13-5",
            hints=(
                "ask the policy for its reason with lab.allowed, and read what it says about the"
                " port.",
                "A word in a policy stands for a number. In whose list is it looked up?",
                "On a real cluster you would type `kubectl get pod -l app=backend -o"
                " jsonpath='{.items[*].spec.containers[*].ports}'`. Compare it with the policy,"
                " letter by letter.",
            ),
            judge=monday,
            unfilled=always_filled,
            leaks=("web", "8080", "rename"),
        ),
    ),
)
