"""Programs that fetch a page: curl and BusyBox's wget.

*The lab simplifies*: whoever accepts a connection answers with one line, which says who it is
and which source address it saw; no HTTP is spoken, and no TLS. Sites outside know their names.
"""

from __future__ import annotations

import re

from labkit.api.core import Pod
from labkit.api.listens import lasting
from labkit.api.names import workload_of
from labkit.commands.health_page import curl_page, health_of, wget_refusal
from labkit.commands.metrics_page import metrics_page
from labkit.commands.output import Output
from labkit.commands.terminal import (
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
URL = re.compile(r"(?:(https?)://)?(\[[^]]*\]|[^/:?#]+)(?::([0-9]{1,9}))?([/?#].*)?")


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
    found = URL.fullmatch(rest[0])
    if not found or not 0 < int(found[3] or 80) < 65536:
        return Output("curl: (3) URL rejected: Malformed input to a URL function", 3)
    scheme, name = found[1] or "http", found[2].strip("[]")
    port = int(found[3] or (443 if scheme == "https" else 80))
    to = look_up(terminal, name)
    if to is None:
        return Output(f"curl: (6) Could not resolve host: {name}", 6)
    connection = connect(terminal, to, port, "TCP")
    lines = [f"*   Trying {endpoint(to.address, port)}..."] if "-v" in flags else []
    quiet = "-s" in flags and "-S" not in flags
    if not connection:
        text, code = _curl_failed(connection, name, port, flags)
        return told(to, lines if quiet else [*lines, text], code)
    if "-v" in flags:
        lines.append(f"* Connected to {name} ({to.address}) port {port}")
    if (health := health_of(terminal, connection, found[4])) and scheme == "http":
        return told(to, [*lines, *curl_page(terminal, health, flags)])
    names = certificate(connection.request.end, to.canonical)
    known = not names or covers(names, name)
    if scheme == "https" and not known and "-k" not in flags:
        return told(to, lines if quiet else [*lines, STRANGER.format(name)], 60)
    if scheme == "https" and not names:
        lines.append("# the lab speaks no TLS: who took the connection says so without it")
    if not known:
        return told(to, [*lines, f"404: no site is called {name} here"])
    return told(to, [*lines, greeting(terminal, connection, found[4])])


def _curl_failed(
    connection: Connection, name: str, port: int, flags: dict[str, str]
) -> tuple[str, int]:
    """curl's message and exit code."""
    if connection.outcome != "timed out":
        return (
            f"curl: (7) Failed to connect to {name} port {port} after 0 ms: "
            "Could not connect to server",
            7,
        )
    limit = flags.get("-m") or flags.get("--max-time")
    if limit:
        return f"curl: (28) Connection timed out after {_milliseconds(limit)} milliseconds", 28
    limit = flags.get("--connect-timeout")
    spent = _milliseconds(limit) if limit else SYN_TIMEOUT
    why = "Timeout was reached" if limit else "Could not connect to server"
    return f"curl: (28) Failed to connect to {name} port {port} after {spent} ms: {why}", 28


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
    found = URL.fullmatch(rest[0]) if len(rest) == 1 else None
    if not found or not 0 < int(found[3] or 80) < 65536:
        raise CommandError(f"wget {' '.join(words)}: write wget -qO- http://NAME:PORT")
    name, port = found[2].strip("[]"), int(found[3] or (443 if found[1] == "https" else 80))
    to = look_up(terminal, name)
    if to is None:
        return Output(f"wget: bad address '{name}'", 1)
    connection = connect(terminal, to, port, "TCP")
    lines = [] if "-q" in flags else [f"Connecting to {name} ({endpoint(to.address, port)})"]
    if connection and (health := health_of(terminal, connection, found[4])):
        refusal = wget_refusal(health)
        return told(to, [*lines, refusal or health.body], 1 if refusal else 0)
    if connection:
        return told(to, [*lines, greeting(terminal, connection, found[4])])
    if connection.outcome == "timed out" and "-T" in flags:
        return told(to, [*lines, "wget: download timed out"], 1)
    why = {"refused": "Connection refused", "timed out": "Connection timed out"}
    text = why.get(connection.outcome) or unreachable(connection)
    return told(to, [*lines, f"wget: can't connect to remote host ({to.address}): {text}"], 1)


WEB: dict[str, Program] = {"curl": curl, "wget": wget}
