"""Programs that show a kernel's tables: ip, bridge, iptables-save, conntrack, ss, sysctl."""

from __future__ import annotations

import re
from ipaddress import ip_address

from msgspec.structs import replace

from labkit.commands import ip_route_edit
from labkit.commands.balancer_tools import BALANCER_TOOLS
from labkit.commands.output import Output
from labkit.commands.terminal import Program, Terminal
from labkit.errors import CommandError
from labkit.kernel import text
from labkit.kernel.host import host, look_up, source_for
from labkit.kernel.netfilter import Chain
from labkit.kernel.netns import SYSCTL_DEFAULTS, Netns
from labkit.kernel.packet import Address
from labkit.kernel.rows import listening_row
from labkit.traffic.faults import Fault

READ_ONLY = "the lab's kernels are changed by objects and by lab.inject(faults. ...), not by hand"

# --- ip --------------------------------------------------------------------------------


OBJECTS = ("address", "addr", "link", "route", "neighbour", "neighbor", "neigh")


def ip(terminal: Terminal, words: list[str]) -> Output:
    """`ip [-4|-6] [-br] addr|link|route|neigh [show] [dev DEV]`, `ip route get|add|del ...`.

    `ip -d link` adds the line of the device's kind; see `device_row` for what it leaves out.
    """
    flags = [w for w in words if w.startswith("-")]
    rest = [w for w in words if not w.startswith("-")]
    unknown = set(flags) - {"-4", "-6", "-br", "-brief", "-d", "-s", "-c", "-o", "-color"}
    if unknown:
        return Output(f'Option "{min(unknown)}" is unknown, try "ip -help".', 255)
    name = next((o for o in OBJECTS if rest and o.startswith(rest[0])), None)
    if name is None:
        return Output(f'Object "{rest[0] if rest else ""}" is unknown, try "ip help".', 1)
    if {"-s", "-o"} & set(flags) or ("-d" in flags and name != "link"):
        raise CommandError("ip: the lab models neither -s nor -o, and -d only for ip -d link")
    version = 6 if "-6" in flags else 4
    action, dev = _shown(rest[1:])
    if action == "get" and name == "route":
        return _route_get(terminal, rest[2:])
    if name == "route" and action in ip_route_edit.ACTIONS:
        return ip_route_edit.edit(terminal, action, rest[2:])
    if action not in ("show", "list", "lst", "ls"):
        raise CommandError(f"ip {name} {action}: {READ_ONLY}")
    if dev and all(link.name != dev for link in terminal.netns.links):
        return Output(f'Device "{dev}" does not exist.', 1)
    if name == "route":
        rows = text.ip_route(terminal.netns, version).splitlines()
        if dev:
            rows = [r.replace(f" dev {dev}", "", 1) for r in rows if f" dev {dev} " in f"{r} "]
        return Output("\n".join(rows))
    if name.startswith("neigh"):
        rows = text.ip_neigh(terminal.netns).splitlines()
        return Output("\n".join(r for r in rows if not dev or f" dev {dev} " in f"{r} "))
    if {"-br", "-brief"} & set(flags):
        return Output(_brief(terminal, dev, addresses=name.startswith("addr")))
    return Output(_devices(terminal, name, dev, flags))


def _shown(words: list[str]) -> tuple[str, str]:
    """The action and the device of what stands behind the object."""
    action = words[0] if words else "show"
    known = ("show", "list", "lst", "ls", "get", "add", "del", "delete", "change", "replace")
    if action not in (*known, "set", "flush", "append"):
        words = ["show", *words]
        action = "show"
    rest = [w for w in words[1:] if w != "dev"]
    return action, rest[0] if rest and action != "get" else ""


def _devices(terminal: Terminal, name: str, dev: str, flags: list[str]) -> str:
    show = text.ip_addr if name.startswith("addr") else text.ip_link
    show = text.ip_link_details if "-d" in flags else show
    blocks = re.split(r"^(?=\d+: )", show(terminal.netns, terminal.network), flags=re.MULTILINE)
    found = [b for b in blocks if not dev or re.match(rf"\d+: {re.escape(dev)}[@:]", b)]
    for flag, other in (("-4", "inet6"), ("-6", "inet")):
        if flag in flags:
            found = [_without(block, other) for block in found]
            found = [block for block in found if "    inet" in block]
    return "".join(found)


