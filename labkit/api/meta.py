"""What every object carries, selectors, and how API names become Python's.

Source: Kubernetes `k8s.io/apimachinery/pkg/apis/meta/v1/types.go`.
"""

from __future__ import annotations

from abc import ABC
from collections.abc import Mapping
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import TYPE_CHECKING, Any, Literal

import msgspec

if TYPE_CHECKING:
    Address = IPv4Address | IPv6Address
else:

    class Address(ABC):  # noqa: B024 - a name for two classes, nothing to implement
        """Either family: msgspec takes one custom type in a union with None, not two."""

    Address.register(IPv4Address)
    Address.register(IPv6Address)

_UPPER = {"ip": "IP", "ips": "IPs", "cidr": "CIDR", "cidrs": "CIDRs", "uid": "UID", "id": "ID"}


def api_name(field: str) -> str:
    """`pod_ip` -> `podIP`, `cluster_ips` -> `clusterIPs`, `match_labels` -> `matchLabels`."""
    first, *rest = field.rstrip("_").split("_")
    return first + "".join(_UPPER.get(part, part.capitalize()) for part in rest)


def decode_custom(type_: Any, value: Any) -> Any:
    """msgspec's `dec_hook`: text to an IP address; ValueError if it is none."""
    if type_ is Address:
        return ip_address(value)
    raise NotImplementedError(type_)


def encode_custom(value: Any) -> Any:
    """msgspec's `enc_hook`: an IP address as text."""
    return str(value)


class Field(msgspec.Struct, frozen=True, kw_only=True, rename=api_name, omit_defaults=True):
    """Base of all API types: frozen, named in the API as the API names it."""


class OwnerReference(Field, frozen=True):
    api_version: str
    kind: str
    name: str
    uid: str = ""
    controller: bool = False
    block_owner_deletion: bool = False


class Meta(Field, frozen=True):
    """`metadata`. `generation` and times are kept as text, as the API prints them."""

    name: str = ""
    namespace: str = ""
    generate_name: str = ""
    labels: Mapping[str, str] = {}
    annotations: Mapping[str, str] = {}
    uid: str = ""
    resource_version: str = ""
    generation: int = 0
    creation_timestamp: str = ""
    deletion_timestamp: str = ""
    deletion_grace_period_seconds: int | None = None
    owner_references: tuple[OwnerReference, ...] = ()
    finalizers: tuple[str, ...] = ()


class Requirement(Field, frozen=True):
    """One `matchExpressions` item."""

    key: str
    operator: Literal["In", "NotIn", "Exists", "DoesNotExist"]
    values: tuple[str, ...] = ()

    def matches(self, labels: Mapping[str, str]) -> bool:
        match self.operator:
            case "In":
                return labels.get(self.key) in self.values
            case "NotIn":
                return labels.get(self.key) not in self.values
            case "Exists":
                return self.key in labels
            case "DoesNotExist":
                return self.key not in labels


class LabelSelector(Field, frozen=True):
    """Every label and every expression must hold; an empty selector matches everything."""

    match_labels: Mapping[str, str] = {}
    match_expressions: tuple[Requirement, ...] = ()

    def matches(self, labels: Mapping[str, str]) -> bool:
        return all(labels.get(k) == v for k, v in self.match_labels.items()) and all(
            e.matches(labels) for e in self.match_expressions
        )


class Condition(Field, frozen=True):
    type: str
    status: str
    reason: str = ""
    message: str = ""
    last_transition_time: str = ""
    observed_generation: int | None = None


class Object(Field, frozen=True):
    """Base of all kinds: `metadata` beside the manifest that the learner wrote.

    `manifest` is the object as it came in, with the API's defaults filled in; fields that
    the typed view does not have live only there. Never change it in place.
    """

    metadata: Meta = Meta()
    manifest: Mapping[str, Any] = {}

    @property
    def name(self) -> str:
        return self.metadata.name

    @property
    def namespace(self) -> str:
        return self.metadata.namespace

    @property
    def labels(self) -> Mapping[str, str]:
        return self.metadata.labels

    @property
    def annotations(self) -> Mapping[str, str]:
        return self.metadata.annotations


class Custom(Object, frozen=True):
    """An object of a kind that the lab does not model: kept as it came."""

    api_version: str = ""
    kind: str = ""
