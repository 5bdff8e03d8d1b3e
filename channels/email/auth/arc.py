"""ARC: the chain of servers that passed a mail on, and what each says it found on arrival (RFC 8617).

A chain proves only that its sealers said so. Whom of them to believe is configured; see `sender`.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from channels.email.auth.dkim import Signature, decoded, domain_of, read_signature
from channels.email.auth.keys import ALGORITHMS, KeyedField, PublicKey
from channels.email.auth.signed import BadSignature, Canonical, Field, SignedMail, read_tags

MAX_SETS = 20
"""Sets of a chain; RFC 8617 §4.2.1 allows 50, no forwarding makes so many."""
_NAMES = (b"arc-authentication-results", b"arc-message-signature", b"arc-seal")
_INSTANCE = re.compile(r"[ \t\r\n]*i[ \t\r\n]*=[ \t\r\n]*([0-9]{1,2})[ \t\r\n]*")


class Seal(KeyedField):
    """An ARC-Seal, read and not yet verified."""


@dataclass(frozen=True, slots=True)
class ArcSet:
    """What one server added: what it found, its signature over the mail, its seal over the chain."""

    results: Field
    message: Field
    seal: Seal

    @property
    def found(self) -> str:
        """The authentication results, without the instance before them."""
        return self.results.value.decode("utf-8", "replace").partition(";")[2]


@dataclass(frozen=True, slots=True)
class Chain:
    """A chain whose form is right; `newest` is the signature that must still hold."""

    sets: tuple[ArcSet, ...]
    """The oldest first."""
    newest: Signature


def read_chain(mail: SignedMail, now: int) -> Chain | None:
    """The chain of a mail, None where it has none. Raises BadSignature where it is broken (§5.2)."""
    found: dict[tuple[bytes, int], Field] = {}
    for field in mail.fields:
        if field.name not in _NAMES:
            continue
        key = field.name, _instance(field)
        if key in found:
            raise BadSignature("two of one instance")
        found[key] = field
    if not found:
        return None
    count = len(found) // len(_NAMES)
    wanted = {(name, number) for name in _NAMES for number in range(1, count + 1)}
    if set(found) != wanted or count > MAX_SETS:
        raise BadSignature("the chain has gaps")
    sets = tuple(
        ArcSet(found[_NAMES[0], n], found[_NAMES[1], n], _seal(found[_NAMES[2], n], n))
        for n in range(1, count + 1)
    )
    newest = read_signature(sets[-1].message, now, arc=True)
    if b"arc-seal" in newest.headers:
        raise BadSignature("the signature covers seals")
    return Chain(sets, newest)


def verify_seal(chain: Chain, number: int, key: PublicKey) -> None:
    """Raises BadSignature unless set `number` (from 1) was sealed over all before it (§5.1.1)."""
    covered: list[bytes] = []
    for one in chain.sets[:number]:
        covered += (one.results.canonical(Canonical.RELAXED), one.message.canonical(Canonical.RELAXED))
        if one is not chain.sets[number - 1]:
            covered.append(one.seal.field.canonical(Canonical.RELAXED))
    seal = chain.sets[number - 1].seal
    covered.append(seal.field.without_signature(Canonical.RELAXED))
    key.verify(seal.signature, b"".join(covered))


def believed(chain: Chain, sealers: Sequence[str]) -> list[str]:
    """What sealers of our trust found, the newest first, as far as nobody else stands in between."""
    results: list[str] = []
    for one in reversed(chain.sets):
        if one.seal.domain not in sealers:
            break
        results.append(one.found)
    return results


def _instance(field: Field) -> int:
    text = field.value.decode("utf-8", "replace")
    if field.name == _NAMES[0]:
        match = _INSTANCE.fullmatch(text.partition(";")[0])
        number = match[1] if match else ""
    else:
        number = read_tags(text).get("i", "")
    if not number.isascii() or not number.isdecimal() or not 1 <= int(number[:3]) <= MAX_SETS:
        raise BadSignature("an instance is not a number")
    return int(number)


def _seal(field: Field, number: int) -> Seal:
    tags = read_tags(field.value.decode("utf-8", "replace"))
    missing = [name for name in ("a", "b", "cv", "d", "s") if not tags.get(name)]
    if missing:
        raise BadSignature(f"{missing[0]}= is missing")
    if tags["cv"].lower() != ("none" if number == 1 else "pass"):
        raise BadSignature("a sealer found the chain broken")
    if "h" in tags:
        raise BadSignature("a seal names headers")
    if tags["a"] not in ALGORITHMS:
        raise BadSignature("an algorithm that proves nothing")
    return Seal(
        field=field,
        domain=domain_of(tags["d"]),
        selector=domain_of(tags["s"], selector=True),
        algorithm=tags["a"],
        signature=decoded(tags["b"]),
    )
