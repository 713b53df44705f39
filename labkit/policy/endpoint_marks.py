"""How policies reach what IPVS forwards: by marks that name the pod a packet came from.

IPVS takes a packet at INPUT and sends it on by OUTPUT, so it never meets FORWARD. Felix gives
such a packet a mark with the number of its sender in INPUT, and lets OUTPUT ask the sender's
chain by the mark and the receiver's by its device.

Source: Calico `felix/rules/{static,epmark}.go` (KubeIPVSSupportEnabled).
"""

from __future__ import annotations

from collections.abc import Iterable

from labkit.kernel import netfilter as nf
from labkit.kernel.netfilter import Comment, CtState, InSet, Jump, Mark, Rule, SetMark, Verdict

MASK = 0xFFF00000
STRANGER = 0x100000  # the packet came from no pod
FIRST = 2  # the number of the first pod; they count up from there
ACCEPTED = 0x10000
THIS_HOST = "cali40this-host"
CABLES = "cali+"
UNKNOWN = Comment("Unknown endpoint")
DROP = Verdict("DROP")


def chains(devices: Iterable[str], node_ports: tuple[int, int]) -> dict[str, tuple[Rule, ...]]:
    """Felix' chains for IPVS on one node, whose pods have these devices."""
    marks = {name: (FIRST + place) << 20 for place, name in enumerate(devices)}
    found: dict[str, tuple[Rule, ...]] = {
        "cali-forward-check": _check(node_ports),
        "cali-set-endpoint-mark": (
            *(Rule((nf.InDevice(name),), Jump(f"cali-sm-{name}", goto=True)) for name in marks),
            Rule((nf.InDevice(CABLES), UNKNOWN), DROP),
            Rule((Comment("Non-Cali endpoint mark"),), SetMark(STRANGER, MASK)),
        ),
        "cali-from-endpoint-mark": (
            *(
                Rule((Mark(mark, MASK),), Jump(f"cali-fw-{name}", goto=True))
                for name, mark in marks.items()
            ),
            Rule((Comment("Unknown interface"),), DROP),
        ),
        "cali-forward-endpoint-mark": FORWARD,
    }
    found |= {f"cali-sm-{name}": (Rule((), SetMark(m, MASK)),) for name, m in marks.items()}
    return found


def _check(node_ports: tuple[int, int]) -> tuple[Rule, ...]:
    """What IPVS is going to take: packets for node ports, and for addresses that it keeps."""
    note, here = Comment("To kubernetes NodePort service"), InSet(THIS_HOST, ("dst",))
    to_mark = Jump("cali-set-endpoint-mark", goto=True)
    ports = nf.Ports((node_ports,))
    return (
        Rule((CtState(("RELATED", "ESTABLISHED")),), Verdict("RETURN")),
        *(Rule((nf.Proto(p), note, ports, here), to_mark) for p in ("tcp", "udp")),
        Rule((Comment("To kubernetes service"), InSet(THIS_HOST, ("dst",), negate=True)), to_mark),
    )


FORWARD = (
    Rule((Mark(STRANGER, MASK, negate=True),), Jump("cali-from-endpoint-mark")),
    Rule((nf.OutDevice(CABLES),), Jump("cali-to-wl-dispatch")),
    Rule((), SetMark(0, MASK)),
    Rule(
        (Comment("Policy explicitly accepted packet."), Mark(ACCEPTED, ACCEPTED)),
        Verdict("ACCEPT"),
    ),
)
