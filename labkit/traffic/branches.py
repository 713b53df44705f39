"""How one node's tables choose a pod for a Service: their rows as a tree, with every chance.

The tree is read off the tables themselves, so it shows what a mode has: chains of rules that
throw dice, a map with a random number, a virtual server that takes turns, or maps of eBPF.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from fractions import Fraction

import msgspec

from labkit.api.state import State
from labkit.errors import NotFound
from labkit.kernel import netfilter as nf
from labkit.kernel.balancing import frontends, virtual_servers
from labkit.kernel.bpf import Frontend
from labkit.kernel.ipvs import VirtualServer, ipvsadm_list
from labkit.kernel.netns import Netns, Network
from labkit.kernel.nft_text import element_text, row_text, verdict_words
from labkit.kernel.packet import Address, Protocol, endpoint
from labkit.kernel.rules_text import rule_text
from labkit.traffic.places import find_node, resolve_target

ONE = Fraction(1)
BY_TURNS = ("rr", "wrr")  # schedulers that give all servers of weight 1 the same share
KNOWN = "only for a client that it remembers"
SAYS: Mapping[type, str] = {
    nf.RandomDnat: "draws a number and writes the address behind it",
    nf.RandomJump: "draws a number",
    nf.Update: "remembers the client",
    nf.Reject: "refuses",
}
Asked = tuple[Protocol, Address, int]


class Branch(msgspec.Struct, frozen=True, kw_only=True):
    """One row of a node's tables, and what it leads to.

    `chance` is that of a packet which comes to this row, `share` that of one which came for
    the Service; a row that has both and an `end`, the address that is then written, is where
    a pod is chosen.
    """

    row: str
    says: str = ""
    chance: Fraction | None = None
    share: Fraction | None = None
    end: str = ""
    below: tuple[Branch, ...] = ()

    def walk(self, depth: int = 0) -> Iterator[tuple[int, Branch]]:
        """This row and all below it, each with its depth, in the order of the tables."""
        yield depth, self
        for branch in self.below:
            yield from branch.walk(depth + 1)


class Tree(msgspec.Struct, frozen=True, kw_only=True):
    """The rows of one Service port on one node.

    `titles` are the pods by address and port; `scheduler` is IPVS's, empty where dice choose;
    `sticky`: a known client keeps its pod.
    """

    target: str
    node: str
    mode: str
    root: Branch
    titles: Mapping[str, str]
    scheduler: str = ""
    sticky: bool = False

    @property
    def choices(self) -> tuple[Branch, ...]:
        """The rows at which a pod is chosen, in order."""
        if self.scheduler:
            return self.root.below
        return tuple(b for _, b in self.root.walk() if b.share is not None and b.end)

    def title(self, branch: Branch) -> str:
        """The pod that a row leads to; its address where no pod has it."""
        return self.titles.get(branch.end.rpartition(":")[0].strip("[]"), branch.end)


def tree(
    state: State,
    network: Network,
    target: str,
    node: str,
    *,
    protocol: Protocol = "TCP",
    namespace: str = "default",
) -> Tree:
    """The rows on `node` that decide about a connection to `target`, such as `svc/backend:80`.

    Raises:
        NotFound: no such node or Service, or no row of the node speaks of the address.
    """
    found = resolve_target(state, target, protocol=protocol, namespace=namespace)
    here = network.namespaces[f"node/{find_node(state, node.removeprefix('node/')).name}"]
    asked: Asked = protocol, found.address, found.port
    if here.maps is not None:
        made = _of_maps(frontends(here).get(asked))
    elif here.virtual_servers:
        made = _of_ipvs(virtual_servers(here).get(asked))
    else:
        made = _of_rules(here, asked)
    if made is None:
        where = endpoint(found.address, found.port)
        raise NotFound(f"{target}: no row on {here.title} speaks of {where}/{protocol}")
    titles = {str(a.ip): n.title for n in network.namespaces.values() for k in n.links
              for a in k.addresses if n.name.startswith("pod/")}  # fmt: skip
    return msgspec.structs.replace(made, target=target, node=here.title, titles=titles)


def _made(mode: str, root: Branch, scheduler: str = "", sticky: bool = False) -> Tree:
    return Tree(
        target="", node="", mode=mode, root=root, titles={}, scheduler=scheduler, sticky=sticky
    )


# --- balancers -----------------------------------------------------------------------------


def _of_maps(found: Frontend | None) -> Tree | None:
    """A row of `cilium-dbg service list`, its backends below."""
    if found is None:
        return None
    n = len(found.inside)
    below = tuple(
        Branch(
            row=f"{i} => {backend}/{found.protocol} (active)",
            says=_one_of(n),
            chance=Fraction(1, n),
            share=Fraction(1, n),
            end=str(backend),
        )
        for i, backend in enumerate(found.inside, start=1)
    )
    says = "one look into a map, in the client's own connect(2)" if n else "connect(2) fails"
    root = Branch(row=str(found), says=says, below=below)
    return _made("ebpf", root, sticky=found.affinity is not None)


def _of_ipvs(found: VirtualServer | None) -> Tree | None:
    """A paragraph of `ipvsadm -Ln`. What a scheduler does is no chance: shares are in the end."""
    if found is None:
        return None
    n = len(found.servers)
    share = Fraction(1, n) if found.scheduler in BY_TURNS and n else None
    rows = ipvsadm_list([found]).splitlines()[4:]
    below = tuple(
        Branch(row=row.strip(), says=f"turn {i} of {n}" if share else "", share=share,
               end=row.split()[1])
        for i, row in enumerate(rows, start=1)
    )  # fmt: skip
    says = "one look into a table of the kernel's balancer" if n else "refused: no real server"
    root = Branch(row=str(found), says=says, below=below)
    return _made("ipvs", root, found.scheduler, found.persistent is not None)


def _one_of(n: int) -> str:
    return "the only one" if n == 1 else f"one of {n}, all with the same chance"


# --- rules ---------------------------------------------------------------------------------


def _of_rules(here: Netns, asked: Asked) -> Tree | None:
    family = "ip" if asked[1].version == 4 else "ip6"
    tables = [table for table in here.ruleset.tables if table.family == family]
    for table in tables:
        if table.tool == "nft" and "service-ips" in table.sets:
            root = _in_maps(table, asked)
            return _made("nftables", root, sticky=_remembers(root)) if root else None
    for table in sorted(tables, key=lambda t: t.name != "nat"):  # filter has the refusals
        if table.tool == "iptables" and (root := _in_chains(table, asked)) is not None:
            return _made("iptables", root, sticky=_remembers(root))
    return None


def _remembers(root: Branch) -> bool:
    return any(branch.says == KNOWN for _, branch in root.walk())


def _in_maps(table: nf.Table, asked: Asked) -> Branch | None:
    protocol, address, port = asked
    key: nf.Key = (address, protocol.lower(), port)
    for name in ("service-ips", "no-endpoint-services"):
        element = table.sets[name].elements.get(key)
        if element is not None:
            target = element.target
            chain = target.chain if isinstance(target, nf.Jump) else ""
            return Branch(
                row=element_text(key, element),
                says=f"one look into the map {name}",
                below=tuple(_chain(table, chain, ONE)) if chain else (),
            )
    return None


def _in_chains(table: nf.Table, asked: Asked) -> Branch | None:
    chain = table.chains.get("KUBE-SERVICES")
    for number, rule in enumerate(chain.rules if chain else (), start=1):
        if _names(rule, asked):
            target = rule.target
            below = _chain(table, target.chain, ONE) if isinstance(target, nf.Jump) else ()
            assert chain is not None
            says = f"row {number} of {len(chain.rules)} in its chain, which is read from the top"
            return Branch(row=_text(table, "KUBE-SERVICES", rule), says=says, below=tuple(below))
    return None


def _names(rule: nf.Rule, asked: Asked) -> bool:
    """The row is about this address, protocol and port."""
    protocol, address, port = asked
    fits = 0
    for m in rule.matches:
        if isinstance(m, nf.Destination):
            fits += m.net.network_address == address and not m.negate
        elif isinstance(m, nf.DestinationPort):
            fits += m.first == port
        elif isinstance(m, nf.Proto):
            fits += m.name == protocol.lower()
    return fits == len(asked)


def _chain(table: nf.Table, name: str, left: Fraction | None) -> Iterator[Branch]:
    """The rows of a chain. `left` is the share of packets that come to the next row."""
    for rule in table.chains[name].rules:
        chance, says = _chance(rule)
        taken = None if left is None or chance is None else left * chance
        below = tuple(_below(table, rule, taken))
        end = next((b.end for branch in below for _, b in branch.walk() if b.end), "")
        if isinstance(rule.target, nf.Dnat):
            end = endpoint(rule.target.address, rule.target.port or 0)
        chosen = bool(end) and taken is not None and not any(b.share for b in below)
        yield Branch(
            row=_text(table, name, rule),
            says=says,
            chance=chance if chosen else None,
            share=taken if chosen else None,
            end=end if chosen or not below else "",
            below=below,
        )
        if left is not None and taken is not None:
            left -= taken


def _chance(rule: nf.Rule) -> tuple[Fraction | None, str]:
    """The chance that a packet which comes to this row is taken by it, and that in words."""
    asks = [m for m in rule.matches if not isinstance(m, nf.Comment | nf.Proto | nf.Statistic)]
    if isinstance(rule.target, nf.SetMark) or rule.target == nf.Jump("KUBE-MARK-MASQ"):
        return None, _marked(rule)
    if any(isinstance(m, nf.Recent) and m.action == "rcheck" for m in asks) or any(
        isinstance(m, nf.Lookup) for m in asks
    ):
        return None, KNOWN
    dice = next((m.one_in for m in rule.matches if isinstance(m, nf.Statistic)), 0)
    if dice:
        return Fraction(1, dice), f"takes {Fraction(1, dice)} of what comes here"
    if isinstance(rule.target, nf.Jump):
        return ONE, "takes all that is left"
    if isinstance(rule.target, nf.Dnat):
        return ONE, "writes the pod's address into the packet"
    return None, SAYS.get(type(rule.target), "")


def _marked(rule: nf.Rule) -> str:
    """Who gets the mark for masquerade, by which the sender's address will be hidden."""
    source = next((m for m in rule.matches if isinstance(m, nf.Source)), None)
    if source is None:
        return "marks every sender, to be hidden"
    return "marks a sender that is no pod" if source.negate else "marks the pod that calls itself"


