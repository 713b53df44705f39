"""The server on loopback: bytes in, bytes out, by UDP and by TCP."""

from __future__ import annotations

import socket

import pytest
from dnslib import QTYPE, RCODE, DNSRecord

from labkit import scenario
from labkit.dns.message import Answer, Record
from labkit.errors import NotFound
from labkit.serve.dns import NameServer, served, wire
from labkit.serve.main import main

BACKEND = "backend.default.svc.cluster.local"


@pytest.fixture(scope="module")
def lab():
    return scenario("shop")


@pytest.fixture
def server(lab):
    made = NameServer(served(lab))
    made.start()
    yield made
    made.close()


def question(name, type_="A"):
    return DNSRecord.question(name, type_)


def test_udp_and_tcp_give_the_same_answer(lab, server):
    asked = question(BACKEND)
    by_udp = DNSRecord.parse(asked.send("127.0.0.1", server.port, timeout=5))
    by_tcp = DNSRecord.parse(asked.send("127.0.0.1", server.port, tcp=True, timeout=5))
    assert [str(r.rdata) for r in by_udp.rr] == [lab.get("svc/backend").spec.cluster_ip]
    assert by_udp.rr == by_tcp.rr
    assert (by_udp.header.aa, by_udp.header.ra, by_udp.header.id) == (1, 0, asked.header.id)


@pytest.mark.parametrize("type_", ["SOA", "NS", "TXT", "PTR", "AAAA", "CNAME", "MX"])
def test_every_type_can_be_asked(server, type_):
    reply = DNSRecord.parse(question(BACKEND, type_).send("127.0.0.1", server.port, timeout=5))
    assert RCODE[reply.header.rcode] == "NOERROR"
    assert [QTYPE[r.rtype] for r in reply.auth] == ["SOA"]


def test_bytes_that_are_no_question_get_no_answer(server):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        client.settimeout(5)
        client.sendto(b"hello", ("127.0.0.1", server.port))
        client.sendto(question(BACKEND).pack(), ("127.0.0.1", server.port))
        assert DNSRecord.parse(client.recv(512)).rr  # the first answer is the second question's


def test_an_answer_too_long_for_a_datagram_is_cut_and_says_so():
    records = tuple(Record("a.example.", "A", 5, f"192.0.2.{i}") for i in range(100))
    data = question("a.example.").pack()
    short = DNSRecord.parse(wire(lambda query: Answer(answer=records), data, ""))
    whole = DNSRecord.parse(wire(lambda query: Answer(answer=records), data, "", largest=65535))
    assert (short.header.tc, len(short.rr)) == (1, 0)
    assert (whole.header.tc, len(whole.rr)) == (0, 100)


def test_a_taken_port_and_wrong_data_are_told_in_one_line(server, tmp_path, capsys):
    file = tmp_path / "shop.yaml"
    file.write_text("kind: Pod\napiVersion: v1\n")
    assert main(["dns", str(tmp_path / "gone.yaml")]) == 1
    file.write_text("apiVersion: v1\nkind: Namespace\nmetadata: {name: a}\n")
    assert main(["dns", str(file), "--port", str(server.port)]) == 1
    told = capsys.readouterr().out.splitlines()
    assert len(told) == 2
    assert told[1] == f"port {server.port}: Address already in use; choose another with --port"


def test_a_cluster_without_coredns_cannot_be_served():
    lab = scenario("shop")
    lab.delete("deployment/kube-system/coredns")
    with pytest.raises(NotFound, match="no CoreDNS pod"):
        served(lab)
