"""On which ports a pod listens: the annotation, the declared ports, and who counts."""

from __future__ import annotations

import pytest

from labkit.api.core import (
    Container,
    ContainerPort,
    ContainerState,
    ContainerStatus,
    StateDetail,
)
from labkit.api.listens import declared, holder, listening, parse_listens
from labkit.errors import ManifestError
from tests.clusters import pod

TEXTS = {
    "8080/TCP,5353/UDP": [("TCP", 8080, ""), ("UDP", 5353, "")],
    "8080": [("TCP", 8080, "")],
    "0.0.0.0:8080, [::]:9090": [("TCP", 8080, ""), ("TCP", 9090, "")],
    " 80/tcp , 53/udp ": [("TCP", 80, ""), ("UDP", 53, "")],
    "127.0.0.1:9000/TCP": [("TCP", 9000, "127.0.0.1")],
    "[::1]:9000/TCP": [("TCP", 9000, "::1")],
    "": [],
}


@pytest.mark.parametrize(("text", "found"), TEXTS.items(), ids=TEXTS)
def test_parse_listens(text, found):
    sockets = parse_listens(text)
    assert [(s.protocol, s.port, str(s.address or "")) for s in sockets] == found


@pytest.mark.parametrize("text", ["http", "80/TPC", "0/TCP", "70000", "8080/TCP/UDP", "x:80"])
def test_a_bad_annotation_is_refused_in_one_line(text):
    with pytest.raises(ManifestError) as error:
        parse_listens(text, "Pod/web")
    assert str(error.value) == (
        f"Pod/web .metadata.annotations[labkit.dev/listens]: `{text}` is not a port to listen on; "
        "write for example `8080/TCP,5353/UDP`"
    )


def container(name: str, *ports: int, restart: str = "") -> Container:
    declared_ports = tuple(ContainerPort(container_port=p) for p in ports)
    return Container(name=name, ports=declared_ports, restart_policy=restart)


def test_without_annotation_the_declared_ports_count():
    assert [s.port for s in listening(pod("web", "10.244.1.2", ports=(80, 443)))] == [80, 443]


def test_the_annotation_goes_before_the_declared_ports():
    assert [s.port for s in listening(pod("web", None, ports=(80,), listens="81"))] == [81]


def test_an_empty_annotation_is_a_pod_that_listens_nowhere():
    assert listening(pod("web", None, ports=(80,), listens="")) == ()


def test_sidecars_count_and_other_init_containers_do_not():
    web = pod(
        "web",
        "10.244.1.2",
        init_containers=(container("setup", 1), container("proxy", 2, restart="Always")),
        containers=(container("main", 3),),
    )
    assert [(s.port, s.container) for s in listening(web)] == [(2, "proxy"), (3, "main")]


def test_the_first_container_keeps_a_port_that_two_want():
    web = pod("web", None, containers=(container("a", 80), container("b", 80)))
    assert [(s.port, s.container) for s in declared(web)] == [(80, "a")]


@pytest.mark.parametrize("phase", ["Pending", "Succeeded", "Failed"])
def test_a_pod_that_does_not_run_listens_nowhere(phase):
    assert listening(pod("web", "10.244.1.2", phase=phase)) == ()


def test_a_container_that_waits_holds_no_socket():
    from msgspec.structs import replace

    web = pod("web", "10.244.1.2", containers=(container("a", 80), container("b", 81)))
    waits = ContainerStatus(
        name="b", state=ContainerState(waiting=StateDetail(reason="CrashLoopBackOff"))
    )
    status = replace(web.status, container_statuses=(waits,))
    assert [s.port for s in listening(replace(web, status=status))] == [80]


HOLDERS = {
    # what it shows: (containers, who holds 9100/TCP)
    "the one that declares it": ((container("a", 80), container("b", 9100)), "b"),
    "the first of two that declare it": ((container("a", 9100), container("b", 9100)), "a"),
    "the one that declares none": ((container("a"), container("b", 80)), "a"),
    "else the last one": ((container("a", 80), container("b", 81)), "b"),
    "nobody where there is none": ((), ""),
}


@pytest.mark.parametrize(("containers", "name"), HOLDERS.values(), ids=HOLDERS)
def test_a_port_is_held_by(containers, name):
    assert holder(pod("web", None, containers=containers), "TCP", 9100) == name
