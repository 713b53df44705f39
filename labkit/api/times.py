"""The cluster's clock: seconds since `START` and the text that the API prints for them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from labkit.api.state import START

_START = datetime.fromisoformat(START.replace("Z", "+00:00"))


def stamp(now: float) -> str:
    """`2026-11-22T10:00:00Z`: whole seconds, as in `metadata.creationTimestamp`."""
    return (_START + timedelta(seconds=int(now))).strftime("%Y-%m-%dT%H:%M:%SZ")


def seconds(text: str) -> float:
    """A time that the API prints, in seconds since `START`; before it they are negative.

    Raises:
        ValueError: it is no time.
    """
    moment = datetime.fromisoformat(text.replace("Z", "+00:00"))
    return (moment.replace(tzinfo=moment.tzinfo or UTC) - _START).total_seconds()
