"""An SPF record, read: every term checked before any is looked up (RFC 7208 §4.6, §5, §6, §12)."""

import re
from dataclasses import dataclass
from ipaddress import AddressValueError, IPv4Network, IPv6Network, NetmaskValueError

MAX_RECORD = 4_096
"""Characters of a record that is read; RFC 7208 §3.4 advises 450."""

_TERM = re.compile(r"([+?~-]?)([a-z][a-z0-9]*)(?:([:/])(.*))?", re.IGNORECASE)
_MODIFIER = re.compile(r"([a-z][a-z0-9._-]*)=(.*)", re.IGNORECASE)
_PREFIXES = re.compile(r"(?:/(0|[1-9][0-9]{0,2}))?(?://(0|[1-9][0-9]{0,2}))?")
_MACRO = re.compile(r"%(?:\{([slodiphcrtv])([0-9]{0,3})(r?)([-.+,/_=]*)\}|([%_-]))", re.IGNORECASE)
_LITERAL = re.compile(r"[!-$&-~]+")
_TOP_LABEL = re.compile(r"(?=[a-z0-9-]*[a-z-])[a-z0-9](?:[a-z0-9-]*[a-z0-9])?", re.IGNORECASE)
_EXPLANATION_ONLY = frozenset("crt")

_WITH_NAME = frozenset({"include", "exists"})
_MAY_NAME = frozenset({"a", "mx", "ptr"})


class BadRecord(ValueError):
    """The record is not one: a permanent error of whoever published it."""


@dataclass(frozen=True, slots=True)
class Mechanism:
    """A mechanism; `prefixes` are the lengths to compare on IPv4 and IPv6."""

    qualifier: str
    name: str
    target: str | None = None
    """The domain with its macros; None: the current one."""
    prefixes: tuple[int, int] = (32, 128)
    network: IPv4Network | IPv6Network | None = None


@dataclass(frozen=True, slots=True)
class SpfRecord:
    """The mechanisms in their order, and where to go on when none matches."""

    mechanisms: tuple[Mechanism, ...]
    redirect: str | None


def is_spf(text: str) -> bool:
    """Whether a TXT record says that it is one."""
    version, space, _ = text.partition(" ")
    return version.lower() == "v=spf1" and (bool(space) or len(text) == len(version))


def read_record(text: str) -> SpfRecord:
    """Raises BadRecord."""
    if len(text) > MAX_RECORD:
        raise BadRecord("longer than any record needs to be")
    mechanisms: list[Mechanism] = []
    modifiers: dict[str, str] = {}
    for term in text.split(" ")[1:]:
        modifier = _MODIFIER.fullmatch(term)
        if modifier:
            _add_modifier(modifiers, modifier[1].lower(), modifier[2])
        elif term:
            mechanisms.append(_mechanism(term))
    return SpfRecord(tuple(mechanisms), modifiers.get("redirect"))


def _add_modifier(modifiers: dict[str, str], name: str, value: str) -> None:
    if name in ("redirect", "exp"):
        if name in modifiers:
            raise BadRecord(f"{name} is there twice")
        check_domain_spec(value)
    else:
        macros(value, explains=True)
    modifiers[name] = value


def _mechanism(term: str) -> Mechanism:
    match = _TERM.fullmatch(term)
    if match is None:
        raise BadRecord("a term is neither mechanism nor modifier")
    qualifier, name, mark, rest = match[1] or "+", match[2].lower(), match[3], match[4] or ""
    if name == "all" and mark is None:
        return Mechanism(qualifier, name)
    if name in ("ip4", "ip6") and mark == ":":
        return Mechanism(qualifier, name, network=_network(name, rest))
    if name in _WITH_NAME and mark == ":":
        check_domain_spec(rest)
        return Mechanism(qualifier, name, rest)
    if name in _MAY_NAME:
        return _addressed(qualifier, name, mark, rest)
    raise BadRecord("an unknown mechanism")


def _addressed(qualifier: str, name: str, mark: str | None, rest: str) -> Mechanism:
    """`a`, `mx` and `ptr`, with domain and prefix lengths where they are given."""
    text = f"/{rest}" if mark == "/" else rest
    prefixes = (32, 128)
    if name != "ptr":
        text, prefixes = _cut_prefixes(text)
    if mark == ":" or text:
        check_domain_spec(text)
    return Mechanism(qualifier, name, text or None, prefixes)


def _cut_prefixes(text: str) -> tuple[str, tuple[int, int]]:
    for slash in (i for i, character in enumerate(text) if character == "/"):
        match = _PREFIXES.fullmatch(text, slash)
        if match:
            prefixes = (int(match[1] or 32), int(match[2] or 128))
            if prefixes[0] > 32 or prefixes[1] > 128:
                raise BadRecord("a prefix is too long")
            return text[:slash], prefixes
    return text, (32, 128)


def _network(name: str, text: str) -> IPv4Network | IPv6Network:
    address, slash, length = text.partition("/")
    if slash and not re.fullmatch("0|[1-9][0-9]{0,2}", length):
        raise BadRecord("a prefix is not a number")
    try:
        kind = IPv4Network if name == "ip4" else IPv6Network
        return kind(f"{address}/{length}" if slash else address, strict=False)
    except (AddressValueError, NetmaskValueError, ValueError):
        raise BadRecord("not a network") from None


def check_domain_spec(text: str) -> None:
    """Raise BadRecord unless it is macros and literals that end in a macro or a top label (RFC 7208 §7.1)."""
    pieces = macros(text, explains=False)
    if not pieces:
        raise BadRecord("a domain is missing")
    last = pieces[-1]
    if isinstance(last, Macro):
        if last.letter in "%_-":
            raise BadRecord("not a domain")
        return
    label = last.removesuffix(".").rpartition(".")[2]
    dotted = "." in last.removesuffix(".")
    if not dotted or not _TOP_LABEL.fullmatch(label):
        raise BadRecord("a domain without a top label")


@dataclass(frozen=True, slots=True)
class Macro:
    """`%{letter…}`, or one of `%%`, `%_`, `%-` by its second character."""

    letter: str
    keep: int = 0
    """How many labels of the right are kept; 0: all."""
    reverse: bool = False
    delimiters: str = "."


def macros(text: str, *, explains: bool) -> list[str | Macro]:
    """The pieces of a macro string. Raises BadRecord."""
    pieces: list[str | Macro] = []
    at = 0
    while at < len(text):
        match = _LITERAL.match(text, at) or _MACRO.match(text, at)
        if match is None:
            raise BadRecord("not a macro string")
        pieces.append(match[0] if match.re is _LITERAL else _macro(match, explains))
        at = match.end()
    return pieces


def _macro(match: re.Match[str], explains: bool) -> Macro:
    if match[5]:
        return Macro(match[5])
    if match[1].lower() in _EXPLANATION_ONLY and not explains:
        raise BadRecord("a macro that only explanations may use")
    if match[2] and int(match[2]) == 0:
        raise BadRecord("a macro that keeps nothing")
    return Macro(match[1], int(match[2] or 0), bool(match[3]), match[4] or ".")
