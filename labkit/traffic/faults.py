"""Named faults: one edit each of the network that a correct cluster would have.

`lab.inject(faults.missing_route("node-1", "10.244.2.0/24"))`. A fault stays while the
cluster goes on: it is an edit, made again on every network that is programmed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from difflib import get_close_matches
from functools import reduce
from ipaddress import ip_address, ip_network

import msgspec
from msgspec.structs import replace

from labkit.api.state import State
from labkit.errors import CommandError, NotFound
from labkit.kernel import netfilter as nf
from labkit.kernel.kept import kept
from labkit.kernel.links import Link
from labkit.kernel.netns import Netns, Network
from labkit.kernel.packet import Address
from labkit.kernel.routes import Prefix, Route

Change = Callable[[Netns], Netns]


class Fault(msgspec.Struct, frozen=True, kw_only=True):
    """One thing broken. `name` is one line for learners: `node-1: route 10.244.2.0/24 is missing`.

    Either `place` and `change` edit one namespace, or `state` edits the objects. `check`
    raises NotFound if there is nothing to break; whoever injects calls it once.
    """

    name: str
    place: str = ""
    change: Change | None = None
    state: Callable[[State], State] | None = None
    needs: Callable[[Netns], None] | None = None

    def check(self, network: Network) -> None:
        """NotFound if the network has no such place or row."""
        if self.place:
            found = find_netns(network, self.place)
            if self.needs:
                self.needs(found)

    def __str__(self) -> str:
        return self.name

    __repr__ = __str__


def faulty(network: Network, faults: Iterable[Fault]) -> Network:
    """The network with the faults in it, in order; places that have gone are passed over."""
    made: dict[tuple[Fault, ...], Network] = kept(network, "faulty", lambda _: {})
    every = tuple(faults)
    if every not in made:
        made[every] = reduce(_broken, every, network)
    return made[every]


def _broken(network: Network, fault: Fault) -> Network:
    name = _netns_name(network, fault.place)
    if fault.change is None or name is None:
        return network
    changed = fault.change(network.namespaces[name])
    return Network({**network.namespaces, name: changed})


def find_netns(network: Network, place: str) -> Netns:
    """The namespace that a fault's place means: `node-1`, `node/node-1`, `pod/frontend`, `router`.

    Raises:
        NotFound: with the nearest titles.
    """
    name = _netns_name(network, place)
    if name is not None:
        return network.namespaces[name]
    titles = sorted(ns.title for ns in network.namespaces.values())
    near = get_close_matches(place.rpartition("/")[2], titles, n=3)
    hint = f"did you mean {' or '.join(near)}?" if near else f"there are {', '.join(titles[:8])}"
    raise NotFound(f"{place}: no machine or pod of this name; {hint}")


def _netns_name(network: Network, place: str) -> str | None:
    for name in (place, f"node/{place}"):
        if name in network.namespaces:
            return name
    title = place.removeprefix("pod/").removeprefix("default/")
    found = (n for n, netns in network.namespaces.items() if netns.title == title)
    return next(found, None)


# --- routes -----------------------------------------------------------------------------------


def missing_route(place: str, prefix: str) -> Fault:
    """The route to `prefix` is gone."""
    net = _prefix(prefix)

    def needs(netns: Netns) -> None:
        if not any(route.prefix == net for route in netns.routes):
            raise NotFound(f"{netns.title}: there is no route {prefix}; see ip route")

    def change(netns: Netns) -> Netns:
        return replace(netns, routes=tuple(r for r in netns.routes if r.prefix != net))

    name = f"{place}: route {prefix} is missing"
    return Fault(name=name, place=place, change=change, needs=needs)


def no_pod_routes(place: str) -> Fault:
    """Every route by way of another machine is gone, the default route apart.

    On a node these are the routes to the pods of other nodes, as far as the plugin writes any.
    """

    def far(route: Route) -> bool:
        return (route.via is not None or bool(route.nexthops)) and route.prefix.prefixlen > 0

    def needs(netns: Netns) -> None:
        if not any(map(far, netns.routes)):
            raise NotFound(f"{netns.title}: no route leads to other machines' pods; see ip route")

    def change(netns: Netns) -> Netns:
        return replace(netns, routes=tuple(r for r in netns.routes if not far(r)))

    name = f"{place}: all routes to other machines' pods are missing"
    return Fault(name=name, place=place, change=change, needs=needs)


def extra_route(place: str, prefix: str, via: str = "", dev: str = "eth0") -> Fault:
    """`ip route replace` was run: the route stands instead of one to the same prefix."""
    net = _prefix(prefix)
    route = Route(prefix=net, via=_address(via) if via else None, dev=dev)

    def change(netns: Netns) -> Netns:
        kept = tuple(r for r in netns.routes if r.prefix != net)
        return replace(netns, routes=(*kept, route))

    words = " ".join(("via", via) if via else ("dev", dev))
    return Fault(name=f"{place}: route {prefix} {words} was put in", place=place, change=change)


def _prefix(text: str) -> Prefix:
    try:
        return ip_network(text)
    except ValueError:
        raise CommandError(f"`{text}` is not a prefix; write for example 10.244.2.0/24") from None


def _address(text: str) -> Address:
    try:
        return ip_address(text)
    except ValueError:
        raise CommandError(f"`{text}` is not an address; write for example 192.168.7.12") from None


# --- devices ----------------------------------------------------------------------------------


def _on_link(name: str, place: str, device: str, change: Callable[[Link], Link]) -> Fault:
    def needs(netns: Netns) -> None:
        known = [link.name for link in netns.links]
        if device not in known:
            raise NotFound(f"{netns.title}: no device {device}; it has {', '.join(known[:8])}")

    def change_netns(netns: Netns) -> Netns:
        links = (change(link) if link.name == device else link for link in netns.links)
        return replace(netns, links=tuple(links))

    return Fault(name=name, place=place, change=change_netns, needs=needs)


def mtu(place: str, device: str, size: int) -> Fault:
    """A device takes packets of `size` bytes at most."""
    name = f"{place}: {device} has mtu {size}"
    return _on_link(name, place, device, lambda link: replace(link, mtu=size))


def link_down(place: str, device: str) -> Fault:
    """A device is down."""
    name = f"{place}: {device} is down"
    return _on_link(name, place, device, lambda link: replace(link, up=False))


def missing_fdb(place: str, end: str, device: str = "flannel.1") -> Fault:
    """The tunnel has forgotten which MAC address lives behind the tunnel end `end`."""
    far = _address(end)

    def change(link: Link) -> Link:
        return replace(link, fdb=tuple(row for row in link.fdb if row.dst != far))

    return _on_link(f"{place}: {device} has no fdb row to {end}", place, device, change)


def hairpin_off(place: str) -> Fault:
    """The bridge sends no frame back to the port that it came from."""

    def change(netns: Netns) -> Netns:
        return replace(netns, links=tuple(replace(link, hairpin=False) for link in netns.links))

    return Fault(name=f"{place}: hairpin mode is off", place=place, change=change)


def rebuilt(place: str) -> Fault:
    """The machine was set up anew with the bridge plugin's own defaults, not with flannel's.

    Source: CNI plugins `bridge`, whose `hairpinMode` is false if the configuration is silent;
    flannel's ConfigMap `kube-flannel-cfg` says true.
    """
    off = hairpin_off(place)
    return Fault(name=f"{place}: rebuilt last night", place=place, change=off.change)


# --- switches of the kernel --------------------------------------------------------------------


def sysctl(place: str, key: str, value: int) -> Fault:
    """A switch of the kernel stands wrong."""

    def change(netns: Netns) -> Netns:
        return replace(netns, sysctls={**netns.sysctls, key: value})

    return Fault(name=f"{place}: {key} is {value}", place=place, change=change)


def ip_forward_off(place: str) -> Fault:
    """The machine does not forward: it is a host, not a router."""
    return sysctl(place, "net.ipv4.ip_forward", 0)


def bridge_nf_off(place: str) -> Fault:
    """Frames that cross the bridge never meet iptables."""
    return sysctl(place, "net.bridge.bridge-nf-call-iptables", 0)


# --- netfilter ---------------------------------------------------------------------------------


def flushed_chain(place: str, table: str, chain: str) -> Fault:
    """`iptables -t TABLE -F CHAIN` was run: the chain is there and empty."""

    def needs(netns: Netns) -> None:
        known = [name for t in netns.ruleset.tables if t.name == table for name in t.chains]
        if chain not in known:
            near = get_close_matches(chain, known, n=1) or known[:8] or ["none"]
            raise NotFound(
                f"{netns.title}: no chain {chain} in {table}; did you mean {', '.join(near)}?"
            )

    def change(netns: Netns) -> Netns:
        return _with_chain(netns, table, chain, lambda found: replace(found, rules=()))

    name = f"{place}: chain {chain} of {table} is flushed"
    return Fault(name=name, place=place, change=change, needs=needs)


def icmp_filtered(place: str) -> Fault:
    """A firewall on the machine drops all ICMP that it passes on or makes itself."""
    rule = nf.Rule((nf.Proto("icmp"),), nf.Verdict("DROP"))

    def change(netns: Netns) -> Netns:
        return _first_rule(_first_rule(netns, "FORWARD", rule), "OUTPUT", rule)

    return Fault(name=f"{place}: ICMP is filtered", place=place, change=change)


def port_filtered(place: str, port: int, protocol: str = "udp") -> Fault:
    """A firewall on the machine drops what arrives for a port, 8472 for flannel's tunnel."""
    words = (nf.Proto(protocol, module=True), nf.DestinationPort(port))
    rule = nf.Rule(words, nf.Verdict("DROP"))

    def change(netns: Netns) -> Netns:
        return _first_rule(netns, "INPUT", rule)

    return Fault(name=f"{place}: {protocol} port {port} is filtered", place=place, change=change)


