"""What the fields of nodes, pods and workloads owe each other: one row a type.

Source: Kubernetes `pkg/apis/{core,apps,batch}/validation/validation.go`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from labkit.api import syntax
from labkit.api.relations import (
    Faults,
    Rule,
    exactly_one,
    items,
    needed,
    one_a_family,
    part,
    structs,
    unique,
)
from labkit.api.syntax import quoted


def _requirement(value: dict[str, Any]) -> Faults:
    operator, values = value.get("operator"), items(value, "values")
    if operator in ("In", "NotIn") and not values:
        yield "", f"`{operator}` needs `values`; add them, or use Exists or DoesNotExist"
    if operator in ("Exists", "DoesNotExist") and values:
        yield ".values", f"`{operator}` takes no values; remove them, or use In or NotIn"


def _selects_its_template(value: dict[str, Any]) -> Faults:
    selector = value.get("selector")
    if not isinstance(selector, dict):
        return
    wanted = part(selector, "matchLabels")
    if not any(selector.values()):
        yield ".selector", "is empty; give the labels of the template under `matchLabels`"
    labels = part(value, "template.metadata.labels")
    wrong = {k: v for k, v in wanted.items() if labels.get(k) != v}
    if wrong and isinstance(value.get("template"), dict):
        has = ", ".join(f"{k}: {v}" for k, v in sorted(labels.items())) or "no labels"
        asks = ", ".join(f"{k}: {v}" for k, v in sorted(wrong.items()))
        message = f"asks for {quoted(asks)}, but the template has {quoted(has)}; make them equal"
        yield ".selector", message
    for path, requirement in structs(selector, "matchExpressions"):
        if not _holds(requirement, labels):
            yield f".selector{path}", "the template's labels do not meet it; change one of the two"


def _holds(requirement: dict[str, Any], labels: dict[str, Any]) -> bool:
    key, values = str(requirement.get("key")), items(requirement, "values")
    return {
        "In": labels.get(key) in values,
        "NotIn": labels.get(key) not in values,
        "Exists": key in labels,
        "DoesNotExist": key not in labels,
    }.get(str(requirement.get("operator")), True)


def _restarts(*allowed: str) -> Rule:
    """A rule: the template's restartPolicy (Always when absent) is one that this kind takes."""

    def rule(value: dict[str, Any]) -> Faults:
        spec = part(value, "template.spec")
        policy = spec.get("restartPolicy") or "Always"
        if spec and policy in ("Always", "OnFailure", "Never") and policy not in allowed:
            where = ".template.spec" + (".restartPolicy" if "restartPolicy" in spec else "")
            yield where, f"restartPolicy is {policy}; here it must be {' or '.join(allowed)}"

    return rule


def _strategy(value: dict[str, Any]) -> Faults:
    rolling = part(value, "rollingUpdate")
    if value.get("type") == "Recreate" and rolling:
        yield ".rollingUpdate", "has no meaning under type Recreate; remove it"
    if all(rolling.get(k) in (0, "0%") for k in ("maxSurge", "maxUnavailable")):
        yield ".rollingUpdate", "maxSurge and maxUnavailable are both 0; one must be more"


# --- Pod -----------------------------------------------------------------------------------


def _pod(value: dict[str, Any]) -> Faults:
    if value.get("containers") == []:
        yield ".containers", "is empty; a pod has at least one container"
    seen: dict[str, str] = {}
    for key in ("initContainers", "containers"):
        for path, container in structs(value, key):
            name = str(container.get("name") or "")
            if name and name in seen:
                yield f"{path}.name", f"{quoted(name)} is already the name of {seen[name][1:]}"
            seen.setdefault(name, path)
    yield from _host_ports(value)
    yield from _pod_dns(value)


def _mounts(where: str) -> Rule:
    """A rule of whoever holds a pod's spec at `where`: what is mounted exists.

    A StatefulSet also has the volumes of its claim templates.
    """

    def rule(value: dict[str, Any]) -> Faults:
        spec = part(value, where)
        names = [v.get("name") for _, v in structs(spec, "volumes")]
        claims = (c for _, c in structs(value, "volumeClaimTemplates"))
        names += [part(c, "metadata").get("name") for c in claims]
        for key in ("initContainers", "containers"):
            for path, container in structs(spec, key):
                for at, mount in structs(container, "volumeMounts"):
                    volume = mount.get("name")
                    if isinstance(volume, str) and volume not in names:
                        fault = f"no volume is called {quoted(volume)}; add it to `volumes`"
                        yield f".{where}{path}{at}.name", fault

    return rule


