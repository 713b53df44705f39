"""DNS messages as bytes: one question read, an answer written.

Names are written out in full, as CoreDNS does; where the message does not fit, owners that
repeat the question's name become pointers to it.

Source: RFC 1035 (4.1), RFC 6891 (EDNS0); CoreDNS `request.Request.Scrub`.
"""

from __future__ import annotations

import socket
import struct
from collections.abc import Callable
from functools import lru_cache
from typing import NamedTuple

from labkit.dns.message import Answer, Record

TYPES = {
    "A": 1, "NS": 2, "CNAME": 5, "SOA": 6, "PTR": 12, "MX": 15, "TXT": 16, "AAAA": 28, "SRV": 33,
    "NAPTR": 35, "DS": 43, "RRSIG": 46, "NSEC": 47, "DNSKEY": 48, "SVCB": 64, "HTTPS": 65,
    "IXFR": 251, "AXFR": 252, "ANY": 255, "CAA": 257,
}  # fmt: skip
NAMES = {number: name for name, number in TYPES.items()}
RCODES = {"NOERROR": 0, "FORMERR": 1, "SERVFAIL": 2, "NXDOMAIN": 3, "NOTIMP": 4, "REFUSED": 5}
QR, AA, TC, RD, RA, CD = 0x8000, 0x0400, 0x0200, 0x0100, 0x0080, 0x0010
OPCODE = 0x7800
OPT, IN = 41, 1
HEADER = struct.Struct("!6H")
ROW = struct.Struct("!HHIH")  # type, class, TTL, length of the data
TAIL = struct.Struct("!HH")
SERVER, SERIALS = struct.Struct("!3H"), struct.Struct("!5I")
QUESTION_NAME = b"\xc0\x0c"  # a pointer to the twelfth byte
SMALLEST = 512  # of a datagram, without EDNS0
OWN_SIZE = 1232


class Asked(NamedTuple):
    """A question as it came; `question` are its bytes, `fits` is 0 without EDNS0."""

    id: int
    flags: int
    name: str
    type: str
    question: bytes
    fits: int


def read(data: bytes) -> Asked:
    """The message's only question.

    Raises:
        ValueError, struct.error, IndexError: the bytes are no question.
    """
    id_, flags, questions, answers, authority, extra = HEADER.unpack_from(data)
    if flags & QR or questions != 1:
        raise ValueError("no question")
    name, end = _name_at(data, HEADER.size)
    number, _ = TAIL.unpack_from(data, end)
    end += TAIL.size
    fits = _size(data, end, extra) if extra and not answers and not authority else 0
    type_ = NAMES.get(number) or str(number)
    return Asked(id_, flags, name, type_, data[HEADER.size : end], fits)


def _name_at(data: bytes, at: int) -> tuple[str, int]:
    """A name in full, and where it ends; a pointer cannot stand in a question."""
    labels = []
    while size := data[at]:
        if size > 63 or at + size >= len(data):
            raise ValueError("no name")
        labels.append(data[at + 1 : at + 1 + size].decode("latin-1").replace(".", "\\."))
        at += 1 + size
    return f"{'.'.join(labels)}.", at + 1


def _size(data: bytes, at: int, count: int) -> int:
    """The size that EDNS0 announces; 0 if no record of the additional section is an OPT."""
    for _ in range(count):
        _, at = _name_at(data, at)
        row: tuple[int, int, int, int] = ROW.unpack_from(data, at)
        number, size, _, length = row
        if number == OPT:
            return max(SMALLEST, size)
        at += ROW.size + length
    return 0


def write(asked: Asked, answer: Answer, largest: int = 0) -> bytes:
    """The reply; with TC and without records where it does not fit.

    Args:
        largest: bytes that fit; 0: as the question says.
    """
    most = largest or asked.fits or SMALLEST
    data = _written(asked, answer, encoded)
    if len(data) > most:
        own = asked.name
        data = _written(asked, answer, lambda n: QUESTION_NAME if n == own else encoded(n))
    if len(data) > most:
        return _written(asked, Answer(rcode=answer.rcode, aa=answer.aa, ra=answer.ra), encoded, TC)
    return data


def _written(asked: Asked, answer: Answer, owner: Callable[[str], bytes], cut: int = 0) -> bytes:
    flags = QR | cut | asked.flags & (OPCODE | RD | CD) | RCODES.get(answer.rcode, 2)
    flags |= (AA if answer.aa else 0) | (RA if answer.ra else 0)
    sections = (answer.answer, answer.authority, answer.additional)
    edns = 1 if asked.fits else 0
    counts = (len(sections[0]), len(sections[1]), len(sections[2]) + edns)
    parts = [HEADER.pack(asked.id, flags, 1, *counts), asked.question]
    for record in (r for section in sections for r in section):
        data = _data(record)
        parts += (owner(record.name), ROW.pack(TYPES[record.type], IN, record.ttl, len(data)), data)
    if edns:
        parts.append(b"\0" + ROW.pack(OPT, OWN_SIZE, 0, 0))
    return b"".join(parts)


@lru_cache(maxsize=1 << 14)
def encoded(name: str) -> bytes:
    """A name in full; ValueError where a label is too long."""
    labels = [label.encode("latin-1") for label in name.rstrip(".").split(".") if label]
    if any(len(label) > 63 for label in labels):
        raise ValueError(f"{name}: a label has 63 letters at most")
    return b"".join(bytes((len(label),)) + label for label in labels) + b"\0"


def _data(record: Record) -> bytes:
    """What stands behind the record's head; types that the lab has no form for are text."""
    match record.type:
        case "A":
            return socket.inet_aton(record.data)
        case "AAAA":
            return socket.inet_pton(socket.AF_INET6, record.data)
        case "CNAME" | "PTR" | "NS":
            return encoded(record.data)
        case "SRV":
            *numbers, target = record.data.split()
            return SERVER.pack(*map(int, numbers)) + encoded(target)
        case "SOA":
            first, second, *numbers = record.data.split()
            return encoded(first) + encoded(second) + SERIALS.pack(*map(int, numbers))
        case _:
            text = record.data.strip('"').encode()[:255]
            return bytes((len(text),)) + text
