"""The lab's CoreDNS behind real sockets: dig, nslookup and getent ask the lab's cluster.

`--port` above 1023 needs no rights. Nothing travels through the model's network here: the
socket stands for the server's own. *The lab simplifies*: without a clock, nothing is cached.
"""

from __future__ import annotations

import socket
import struct
import threading
from collections.abc import Callable
from contextlib import suppress

from labkit.api.core import Pod
from labkit.cluster import Cluster
from labkit.dns.message import Answer, Query
from labkit.dns.process import configuration, is_coredns, outside, world_of
from labkit.dns.server import ask, load
from labkit.errors import NotFound
from labkit.serve.wire import read, write

Answers = Callable[[Query], Answer]
LARGEST = 65535
MOST_KEPT = 10_000  # answers that are kept packed


def served(lab: Cluster) -> Answers:
    """What the cluster's first CoreDNS pod answers; its caches remember nothing.

    Raises:
        NotFound: the cluster has no such pod.
        CorefileError: its Corefile is wrong.
    """
    pods = [p for p in lab.state.list(Pod) if is_coredns(p)]
    if not pods:
        raise NotFound("the cluster has no CoreDNS pod; scale the Deployment coredns up")
    pod = pods[0]
    given = configuration(lab.state, pod)
    server = load(given.corefile, given.files)
    world = world_of(lab.state, pod, lambda address, query: outside(query))

    def answers(query: Query) -> Answer:
        return ask(server, world, query).answer

    return answers


def wire(answers: Answers, data: bytes, client: str, *, largest: int = 0) -> bytes:
    """A message answered: bytes in, bytes out; cut short with TC where it does not fit.

    Args:
        largest: bytes that fit; 0: as the message's EDNS0 says, else 512.
    """
    asked = read(data)
    answer = answers(Query(asked.name, asked.type, client, asked.id))
    return write(asked, answer, largest)


class NameServer:
    """UDP and TCP on loopback; `port` 0 takes a free one. `keep`: how many packed answers.

    Raises:
        OSError: the port is taken.
    """

    def __init__(
        self, answers: Answers, port: int = 0, host: str = "127.0.0.1", keep: int = MOST_KEPT
    ) -> None:
        self._answers = answers
        self._keep = keep
        self._lock = threading.Lock()
        self._kept: dict[tuple[bytes, str, int], bytes] = {}
        self._udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._tcp = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        self._tcp.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            self._udp.bind((host, port))
            self._tcp.bind((host, self.port))
        except OSError:
            self.close()
            raise
        self._tcp.listen()

    @property
    def port(self) -> int:
        number: int = self._udp.getsockname()[1]
        return number

    def start(self) -> None:
        """Serves in the background until `close`."""
        threading.Thread(target=self.run, daemon=True).start()

    def run(self) -> None:
        """Serves until `close`, or an interrupt."""
        threading.Thread(target=self._serve_tcp, daemon=True).start()
        while True:
            try:
                data, client = self._udp.recvfrom(LARGEST)
            except OSError:
                return
            if client is None:  # woken by `close`
                return
            answer = self._answered(data, client[0])
            if answer:
                self._udp.sendto(answer, client)

    def close(self) -> None:
        for one in (self._udp, self._tcp):
            with suppress(OSError):  # nobody was connected
                one.shutdown(socket.SHUT_RDWR)
            one.close()

    def _answered(self, data: bytes, client: str, largest: int = 0) -> bytes:
        """Empty for bytes that are no question: such a datagram gets no answer."""
        key = data[2:], client, largest
        with self._lock:
            try:
                # Equal questions have equal answers but for their number, and for the order
                # of several addresses, which the number draws.
                if key not in self._kept:
                    answer = wire(self._answers, data, client, largest=largest)
                    if int.from_bytes(answer[6:8], "big") > 1 or len(self._kept) >= self._keep:
                        return answer
                    self._kept[key] = answer[2:]
                return data[:2] + self._kept[key]
            except (ValueError, IndexError, struct.error):
                return b""

    def _serve_tcp(self) -> None:
        while True:
            try:
                connection, client = self._tcp.accept()
            except OSError:
                return
            threading.Thread(target=self._talk, args=(connection, client[0]), daemon=True).start()

    def _talk(self, connection: socket.socket, client: str) -> None:
        """Questions one after the other, each behind its length."""
        with connection:
            connection.settimeout(5)
            try:
                while head := _exactly(connection, 2):
                    data = _exactly(connection, int.from_bytes(head, "big"))
                    answer = self._answered(data, client, LARGEST)
                    connection.sendall(len(answer).to_bytes(2, "big") + answer)
            except OSError:
                return


def _exactly(connection: socket.socket, count: int) -> bytes:
    data = b""
    while len(data) < count:
        more = connection.recv(count - len(data))
        if not more:
            return b""
        data += more
    return data
