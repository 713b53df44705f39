"""Programs that show how a node finds a Service's endpoint: nft, ipvsadm, ipset, cilium-dbg.

*The lab simplifies*: `cilium-dbg` runs on the node; in life it runs in the node's cilium pod.
"""

from __future__ import annotations

from labkit.commands.output import Output
from labkit.commands.terminal import Program, Terminal
from labkit.errors import CommandError
from labkit.kernel import nft_text
from labkit.kernel.bpf import service_list
from labkit.kernel.ipsets import ipset_save
from labkit.kernel.ipvs import ipvsadm_list
from labkit.kernel.netfilter import Ipset, Table

READ_ONLY = "the lab's kernels are changed by objects and by lab.inject(faults. ...), not by hand"


def nft(terminal: Terminal, words: list[str]) -> Output:
    """`nft list ruleset | tables | table ip NAME | chain|set|map ip TABLE NAME`."""
    own = [t for t in terminal.netns.ruleset.tables if t.tool == "nft"]
    match words:
        case ["list", "ruleset"]:
            return Output(nft_text.nft_list_ruleset(terminal.netns))
        case ["list", "tables"]:
            return Output("\n".join(f"table {t.family} {t.name}" for t in own))
        case ["list", "table", family, name]:
            found = _table(own, family, name)
            return Output(nft_text.table_text(found)) if found else _missing(words)
        case ["list", "chain" | "set" | "map" as kind, family, name, each]:
            found = _table(own, family, name)
            block = _block(found, kind, each) if found else ""
            text = f"table {family} {name} {{\n{block}\n}}"
            return Output(text) if block else _missing(words)
    shown = "nft list ruleset, tables, table ip NAME, and chain, set or map ip TABLE NAME"
    raise CommandError(f"nft {' '.join(words)}: the lab models {shown}; {READ_ONLY}")


def _table(own: list[Table], family: str, name: str) -> Table | None:
    return next((t for t in own if (t.family, t.name) == (family, name)), None)


def _block(table: Table, kind: str, name: str) -> str:
    if kind == "chain":
        chain = table.chains.get(name)
        return nft_text.chain_block(chain, table.family) if chain else ""
    found = table.sets.get(name)
    return nft_text.set_block(found) if found and found.verdicts == (kind == "map") else ""


def _missing(words: list[str]) -> Output:
    line = " ".join(words)
    place = " " * line.rindex(words[-1]) + "^" * len(words[-1])
    return Output(f"Error: No such file or directory\n{line}\n{place}", 1)


def ipvsadm(terminal: Terminal, words: list[str]) -> Output:
    """`ipvsadm -Ln`: virtual servers with their real ones, and who has how many connections."""
    letters = "".join(sorted("".join(w.lstrip("-") for w in words).lower()))
    if letters != "ln":
        raise CommandError(f"ipvsadm {' '.join(words)}: the lab models ipvsadm -Ln; {READ_ONLY}")
    entries = terminal.lab.conntrack.get(terminal.spot.netns, ())
    return Output(ipvsadm_list(terminal.netns.virtual_servers, entries, terminal.lab.state.now))


def ipset(terminal: Terminal, words: list[str]) -> Output:
    """`ipset list [-n | NAME]` and `ipset save`. Sizes that the kernel chooses are left out."""
    sets = terminal.netns.ruleset.sets
    match words:
        case ["save"]:
            return Output(ipset_save(sets.values()))
        case ["list", "-n"]:
            return Output("\n".join(sets))
        case ["list"]:
            return Output("\n\n".join(_members(each) for each in sets.values()))
        case ["list", name] if not name.startswith("-"):
            if name in sets:
                return Output(_members(sets[name]))
            return Output(f"ipset v7.17: The set with the given name does not exist: {name}", 1)
    raise CommandError(f"ipset {' '.join(words)}: the lab models list and save; {READ_ONLY}")


def _members(each: Ipset) -> str:
    head = (f"Name: {each.name}", f"Type: {each.kind}", f"Number of entries: {len(each.members)}")
    return "\n".join((*head, "Members:", *each.members))


def cilium_dbg(terminal: Terminal, words: list[str]) -> Output:
    """`cilium-dbg service list`: the maps that stand in for kube-proxy."""
    maps = terminal.netns.maps
    if maps is None:
        return Output("bash: cilium-dbg: command not found", 127)
    if words != ["service", "list"]:
        line = " ".join(words)
        raise CommandError(f"cilium-dbg {line}: the lab models cilium-dbg service list")
    return Output(service_list(maps))


BALANCER_TOOLS: dict[str, Program] = {
    "nft": nft,
    "ipvsadm": ipvsadm,
    "ipset": ipset,
    "cilium-dbg": cilium_dbg,
}
