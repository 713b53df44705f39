"""What can go wrong because of what somebody asked for.

Each error is text for a learner: the place, the fault and the cure, one line each.
"""

from __future__ import annotations

import msgspec


class LabError(Exception):
    """The request cannot be met. A broken promise of the lab itself is an `AssertionError`."""


class Fault(msgspec.Struct, frozen=True):
    """One thing wrong in a manifest.

    `where` is the file as it was named ("" when unknown), `line` counts from 1 (0 when the
    input had no text), `subject` is `Kind/name` as far as they are known, `path` is the field
    as `kubectl explain` would find it: `.spec.ports[0].port`.
    """

    where: str
    line: int
    subject: str
    path: str
    message: str

    def __str__(self) -> str:
        place = ":".join(part for part in (self.where, str(self.line or "")) if part)
        head = " ".join(part for part in (place, self.subject, self.path) if part)
        return f"{head}: {self.message}" if head else self.message


class ManifestError(LabError):
    """A manifest that the API server would refuse, with everything that is wrong in it."""

    def __init__(self, *faults: Fault) -> None:
        super().__init__("\n".join(map(str, faults)))
        self.faults: tuple[Fault, ...] = faults


class NotFound(LabError):
    """No object, place or name like this."""


class Conflict(LabError):
    """It contradicts what is already there."""


class Exhausted(LabError):
    """A range of addresses or ports has none left."""


class NotSettled(LabError):
    """The controllers kept rewriting each other's work."""


class CommandError(LabError):
    """A command line that the lab does not model."""
