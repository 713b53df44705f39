"""A Kubernetes network in memory: real manifests in, every packet's way out."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from labkit import views
    from labkit.cluster import Cluster
    from labkit.commands.kubectl import kubectl
    from labkit.commands.node import on
    from labkit.diff import diff
    from labkit.errors import LabError
    from labkit.lessons.check import check
    from labkit.lessons.scenarios import scenario
    from labkit.traffic import faults

__version__ = "0.1.0"
__all__ = [
    "Cluster",
    "LabError",
    "__version__",
    "check",
    "diff",
    "faults",
    "kubectl",
    "on",
    "scenario",
    "views",
]

_HOME = {  # name -> where it is; "" in place of a name is the module itself
    "Cluster": "labkit.cluster",
    "LabError": "labkit.errors",
    "check": "labkit.lessons.check",
    "diff": "labkit.diff",
    "faults": "labkit.traffic",
    "kubectl": "labkit.commands.kubectl",
    "on": "labkit.commands.node",
    "scenario": "labkit.lessons.scenarios",
    "views": "",
}


def __getattr__(name: str) -> Any:
    """A public name, loaded when it is first used: `import labkit` itself loads nothing."""
    if name not in _HOME:
        raise AttributeError(f"module 'labkit' has no attribute {name!r}")
    home = _HOME[name]
    if home in ("", "labkit.traffic"):
        found = import_module(f"{home or 'labkit'}.{name}")
    else:
        found = getattr(import_module(home), name)
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
