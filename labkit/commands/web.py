"""Programs that fetch a page: curl and BusyBox's wget.

*The lab simplifies*: whoever accepts a connection answers with one line, which says who it is
and which source address it saw; no HTTP is spoken, and no TLS. Sites outside know their names.
"""

from __future__ import annotations

from labkit.api.core import Pod
from labkit.api.listens import lasting
from labkit.api.names import workload_of
from labkit.commands.health_page import curl_page, health_of, wget_refusal
from labkit.commands.metrics_page import metrics_page
from labkit.commands.output import Output
from labkit.commands.terminal import (
    Named,
    Program,
    Terminal,
    Unknown,
    connect,
    look_up,
    options,
    told,
    unreachable,
)
from labkit.errors import CommandError
from labkit.kernel.host import host
from labkit.kernel.packet import Packet, endpoint
from labkit.kernel.sockets import listening
from labkit.traffic.connection import Connection
from labkit.traffic.request import Url, parse_url
from labkit.traffic.sites import certificate, covers

SYN_TIMEOUT = 131_000
"""Milliseconds until Linux gives up a connection that nobody answers.

Source: `tcp_syn_retries` in Linux Documentation/networking/ip-sysctl.rst.
"""

# --- curl ------------------------------------------------------------------------------

CURL_VALUED = ("-m", "--max-time", "--connect-timeout", "-o", "-H", "-X", "-w", "--header")
CURL_LONG = {"--silent": "-s", "--show-error": "-S", "--verbose": "-v", "--insecure": "-k"}
STRANGER = """\
curl: (60) SSL: no alternative certificate subject name matches target host name '{}'
More details here: https://curl.se/docs/sslcerts.html

curl failed to verify the legitimacy of the server and therefore could not
establish a secure connection to it. To learn more about this situation and
how to fix it, please visit the web page mentioned above."""
"""Source: curl 7.88.1 before a server with another name's certificate."""
PLAIN = "# the lab speaks no TLS: who took the connection says so without it"


def curl(terminal: Terminal, words: list[str]) -> Output:
    """`curl [-s] [-v] [-m SECONDS] URL`."""
    words = [CURL_LONG.get(word, word) for word in words]
    try:
        flags, rest = options(words, "sSvkfL46Iig", CURL_VALUED)
    except Unknown as unknown:
        hint = "curl: try 'curl --help' or 'curl --manual' for more information"
        return Output(f"curl: option {unknown}: is unknown\n{hint}", 2)
    if len(rest) != 1:
        return Output("curl: (2) no URL specified", 2)
    try:
        url = parse_url(rest[0])
    except CommandError:
        return Output("curl: (3) URL rejected: Malformed input to a URL function", 3)
    to = look_up(terminal, url.host)
    if to is None:
        return Output(f"curl: (6) Could not resolve host: {url.host}", 6)
    connection = connect(terminal, to, url.port, "TCP")
    lines = [f"*   Trying {endpoint(to.address, url.port)}..."] if "-v" in flags else []
    if connection and "-v" in flags:
        lines.append(f"* Connected to {url.host} ({to.address}) port {url.port}")
    if connection:
        shown, code = _curl_answered(terminal, to, connection, url, flags)
    else:
        shown, code = _curl_failed(connection, url, flags)
    quiet = code and "-s" in flags and "-S" not in flags
    return told(to, lines if quiet else [*lines, *shown], code)


def _curl_answered(
    terminal: Terminal, to: Named, connection: Connection, url: Url, flags: dict[str, str]
) -> tuple[list[str], int]:
    """What comes once the connection stands, and curl's exit code."""
    if (health := health_of(terminal, connection, url.path)) and url.scheme == "http":
        return curl_page(terminal, health, flags), 0
    names = certificate(connection.request.end, to.canonical)
    known = not names or covers(names, url.host)
    if url.scheme == "https" and not known and "-k" not in flags:
        return [STRANGER.format(url.host)], 60
    if not known:
        return [f"404: no site is called {url.host} here"], 0
    page = greeting(terminal, connection, url.path)
    return [*([PLAIN] if url.scheme == "https" and not names else []), page], 0


