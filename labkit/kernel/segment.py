"""A layer-2 segment: who hears a frame, who answers ARP, which port leads where."""

from __future__ import annotations

from labkit.kernel.host import Host, host, look_up
from labkit.kernel.kept import kept
from labkit.kernel.links import Link
from labkit.kernel.netns import Network
from labkit.kernel.packet import Address

Station = tuple[str, str]  # network namespace, device


def stations(network: Network, netns: str, dev: str) -> tuple[Station, ...]:
    """Every device that a broadcast out of `dev` reaches, bridges' own ones included."""
    known: dict[Station, tuple[Station, ...]] = kept(network, "stations", lambda _: {})
    if (netns, dev) not in known:
        known[netns, dev] = tuple(flood(network, netns, dev))
    return known[netns, dev]


def flood(network: Network, netns: str, dev: str) -> list[Station]:
    found: list[Station] = []
    here = host(network.namespaces[netns])
    waiting = [(netns, port) for port in out_of(here, dev)]
    past = set(waiting)
    while waiting:
        far = other_end(network, *waiting.pop(0))
        if far is None:
            continue
        there = host(network.namespaces[far[0]])
        link = there.links[far[1]]
        if link.master is None:
            found.append(far)
            continue
        if not there.links[link.master].up:
            continue  # the ports of a bridge that is down carry nothing
        found.append((far[0], link.master))
        for port in there.ports[link.master]:
            if port.name != link.name and (far[0], port.name) not in past:
                past.add((far[0], port.name))
                waiting.append((far[0], port.name))
    return found


def out_of(here: Host, dev: str) -> list[str]:
    """The cables that a frame out of a device may take."""
    if here.links[dev].kind == "bridge":
        return [port.name for port in here.ports.get(dev, ())]
    return [dev]


def other_end(network: Network, netns: str, dev: str) -> Station | None:
    """The far end of a cable; None where there is none or one of its ends is down."""
    link = host(network.namespaces[netns]).links.get(dev)
    if link is None or link.peer is None or not link.up:
        return None
    name, far = link.peer
    there = network.namespaces.get(name)
    if there is None:
        return None
    peer = host(there).links.get(far)
    return link.peer if peer is not None and peer.up else None


def answerer(network: Network, netns: str, dev: str, address: Address) -> Link | None:
    """The device that answers "who has `address`?" on the segment, or None.

    Linux answers for every address of the machine on each of its devices; with proxy_arp
    also for addresses that it has a route to by another device.
    """
    known: dict[tuple[str, str, int], Link | None] = kept(network, "arp", lambda _: {})
    asked = (netns, dev, int(address))
    if asked not in known:
        known[asked] = ask(network, netns, dev, address)
    return known[asked]


def ask(network: Network, netns: str, dev: str, address: Address) -> Link | None:
    for name, device in stations(network, netns, dev):
        there = host(network.namespaces[name])
        link = there.links[device]
        if not link.up:
            continue
        if there.is_local(address) or address in link.announces:
            return link
        if link.proxy_arp and beyond(there, device, address):
            return link
    return None


def beyond(there: Host, device: str, address: Address) -> bool:
    way = look_up(there, address)
    return way is not None and not way.local and way.dev != device


def port_towards(network: Network, netns: str, bridge: str, mac: str) -> Link | None:
    """The port of a bridge behind which a MAC address lives, as the bridge has learned it."""
    known: dict[Station, dict[str, Link]] = kept(network, "ports", lambda _: {})
    if (netns, bridge) not in known:
        known[netns, bridge] = learned(network, netns, bridge)
    return known[netns, bridge].get(mac)


def learned(network: Network, netns: str, bridge: str) -> dict[str, Link]:
    here = host(network.namespaces[netns])
    table: dict[str, Link] = {}
    for port in here.ports.get(bridge, ()):
        for name, device in stations(network, netns, port.name):
            table.setdefault(host(network.namespaces[name]).links[device].mac, port)
    for port in here.ports.get(bridge, ()):
        for row in port.fdb:
            table[row.mac] = port
    return table
