"""Comments by which a program knows its own rules again: a hash for each.

Each hash depends on the chain's name and on all rules up to its own, so whoever edits a chain
by hand changes what the program finds there.
"""

from __future__ import annotations

from base64 import urlsafe_b64encode
from hashlib import sha256

import msgspec

from labkit.kernel.netfilter import Chain, Comment, Rule
from labkit.kernel.rules_text import rule_text

LENGTH = 16  # characters of a hash


def with_hashes(chain: Chain, lead: str) -> Chain:
    """The chain with a first comment `LEAD:HASH` in each of its rules.

    Source: the way, not the values, of Calico's `felix/generictables/rules.go`: it hashes the
    text that it hands to iptables, the lab the text that iptables prints.
    """
    found, digest = [], sha256(chain.name.encode()).digest()
    for rule in chain.rules:
        digest = sha256(digest + rule_text(rule, chain.name).encode()).digest()
        found.append(_commented(rule, f"{lead}:{short_hash(digest)}"))
    return msgspec.structs.replace(chain, rules=tuple(found))


def short_hash(digest: bytes) -> str:
    """The first characters of a hash, in an alphabet that a shell leaves alone."""
    return urlsafe_b64encode(digest).decode()[:LENGTH]


def _commented(rule: Rule, text: str) -> Rule:
    return msgspec.structs.replace(rule, matches=(Comment(text), *rule.matches))


def shortened(lead: str, name: str, most: int) -> str:
    """`lead` and `name`, or where that is too long a hash of the name; `most` is in characters.

    Source: Calico's `libcalico-go/lib/hash`.
    """
    if len(lead) + len(name) <= most and not name.startswith("_"):
        return lead + name
    digits = urlsafe_b64encode(sha256(name.encode()).digest()).decode().rstrip("=")
    return f"{lead}_{digits}"[:most]
