"""Load balancers in front of the nodes: what the products do, and the rules that act like them.

`data/loadbalancers.json` holds what each provider's documentation says. The lab walks those rows
that say enough for it; their machine `lb` has rules that any Linux box could have.

*The lab simplifies*: a proxy is two rewritten addresses, where a real one speaks to the client
and to the node over two connections. So a client of the lab waits where a real proxy would
accept and fail later. A target is drawn by chance, where products hash the connection's addresses
and ports; what reaches a node unchanged is spread by equal routes. AWS publishes a host name; the
lab an address that pods cannot shortcut.

Source: each cell of the table names its own.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from difflib import get_close_matches
from functools import cache
from ipaddress import IPv4Network, ip_network
from typing import Literal

import msgspec

from labkit.api.core import ServiceSpec
from labkit.api.datafiles import data_file
from labkit.errors import NotFound
from labkit.kernel import netfilter as nf
from labkit.kernel.netfilter import Comment, CtState, Rule, Statistic
from labkit.kernel.packet import Address, Protocol
from labkit.kernel.routes import NextHop, Prefix, Route

VIRTUAL = IPv4Network("198.51.100.0/24")
"""The addresses that a provider gives to its balancers; nobody in the lab owns one."""


class Cell(msgspec.Struct, frozen=True):
    """One thing that a provider's documentation says: a word, a sentence, the page."""

    value: str
    says: str
    source: str


class Balancer(msgspec.Struct, frozen=True, rename={"load_balancer_class": "class"}):
    """One product; `cells` has only what was found. `walked`: the lab can send packets through."""

    name: str
    title: str
    cells: Mapping[str, Cell]
    load_balancer_class: str = ""
    walked: bool = True

    def value(self, column: str) -> str:
        return self.cells[column].value if column in self.cells else ""

    @property
    def own_machine(self) -> bool:
        """Packets pass a machine of its own; MetalLB's layer 2 has none."""
        return self.value("way") != "layer 2"

    @property
    def direct(self) -> bool:
        """Packets reach a node unchanged, and its answers go straight to the client."""
        return self.own_machine and self.value("destination") == "balancer"

    @property
    def hides_client(self) -> bool:
        return self.value("client") == "hidden"

    @property
    def ip_mode(self) -> Literal["VIP", "Proxy"]:
        """How kube-proxy is told that packets arrive: with the balancer's address, or a node's.

        Source: field `ipMode` of LoadBalancerIngress in the Kubernetes API.
        """
        return "VIP" if self.value("destination") == "balancer" else "Proxy"


class Table(msgspec.Struct, frozen=True):
    """The products, and the question that each column answers."""

    read: str  # the day on which the pages were read
    columns: Mapping[str, str]
    balancers: tuple[Balancer, ...]


NAIVE = Balancer(
    "naive",
    "a balancer that asks nobody for health",
    {
        "way": Cell("passthrough", "passes the connection on", "the lab's own"),
        "targets": Cell("node", "each node, at the node port", "the lab's own"),
        "client": Cell("kept", "the node sees the client", "the lab's own"),
        "destination": Cell("node port", "the node's address and the node port", "the lab's own"),
        "checks": Cell("none", "none", "the lab's own"),
    },
)
"""What somebody builds with a list of nodes and nothing else. No product, so not in the table."""


@cache
def table() -> Table:
    """What `data/loadbalancers.json` holds."""
    text = data_file("loadbalancers.json").read_text(encoding="utf-8")
    return msgspec.convert(json.loads(text), Table)


def balancer_named(name: str) -> Balancer | None:
    """The balancer that the option `load_balancer` names; None for no provider at all.

    Raises:
        NotFound: there is none such that the lab walks; the message lists the choices.
    """
    walked = {b.name: b for b in _walked()}
    if not name or name in walked:
        return walked.get(name)
    near = get_close_matches(name, walked, n=1, cutoff=0.7)
    hint = f"did you mean `{near[0]}`?" if near else f"choose one of {', '.join(walked)}"
    raise NotFound(f"load_balancer: the lab walks no `{name}`; {hint}")


def balancer_of(spec: ServiceSpec, provider: str) -> Balancer | None:
    """Who takes care of a Service: its `loadBalancerClass`, else the cluster's provider.

    None: nobody, and its EXTERNAL-IP stays `<pending>`. A class is looked up in the table, by
    the product's own class or by the row's name.
    """
    if spec.type != "LoadBalancer":
        return None
    wanted = spec.load_balancer_class
    if wanted is None:
        return balancer_named(provider)
    return next((b for b in _walked() if wanted in (b.load_balancer_class, b.name)), None)


