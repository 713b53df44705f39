"""A client reaches for a target: the request's way, and the way back of what was answered."""

from __future__ import annotations

from labkit.traffic.connection import Connection, Place

__all__ = ["Connection", "Place"]
