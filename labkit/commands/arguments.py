"""A kubectl command line taken apart: verb, words, flags, and what stands behind `--`."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

import msgspec

from labkit.errors import CommandError, Conflict, LabError, NotFound

EVERYWHERE = "namespace/n= context= kubeconfig= v/v="
FLAGS = {
    # verb: flags as name[/short][=]; a `=` says that a value follows
    "get": "all-namespaces/A selector/l= output/o= show-labels no-headers filename/f= "
    "field-selector= sort-by= ignore-not-found show-kind label-columns/L= watch/w",
    "describe": "all-namespaces/A selector/l= filename/f= show-events",
    "apply": "filename/f= recursive/R server-side dry-run= kustomize/k= prune force wait",
    "delete": "filename/f= selector/l= all all-namespaces/A force grace-period= now wait "
    "ignore-not-found cascade= output/o= field-selector= timeout=",
    "label": "overwrite all selector/l= all-namespaces/A list filename/f= dry-run= output/o=",
    "scale": "replicas= all selector/l= current-replicas= filename/f= timeout= dry-run=",
    "rollout": "selector/l= watch/w revision= timeout= filename/f=",
    "run": "image= labels/l= port= restart= rm stdin/i tty/t command env= attach quiet/q "
    "dry-run= output/o= expose overrides= image-pull-policy= pod-running-timeout=",
    "exec": "container/c= stdin/i tty/t quiet/q",
    "logs": "container/c= selector/l= tail= follow/f previous/p since= timestamps "
    "all-containers prefix",
    "config": "current minify output/o= cluster= user=",
}
UNMODELLED = {
    "get": {"watch", "label-columns"},
    "apply": {"server-side", "dry-run", "kustomize", "prune", "recursive"},
    "label": {"list", "dry-run", "filename", "output"},
    "scale": {"current-replicas", "dry-run", "filename"},
    "rollout": {"revision", "filename"},
    "run": {"env", "dry-run", "output", "expose", "overrides"},
    "delete": {"field-selector"},
    "describe": {"filename"},
    "logs": {"previous", "since", "timestamps"},
}
KUBECTL_VERBS = (
    "annotate api-resources api-versions apply attach auth autoscale certificate cluster-info "
    "completion config cordon cp create debug delete describe diff drain edit events exec "
    "explain expose get kuberc kustomize label logs options patch plugin port-forward proxy "
    "replace rollout run scale set taint top uncordon version wait"
)


class Refused(Exception):
    """kubectl's own refusal: it is printed, with an exit code, not raised at the learner."""

    def __init__(self, text: str, exit_code: int = 1) -> None:
        super().__init__(text)
        self.text = text
        self.exit_code = exit_code


def in_kubectls_words(error: LabError) -> str:
    """How kubectl tells what the API server said; the lab's own accounts of faults stay whole."""
    text = str(error)
    if isinstance(error, NotFound) and text.endswith("not found"):
        return f"Error from server (NotFound): {text}"
    if isinstance(error, Conflict) and text.endswith("already exists"):
        return f"Error from server (AlreadyExists): {text}"
    if isinstance(error, Conflict) and " is forbidden: " in text:
        return f"Error from server (Forbidden): {text}"
    if isinstance(error, Conflict) and " is invalid: " in text:
        return text
    return f"error: {text}"


class Request(msgspec.Struct, frozen=True):
    """`kubectl VERB WORDS --flag=value -- COMMAND`; a switch that is on has the value `true`.

    `several` has every value of a flag that may be repeated (`-f`).
    """

    verb: str
    words: tuple[str, ...] = ()
    flags: Mapping[str, str] = {}
    several: Mapping[str, tuple[str, ...]] = {}
    command: tuple[str, ...] = ()

    def on(self, name: str) -> bool:
        """Is the switch on?"""
        return self.flags.get(name, "false") != "false"

    def text(self, name: str, default: str = "") -> str:
        return self.flags.get(name, default)

    def number(self, name: str, default: int) -> int:
        """The flag's number; Refused in kubectl's words if it is none."""
        text = self.flags.get(name)
        if text is None:
            return default
        if not re.fullmatch(r"[+-]?\d{1,9}", text):
            raise Refused(
                f'error: invalid argument "{text}" for "--{name}" flag: strconv.ParseInt: '
                f"parsing \"{text}\": invalid syntax\nSee 'kubectl {self.verb} --help' for usage."
            )
        return int(text)


