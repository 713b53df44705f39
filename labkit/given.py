"""What a learner hands to a public call: refused by the call's own annotations, in one line.

A value of the wrong kind would otherwise fail somewhere inside, with words about the inside.
Annotations that are not listed here are not checked; the call itself does that.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import wraps
from math import inf
from numbers import Integral, Real
from typing import Any, NamedTuple, TypeVar

from labkit.errors import CommandError

Call = TypeVar("Call", bound=Callable[..., Any])
# Numbers with bounds, by the names that annotations call them.
Port = int
Count = int
Nodes = int
Seconds = float
MOST = 1_000_000  # of a count, and of seconds
MOST_NODES = 100
SHOWN = 40  # characters of a refused value
RESOLVERS = ("glibc", "musl", "busybox-nslookup")
PROTOCOLS = ("TCP", "UDP", "SCTP")
SCENARIO = 'scenario("shop")'
VALUES = {
    # what a call asks for: which call returns it
    "Connection": "lab.trace(...) or lab.connect(...)",
    "Resolution": "lab.resolve(...)",
    "Request": "lab.request(...)",
    "Timeline": "lab.timeline(...)",
    "Load": "lab.load(...)",
    "Reach": "lab.reachability(...)",
    "Allowed": "lab.allowed(...)",
    "Fault": "a function of labkit.traffic.faults",
    "Figure": "views.path(...) and the like",
}


class Form(NamedTuple):
    """What an annotation accepts, and how it is asked for."""

    fits: Callable[[Any], bool]
    wanted: str


def _number(value: Any) -> bool:
    real = isinstance(value, Real) and not isinstance(value, bool)
    return real and bool(-inf < value < inf)


def _whole(value: Any) -> bool:
    return isinstance(value, Integral) and not isinstance(value, bool)


def _text(value: Any) -> bool:
    return isinstance(value, str)


def _pair(value: Any) -> bool:
    return isinstance(value, tuple | list) and len(value) == 2 and all(map(_text, value))


FORMS = {
    "None": Form(lambda value: value is None, "None"),
    "str": Form(_text, "text in quotes"),
    "int": Form(_whole, "a whole number"),
    "float": Form(_number, "a number"),
    "Port": Form(lambda x: _whole(x) and 0 < x < 65536, "a port from 1 to 65535"),
    "Count": Form(lambda x: _whole(x) and 0 < x <= MOST, f"a whole number from 1 to {MOST}"),
    "Counts": Form(
        lambda x: isinstance(x, Mapping) and all(map(_whole, x.values())), "a dict: name -> number"
    ),
    "Nodes": Form(lambda x: _whole(x) and 0 <= x <= MOST_NODES, f"a number from 0 to {MOST_NODES}"),
    "Seconds": Form(lambda x: _number(x) and 0 <= x <= MOST, f"seconds from 0 to {MOST}"),
    "PortProtocol": Form(lambda x: x in PROTOCOLS, f"one of {', '.join(PROTOCOLS)}"),
    "Protocol": Form(_text, f"one of {', '.join(PROTOCOLS)}, ICMP"),
    "Transport": Form(lambda x: x in ("UDP", "TCP"), "UDP or TCP"),
    "Kind": Form(lambda x: x in RESOLVERS, f"one of {', '.join(RESOLVERS)}"),
    "tuple[Any, ...]": Form(lambda value: isinstance(value, tuple), "a tuple"),
    "tuple[str, str]": Form(_pair, 'pairs such as ("pod/frontend", "pod/backend:8080")'),
    "Lab": Form(lambda value: hasattr(value, "state"), f"a Cluster, as {SCENARIO} returns"),
    "Cluster": Form(lambda value: hasattr(value, "state"), f"a Cluster, as {SCENARIO} returns"),
}


def checked(call: Call) -> Call:
    """A function, or a class with its public methods, that refuses arguments of a wrong kind.

    Raises:
        CommandError: from the call, before it does anything: the argument, what it is, the cure.
    """
    if inspect.isclass(call):
        for name, member in list(vars(call).items()):
            if inspect.isfunction(member) and not name.startswith("_"):
                setattr(call, name, checked(member))
            elif isinstance(member, classmethod):
                setattr(call, name, classmethod(checked(member.__func__)))
        return call
    signature = inspect.signature(call)
    forms = dict(_forms(signature))

    @wraps(call)
    def careful(*args: Any, **kwargs: Any) -> Any:
        try:
            given = signature.bind(*args, **kwargs).arguments
        except TypeError as error:
            names = ", ".join(name for name in signature.parameters if name != "self")
            raise CommandError(f"{call.__name__}: {error}; it takes {names}") from None
        for name, value in given.items():
            if name in forms:
                _refuse(f"{call.__name__}: {name}", forms[name], value)
        return call(*args, **kwargs)

    return careful if forms else call  # type: ignore[return-value]  # wraps keeps the signature


def _forms(signature: inspect.Signature) -> Iterator[tuple[str, Form]]:
    """Name of each parameter that can be checked, and its form."""
    for name, parameter in signature.parameters.items():
        form = form_of(str(parameter.annotation))
        if form is None or parameter.kind is parameter.VAR_KEYWORD:
            continue
        yield name, _each(form) if parameter.kind is parameter.VAR_POSITIONAL else form


def form_of(annotation: str) -> Form | None:
    """The form for `str`, `Sequence[str]`, `int | None` and so on; None if a part is unknown."""
    if " | " in annotation:
        forms = [form_of(part) for part in annotation.split(" | ")]
        known = [form for form in forms if form]
        if len(known) < len(forms):
            return None
        wanted = " or ".join(form.wanted for form in known)
        return Form(lambda value: any(form.fits(value) for form in known), wanted)
    if annotation in FORMS:
        return FORMS[annotation]
    if annotation in VALUES:
        wanted = f"a {annotation}, as {VALUES[annotation]} returns"
        return Form(lambda value: annotation in _names(value), wanted)
    head, _, inner = annotation.removesuffix("]").partition("[")
    if head == "Sequence" and (item := form_of(inner)):
        return _each(item)
    if head == "Mapping":
        key, _, item_of = inner.rpartition(", ")
        return _mapping(form_of(key), form_of(item_of))
    return None


def _names(value: Any) -> set[str]:
    return {kind.__name__ for kind in type(value).__mro__}


def _each(item: Form) -> Form:
    def fits(value: Any) -> bool:
        return isinstance(value, Sequence) and not _text(value) and all(map(item.fits, value))

    return Form(fits, f"a list, each {item.wanted}")


def _mapping(key: Form | None, item: Form | None) -> Form | None:
    if key is None or item is None:
        return None

    def fits(value: Any) -> bool:
        pairs = value.items() if isinstance(value, Mapping) else ()
        return isinstance(value, Mapping) and all(key.fits(k) and item.fits(x) for k, x in pairs)

    return Form(fits, f"a dict: {key.wanted} -> {item.wanted}")


def _refuse(what: str, form: Form, value: Any) -> None:
    if form.fits(value):
        return
    shown = ascii(value) if _plain(value) else f"a {type(value).__name__}"
    short = shown if len(shown) <= SHOWN else f"{shown[:SHOWN]}..."
    raise CommandError(f"{what} is {short}; give {form.wanted}")


def _plain(value: Any) -> bool:
    """Whether a value is shown as it is written: no object of the lab in it."""
    inner = value if isinstance(value, list | tuple) else (value,)
    return all(x is None or isinstance(x, str | int | float) for x in inner)
