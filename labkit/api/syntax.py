"""The words that Kubernetes accepts: names, labels, ports, addresses, quantities.

Each function takes a value of the right type and returns what is wrong with it, in one line
with a cure, or "" if nothing is.

Source: Kubernetes `k8s.io/apimachinery/pkg/util/validation/validation.go`.
"""

from __future__ import annotations

import re
from base64 import b64decode
from binascii import Error as NotBase64
from collections.abc import Callable, Iterable
from difflib import get_close_matches
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network

Check = Callable[[str], str]

_LABEL = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?")
_SUBDOMAIN = re.compile(rf"{_LABEL.pattern}(\.{_LABEL.pattern})*")
_QUALIFIED = re.compile(r"[A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?")
_PORT_NAME = re.compile(r"(?!.*--)(?=.*[a-z])[a-z0-9]([-a-z0-9]*[a-z0-9])?")
_CONFIG_KEY = re.compile(r"[-._a-zA-Z0-9]+")
_QUANTITY = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([KMGTPE]i|[numkMGTPE]|[eE][+-]?\d+)?")
_TIME = re.compile(
    r"\d{4}-(0[1-9]|1[0-2])-(0[1-9]|[12]\d|3[01])T"
    r"([01]\d|2[0-3]):[0-5]\d:([0-5]\d|60)(\.\d+)?(Z|[+-]\d\d:\d\d)"
)
_PERCENT = re.compile(r"\d+%")


