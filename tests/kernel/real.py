"""A network built for real from its script, with servers in it and clients to be sent.

One process serves and asks in all namespaces: a thread enters one with setns, makes a socket
there, and leaves; the socket stays.
"""

from __future__ import annotations

import ctypes
import os
import selectors
import socket
import struct
import subprocess
import threading
from contextlib import contextmanager, suppress

from labkit.kernel.netns import Network
from labkit.kernel.script import real_name, script

LIBC = ctypes.CDLL(None, use_errno=True)
NETWORK_NAMESPACE = 0x40000000  # CLONE_NEWNET
SAVE_SYN, SAVED_SYN = 27, 28  # TCP_SAVE_SYN, TCP_SAVED_SYN, which Python does not name
IP_RECVTTL = 12
PREFIX = f"labtest{os.getpid()}."  # so that two runs do not meet
TYPES = {"TCP": socket.SOCK_STREAM, "UDP": socket.SOCK_DGRAM}


class Real:
    """A network of the model, alive. `with Real(network) as real: real.tcp("pod/...", ...)`."""

    def __init__(self, network: Network, listen: bool = True) -> None:
        self.network = network
        self.script = script(network, PREFIX)
        self.namespaces: dict[str, int] = {}
        self.servers = Servers()
        self.listen = listen

    def __enter__(self) -> Real:
        try:
            for command in self.script.build:
                self.run(command.words, command.stdin)
            for name in self.network.namespaces:
                path = f"/run/netns/{real_name(name, PREFIX)}"
                self.namespaces[name] = os.open(path, os.O_RDONLY)
            if self.listen:
                self.serve()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.servers.stop()
        for descriptor in self.namespaces.values():
            os.close(descriptor)
        for command in self.script.remove:
            subprocess.run(command.words, capture_output=True, check=False)

    def run(self, words: tuple[str, ...], stdin: str = "") -> str:
        done = subprocess.run(words, input=stdin, capture_output=True, text=True, check=False)
        assert done.returncode == 0, f"{' '.join(words)}: {done.stderr}{stdin}"
        return done.stdout

    def inside(self, netns: str, *words: str, stdin: str = "") -> str:
        """What a program prints when it runs in a namespace."""
        name = real_name(netns, PREFIX)
        return self.run(("ip", "netns", "exec", name, *words), stdin)

    def ip(self, netns: str, *words: str) -> str:
        return self.run(("ip", "-n", real_name(netns, PREFIX), *words))

    @contextmanager
    def entered(self, netns: str):
        back = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
        try:
            assert LIBC.setns(self.namespaces[netns], NETWORK_NAMESPACE) == 0, os.strerror(
                ctypes.get_errno()
            )
            yield
        finally:
            LIBC.setns(back, NETWORK_NAMESPACE)
            os.close(back)

    def socket(self, netns: str, kind: int, proto: int = 0) -> socket.socket:
        with self.entered(netns):
            return socket.socket(socket.AF_INET, kind, proto)

    # Servers

    def serve(self) -> None:
        """Every listening socket of the model listens for real."""
        for name, netns in self.network.namespaces.items():
            for one in netns.sockets:
                if one.protocol in TYPES:
                    server = self.socket(name, TYPES[one.protocol])
                    self.servers.add(server, name, str(one.address or "0.0.0.0"), one.port)
        self.servers.start()

    # Clients: each returns ("answered", namespace, address seen, TTL on arrival) or one word

    def ask(self, protocol: str, netns: str, address: str, port: int, timeout: float = 0.5):
        with self.socket(netns, TYPES[protocol]) as client:
            client.settimeout(timeout)
            try:
                client.connect((address, port))
                if protocol == "UDP":
                    # A rule that drops or rejects in OUTPUT tells send() so; what the
                    # network says comes with recv().
                    with suppress(PermissionError):
                        client.send(b"?")
                name, seen, ttl = client.recv(500).decode().split()
                return ("answered", name, seen, int(ttl))
            except TimeoutError:
                return ("timed out",)
            except ConnectionRefusedError:
                return ("refused",)
            except OSError as error:
                return (word_for(error),)

    def send_large(self, netns: str, address: str, port: int, size: int, timeout: float = 0.5):
        """One UDP datagram of `size` bytes with its headers, not to be fragmented."""
        with self.socket(netns, socket.SOCK_DGRAM) as client:
            client.setsockopt(socket.IPPROTO_IP, 10, 2)  # IP_MTU_DISCOVER = IP_PMTUDISC_DO
            client.settimeout(timeout)
            try:
                client.connect((address, port))
                client.send(b"x" * (size - 28))
                name, seen, ttl = client.recv(500).decode().split()
                return ("answered", name, seen, int(ttl))
            except TimeoutError:
                return ("timed out",)
            except OSError as error:
                return (word_for(error),)

    def ping(self, netns: str, address: str, timeout: float = 0.5):
        """("answered", who), ("error", ICMP type, code, who) or one word."""
        with self.socket(netns, socket.SOCK_RAW, socket.IPPROTO_ICMP) as client:
            client.settimeout(timeout)
            try:
                client.sendto(echo_request(), (address, 0))
                while True:
                    data, (who, _) = client.recvfrom(2000)
                    if data[20] == 0:
                        return ("answered", who)
                    if data[20] in (3, 11):
                        return ("error", data[20], data[21], who)
            except TimeoutError:
                return ("timed out",)
            except OSError as error:
                return (word_for(error),)


