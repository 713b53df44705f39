"""Real resolvers in real namespaces ask the lab's CoreDNS: the questions are those of the model.

The packets go through the real rules of kube-proxy to a pod on another node.
"""

from __future__ import annotations

import subprocess
import sys

import pytest

from labkit import scenario
from labkit.commands.node import on
from labkit.kernel.script import real_name
from labkit.serve.dns import NameServer, served
from tests.kernel.real import PREFIX, Real

CLIENT = "pod/pay/payments"
OUTSIDE = ("example.com",)
NAMES = (
    "payments",
    "backend.default",
    "backend.default.svc.cluster.local",
    "backend.default.svc.cluster.local.",
    "api.stripe.com",
    "api.stripe.com.",
    "a.b.c.d.e.example",
    "nope",
)


class Names:
    """The shop alive, with a server in each CoreDNS pod that writes down what it was asked."""

    def __init__(self, file):
        self.lab = scenario("shop")
        self.real = Real(self.lab.network, listen=False)
        self.file = file
        self.asked: list[tuple[str, str, str]] = []
        self.servers: list[NameServer] = []

    def __enter__(self):
        self.real.__enter__()
        answers = served(self.lab)

        def noted(query):
            self.asked.append((query.name, query.type, query.client))
            return answers(query)

        for name in self.lab.network.namespaces:
            if "/coredns-" in name:
                with self.real.entered(name):
                    self.servers.append(NameServer(noted, 53, "0.0.0.0", keep=0))
                self.servers[-1].start()
        self.netns = self.lab.resolve(CLIENT, "localhost") and self.place(CLIENT)
        self.file.write_text(on(self.lab, CLIENT, "cat /etc/resolv.conf") + "\n")
        return self

    def place(self, text):
        pod = self.lab.get(text)
        return f"pod/{pod.namespace}/{pod.name}"

    def __exit__(self, *why):
        for server in self.servers:
            server.close()
        self.real.__exit__(*why)

    def run(self, *words):
        """What a program prints in the client's pod, with the pod's own resolv.conf."""
        self.asked.clear()
        mounted = f'mount --bind {self.file} /etc/resolv.conf && exec "$@"'
        inside = ("ip", "netns", "exec", real_name(self.netns, PREFIX))
        command = (*inside, "unshare", "-m", "sh", "-c", mounted, "sh", *words)
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
        return done.stdout


@pytest.fixture(scope="module")
def names(tmp_path_factory):
    with Names(tmp_path_factory.mktemp("names") / "resolv.conf") as made:
        yield made


def of_the_model(lab, name, types):
    found = lab.resolve(CLIENT, name, types)
    asked = [(s.query.name, s.query.type) for s in found.lookup.sent]
    return [str(a) for a in found.addresses], asked


@pytest.mark.parametrize("name", NAMES)
def test_glibc_asks_what_the_model_asks_and_finds_what_it_finds(names, name):
    printed = names.run("getent", "ahostsv4", name)
    found = [line.split()[0] for line in printed.splitlines() if "STREAM" in line]
    addresses, asked = of_the_model(names.lab, name, "A")
    assert (found, [row[:2] for row in names.asked]) == (addresses, asked)


@pytest.mark.parametrize("name", NAMES)
def test_a_and_aaaa_travel_in_pairs(names, name):
    # getent's own hints leave AAAA out where a machine has no IPv6 address.
    names.run(sys.executable, "-c", f"import socket; socket.getaddrinfo({name!r}, 80)")
    _, asked = of_the_model(names.lab, name, "A+AAAA")
    pairs = [tuple(names.asked[i : i + 2]) for i in range(0, len(names.asked), 2)]
    real = [sorted(row[:2] for row in pair) for pair in pairs]
    assert real == [asked[i : i + 2] for i in range(0, len(asked), 2)]


def test_the_server_sees_the_pods_own_address(names):
    names.run("getent", "ahostsv4", "payments")
    reply = names.lab.resolve(CLIENT, "payments", "A").questions[0].reply
    assert {row[2] for row in names.asked} == {reply.stations[0].query.client}


@pytest.mark.needs("dig")
@pytest.mark.parametrize(
    "line",
    [
        "dig +nocookie +noall +answer backend.default.svc.cluster.local",
        "dig +short +search payments",
        "dig +short payments",
        "dig +short -x 10.96.0.10",
        "dig +short SRV _dns._udp.kube-dns.kube-system.svc.cluster.local",
        "dig +short +tcp dns-version.cluster.local TXT",
        "host backend.default",
        "host nope",
        "nslookup payments",
        "nslookup backend.default",
        "nslookup nope",
        "nslookup 10.96.0.10",
        "getent hosts payments",
    ],
)
def test_a_program_prints_what_the_lab_prints(names, line):
    output = on(names.lab, CLIENT, line)
    assert names.run(*line.split()) == (f"{output}\n" if output else "")


@pytest.mark.needs("dig")
@pytest.mark.parametrize("name", ["backend.default", "nope.pay", "example.com"])
def test_digs_whole_message_is_that_of_the_lab(names, name):
    line = f"dig +nocookie {name if name in OUTSIDE else f'{name}.svc.cluster.local'}"
    real, model = names.run(*line.split()).splitlines(), on(names.lab, CLIENT, line).splitlines()
    assert unchanging(real) == unchanging([*model, ""])


def unchanging(lines):
    """Without times and numbers."""
    changing = ("; <<>>", ";; ->>HEADER", ";; WHEN", ";; Query time")
    return [line for line in lines if not line.startswith(changing)]
