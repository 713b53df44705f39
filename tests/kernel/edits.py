"""Networks that are broken on purpose: small edits of a correct one."""

from __future__ import annotations

from collections.abc import Callable
from ipaddress import ip_network

from msgspec.structs import replace

from labkit.kernel import netfilter as nf
from labkit.kernel.links import Link
from labkit.kernel.netns import Netns, Network
from labkit.kernel.routes import Route

Edit = Callable[[Network], Network]


def edited(network: Network, name: str, change: Callable[[Netns], Netns]) -> Network:
    """One namespace changed; `node/` changes every node, `pod/` every pod."""
    spaces = dict(network.namespaces)
    for key in [
        key for key in spaces if key == name or (name.endswith("/") and key.startswith(name))
    ]:
        spaces[key] = change(spaces[key])
    return Network(spaces)


def sysctl(name: str, key: str, value: int) -> Edit:
    return lambda n: edited(n, name, lambda s: replace(s, sysctls={**s.sysctls, key: value}))


def links(name: str, wanted: Callable[[Link], bool], **changes) -> Edit:
    def change(netns: Netns) -> Netns:
        return replace(
            netns, links=tuple(replace(k, **changes) if wanted(k) else k for k in netns.links)
        )

    return lambda n: edited(n, name, change)


def without_route(name: str, prefix: str) -> Edit:
    net = ip_network(prefix)
    return lambda n: edited(
        n, name, lambda s: replace(s, routes=tuple(r for r in s.routes if r.prefix != net))
    )


def with_route(name: str, route: Route) -> Edit:
    return lambda n: edited(n, name, lambda s: replace(s, routes=(*s.routes, route)))


def rules(name: str, change: Callable[[str, str, tuple[nf.Rule, ...]], tuple]) -> Edit:
    """Every chain's rules become what `change(table, chain, rules)` makes of them."""

    def changed(netns: Netns) -> Netns:
        tables = tuple(
            replace(
                table,
                chains={
                    key: replace(chain, rules=tuple(change(table.name, key, chain.rules)))
                    for key, chain in table.chains.items()
                },
            )
            for table in netns.ruleset.tables
        )
        return replace(netns, ruleset=replace(netns.ruleset, tables=tables))

    return lambda n: edited(n, name, changed)


def first_rule(name: str, table: str, chain: str, rule: nf.Rule) -> Edit:
    return rules(name, lambda t, c, found: (rule, *found) if (t, c) == (table, chain) else found)


def each_rule(name: str, change: Callable[[str, nf.Rule], nf.Rule | None]) -> Edit:
    """Every rule becomes what `change(chain, rule)` makes of it; None takes it away."""
    return rules(
        name, lambda t, c, found: tuple(r for x in found if (r := change(c, x)) is not None)
    )


def sets(name: str, change: Callable[[nf.NftSet], nf.NftSet]) -> Edit:
    """Every set and map of the nft tables becomes what `change(set)` makes of it."""

    def changed(netns: Netns) -> Netns:
        tables = tuple(
            replace(table, sets={key: change(each) for key, each in table.sets.items()})
            for table in netns.ruleset.tables
        )
        return replace(netns, ruleset=replace(netns.ruleset, tables=tables))

    return lambda n: edited(n, name, changed)


def together(*edits: Edit) -> Edit:
    def all_of_them(network: Network) -> Network:
        for edit in edits:
            network = edit(network)
        return network

    return all_of_them
