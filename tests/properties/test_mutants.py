"""Whatever is sent: it is taken, or refused in one line for each fault with nothing changed."""

from __future__ import annotations

import copy
import random
from collections.abc import Callable, Iterator
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from labkit import Cluster, LabError
from labkit.api.objects import encode
from labkit.errors import ManifestError
from tests.properties.worlds import worlds

STRANGE: tuple[Any, ...] = (
    *(None, 0, -1, 80, 10**12, 3.5, True, "", "80", "None", "10.96.0.1", "fd00::1", "a/b"),
    *("<script>", "x" * 300, "é", [], [None], [1], {}, {"a": 1}, {"a": {"b": None}}),
    *("ClusterIP", "NodePort", "Local", "UDP"),
)


def paths(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Every place inside the value, from the outside in."""
    if isinstance(value, list):
        value = dict(enumerate(value))
    for key, item in value.items() if isinstance(value, dict) else ():
        yield (*path, key)
        yield from paths(item, (*path, key))


def mutated(chance: random.Random, manifest: dict[str, Any]) -> dict[str, Any]:
    """The manifest with one place gone or holding something strange."""
    mutant = copy.deepcopy(manifest)
    *way, last = chance.choice(list(paths(mutant)))
    inside: Any = mutant
    for key in way:
        inside = inside[key]
    if chance.random() < 0.3:
        del inside[last]
    else:
        inside[last] = copy.deepcopy(chance.choice(STRANGE))
    return mutant


@given(worlds(), st.randoms(use_true_random=False))
@settings(max_examples=40)
def test_a_mutant_is_taken_or_refused_and_nothing_else(manifests, chance: random.Random):
    lab = Cluster.from_manifests(manifests)
    dump = [encode(obj) for obj in lab.state]
    for manifest in chance.sample(dump, 6):
        before = lab.state
        error = refusal(chance.choice([lab.apply, lab.replace]), mutated(chance, manifest))
        if error is not None:
            faults = len(error.faults) if isinstance(error, ManifestError) else 1
            assert len(str(error).splitlines()) == faults
            assert lab.state is before


def refusal(act: Callable[[Any], object], manifest: dict[str, Any]) -> LabError | None:
    try:
        act([manifest])
    except LabError as error:
        return error
    return None