def _host_ports(value: dict[str, Any]) -> Faults:
    taken: dict[tuple[str, ...], str] = {}
    for path, container in structs(value, "containers"):
        for at, port in structs(container, "ports"):
            number, here = port.get("hostPort"), f"{path}{at}.hostPort"
            if value.get("hostNetwork") is True and not number:
                number, here = port.get("containerPort"), f"{path}{at}.containerPort"
            if not number:
                continue
            if value.get("hostNetwork") is True and number != port.get("containerPort"):
                yield here, "must equal containerPort, since the pod is in its node's network"
            word = (str(number), str(port.get("protocol", "TCP")), str(port.get("hostIP", "")))
            if word in taken:
                yield here, f"{word[0]}/{word[1]} is already taken by {taken[word][1:]}"
            taken.setdefault(word, here)


def _pod_dns(value: dict[str, Any]) -> Faults:
    config = part(value, "dnsConfig")
    if value.get("dnsPolicy") == "None" and not items(config, "nameservers"):
        yield ".dnsConfig", "dnsPolicy None needs at least one of `nameservers`; add it"
    for key, limit in (("nameservers", 3), ("searches", 32)):
        if len(items(config, key)) > limit:
            yield f".dnsConfig.{key}", f"has {len(items(config, key))} items; at most {limit}"


def _env(value: dict[str, Any]) -> Faults:
    if value.get("value") and value.get("valueFrom"):
        yield "", "has `value` and `valueFrom`; keep one of them"


def _toleration(value: dict[str, Any]) -> Faults:
    if value.get("operator") == "Exists" and value.get("value"):
        yield ".value", "`Exists` takes no value; remove it, or use Equal"
    if not value.get("key") and value.get("operator", "Equal") != "Exists":
        yield "", "without a `key` the operator must be Exists, which tolerates every taint"


def _is_quantity(value: object) -> bool:
    right = isinstance(value, int | float | str) and not isinstance(value, bool)
    return right and not syntax.quantity(value)


def _resources(value: dict[str, Any]) -> Faults:
    requests, limits = part(value, "requests"), part(value, "limits")
    for name, asked in requests.items():
        most = limits.get(name)
        if most is None or not (_is_quantity(asked) and _is_quantity(most)):
            continue
        if syntax.amount(asked) > syntax.amount(most) * (1 + 1e-9):  # 0.7 and 700m are equal
            yield f".requests.{name}", f"{asked} is more than the limit of {most}"


def _pod_cidrs(value: dict[str, Any]) -> Faults:
    several = items(value, "podCIDRs")
    first = value.get("podCIDR")
    if several and first and several[0] != first:
        yield ".podCIDRs[0]", f"must equal podCIDR, which is {quoted(first)}"
    yield from one_a_family(".podCIDRs", several)


_TEMPLATE = (_selects_its_template, _restarts("Always"), _mounts("template.spec"))

TYPES: Mapping[str, tuple[Rule, ...]] = {
    "LabelSelectorRequirement": (_requirement,),
    "NodeSpec": (_pod_cidrs,),
    "Pod": (needed("spec"), _mounts("spec")),
    "PodSpec": (_pod, unique("volumes", "name")),
    "Container": (
        needed("image", "name the image to run"),
        unique("ports", "name"),
        unique("volumeMounts", "mountPath"),
    ),
    "EnvVar": (_env,),
    "Probe": (exactly_one("httpGet", "tcpSocket", "grpc", "exec"),),
    "ResourceRequirements": (_resources,),
    "Toleration": (_toleration,),
    "DeploymentSpec": _TEMPLATE,
    "ReplicaSetSpec": _TEMPLATE,
    "DaemonSetSpec": _TEMPLATE,
    "StatefulSetSpec": _TEMPLATE,
    "DeploymentStrategy": (_strategy,),
    "Job": (needed("spec"),),
    "JobSpec": (_restarts("OnFailure", "Never"), _mounts("template.spec")),
}
