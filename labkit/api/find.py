"""Objects by the words that people use: `svc/backend`, `pods`, `app=backend`."""

from __future__ import annotations

import re
from difflib import get_close_matches

from labkit.api.kinds import BY_WORD, KINDS, Kind
from labkit.api.meta import Custom, Object, Requirement
from labkit.api.names import workloads
from labkit.api.state import Key, State, key_of
from labkit.errors import CommandError, NotFound

_TERM = re.compile(
    r"\s*(?:(?P<not>!)\s*)?(?P<key>[\w./-]+)\s*"
    r"(?:(?P<op>==|=|!=|\bin\b|\bnotin\b)\s*(?P<value>\([^)]*\)|[\w.-]*))?\s*(?:,|$)"
)


def kind_of_word(word: str) -> Kind:
    """The kind that may be written `po`, `pod`, `pods`, `deployments.apps` or `Pod`.

    Raises:
        NotFound: with the nearest word.
    """
    found = BY_WORD.get(word.lower())
    if found is None:
        near = get_close_matches(word.lower(), BY_WORD, n=1)
        hint = (
            f"did you mean `{near[0]}`?"
            if near
            else f"there are {', '.join(k.plural for k in KINDS)}"
        )
        raise NotFound(f"{word}: no such kind; {hint}")
    return found


def objects(state: State, word: str, selector: str, namespace: str | None) -> tuple[Object, ...]:
    """All objects of a kind whose labels the selector means, by namespace and name."""
    requirements = parse_selector(selector)
    if word.lower() not in BY_WORD and (custom := _customs(state, word)):
        found: tuple[Object, ...] = custom
    else:
        found = state.list(kind_of_word(word).type)
    return tuple(
        o
        for o in found
        if (namespace is None or o.namespace in ("", namespace))
        and all(r.matches(o.labels) for r in requirements)
    )


def _customs(state: State, word: str) -> tuple[Object, ...]:
    names = {word.lower(), word.lower().removesuffix("s"), word.lower().partition(".")[0]}
    found = [o for o in state if isinstance(o, Custom) and o.kind.lower() in names]
    return tuple(sorted(found, key=lambda o: key_of(o)))


def find(state: State, text: str, namespace: str) -> Object:
    """The object `KIND/NAME` or `KIND/NAMESPACE/NAME`; `pod/frontend` also a workload's first pod.

    Raises:
        NotFound: with the nearest names.
        CommandError: the text has another form.
    """
    word, _, rest = text.strip().partition("/")
    if not rest:
        raise CommandError(f"{text}: write a kind and a name, such as svc/backend")
    first, _, second = rest.partition("/")
    place, name = (first, second) if second else (namespace, first)
    found = [o for o in objects(state, word, "", place) if o.name == name]
    if found:
        return found[0]
    is_pod = word.lower() in ("pod", "pods", "po")
    group = workloads(state).get((place, name), ()) if is_pod else ()
    if group:
        return min(group, key=lambda p: (p.status.phase != "Running", not p.ready, p.name))
    known = sorted({o.name for o in objects(state, word, "", place)})
    if is_pod:
        known += [workload for ns, workload in workloads(state) if ns == place]
    near = get_close_matches(name, known, n=3)
    hint = f"did you mean {' or '.join(near)}?" if near else _others(state, word, place, known)
    raise NotFound(f"{text}: no such {word} in namespace {place}; {hint}")


def _others(state: State, word: str, namespace: str, known: list[str]) -> str:
    if known:
        return f"there are {', '.join(known[:8])}"
    elsewhere = sorted({o.namespace for o in objects(state, word, "", None)} - {namespace})
    return f"there are some in {', '.join(elsewhere)}" if elsewhere else "there is none at all"


def key_at(state: State, text: str, namespace: str) -> Key:
    """The key of `find`."""
    return key_of(find(state, text, namespace))


def parse_selector(text: str) -> tuple[Requirement, ...]:
    """`app=web,tier!=db,env in (a,b),!old` as `kubectl -l` reads it; empty selects all.

    Raises:
        CommandError: the text is no selector.
    """
    found = []
    place = 0
    while place < len(text.strip()):
        match = _TERM.match(text, place)
        if not match or (match["not"] and match["op"]):
            raise CommandError(f"{text}: not a selector; write for example app=backend,tier!=db")
        found.append(_requirement(match))
        place = match.end()
    return tuple(found)


def _requirement(match: re.Match[str]) -> Requirement:
    key, operator, value = match["key"], match["op"], match["value"] or ""
    if operator is None:
        return Requirement(key=key, operator="DoesNotExist" if match["not"] else "Exists")
    values = tuple(part.strip() for part in value.strip("()").split(","))
    negative = operator in ("!=", "notin")
    return Requirement(key=key, operator="NotIn" if negative else "In", values=values)