def one_line(text: str) -> str:
    """The text with escapes for what a terminal would not print as it stands."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else repr(c)[1:-1] for c in text)


def quoted(value: object) -> str:
    """A value inside a message: on one line, not too long, between back-ticks."""
    text = value if isinstance(value, str) else str(value)
    return f"`{one_line(text[:60])}{'…' if len(text) > 60 else ''}`"


def nearest(word: str, known: Iterable[str], cutoff: float = 0.6) -> str:
    """The known word that was probably meant, or ""; capitals do not count."""
    lower = {k.lower(): k for k in known}
    found = get_close_matches(word[:80].lower(), lower, n=1, cutoff=cutoff)
    return lower[found[0]] if found else ""


def one_of(*words: str) -> Check:
    """A check that the value is one of these words, spelled like this."""

    def check(value: str) -> str:
        if value in words:
            return ""
        near = nearest(value, words)
        hint = f"; did you mean `{near}`?" if near else ""
        return f"{quoted(value)} is not one of {', '.join(words)}{hint}"

    return check


def _try(value: str, pattern: re.Pattern[str], limit: int) -> str:
    """A name near to the given one that would do, as the end of a message."""
    near = re.sub(r"-+", "-", re.sub(r"[^a-z0-9.-]", "-", value.lower()))[:limit].strip("-.")
    return f"; try `{near}`" if near and pattern.fullmatch(near) else ""


def dns_label(value: str) -> str:
    if len(value) > 63:
        return f"{quoted(value)} has {len(value)} characters; a DNS label has at most 63"
    if _LABEL.fullmatch(value):
        return ""
    rule = "a DNS label has small letters, digits and `-`, and begins and ends with no `-`"
    return f"{quoted(value)} is no valid name: {rule}{_try(value, _LABEL, 63)}"


def dns_subdomain(value: str) -> str:
    if len(value) > 253:
        return f"{quoted(value)} has {len(value)} characters; a name has at most 253"
    if _SUBDOMAIN.fullmatch(value):
        return ""
    rule = "a name has small letters, digits, `-` and `.`, and begins and ends with a letter"
    return f"{quoted(value)} is no valid name: {rule} or digit{_try(value, _SUBDOMAIN, 253)}"


def dns_host(value: str) -> str:
    """A host of an Ingress: a DNS name, or one whose first label is `*`."""
    if _address(value):
        return f"{quoted(value)} is an address; a host is a DNS name: remove it to match every host"
    return dns_subdomain(value.removeprefix("*."))


def generate_name(value: str) -> str:
    return dns_subdomain(value.rstrip("-"))


def label_key(value: str) -> str:
    prefix, slash, name = value.rpartition("/")
    if "/" in prefix:
        return f"{quoted(value)} is no valid key: at most one `/`, between a DNS prefix and a name"
    if slash and dns_subdomain(prefix):
        return f"{quoted(value)} is no valid key: before the `/` stands a DNS name in small letters"
    if len(name) > 63:
        return f"{quoted(value)} is no valid key: the name has {len(name)} characters, at most 63"
    if not _QUALIFIED.fullmatch(name):
        rule = "letters, digits, `-`, `_` and `.`, with a letter or digit at both ends"
        return f"{quoted(value)} is no valid key: a key has {rule}"
    return ""


def annotation_key(value: str) -> str:
    return label_key(value.lower())


def label_value(value: str) -> str:
    if len(value) > 63:
        return f"{quoted(value)} has {len(value)} characters; a label's value has at most 63"
    if not value or _QUALIFIED.fullmatch(value):
        return ""
    rule = "letters, digits, `-`, `_` and `.`, with a letter or digit at both ends"
    return f"{quoted(value)} is no valid label value: it has {rule}"


def config_key(value: str) -> str:
    if _CONFIG_KEY.fullmatch(value) and len(value) <= 253 and value not in (".", ".."):
        return ""
    return f"{quoted(value)} is no valid key: a key has letters, digits, `-`, `_` and `.`"


def env_name(value: str) -> str:
    """Since 1.32 every printable ASCII character but `=` may stand in it."""
    if value and value.isascii() and value.isprintable() and "=" not in value:
        return ""
    return f"{quoted(value)} is no valid name of a variable: printable ASCII without `=`"


def port_name(value: str) -> str:
    if value.isdigit():
        return f'"{value[:20]}" is text; a port\'s number is written without quotes'
    if len(value) <= 15 and _PORT_NAME.fullmatch(value):
        return ""
    rule = "at most 15 small letters, digits and single `-`, at least one a letter"
    return f"{quoted(value)} is no valid port name: {rule}, and no `-` at either end"


def port(value: int) -> str:
    return "" if 1 <= value <= 65535 else f"{value} is no port; ports are 1-65535"


def node_port(value: int) -> str:
    """The default `--service-node-port-range`; 0 asks for any."""
    if value == 0 or 30000 <= value <= 32767:
        return ""
    return f"{value} is not in the range of node ports; choose from 30000-32767, or leave it out"


def port_or_name(value: int | str) -> str:
    return port_name(value) if isinstance(value, str) else port(value)


def between(low: int, high: int | None = None) -> Callable[[int], str]:
    """A check that a number lies in a range, both ends included."""

    def check(value: int) -> str:
        if high is None:
            return "" if value >= low else f"{value} is too small; it must be {low} or more"
        return "" if low <= value <= high else f"{value} is not in {low}-{high}"

    return check


def count_or_percent(value: int | str) -> str:
    if isinstance(value, str):
        if _PERCENT.fullmatch(value):
            return ""
        return f"{quoted(value)} is neither a number nor a share such as `25%`"
    return between(0)(value)


def _address(value: str) -> str:
    """The address in its canonical form, or ""."""
    try:
        return str(ip_address(value)) if "%" not in value else ""
    except ValueError:
        return ""


def address(value: str) -> str:
    if _address(value):
        return ""
    hint = "; write the address alone, without `/`" if "/" in value else ""
    return f"{quoted(value)} is no IP address such as 10.0.0.1 or fd00::1{hint}"


def optional_address(value: str) -> str:
    return address(value) if value else ""


def cluster_ip(value: str) -> str:
    if value in ("", "None") or _address(value):
        return ""
    hint = "; did you mean `None`?" if value.lower() == "none" else ""
    return f"{quoted(value)} is neither an IP address nor `None`{hint}"


def network(value: str) -> IPv4Network | IPv6Network | None:
    """The network that a CIDR names, host bits cut off; None if it is no CIDR."""
    base, slash, bits = value.partition("/")
    if not slash or not bits.isdecimal() or not bits.isascii() or "%" in base:
        return None
    try:
        return ip_network(value, strict=False)
    except ValueError:
        return None


def cidr(value: str) -> str:
    if network(value):
        return ""
    hint = ""
    if found := _address(value):
        hint = f"; for this address alone write `{found}/{128 if ':' in found else 32}`"
    return f"{quoted(value)} is no CIDR such as 10.244.0.0/16 or fd00::/64{hint}"


def quantity(value: object) -> str:
    if isinstance(value, str) and not _QUANTITY.fullmatch(value):
        return f"{quoted(value)} is no quantity such as 250m, 1.5 or 64Mi"
    return ""


_SUFFIX = {"m": 1e-3, "u": 1e-6, "n": 1e-9, "k": 1e3}
_SUFFIX |= {c: 10.0 ** (3 * i) for i, c in enumerate("MGTPE", 2)}
_SUFFIX |= {f"{c}i": 1024.0**i for i, c in enumerate("KMGTPE", 1)}


def amount(value: int | float | str) -> float:
    """What a valid quantity comes to."""
    if not isinstance(value, str):
        return float(value)
    number = value.rstrip("KMGTPEinumk")
    return float(number) * _SUFFIX.get(value[len(number) :], 1.0)


def time(value: str) -> str:
    if _TIME.fullmatch(value):
        return ""
    return f"{quoted(value)} is no time such as 2026-11-22T10:00:00Z"


def base64(value: str) -> str:
    try:
        b64decode(value.replace("\n", ""), validate=True)
    except (NotBase64, ValueError):
        return f"{quoted(value)} is not base64; plain text goes under `stringData`"
    return ""


def url_path(value: str) -> str:
    """The path of an Ingress rule, as the API server looks at it."""
    if not value.startswith("/"):
        return f"{quoted(value)} is no absolute path; begin it with `/`"
    for part in ("//", "/./", "/../", "%2f", "%2F"):
        if part in value:
            return f"{quoted(value)} has `{part}` in it, which a path may not have"
    for end in ("/..", "/."):
        if value.endswith(end):
            return f"{quoted(value)} ends in `{end}`, which a path may not"
    return ""