def _without(block: str, family: str) -> str:
    """The block of a device without addresses of a family and without its link line."""
    lines = block.splitlines(keepends=True)
    kept, skip = [], False
    for line in lines:
        if line.startswith("    ") and not line.startswith("     "):
            skip = line.split()[0] == family or line.startswith("    link/")
        if not skip or not line.startswith(" "):
            kept.append(line)
    return "".join(kept)


def _brief(terminal: Terminal, dev: str, *, addresses: bool) -> str:
    lines = []
    for _, link in text.numbered(terminal.netns):
        if dev in ("", link.name):
            far = text.far_number(link, terminal.network)
            name = link.name if far is None else f"{link.name}@if{far}"
            state = text.operational(terminal.netns, link)
            if addresses:
                more = " ".join(str(a) for a in link.addresses)
            else:
                flags = ",".join(text.link_flags(terminal.netns, link))
                more = f"{link.mac or '00:00:00:00:00:00'} <{flags}>"
            lines.append(f"{name:<16} {state:<14} {more}".rstrip())
    return "\n".join(lines)


def _route_get(terminal: Terminal, words: list[str]) -> Output:
    """`ip route get ADDRESS`: the kernel's choice for a packet that starts here."""
    try:
        address = ip_address(words[0] if words else "")
    except ValueError:
        return Output(f'Error: inet prefix is expected rather than "{" ".join(words)}".', 1)
    here = host(terminal.netns)
    way = look_up(here, address)
    if way is None or way.route.kind == "unreachable":
        why = "Network is unreachable" if way is None else "No route to host"
        return Output(f"RTNETLINK answers: {why}", 2)
    if way.route.kind == "blackhole":
        return Output("RTNETLINK answers: Invalid argument", 2)
    source: Address | None = source_for(here, way, address)
    words = ["local"] if way.local else []
    words += [str(address)] + (["via", str(way.via)] if way.via else []) + ["dev", way.dev]
    words += (["src", str(source)] if source else []) + ["uid", "0"]
    return Output(" ".join(words) + "\n    cache" + (" <local>" if way.local else ""))


# --- bridge ----------------------------------------------------------------------------


def bridge(terminal: Terminal, words: list[str]) -> Output:
    """`bridge fdb [show] [dev DEV]`, `bridge link`, `bridge link set dev DEV hairpin on|off`."""
    if words[:2] == ["link", "set"]:
        return _set_hairpin(terminal, words[2:])
    match [w for w in words if w not in ("show", "list", "dev")]:
        case ["fdb"]:
            return Output(text.bridge_fdb(terminal.netns, None, terminal.network))
        case ["fdb", "br", name]:
            ports = [link.name for link in terminal.netns.links if name in (link.name, link.master)]
            rows = text.bridge_fdb(terminal.netns, None, terminal.network).splitlines()
            return Output("\n".join(row for row in rows if row.split(" ")[2] in ports))
        case ["fdb", name]:
            if all(link.name != name for link in terminal.netns.links):
                return Output(f'Cannot find device "{name}"', 1)
            return Output(text.bridge_fdb(terminal.netns, name, terminal.network))
        case ["link"]:
            return Output(_bridge_link(terminal))
        case ["fdb" | "link", *_]:
            raise CommandError(f"bridge {' '.join(words)}: {READ_ONLY}")
        case _:
            shown = words[0] if words else ""
            return Output(f'Object "{shown}" is unknown, try "bridge help".', 1)


def _set_hairpin(terminal: Terminal, words: list[str]) -> Output:
    """Whether a port may send a frame back by where it came; `lab.undo()` takes it back.

    Source: iproute2 `bridge/link.c`; both refusals were printed by a real kernel.
    """
    match words:
        case ["dev", name, "hairpin", "on" | "off" as value]:
            link = next((k for k in terminal.netns.links if k.name == name), None)
        case _:
            raise CommandError("bridge link set: the lab models `dev DEV hairpin on` and `off`")
    if link is None:
        return Output(f'Cannot find bridge device "{name}"', 255)
    if terminal.spot.pod is not None:  # pods lack the capability NET_ADMIN
        return Output("RTNETLINK answers: Operation not permitted", 255)
    if not link.master:
        return Output("RTNETLINK answers: Operation not supported", 255)

    def change(netns: Netns) -> Netns:
        on = value == "on"
        links = (replace(k, hairpin=on) if k.name == name else k for k in netns.links)
        return replace(netns, links=tuple(links))

    told = f"{terminal.netns.title}: bridge link set {' '.join(words)}"
    terminal.lab.inject(Fault(name=told, place=terminal.spot.netns, change=change))
    return Output("")


