"""`/etc/resolv.conf`: what the kubelet writes for a pod, and how it reads."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from labkit.api.core import DNSConfig, Pod

MOST_NAMESERVERS = 3
MOST_SEARCHES = 32
MOST_SEARCH_CHARACTERS = 2048
LONGEST_SEARCH = 253


class ResolvConf(msgspec.Struct, frozen=True):
    """The file's three lists. `options` are words: `ndots:5`, `edns0`."""

    nameservers: tuple[str, ...] = ()
    search: tuple[str, ...] = ()
    options: tuple[str, ...] = ()

    def option(self, name: str, default: int) -> int:
        """The number of an option such as `ndots`; the last one counts."""
        found = default
        for word in self.options:
            key, _, value = word.partition(":")
            if key == name and value.isdecimal():
                found = int(value)
        return found

    def __str__(self) -> str:
        """The file as the kubelet writes it."""
        lines = [f"search {' '.join(self.search)}"] if self.search else []
        lines += [f"nameserver {address}" for address in self.nameservers]
        lines += [f"options {' '.join(self.options)}"] if self.options else []
        return "".join(f"{line}\n" for line in lines)


def parse_resolv_conf(text: str) -> ResolvConf:
    """A file's text; of several `search` lines the last one counts.

    Source: Kubernetes `parseResolvConf` in `pkg/kubelet/network/dns/dns.go`.
    """
    nameservers: list[str] = []
    search: tuple[str, ...] = ()
    options: list[str] = []
    for line in text.splitlines():
        match line.split():
            case ["nameserver", address, *_]:
                nameservers.append(address)
            case ["search", *domains]:
                search = tuple(d if d == "." else d.removesuffix(".") for d in domains)
            case ["options", *words]:
                options += words
    return ResolvConf(tuple(nameservers), search, tuple(options))


def pod_resolv_conf(
    pod: Pod, node: ResolvConf, cluster_dns: tuple[str, ...], domain: str
) -> tuple[ResolvConf, str]:
    """What the kubelet writes into a pod, and the reason of the event it records ("" if none).

    Source: Kubernetes `GetPodDNS` in `pkg/kubelet/network/dns/dns.go`.
    """
    policy, event = _policy(pod), ""
    if policy == "Cluster" and not cluster_dns:
        policy, event = "Default", "MissingClusterDNS"
    found = ResolvConf() if policy == "None" else node
    if policy == "Cluster":
        own = (f"{pod.namespace}.svc.{domain}", f"svc.{domain}", domain) if domain else ()
        found = ResolvConf(cluster_dns, _once((*own, *node.search)), ("ndots:5",))
    if pod.spec.dns_config:
        found = _with(found, pod.spec.dns_config)
    fitting = _fitting(found)
    return fitting, event or ("DNSConfigForming" if fitting != found else "")


def _policy(pod: Pod) -> str:
    """`Cluster`, `Default` or `None`; a pod in its node's network needs the longer name."""
    match pod.spec.dns_policy:
        case "None" | "Default":
            return pod.spec.dns_policy
        case "ClusterFirst" if pod.spec.host_network:
            return "Default"
        case _:
            return "Cluster"


def _with(found: ResolvConf, more: DNSConfig) -> ResolvConf:
    options = {word.partition(":")[0]: word for word in found.options}
    for option in more.options:
        options[option.name] = f"{option.name}:{option.value}" if option.value else option.name
    return ResolvConf(
        _once((*found.nameservers, *more.nameservers)),
        _once((*found.search, *more.searches)),
        tuple(options.values()),
    )


def _once(words: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(words))


def _fitting(found: ResolvConf) -> ResolvConf:
    """Cut down to what resolvers can take."""
    search = tuple(d for d in found.search if len(d) <= LONGEST_SEARCH)[:MOST_SEARCHES]
    while len(" ".join(search)) > MOST_SEARCH_CHARACTERS:
        search = search[:-1]
    return ResolvConf(found.nameservers[:MOST_NAMESERVERS], search, found.options)
