"""Every namespace has a ServiceAccount named `default`, the identity of pods that name none."""

from __future__ import annotations

from collections.abc import Iterator

from labkit.api.core import Namespace, ServiceAccount
from labkit.api.meta import Meta
from labkit.api.state import State


def namespaces(state: State) -> Iterator[ServiceAccount]:
    for namespace in state.list(Namespace):
        if not state.get(ServiceAccount, "default", namespace.name):
            yield ServiceAccount(
                metadata=Meta(name="default", namespace=namespace.name),
                manifest={"apiVersion": "v1", "kind": "ServiceAccount"},
            )