def word_for(error: OSError) -> str:
    words = {101: "unreachable", 113: "unreachable", 90: "too-big", 22: "timed out"}
    return words.get(error.errno or 0, str(error))


def echo_request() -> bytes:
    head = struct.pack("!BBHHH", 8, 0, 0, os.getpid() & 0xFFFF, 1) + b"labkit"
    total = sum(struct.unpack(f"!{len(head) // 2}H", head))
    total = (total >> 16) + (total & 0xFFFF)
    return head[:2] + struct.pack("!H", ~(total + (total >> 16)) & 0xFFFF) + head[4:]


class Servers(threading.Thread):
    """Every server: answers with its namespace, the address it saw, and the TTL on arrival."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.selector = selectors.DefaultSelector()
        self.running = True
        self.bell, self.ring = os.pipe()
        self.selector.register(self.bell, selectors.EVENT_READ, None)

    def add(self, server: socket.socket, name: str, address: str, port: int) -> None:
        server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        stream = server.type == socket.SOCK_STREAM
        if stream:
            server.setsockopt(socket.IPPROTO_TCP, SAVE_SYN, 1)
        else:
            server.setsockopt(socket.IPPROTO_IP, IP_RECVTTL, 1)
        server.bind((address, port))
        if stream:
            server.listen(1024)
        server.setblocking(False)
        answer = self.accept if stream else self.receive
        self.selector.register(server, selectors.EVENT_READ, (answer, name))

    def run(self) -> None:
        while self.running:
            for key, _ in self.selector.select():
                if key.data is not None:
                    answer, name = key.data
                    try:
                        answer(key.fileobj, name)
                    except (BlockingIOError, ConnectionError, OSError):
                        continue

    def accept(self, server: socket.socket, name: str) -> None:
        client, (seen, _) = server.accept()
        with client:
            ttl = client.getsockopt(socket.IPPROTO_TCP, SAVED_SYN, 200)[8]
            client.send(f"{name} {seen} {ttl}".encode())

    def receive(self, server: socket.socket, name: str) -> None:
        _, ancillary, _, (seen, port) = server.recvmsg(65535, 100)
        ttl = next(struct.unpack("i", data)[0] for _, kind, data in ancillary if kind == 2)
        server.sendto(f"{name} {seen} {ttl}".encode(), (seen, port))

    def stop(self) -> None:
        self.running = False
        os.write(self.ring, b"x")
        if self.is_alive():
            self.join(2)
        for key in list(self.selector.get_map().values()):
            if key.data is not None:
                key.fileobj.close()
        self.selector.close()
        os.close(self.bell)
        os.close(self.ring)
