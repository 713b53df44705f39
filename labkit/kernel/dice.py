"""Dice: where the kernel is random, the walk asks one of these."""

from __future__ import annotations

import zlib
from typing import Protocol

from labkit.kernel.packet import Packet


class Dice(Protocol):
    """A source of choices; equal dice asked the same questions give equal answers."""

    def below(self, n: int) -> int:
        """A whole number from 0 to n - 1."""
        ...


class FirstDice:
    """Always 0: every `statistic` rule matches when it is asked."""

    def below(self, n: int) -> int:
        return 0


class FlowDice:
    """One choice for all packets of a connection: a hash of its addresses and ports."""

    def __init__(self, packet: Packet) -> None:
        flow = f"{packet.protocol} {packet.source} {packet.destination}"
        self._flow = zlib.crc32(flow.encode())

    def below(self, n: int) -> int:
        return self._flow % n


class SeededDice:
    """A small generator of its own, so that a seed gives the same walk on every machine.

    Source: splitmix64 (Steele, Lea, Flood 2014), whose constants these are.
    """

    def __init__(self, seed: int) -> None:
        self._state = seed & 0xFFFFFFFFFFFFFFFF

    def below(self, n: int) -> int:
        self._state = (self._state + 0x9E3779B97F4A7C15) & 0xFFFFFFFFFFFFFFFF
        z = self._state
        z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & 0xFFFFFFFFFFFFFFFF
        z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & 0xFFFFFFFFFFFFFFFF
        return (z ^ (z >> 31)) % n
