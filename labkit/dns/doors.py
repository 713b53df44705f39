"""Where a CoreDNS process listens: each door is opened by a line of its Corefile.

Source: CoreDNS `plugin/{health,ready,metrics,bind}` and `core/dnsserver/register.go`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from ipaddress import ip_address

from labkit.api.listens import Listen
from labkit.api.meta import Address
from labkit.dns.corefile import Line, ServerBlock, key_of
from labkit.dns.message import address_text

OWN_DOOR = {"health": ":8080", "ready": ":8181", "prometheus": "localhost:9153"}
"""What these plugins open where they are not told; `prometheus` alone is for the pod only."""


def doors(blocks: Iterable[ServerBlock]) -> tuple[Listen, ...]:
    """All sockets, each once."""
    return tuple(dict.fromkeys(door for block in blocks for door in _of_block(block)))


def _of_block(block: ServerBlock) -> Iterator[Listen]:
    bound = bound_to(block.directives) or (None,)
    for key in (key_of(text, block.head) for text in block.keys):
        for address in bound if key.transport == "dns" else ():
            yield Listen("UDP", key.port, address)
            yield Listen("TCP", key.port, address)
    for line in block.directives:
        if line.name in OWN_DOOR:
            address, port = place(line)
            yield Listen("TCP", port, address)


def bound_to(directives: Iterable[Line]) -> tuple[Address, ...]:
    """The addresses that `bind` names; empty for all of the machine's."""
    words = (word for line in directives if line.name == "bind" for word in line.args)
    return tuple(ip_address(word) for word in words if address_text(word))


def place(line: Line) -> tuple[Address | None, int]:
    """`:9153`, `127.0.0.1:9153`, `localhost:9153`: the address (None: all) and the port."""
    text = line.args[0] if line.args else OWN_DOOR[line.name]
    host, colon, port = text.rpartition(":")
    host = {"localhost": "127.0.0.1", "0.0.0.0": "", "[::]": ""}.get(host, host).strip("[]")
    if not colon or not port.isdecimal() or (host and not address_text(host)):
        raise line.wrong(f"`{text}` is no place to listen; write for example `:9153`")
    return (ip_address(host) if host else None), int(port)
