"""What a learner has done so far: kept on this machine, handed on only as a short token.

The file is `progress.json` in the folder named by LABKIT_PROGRESS, else in `~/.labkit`. Where
it cannot be written (a browser's Python, a read-only home), it lives as long as the kernel.
"""

from __future__ import annotations

import hashlib
import os
import zlib
from base64 import b32decode, b32encode
from pathlib import Path
from typing import Any

import msgspec

from labkit.errors import CommandError

_memory: dict[str, Any] = {}


class Progress(msgspec.Struct):
    """Guesses by id, cards by id, solved exercises, and a digest of each wrong answer."""

    guesses: dict[str, str] = {}
    cards: dict[str, dict[str, str]] = {}
    solved: list[str] = []
    wrong: dict[str, list[str]] = {}


def _file() -> Path:
    return Path(os.environ.get("LABKIT_PROGRESS") or Path.home() / ".labkit") / "progress.json"


def load() -> Progress:
    """What is kept; empty at first. A file that cannot be read counts as empty."""
    if "progress" in _memory:
        kept: Progress = _memory["progress"]
        return kept
    try:
        return msgspec.json.decode(_file().read_bytes(), type=Progress)
    except (OSError, msgspec.DecodeError):
        return Progress()


def save(progress: Progress) -> None:
    try:
        _file().parent.mkdir(parents=True, exist_ok=True)
        _file().write_bytes(msgspec.json.format(msgspec.json.encode(progress), indent=1))
    except OSError:
        _memory["progress"] = progress


def reset() -> None:
    """Forget everything: a new learner sits down."""
    _memory.clear()
    _file().unlink(missing_ok=True)


def keep_wrong(progress: Progress, exercise: str, answer: str) -> int:
    """Notes a wrong answer and returns the hint to give, from 1 on.

    Each different answer is one step, and so is every third check of the same one: somebody
    who looks around without changing anything is not left alone.
    """
    digest = hashlib.sha256(answer.encode()).hexdigest()[:8]
    seen = progress.wrong.setdefault(exercise, [])
    seen.append(digest)
    different = list(dict.fromkeys(seen))
    return different.index(digest) + 1 + (seen.count(digest) - 1) // 3


def token() -> str:
    """Solved exercises and counts of wrong answers as text to hand to an instructor.

    No guesses, no cards and no answers are in it.
    """
    kept = load()
    report = {
        "s": sorted(kept.solved),
        "w": {k: len(set(v)) for k, v in sorted(kept.wrong.items())},
    }
    packed = zlib.compress(msgspec.json.encode(report), 9)
    return "LK1-" + b32encode(packed).decode().rstrip("=")


def read_token(text: str) -> dict[str, Any]:
    """A token's content: {"solved": [...], "wrong": {exercise: count}}.

    Raises:
        CommandError: the text is no token, or a part of one.
    """
    body = text.strip().removeprefix("LK1-")
    try:
        raw = zlib.decompress(b32decode(body + "=" * (-len(body) % 8)))
        report = msgspec.json.decode(raw)
        return {"solved": report["s"], "wrong": report["w"]}
    except (ValueError, KeyError, TypeError, zlib.error, msgspec.DecodeError):
        raise CommandError("this is no progress token; copy it whole, from LK1- on") from None