def _below(table: nf.Table, rule: nf.Rule, taken: Fraction | None) -> Iterable[Branch]:
    """What stands behind a row: an endpoint's chain, or the sides of a map."""
    target = rule.target
    if isinstance(target, nf.Jump) and target.chain != "KUBE-MARK-MASQ":
        # The chain of one endpoint chooses nothing any more.
        return _chain(table, target.chain, None)
    if isinstance(target, nf.RandomDnat):
        ends = [endpoint(end.address, end.port or 0) for end in target.ends]
        rows = [f"{i} : {end.address} . {end.port}" for i, end in enumerate(target.ends)]
        return _sides(rows, ends, [()] * len(ends))
    if isinstance(target, nf.RandomJump):
        chains = [tuple(_chain(table, jump.chain, None)) for jump in target.jumps]
        ends = [next(b.end for b in chain if b.end) for chain in chains]
        rows = [f"{i} : {verdict_words(jump)}" for i, jump in enumerate(target.jumps)]
        return _sides(rows, ends, chains)
    return ()


def _sides(rows: list[str], ends: list[str], chains: list[tuple[Branch, ...]]) -> Iterator[Branch]:
    """The sides of a random number, each with the same chance."""
    n = len(rows)
    for row, end, below in zip(rows, ends, chains, strict=True):
        chance = Fraction(1, n)
        yield Branch(row=row, says=_one_of(n), chance=chance, share=chance, end=end, below=below)


def _text(table: nf.Table, chain: str, rule: nf.Rule) -> str:
    return row_text(rule, table.family) if table.tool == "nft" else rule_text(rule, chain)
