"""The cluster's objects compiled into a network: what every kernel of it holds."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from labkit.api.names import title_of
from labkit.api.state import State
from labkit.cni import base, cni_of
from labkit.dns.nodelocal import node_local_parts
from labkit.kernel.netns import Netns, Network, Part, merge
from labkit.policy.compile import enforcement
from labkit.proxy import proxy_parts
from labkit.traffic.machines import machine_parts, pod_sockets


def program(state: State) -> Network:
    """Every namespace of the cluster, the router's and the outside's included.

    Equal states give equal networks; the result is kept beside the state.
    """
    return state.cached(_program)


def lagging(state: State, then: Mapping[str, State]) -> Network:
    """The network of a moment at which kube-proxy is behind: each node has the rules of `then`.

    All that is not kube-proxy's is of now: pods, their programs, routes. A node that `then` does
    not name is up to date.
    """
    return _built(state, proxy_parts(state, then))


def _program(state: State) -> Network:
    return _built(state, proxy_parts(state))


def _built(state: State, proxy: Mapping[str, Part]) -> Network:
    cni = cni_of(state.config)
    after = [proxy, cni.program(state)]
    if cni.inserts_rules:
        after.reverse()  # whose rules stand in front of kube-proxy's is a matter of the plugin
    if cni.enforces_policies:
        pods = {view.netns: view.pods for view in base.views(state)}
        after.append(enforcement(state, pods, cni.device))
    rules, devices = node_local_parts(state)
    sources = (rules, machine_parts(state), *after, devices)
    parts: dict[str, list[Part]] = {}
    for source in (*sources, _sockets(state)):
        for name, part in source.items():
            parts.setdefault(name, []).append(part)
    titles = _titles(state)
    return Network({name: _merged(name, titles, own) for name, own in parts.items()})


def _merged(name: str, titles: Mapping[str, str], parts: Iterable[Part]) -> Netns:
    return merge(name, titles.get(name, name.rpartition("/")[2]), parts)


def _titles(state: State) -> dict[str, str]:
    return {base.pod_netns(pod): title_of(state, pod) for pod in base.wired_pods(state)}


def _sockets(state: State) -> dict[str, Part]:
    pods = (pod for view in base.views(state) for pod in view.pods)
    return {base.pod_netns(pod): Part(sockets=pod_sockets(state, pod)) for pod in pods}
