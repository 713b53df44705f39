"""The web sites outside: which names each of them answers to, and its certificate carries.

*The lab simplifies*: one machine stands for all hosts outside. Which of them a client meets is
told by the last name of its look-up; a client that came by an address meets a server without
names, which takes anyone. A site knows the names of its certificate and answers 404 to others.
In life a server may also show some other site, or end the handshake when it has no certificate
for the name.
"""

from __future__ import annotations

from ipaddress import ip_address

import msgspec

from labkit.api.datafiles import data_file
from labkit.dns.message import address_text

OUTSIDE = "outside"
PORTS = {"http": 80, "https": 443}  # where none is written


def certificate(end: str, canonical: str) -> tuple[str, ...]:
    """The names in the certificate of whoever took a connection; empty if the lab has none.

    Args:
        end: the namespace that accepted. Pods have no certificates in the lab.
        canonical: the last name of the client's look-up, or an address.
    """
    if end != OUTSIDE:
        return ()
    table = msgspec.json.decode(data_file("outside.json").read_bytes())["certificates"]
    name = canonical.rstrip(".").lower()
    own = (names for names in table.values() if covers(tuple(names), name))
    return tuple(next(own, ()))


def covers(names: tuple[str, ...], host: str) -> bool:
    """Does a certificate speak for this host? A `*` stands for one whole label.

    Source: RFC 9525, section 6.3. Addresses need an entry of their own kind, which no site has.
    """
    host = host.rstrip(".").lower()
    if address_text(host):
        return False
    return host in names or f"*.{host.partition('.')[2]}" in names


def server_name(scheme: str, host: str) -> str:
    """The name that a client says before encryption starts (SNI); none over HTTP or for an address.

    Source: RFC 6066, section 3: no addresses and no dot at the end.
    """
    return "" if scheme != "https" or address_text(host) else host.rstrip(".")


def host_header(scheme: str, host: str, port: int) -> str:
    """What stands behind `Host:`: the name as typed, and a port that is not the usual one."""
    shown = f"[{host}]" if address_text(host) and ip_address(host).version == 6 else host
    return shown if port == PORTS[scheme] else f"{shown}:{port}"
