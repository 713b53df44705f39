"""A URL asked for: the name, an address of it, and a connection to that address.

A server sees nothing of the look-up. It hears the name that the client wrote: in the `Host`
header and, over TLS, in the first message. An alias in DNS changes neither.

*The lab simplifies*: whoever accepts in the cluster answers 200 to any name and shows no
certificate; sites outside know their own names only.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, NamedTuple

import msgspec

from labkit.api.state import State
from labkit.dns.plugin import Names
from labkit.errors import CommandError
from labkit.kernel.conntrack import Conntrack
from labkit.kernel.packet import Address, endpoint
from labkit.traffic.connect import Medium, connect
from labkit.traffic.connection import Connection
from labkit.traffic.resolve import Resolution, resolve
from labkit.traffic.sites import PORTS, certificate, covers, host_header, server_name

URL = re.compile(r"(?:(https?)://)?(\[[^]]*\]|[^/:?#\s]+)(?::([0-9]{1,5}))?([/?#]\S*)?")


class Url(NamedTuple):
    """The parts of a URL that decide where a request goes and what it says."""

    scheme: str
    host: str
    port: int
    path: str


class Request(msgspec.Struct, frozen=True, kw_only=True):
    """What became of a request: the name's look-up and the connection, as far as it came.

    `connection` is None where the name has no address. `status` is None without an answer;
    `served_by` is the title of who accepted. `host` stands in the header, `server_name` in TLS;
    `site` are the names that the far server answers to, empty if it takes any.
    """

    url: str
    resolution: Resolution
    connection: Connection | None
    host: str = ""
    server_name: str = ""
    site: tuple[str, ...] = ()
    status: int | None = None
    served_by: str = ""

    @property
    def address(self) -> Address | None:
        return self.resolution.addresses[0] if self.resolution.addresses else None

    @property
    def certificate(self) -> tuple[str, ...]:
        """The names in the certificate that the far server shows; empty if it shows none."""
        return self.site if self.url.startswith("https:") else ()

    @property
    def mismatch(self) -> bool:
        """Does the client end TLS because the certificate is for other names?"""
        return bool(self.certificate) and self.status is None

    @property
    def conntrack(self) -> Conntrack:
        """What the kernels remember of all its packets."""
        last = self.resolution if self.connection is None else self.connection
        return last.conntrack

    def __bool__(self) -> bool:
        return self.status == 200

    def __str__(self) -> str:
        parts = [f"{self.url}: {self._came()}", *self._said(), str(self.resolution)]
        return "\n".join([*parts, str(self.connection)] if self.connection else parts)

    __repr__ = __str__

    def _came(self) -> str:
        if self.connection is None:
            return "no address to connect to"
        if self.mismatch:
            return "not trusted: the certificate is for other names"
        return f"{self.status} from {self.served_by}" if self.status else self.connection.outcome

    def _said(self) -> list[str]:
        """What the client says of the name, and what the far server shows."""
        tls = [f"TLS server name: {self.server_name}"] if self.server_name else []
        shown = [f"certificate for: {', '.join(self.certificate)}"] if self.certificate else []
        said = [f"Host: {self.host}"] if self.status else []
        return [*tls, *shown, *said] if self.connection else []


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
    asked = parse_url(url)
    more = {key: how[key] for key in ("namespace", "conntrack") if key in how}
    resolved = resolve(state, medium, source, asked.host, names=names, past=past, **more)
    if not resolved.addresses:
        return Request(url=url, resolution=resolved, connection=None)
    target = endpoint(resolved.addresses[0], asked.port)
    how["conntrack"] = resolved.conntrack
    connection = connect(state, medium.network, source, target, **how)
    return _spoken(url, asked, resolved, connection)


def parse_url(url: str) -> Url:
    """Scheme (http if none is written), host, port, and path with all that follows.

    Raises:
        CommandError: the text is no URL.
    """
    found = URL.fullmatch(url)
    scheme = (found and found[1]) or "http"
    port = int(found[3] or PORTS[scheme]) if found else 0
    if found is None or not 0 < port < 65536:
        raise CommandError(f"{url}: not a URL; write for example http://backend:80/cart")
    return Url(scheme, found[2].strip("[]"), port, found[4] or "")


def _spoken(url: str, asked: Url, resolved: Resolution, connection: Connection) -> Request:
    """What is said once the connection stands; nothing if it does not."""
    if not connection:
        return Request(url=url, resolution=resolved, connection=connection)
    end = connection.places.get(connection.request.end)
    names = certificate(connection.request.end, resolved.lookup.canonical)
    known = not names or covers(names, asked.host)
    secure = asked.scheme == "https"
    status = 200 if known else None if secure else 404
    return Request(
        url=url,
        resolution=resolved,
        connection=connection,
        host=host_header(asked.scheme, asked.host, asked.port),
        server_name=server_name(asked.scheme, asked.host),
        site=names,
        status=status,
        served_by=end.title if end else "",
    )