def _curl_failed(connection: Connection, url: Url, flags: dict[str, str]) -> tuple[list[str], int]:
    """curl's message and exit code."""
    failed = f"Failed to connect to {url.host} port {url.port} after"
    if connection.outcome != "timed out":
        return [f"curl: (7) {failed} 0 ms: Could not connect to server"], 7
    limit = flags.get("-m") or flags.get("--max-time")
    if limit:
        return [f"curl: (28) Connection timed out after {_milliseconds(limit)} milliseconds"], 28
    limit = flags.get("--connect-timeout")
    spent = _milliseconds(limit) if limit else SYN_TIMEOUT
    why = "Timeout was reached" if limit else "Could not connect to server"
    return [f"curl: (28) {failed} {spent} ms: {why}"], 28


def _milliseconds(seconds: str) -> int:
    try:
        return int(float(seconds) * 1000)
    except (ValueError, OverflowError):
        raise CommandError(f"curl: {seconds} is no number of seconds") from None


def greeting(terminal: Terminal, connection: Connection, path: str | None = None) -> str:
    """`hello from backend (default/backend-5d4...), you are 10.244.1.2`.

    In a pod of several containers the one that listens says its name:
    `hello from metrics in till (default/till), you are 127.0.0.1`.
    """
    end, saw = connection.request.end, connection.request.packet
    if path == "/metrics" and (page := metrics_page(terminal.lab, end, saw.dport)):
        return page
    kind, _, rest = end.partition("/")
    name, full = rest or end, ""
    if kind == "pod":
        namespace, _, pod_name = rest.partition("/")
        pod = terminal.lab.state.get(Pod, pod_name, namespace)
        name = workload_of(terminal.lab.state, pod) if pod else pod_name
        if pod and len(lasting(pod)) > 1:
            name = f"{_listener(terminal, end, saw)} in {name}"
        full = f" ({rest})"
    else:
        owner = _listener(terminal, end, saw)
        full = f" ({owner})" if owner else ""
    return f"hello from {name}{full}, you are {saw.src}"


def _listener(terminal: Terminal, netns: str, packet: Packet) -> str:
    """Who owns the socket that took the packet; empty if nobody is named."""
    socket = listening(host(terminal.network.namespaces[netns]), packet)
    return socket.owner if socket else ""


# --- wget ------------------------------------------------------------------------------


def wget(terminal: Terminal, words: list[str]) -> Output:
    """`wget [-q] [-O-] [-T SECONDS] URL`, as BusyBox prints it."""
    try:
        flags, rest = options(words, "qS", ("-O", "-T"))
    except Unknown as unknown:
        raise CommandError(f"wget {unknown}: the lab models wget -qO- [-T S] URL") from None
    if len(rest) != 1:
        raise CommandError(f"wget {' '.join(words)}: write wget -qO- http://NAME:PORT")
    url = parse_url(rest[0])
    to = look_up(terminal, url.host)
    if to is None:
        return Output(f"wget: bad address '{url.host}'", 1)
    connection = connect(terminal, to, url.port, "TCP")
    where = f"Connecting to {url.host} ({endpoint(to.address, url.port)})"
    lines = [] if "-q" in flags else [where]
    if connection and (health := health_of(terminal, connection, url.path)):
        refusal = wget_refusal(health)
        return told(to, [*lines, refusal or health.body], 1 if refusal else 0)
    if connection:
        return told(to, [*lines, greeting(terminal, connection, url.path)])
    if connection.outcome == "timed out" and "-T" in flags:
        return told(to, [*lines, "wget: download timed out"], 1)
    why = {"refused": "Connection refused", "timed out": "Connection timed out"}
    text = why.get(connection.outcome) or unreachable(connection)
    return told(to, [*lines, f"wget: can't connect to remote host ({to.address}): {text}"], 1)


WEB: dict[str, Program] = {"curl": curl, "wget": wget}
