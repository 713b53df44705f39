"""nslookup's two programs: BusyBox's, which asks everything at once, and bind's.

Source: BusyBox `networking/nslookup.c` (1.35), captured; bind9 `bin/dig/nslookup.c`.
"""

from __future__ import annotations

from labkit.commands.output import Output
from labkit.dns.message import Record
from labkit.dns.resolver import Lookup, Sent
from labkit.traffic.resolve import Resolution

NO_SERVERS = ";; connection timed out; no servers could be reached"
SAYS = {  # how a record is told behind its owner
    "CNAME": "canonical name = {}",
    "PTR": "name = {}",
    "NS": "nameserver = {}",
    "TXT": "text = {}",
    "SRV": "service = {}",
    "MX": "mail exchanger = {}",
}


def busybox_nslookup(lookup: Lookup) -> Output:
    """The applet's print-out: one paragraph for each reply, the empty ones included."""
    replies = [one for one in lookup.sent if one.answer]
    if not replies:
        return Output("\n".join([*_refused(lookup.sent), NO_SERVERS, "", ""]), 1)
    server = replies[0].server
    shown = f"[{server}]:53" if ":" in server else f"{server}:53"
    lines = [f"Server:\t\t{server}", f"Address:\t{shown}", ""]
    code = 0
    for one in lookup.sent:
        if one.server != server:
            continue
        assert one.answer is not None
        name, rcode = one.query.name.rstrip("."), one.answer.rcode
        if rcode != "NOERROR":
            lines.append(f"** server can't find {name}: {rcode}")
            code = 1
        else:
            lines += [] if one.answer.aa else ["Non-authoritative answer:"]
            lines += [line for record in one.answer.answer for line in told(record)]
        lines.append("")
    return Output("\n".join([*lines, ""]), code)


def _refused(sent: tuple[Sent, ...]) -> list[str]:
    """One line for each server whose host answered that nobody listens."""
    servers = dict.fromkeys(one.server for one in sent if one.fault == "refused")
    return [f"nslookup: write to '{server}': Connection refused" for server in servers]


def told(record: Record) -> list[str]:
    """The lines of one record, without the names' last dots."""
    name = record.name.rstrip(".")
    if record.type in ("A", "AAAA"):
        return [f"Name:\t{name}", f"Address: {record.data}"]
    if record.type in SAYS:
        data = record.data if record.type == "TXT" else record.data.rstrip(".")
        return [f"{name}\t{SAYS[record.type].format(data)}"]
    return [f"{name}\t{record.type} {record.data}"]


def old_busybox(found: Resolution) -> Output:
    """The applet up to 1.28: asks by the C library, so the search list counts."""
    server = found.conf.nameservers[0] if found.conf.nameservers else "127.0.0.1"
    lines = [f"Server:    {server}", f"Address 1: {server}", ""]
    if not found:
        return Output("\n".join([*lines, f"nslookup: can't resolve '{found.name}'"]), 1)
    lines.append(f"Name:      {found.name}")
    full = found.lookup.canonical.rstrip(".")
    addresses = enumerate(found.lookup.addresses, 1)
    return Output("\n".join([*lines, *(f"Address {n}: {a} {full}" for n, a in addresses)]))
