"""`on`: a command line on a node, in a pod, on the router or outside."""

from __future__ import annotations

import shlex
from collections.abc import Callable
from typing import TYPE_CHECKING

from labkit.commands.dns_tools import DNS_TOOLS
from labkit.commands.host_tools import HOST_TOOLS
from labkit.commands.output import Output, joined
from labkit.commands.probes import PROBES
from labkit.commands.tcpdump import tcpdump
from labkit.commands.terminal import Program, Terminal, whole
from labkit.commands.web import WEB
from labkit.errors import CommandError
from labkit.given import checked
from labkit.traffic.places import Spot, resolve_place

if TYPE_CHECKING:
    from labkit.cluster import Cluster

PROGRAMS: dict[str, Program] = {**HOST_TOOLS, **PROBES, **WEB, **DNS_TOOLS, "tcpdump": tcpdump}
SHELLS = ("sh", "bash", "/bin/sh", "/bin/bash")
SHELL_WORDS = set("|&;<>()")


@checked
def on(lab: Cluster, place: str, line: str) -> Output:
    """What a command prints there: `on(lab, "node-1", "ip route")`, `on(lab, "pod/db", "ip a")`.

    A pipe into `grep`, `head` or `wc -l` works; other shell syntax does not.

    Raises:
        NotFound: there is no such place.
        CommandError: the lab does not model what the line asks for.
    """
    lexer = shlex.shlex(line, posix=True, punctuation_chars="|&;<>()")
    lexer.whitespace_split = True
    lexer.commenters = ""
    try:
        words = list(lexer)
    except ValueError as error:
        raise CommandError(f"{line}: {str(error).lower()}; close the quotes") from None
    before = len(lab.asked)
    output = run_in(lab, place, words)
    # One line is one question, however many the program asks on its own.
    lab.asked[before:] = [f"{place}: {line}"]
    return output


def run_in(lab: Cluster, place: str, words: list[str]) -> Output:
    """The same with the line taken apart."""
    if words and words[0] in SHELLS:
        if len(words) == 3 and words[1] == "-c":
            return on(lab, place, words[2])
        raise CommandError("the lab has no shell to type into; give the command itself")
    parts = _piped(words)
    terminal = Terminal(lab, place, _spot(lab, place))
    output = _run(terminal, parts[0])
    for command in parts[1:]:
        output = _filtered(output, command)
    return output


def _piped(words: list[str]) -> list[list[str]]:
    """The commands between the `|`s."""
    parts: list[list[str]] = [[]]
    for word in words:
        if word == "|":
            parts.append([])
        elif word and set(word) <= SHELL_WORDS:
            raise CommandError(f"the lab has no shell, so no `{word}`; run one command at a time")
        else:
            parts[-1].append(word)
    return parts


def _spot(lab: Cluster, place: str) -> Spot:
    if place in ("router", "switch", "lb"):
        return Spot(netns=place, text=place)
    return resolve_place(lab.state, place, lab.namespace)


def _run(terminal: Terminal, words: list[str]) -> Output:
    while words and words[0] == "sudo":
        words = words[1:]
    if not words:
        raise CommandError(f"say what to run; the lab has {', '.join(sorted(PROGRAMS))}")
    name = words[0].rpartition("/")[2]
    program = PROGRAMS.get(name)
    if program is None:
        return Output(f"sh: {words[0]}: not found", 127)
    if terminal.spot.netns not in terminal.network.namespaces:
        raise CommandError(f"{terminal.place}: it has no network namespace; is the pod Running?")
    return program(terminal, words[1:])


# --- what stands behind a pipe ----------------------------------------------------------------


def _filtered(output: Output, command: list[str]) -> Output:
    lines = output.splitlines()
    match command:
        case ["wc", "-l"]:
            return Output(str(len(lines)))
        case ["head"]:
            return Output("\n".join(lines[:10]))
        case ["head", "-n", count] if whole(count):
            return Output("\n".join(lines[: whole(count)]))
        case ["head", count] if count[:1] == "-" and whole(count[1:]):
            return Output("\n".join(lines[: whole(count[1:])]))
        case ["grep", *words]:
            return _grep(lines, words)
    shown = " ".join(command)
    raise CommandError(f"| {shown}: the lab pipes only into grep [-i] [-v] TEXT, head and wc -l")


def _grep(lines: list[str], words: list[str]) -> Output:
    """Plain text, not a regular expression: rules and addresses are full of dots and stars."""
    flags = {w for w in words if w in ("-i", "-v", "-F", "-E", "-e", "--")}
    texts = [w for w in words if w not in flags]
    if len(texts) != 1:
        raise CommandError("grep: give one text to look for")
    fold: Callable[[str], str] = str.lower if "-i" in flags else str
    wanted = [fold(t) for t in (texts[0].split("|") if "-E" in flags else texts)]
    kept = [ln for ln in lines if any(t in fold(ln) for t in wanted) is not ("-v" in flags)]
    return joined([Output("\n".join(kept), 0 if kept else 1)])