def _bridge_link(terminal: Terminal) -> str:
    lines = []
    for number, link in text.numbered(terminal.netns):
        if link.master:
            far = text.far_number(link, terminal.network)
            name = link.name if far is None else f"{link.name}@if{far}"
            flags = ",".join(text.link_flags(terminal.netns, link))
            more = f"mtu {link.mtu} master {link.master} state forwarding priority 32 cost 2"
            lines.append(f"{number}: {name}: <{flags}> {more}")
    return "\n".join(lines)


# --- iptables --------------------------------------------------------------------------

TABLES = ("filter", "nat", "mangle", "raw", "security")


def iptables_save(terminal: Terminal, words: list[str]) -> Output:
    """`iptables-save [-t TABLE]`."""
    return _save(terminal, words, "ip")


def ip6tables_save(terminal: Terminal, words: list[str]) -> Output:
    return _save(terminal, words, "ip6")


def _save(terminal: Terminal, words: list[str], family: str) -> Output:
    match words:
        case []:
            table = None
        case ["-t" | "--table", name]:
            table = name
        case _:
            raise CommandError(f"iptables-save {' '.join(words)}: the lab models -t TABLE only")
    if table is not None and table not in TABLES:
        return Output(f"iptables-save v1.8.11 (nf_tables): Unknown table `{table}'", 2)
    return Output(text.iptables_save(terminal.netns, table, family))


def iptables(terminal: Terminal, words: list[str]) -> Output:
    """`iptables [-t TABLE] -S [CHAIN]`: rules of one table as they were written."""
    table, rest = "filter", list(words)
    if "-t" in rest[:-1]:
        at = rest.index("-t")
        table = rest[at + 1]
        del rest[at : at + 2]
    if rest[:1] not in (["-S"], ["--list-rules"]) or len(rest) > 2:
        raise CommandError(
            f"iptables {' '.join(words)}: the lab shows rules by iptables-save [-t TABLE] and "
            f"iptables [-t TABLE] -S [CHAIN]; {READ_ONLY}"
        )
    tables = terminal.netns.ruleset.tables
    found = [t for t in tables if (t.name, t.family, t.tool) == (table, "ip", "iptables")]
    chains = list(found[0].chains.values()) if found else []
    if len(rest) == 2:
        chains = [c for c in chains if c.name == rest[1]]
        if not chains:
            error = "No chain/target/match by that name."
            return Output(f"iptables v1.8.11 (nf_tables): chain `{rest[1]}' {error}", 1)
    heads = [_chain_head(c) for c in sorted(chains, key=lambda c: (c.hook is None, c.name))]
    rules = [text.rule_text(rule, c.name) for c in chains for rule in c.rules]
    return Output("\n".join(heads + rules))


def _chain_head(chain: Chain) -> str:
    return f"-P {chain.name} {chain.policy}" if chain.hook else f"-N {chain.name}"


# --- conntrack, ss, and names -----------------------------------------------------------------


def conntrack(terminal: Terminal, words: list[str]) -> Output:
    """`conntrack -L|-D [-p PROTOCOL] [-s ADDRESS] [-d ADDRESS] [--dport PORT]`.

    What the lab's connections left, to be shown or deleted.
    """
    filters = {"-p": "protocol", "-s": "src", "--src": "src", "-d": "dst", "--dst": "dst"}
    filters |= {"--sport": "sport", "--dport": "dport"}
    rest = list(words)
    if rest[:1] not in (["-L"], ["--dump"], ["-D"], ["--delete"]) or len(rest) % 2 == 0:
        models = "the lab models conntrack -L and -D with -p, -s, -d, --sport, --dport"
        raise CommandError(f"conntrack {' '.join(words)}: {models}")
    table = terminal.lab.conntrack.get(terminal.spot.netns, ())
    entries = [e for e in table if e.confirmed and not e.socket]
    for flag, value in zip(rest[1::2], rest[2::2], strict=True):
        if flag not in filters:
            raise CommandError(f"conntrack {flag}: the lab models -p, -s, -d, --sport, --dport")
        wanted = value.upper() if flag == "-p" else value
        entries = [e for e in entries if str(getattr(e.original, filters[flag])) == wanted]
    shown = text.conntrack_list(entries, terminal.lab.state.now)
    count, deleted = len(shown.splitlines()), rest[0] in ("-D", "--delete")
    if deleted:
        left = tuple(e for e in table if e not in entries)
        terminal.lab.conntrack = {**terminal.lab.conntrack, terminal.spot.netns: left}
    done = "deleted" if deleted else "shown"
    last = f"conntrack v1.4.8 (conntrack-tools): {count} flow entries have been {done}."
    return Output(shown + last, 1 if deleted and not count else 0)


