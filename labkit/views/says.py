"""What checks and commands say, as HTML."""

from __future__ import annotations

import re

from labkit.views.svg import clean
from labkit.views.theme import CSS

_NAME = re.compile(r"`([^`\n]+)`")
_HINT = re.compile(r"Hint \d of \d")
SIZE = "font-size:var(--jp-code-font-size,13px);line-height:var(--jp-code-line-height,1.31)"


def feedback_html(id: str, standing: str, says: str = "", lines: tuple[str, ...] = ()) -> str:
    """A check's answer: how things stand, then a line each for what was seen and for the hint."""
    first = f"<p class='verdict'><span class='id'>{clean(id)}</span> <b>{clean(standing)}</b></p>"
    rest = "".join(f"<p class='says'>{_prose(words)}</p>" for words in (says, *lines) if words)
    return f"<div class='lk'><style>{CSS}</style>{first}{rest}</div>"


def _prose(words: str) -> str:
    """Sentences of the lab; only what stands in backticks is a name, and a hint says its number."""
    named = _NAME.sub(r"<samp>\1</samp>", clean(words))
    hint = _HINT.match(named)
    return f"<b>{hint.group()}</b>{named[hint.end() :]}" if hint else named


def words_html(words: str) -> str:
    """Text that is indented and may be long: it wraps between words."""
    return (
        f'<pre style="white-space:pre-wrap;word-break:normal;margin:0;{SIZE}">{clean(words)}</pre>'
    )


def terminal_html(words: str) -> str:
    """What a command printed, unwrapped: a wide table scrolls, by keyboard too, and stays one."""
    style = f"white-space:pre;overflow-x:auto;margin:0;{SIZE}"
    return f'<pre style="{style}" tabindex="0">{clean(words)}</pre>'
