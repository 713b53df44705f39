"""Messages as bytes: what dnslib reads is what was meant, and rubbish is no question."""

from __future__ import annotations

import struct

import pytest
from dnslib import EDNS0, QTYPE, DNSRecord

from labkit.dns.message import Answer, Record
from labkit.serve.wire import encoded, read, write

SOA = "ns.dns.cluster.local. hostmaster.cluster.local. 7 7200 1800 86400 5"
RECORDS = (
    Record("web.example.", "A", 5, "192.0.2.1"),
    Record("web.example.", "AAAA", 5, "2001:db8::1"),
    Record("web.example.", "CNAME", 5, "other.example."),
    Record("1.2.0.192.in-addr.arpa.", "PTR", 5, "web.example."),
    Record("_http._tcp.web.example.", "SRV", 5, "0 100 80 web.example."),
    Record("cluster.local.", "SOA", 5, SOA),
    Record("dns-version.cluster.local.", "TXT", 5, '"1.1.0"'),
)


@pytest.mark.parametrize("record", RECORDS, ids=[r.type for r in RECORDS])
def test_a_record_is_read_back_as_it_was_written(record):
    data = DNSRecord.question("web.example.", record.type).pack()
    found = DNSRecord.parse(write(read(data), Answer(answer=(record,), aa=True)))
    (row,) = found.rr
    assert (str(row.rname), QTYPE[row.rtype], row.ttl) == (record.name, record.type, record.ttl)
    assert str(row.rdata).split() == record.data.split()
    assert (found.header.aa, found.header.rd, found.header.qr) == (1, 1, 1)


def test_edns_is_heard_and_answered():
    asked = DNSRecord.question("web.example.")
    assert read(asked.pack()).fits == 0
    asked.add_ar(EDNS0(udp_len=4096))
    assert read(asked.pack()).fits == 4096
    assert DNSRecord.parse(write(read(asked.pack()), Answer())).ar[0].rtype == QTYPE.OPT


def test_names_are_written_out_until_the_room_is_short():
    rows = tuple(Record("a.long.name.example.", "A", 5, f"192.0.2.{i}") for i in range(20))
    asked = read(DNSRecord.question("a.long.name.example.").pack())
    whole = write(asked, Answer(answer=rows), 65535)
    short = write(asked, Answer(answer=rows))
    assert whole.count(encoded("a.long.name.example.")) == 21
    assert short.count(encoded("a.long.name.example.")) == 1
    assert DNSRecord.parse(whole).rr == DNSRecord.parse(short).rr


RUBBISH = {
    "too short": b"hello",
    "an answer": DNSRecord.question("a.example.").reply().pack(),
    "no question": bytes(12),
    "a name that never ends": DNSRecord.question("a.example.").pack()[:20],
    "a pointer": bytes((0, 1, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0xC0, 12, 0, 1, 0, 1)),
}


@pytest.mark.parametrize("data", RUBBISH.values(), ids=RUBBISH)
def test_rubbish_is_no_question(data):
    with pytest.raises((ValueError, IndexError, struct.error)):
        read(data)
