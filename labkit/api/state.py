"""The whole cluster as one value: what has memory.

A `State` is never changed; a write makes a new one that shares the rest. Two states are
equal only when they are the same one, so what is computed from a state can be kept beside it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Literal, NamedTuple, TypeVar

import msgspec

from labkit.api.kinds import BY_KIND
from labkit.api.meta import Custom, Object

T = TypeVar("T", bound=Object)
V = TypeVar("V")

START = "2026-11-22T10:00:00Z"  # the cluster's clock starts here and moves only by `lab.wait`


class Key(NamedTuple):
    """Names one object; `namespace` is empty for what has none. Sorts as kubectl lists."""

    kind: str
    namespace: str
    name: str

    def __str__(self) -> str:
        place = f"{self.namespace}/{self.name}" if self.namespace else self.name
        return f"{self.kind} {place}"


class ClusterConfig(msgspec.Struct, frozen=True, kw_only=True):
    """What is decided before the first object: ranges, CNI, proxy mode. One range a family."""

    pod_cidrs: tuple[str, ...] = ("10.244.0.0/16",)
    service_cidrs: tuple[str, ...] = ("10.96.0.0/12",)
    node_cidr: str = "192.168.7.0/24"
    node_port_range: tuple[int, int] = (30000, 32767)
    dns_domain: str = "cluster.local"
    dns_ip: str = "10.96.0.10"
    cni: str = "flannel"
    cni_options: Mapping[str, str] = {}
    proxy_mode: str = "iptables"
    proxy_options: Mapping[str, str] = {}
    load_balancer: str = ""  # who gives Services of that type an address; empty: nobody
    node_local_dns: bool = False


class Event(msgspec.Struct, frozen=True):
    """One write: who did it (`kubectl`, `scheduler`, ...), and the object before and after."""

    revision: int
    actor: str
    verb: Literal["created", "configured", "deleted"]
    key: Key
    before: Object | None
    after: Object | None


class State:
    """All objects at one revision. `now` is in seconds since `START`.

    `gone` are the objects that were deleted: their generated names are not given again, and
    their addresses are given again last.
    """

    __slots__ = ("_cache", "_kinds", "config", "gone", "now", "objects", "revision")

    def __init__(
        self,
        config: ClusterConfig,
        objects: Mapping[Key, Object] | None = None,
        revision: int = 0,
        now: float = 0.0,
        gone: Mapping[Key, Object] | None = None,
    ) -> None:
        self.config = config
        self.objects: Mapping[Key, Object] = objects or {}
        self.revision = revision
        self.now = now
        self.gone: Mapping[Key, Object] = gone or {}
        self._kinds: dict[type[Object], tuple[Object, ...]] = {}
        self._cache: dict[Any, Any] = {}

    def get(self, type_: type[T], name: str, namespace: str = "") -> T | None:
        """The object of that type and name, or None."""
        found = self.objects.get(Key(type_.__name__, namespace, name))
        return found if isinstance(found, type_) else None

    def list(self, type_: type[T], namespace: str | None = None) -> tuple[T, ...]:
        """All objects of a type, sorted by namespace and name; `namespace` None means all."""
        found = self._kinds.get(type_)
        if found is None:
            name = type_.__name__
            keys = sorted(k for k in self.objects if k.kind == name)
            found = self._kinds[type_] = tuple(self.objects[k] for k in keys)
        if namespace is None:
            return found  # type: ignore[return-value]  # filled with this very type above
        return tuple(o for o in found if o.metadata.namespace == namespace)  # type: ignore[misc]

    def put_all(self, objects: Iterable[tuple[Key, Object]]) -> State:
        """A state with these objects written, one revision each."""
        merged = dict(self.objects)
        written = 0
        for key, value in objects:
            merged[key] = value
            written += 1
        return State(self.config, merged, self.revision + written, self.now, self.gone)

    def remove(self, keys: Iterable[Key]) -> State:
        """A state without these objects; keys that are not there are an error of the caller."""
        merged, gone = dict(self.objects), dict(self.gone)
        revision = self.revision
        for key in keys:
            gone[key] = merged.pop(key)
            revision += 1
        return State(self.config, merged, revision, self.now, gone)

    def at_time(self, now: float) -> State:
        """The same objects at another time of the cluster's clock."""
        return State(self.config, self.objects, self.revision, now, self.gone)

    def cached(self, compute: Callable[[State], V]) -> V:
        """`compute(self)`, computed once for this state."""
        if compute not in self._cache:
            self._cache[compute] = compute(self)
        found: V = self._cache[compute]
        return found

    def __iter__(self) -> Iterator[Object]:
        return iter(self.objects.values())

    def __len__(self) -> int:
        return len(self.objects)


def key_of(obj: Object) -> Key:
    """The key of an object: its type's name, its namespace, its name.

    A foreign kind that is named like one of Kubernetes' own has its group behind its name.
    """
    kind = type(obj).__name__
    if isinstance(obj, Custom):
        group = obj.api_version.rpartition("/")[0]
        kind = f"{obj.kind}.{group}" if obj.kind in BY_KIND else obj.kind
    return Key(kind, obj.metadata.namespace, obj.metadata.name)