def ss(terminal: Terminal, words: list[str]) -> Output:
    """`ss -tln`, `ss -lntu`: listening sockets. Established ones are not modelled."""
    letters = set("".join(w.lstrip("-") for w in words))
    if not letters <= set("tulnpaH46") or "l" not in letters:
        raise CommandError(f"ss {' '.join(words)}: the lab models listening sockets: ss -tln")
    kinds = [k for k, letter in (("TCP", "t"), ("UDP", "u")) if letter in letters] or ["TCP", "UDP"]
    both = len(kinds) == 2
    found = [s for kind in reversed(kinds) for s in terminal.netns.sockets if s.protocol == kind]
    head = "Netid State  " if both else "State  "
    rows = [f"{head}Recv-Q Send-Q Local Address:Port Peer Address:Port"]
    netid = {s: f"{s.protocol.lower():<6}" if both else "" for s in found}
    rows += [netid[s] + listening_row(s, owner="p" in letters) for s in found]
    return Output("\n".join(rows[1:] if "H" in letters else rows))


def hostname(terminal: Terminal, words: list[str]) -> Output:
    """A pod's own name, or its node's where it uses the node's network."""
    pod = terminal.spot.pod
    if pod is None or pod.spec.host_network:
        return Output(terminal.spot.netns.rpartition("/")[2])
    return Output(pod.spec.hostname or pod.name)


def sysctl(terminal: Terminal, words: list[str]) -> Output:
    """`sysctl [-n] NAME`: the settings that the lab's kernels go by."""
    names = [w for w in words if not w.startswith("-")]
    if "-w" in words or any("=" in w for w in names):
        raise CommandError(f"sysctl {' '.join(words)}: {READ_ONLY}")
    known = {k for n in terminal.network.namespaces.values() for k in n.sysctls} | USUAL_SYSCTLS
    if "-a" in words:
        names = sorted(known)
    lines, code = [], 0
    for name in (n.replace("/", ".") for n in names):
        if name in known:
            value = terminal.netns.sysctl(name)
            lines.append(str(value) if "-n" in words else f"{name} = {value}")
        else:
            path = name.replace(".", "/")
            lines.append(f"sysctl: cannot stat /proc/sys/{path}: No such file or directory")
            code = 255
    return Output("\n".join(lines), code)


USUAL_SYSCTLS = {
    *SYSCTL_DEFAULTS,
    "net.ipv4.ip_forward",
    "net.ipv4.conf.all.route_localnet",
    "net.bridge.bridge-nf-call-iptables",
}


def cat(terminal: Terminal, words: list[str]) -> Output:
    """`cat /proc/sys/...`, which is `sysctl`."""
    if len(words) == 1 and words[0].startswith("/proc/sys/"):
        found = sysctl(terminal, ["-n", words[0].removeprefix("/proc/sys/")])
        if found.exit_code:
            return Output(f"cat: {words[0]}: No such file or directory", 1)
        return found
    raise CommandError(f"cat {' '.join(words)}: the lab's machines have no files but /proc/sys")


HOST_TOOLS: dict[str, Program] = {
    "ip": ip,
    "bridge": bridge,
    "iptables-save": iptables_save,
    "ip6tables-save": ip6tables_save,
    "iptables": iptables,
    "conntrack": conntrack,
    "ss": ss,
    "hostname": hostname,
    "sysctl": sysctl,
    "cat": cat,
    **BALANCER_TOOLS,
}
