"""A URL asked for: the name, an address of it, and a connection to that address.

*The lab simplifies*: whoever accepts the connection answers 200; no HTTP is spoken yet.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import msgspec

from labkit.api.state import State
from labkit.dns.plugin import Names
from labkit.errors import CommandError
from labkit.kernel.conntrack import Conntrack
from labkit.kernel.packet import Address, endpoint
from labkit.traffic.connect import Medium, connect
from labkit.traffic.connection import Connection
from labkit.traffic.resolve import Resolution, resolve

URL = re.compile(r"(?:(https?)://)?(\[[^]]*\]|[^/:?#\s]+)(?::([0-9]{1,5}))?([/?#]\S*)?")
PORTS = {"http": 80, "https": 443}


class Request(msgspec.Struct, frozen=True, kw_only=True):
    """What became of a request: the name's look-up and the connection, as far as it came.

    `connection` is None where the name has no address. `status` is None without an answer;
    `served_by` is the title of who accepted.
    """

    url: str
    resolution: Resolution
    connection: Connection | None
    status: int | None = None
    served_by: str = ""

    @property
    def address(self) -> Address | None:
        return self.resolution.addresses[0] if self.resolution.addresses else None

    @property
    def conntrack(self) -> Conntrack:
        """What the kernels remember of all its packets."""
        last = self.resolution if self.connection is None else self.connection
        return last.conntrack

    def __bool__(self) -> bool:
        return self.status == 200

    def __str__(self) -> str:
        came = self.connection.outcome if self.connection else "no address to connect to"
        head = f"{self.url}: {f'{self.status} from {self.served_by}' if self else came}"
        parts = [head, str(self.resolution)]
        return "\n".join([*parts, str(self.connection)] if self.connection else parts)

    __repr__ = __str__


def request(
    state: State,
    medium: Medium,
    source: str,
    url: str,
    *,
    names: Names,
    past: Sequence[State] = (),
    **how: Any,
) -> Request:
    """The URL asked for from a place; `how` is as for `connect`.

    Raises:
        NotFound, CommandError: there is no such place, or the URL is none.
    """
    found = URL.fullmatch(url)
    scheme = (found and found[1]) or "http"
    port = int(found[3] or PORTS[scheme]) if found else 0
    if found is None or not 0 < port < 65536:
        raise CommandError(f"{url}: not a URL; write for example http://backend:80/cart")
    more = {key: how[key] for key in ("namespace", "conntrack") if key in how}
    resolved = resolve(state, medium, source, found[2].strip("[]"), names=names, past=past, **more)
    if not resolved.addresses:
        return Request(url=url, resolution=resolved, connection=None)
    target = endpoint(resolved.addresses[0], port)
    how["conntrack"] = resolved.conntrack
    connection = connect(state, medium.network, source, target, **how)
    end = connection.places.get(connection.request.end)
    return Request(
        url=url,
        resolution=resolved,
        connection=connection,
        status=200 if connection else None,
        served_by=end.title if connection and end else "",
    )
