"""How long ago: the AGE column.

Source: `HumanDuration` in Kubernetes `k8s.io/apimachinery/pkg/util/duration/duration.go`.
"""

from __future__ import annotations

from datetime import datetime

from labkit.api.times import seconds

MINUTE, HOUR, DAY = 60, 3600, 86400
YEAR = 365 * DAY


def age(timestamp: str, now: float) -> str:
    """`119s`, `2m5s`, `3h20m`, `12d`; `<unknown>` without a timestamp."""
    return human(now - seconds(timestamp)) if timestamp else "<unknown>"


def human(length: float) -> str:
    """A duration in seconds, in at most two units, the smaller left out as it stops to matter."""
    whole = int(length)
    if length <= -2:
        return "<invalid>"
    if whole < 0:
        return "0s"
    for limit, large, small in (
        (2 * MINUTE, (1, "s"), None),
        (10 * MINUTE, (MINUTE, "m"), (1, "s")),
        (3 * HOUR, (MINUTE, "m"), None),
        (8 * HOUR, (HOUR, "h"), (MINUTE, "m")),
        (2 * DAY, (HOUR, "h"), None),
        (8 * DAY, (DAY, "d"), (HOUR, "h")),
        (2 * YEAR, (DAY, "d"), None),
        (8 * YEAR, (YEAR, "y"), (DAY, "d")),
    ):
        if whole < limit:
            return _two(whole, large, small)
    return f"{whole // YEAR}y"


def _two(whole: int, large: tuple[int, str], small: tuple[int, str] | None) -> str:
    count, rest = divmod(whole, large[0])
    less = rest // small[0] if small else 0
    return f"{count}{large[1]}" + (f"{less}{small[1]}" if small and less else "")


def long_date(timestamp: str) -> str:
    """`Sun, 22 Nov 2026 10:00:00 +0000`, as describe prints times."""
    when = datetime.fromisoformat(timestamp)
    day = "MonTueWedThuFriSatSun"[3 * when.weekday() :][:3]
    month = "JanFebMarAprMayJunJulAugSepOctNovDec"[3 * (when.month - 1) :][:3]
    return f"{day}, {when.day:02} {month} {when.year} {when:%H:%M:%S} +0000"
