"""Ready-made clusters: `scenario("shop")` is where every lesson starts."""

from __future__ import annotations

from difflib import get_close_matches
from typing import Any

from labkit.api.datafiles import DATA
from labkit.cluster import Cluster
from labkit.errors import NotFound
from labkit.given import Nodes, checked


@checked
def scenario(name: str, nodes: Nodes | str = 3, **config: Any) -> Cluster:
    """A fresh cluster from `data/NAME.yaml`; `config` as in `Cluster.from_manifests`.

    Args:
        nodes: how many, or the text of their manifests, which is read before the scenario's.

    Raises:
        NotFound: no scenario has that name; the message lists those there are.
    """
    names = sorted(path.stem for path in DATA.glob("*.yaml"))
    if name not in names:
        near = get_close_matches(name, names, n=1)
        cure = f"did you mean `{near[0]}`?" if near else f"there are {', '.join(names)}"
        raise NotFound(f"scenario {name!r} does not exist; {cure}")
    path = DATA / f"{name}.yaml"
    if isinstance(nodes, int):
        return Cluster.from_manifests(path, nodes, **config)
    text = f"{nodes.strip()}\n---\n{path.read_text(encoding='utf-8')}"
    return Cluster.from_manifests(text, **config)