def parse(words: list[str]) -> Request:
    """The request that the words behind `kubectl` make.

    Raises:
        Refused: kubectl does not know the verb or a flag.
        CommandError: kubectl knows it and the lab does not model it.
    """
    head = words[: words.index("--")] if "--" in words else words
    verb = _verb(head)
    found: dict[str, list[str]] = {}
    rest = []
    known = _known(FLAGS[verb])
    left = iter(head)
    for word in left:
        if word.startswith("-") and word != "-":
            for name, value in _flag(word, left, known, verb):
                found.setdefault(name, []).append(value)
        else:
            rest.append(word)
    missing = found.keys() & UNMODELLED.get(verb, set())
    if missing:
        raise CommandError(f"kubectl {verb}: the lab does not model --{min(missing)}; leave it out")
    return Request(
        verb=verb,
        words=tuple(rest[1:]),
        flags={name: values[-1] for name, values in found.items()},
        several={name: tuple(values) for name, values in found.items()},
        command=tuple(words[len(head) + 1 :]),
    )


def _verb(words: list[str]) -> str:
    """The first word that is no flag; global flags may stand before it."""
    skip = False
    for word in words:
        if skip:
            skip = False
        elif word in ("-n", "--namespace", "--context"):
            skip = True
        elif not word.startswith("-"):
            return _checked(word)
    raise CommandError(f"kubectl: say what to do; the lab has {', '.join(FLAGS)}")


def _checked(verb: str) -> str:
    if verb in FLAGS:
        return verb
    known = KUBECTL_VERBS.split()
    if verb in known:
        have = ", ".join(FLAGS)
        raise CommandError(f"kubectl {verb}: the lab does not model this command; it has {have}")
    near = [k for k in known if _distance(verb, k) <= 2 or k.startswith(verb.lower())]
    hint = "\n\nDid you mean this?\n" + "\n".join(f"\t{k}" for k in near) if near else ""
    raise Refused(f'error: unknown command "{verb}" for "kubectl"{hint}')


def _distance(one: str, other: str) -> int:
    """How many letters to add, drop or change."""
    row = list(range(len(other) + 1))
    for i, a in enumerate(one, start=1):
        last, row[0] = row[0], i
        for j, b in enumerate(other, start=1):
            last, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, last + (a != b))
    return row[-1]


def _known(flags: str) -> dict[str, tuple[str, bool]]:
    """`--selector` and `-l` -> (`selector`, takes a value)."""
    known = {}
    for item in f"{flags} {EVERYWHERE}".split():
        name, _, short = item.removesuffix("=").partition("/")
        known[f"--{name}"] = (name, item.endswith("="))
        if short:
            known[f"-{short}"] = (name, item.endswith("="))
    return known


def _flag(
    word: str, left: Iterator[str], known: dict[str, tuple[str, bool]], verb: str
) -> Iterator[tuple[str, str]]:
    """The flags in one word: `--output=wide`, `-owide`, `-it`; a value may be the next word."""
    usage = f"\nSee 'kubectl {verb} --help' for usage."
    if word.startswith("--"):
        name, equals, value = word.partition("=")
        if name not in known:
            raise Refused(f"error: unknown flag: {name}{usage}")
        full, valued = known[name]
        if valued and not equals:
            value = _next(left, f"error: flag needs an argument: {name}{usage}")
        yield full, value if valued or equals else "true"
        return
    letters = word[1:]
    while letters:
        letter, letters = letters[0], letters[1:]
        if f"-{letter}" not in known:
            raise Refused(f"error: unknown shorthand flag: '{letter}' in {word}{usage}")
        full, valued = known[f"-{letter}"]
        if not valued:
            yield full, "true"
            continue
        needs = f"error: flag needs an argument: '{letter}' in {word}{usage}"
        yield full, letters.removeprefix("=") if letters else _next(left, needs)
        return


def _next(left: Iterator[str], error: str) -> str:
    value = next(left, None)
    if value is None:
        raise Refused(error)
    return value
