"""Where the lab's own data lies: `data/` beside the package, in the repository."""

from __future__ import annotations

from pathlib import Path

import labkit

DATA = Path(labkit.__file__).resolve().parent.parent / "data"


def data_file(*parts: str) -> Path:
    """`data_file("schema", "kubernetes.json")`; labkit is installed editable, so it is there."""
    return DATA.joinpath(*parts)