def _walked() -> Iterator[Balancer]:
    """The balancers that packets of the lab can pass."""
    return (b for b in (*table().balancers, NAIVE) if b.walked)


# --- the machine ----------------------------------------------------------------------------


class Target(msgspec.Struct, frozen=True):
    """Where a balancer sends a connection: a node and its node port, or a pod and its port."""

    address: Address
    port: int


class Listener(msgspec.Struct, frozen=True, kw_only=True):
    """One port of one balanced Service, with the targets that are in rotation."""

    name: str  # namespace/service:port
    address: Address
    port: int
    protocol: Protocol
    targets: tuple[Target, ...]
    hides_client: bool = False
    direct: bool = False  # the packet goes on unchanged; only targets' addresses count
    sources: tuple[Prefix, ...] = ()  # who may come in; empty is everybody


def tables(listeners: Iterable[Listener]) -> tuple[nf.Table, ...]:
    """The balancer's rules: NAT for some products, for others only who and what may pass.

    NAT draws a target by chance, and lends the balancer's address to clients that it hides.
    """
    found = tuple(listeners)
    turned = tuple(listener for listener in found if not listener.direct)
    pre = tuple(rule for listener in turned for rule in _drawn(listener))
    post = tuple(rule for listener in turned if listener.hides_client for rule in _hiding(listener))
    passing = tuple(rule for listener in found if listener.direct for rule in _passing(listener))
    closed = tuple(_closed(a) for a in dict.fromkeys(x.address for x in found if x.direct))
    nat = {
        "PREROUTING": _base("PREROUTING", -100, pre),
        "POSTROUTING": _base("POSTROUTING", 100, post),
    }
    tables = [nf.Table(name="nat", chains=nat)] if turned else []
    if passing:
        chain = _base("FORWARD", 0, passing + closed)
        tables.append(nf.Table(name="filter", chains={"FORWARD": chain}))
    return tuple(tables)


def routes(listeners: Iterable[Listener]) -> tuple[Route, ...]:
    """Equal ways to the targets for each address that travels on unchanged."""
    ends = {x.address: x.targets for x in listeners if x.direct}
    return tuple(
        Route(
            prefix=ip_network(address),
            nexthops=tuple(NextHop(target.address, "eth0") for target in targets),
        )
        for address, targets in ends.items()
    )


def _base(hook: nf.Hook, priority: int, rules: tuple[Rule, ...]) -> nf.Chain:
    return nf.Chain(name=hook, rules=rules, hook=hook, priority=priority, policy="ACCEPT")


def _passing(listener: Listener) -> Iterator[Rule]:
    for source in listener.sources or (None,):
        matches: list[nf.Match] = [nf.Source(source)] if source else []
        matches += [nf.Destination(ip_network(listener.address)), Comment(listener.name)]
        matches += [nf.Proto(listener.protocol.lower(), module=True)]
        yield Rule((*matches, nf.DestinationPort(listener.port)), nf.Verdict("ACCEPT"))


def _closed(address: Address) -> Rule:
    note = Comment("nobody asked for more")
    return Rule((nf.Destination(ip_network(address)), note), nf.Verdict("DROP"))


def _drawn(listener: Listener) -> Iterator[Rule]:
    """1/3 for the first of three, 1/2 of the rest for the second, and all that is left."""
    many = len(listener.targets)
    for source in listener.sources or (None,):
        for i, target in enumerate(listener.targets):
            matches: list[nf.Match] = [nf.Source(source)] if source else []
            matches += [nf.Destination(ip_network(listener.address))]
            matches += [Comment(f"{listener.name} -> {target.address}:{target.port}")]
            matches += [nf.Proto(listener.protocol.lower(), module=True)]
            matches += [nf.DestinationPort(listener.port)]
            matches += [Statistic(many - i)] if i < many - 1 else []
            yield Rule(tuple(matches), nf.Dnat(target.address, target.port))


def _hiding(listener: Listener) -> Iterator[Rule]:
    for target in listener.targets:
        matches = (
            nf.Destination(ip_network(target.address)),
            Comment(f"{listener.name} gets the balancer's address"),
            CtState(("DNAT",)),
            nf.Proto(listener.protocol.lower(), module=True),
            nf.DestinationPort(target.port),
        )
        yield Rule(matches, nf.Masquerade())