def kube_proxy_stopped(place: str, then: Network) -> Fault:
    """The machine keeps the rules that it had in the network `then`."""
    rules = find_netns(then, place).ruleset

    def change(netns: Netns) -> Netns:
        return replace(netns, ruleset=rules)

    return Fault(name=f"{place}: kube-proxy has stopped", place=place, change=change)


def _first_rule(netns: Netns, hook: nf.Hook, rule: nf.Rule) -> Netns:
    """The rule in front of a base chain of `filter`, which is made if it is not there."""
    made = nf.Chain(name=hook, hook=hook, priority=nf.PRIORITY["filter"], policy="ACCEPT")

    def insert(chain: nf.Chain) -> nf.Chain:
        return replace(chain, rules=(rule, *chain.rules))

    return _with_chain(netns, "filter", hook, insert, made)


def _with_chain(
    netns: Netns,
    table: str,
    chain: str,
    change: Callable[[nf.Chain], nf.Chain],
    made: nf.Chain | None = None,
) -> Netns:
    tables = netns.ruleset.tables
    if made is not None and not any(t.name == table and t.family == "ip" for t in tables):
        tables = (*tables, nf.Table(name=table, chains={chain: made}))

    def edited(found: nf.Table) -> nf.Table:
        old = found.chains.get(chain, made)
        if found.name != table or old is None or found.family != "ip":
            return found
        return replace(found, chains={**found.chains, chain: change(old)})

    ruleset = replace(netns.ruleset, tables=tuple(map(edited, tables)))
    return replace(netns, ruleset=ruleset)
