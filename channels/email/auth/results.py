"""Authentication-Results: what a server says it found (RFC 8601). Read by tokens, never searched by pattern:
a comment or a quoted address may hold any words.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from channels.email.auth.signed import Field, SignedMail

MAX_HEADER = 16_384
MAX_RESULTS = 50
"""Results of one header that are read."""

_TOKEN = re.compile(r'"((?:[^"\\]|\\.)*+)"|([();=])|([^\s();="]++)', re.DOTALL)
_ESCAPED = re.compile(r"\\(.)", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Result:
    """One method's result, with its properties such as `header.from`; all in lower case."""

    method: str
    value: str
    properties: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Results:
    """One header."""

    server: str
    """Who says so (authserv-id), in lower case."""
    results: tuple[Result, ...]


def read_results(text: str) -> Results | None:
    """The header, or None where it is none."""
    sections = list(_sections(text[:MAX_HEADER]))
    head = sections[0] if sections else []
    if not head or "=" in head or len(head) > 2:
        return None
    found = (_result(section) for section in sections[1 : MAX_RESULTS + 1])
    return Results(head[0].lower(), tuple(result for result in found if result is not None))


def results_of(mail: SignedMail, server: str) -> list[Result]:
    """What our own server says of a mail: its headers above the first Received, and no others.

    A server puts its headers above what it received, so what stands below was brought by the client.
    """
    found: list[Result] = []
    for one in _above_received(mail.fields):
        if one.name != b"authentication-results":
            continue
        results = read_results(one.value.decode("utf-8", "replace"))
        if results is not None and results.server == server.lower():
            found += results.results
    return found


def dmarc_of(results: Sequence[Result], from_domain: str) -> str | None:
    """The DMARC result about a domain; a failure outweighs whatever else is said; None: not told."""
    told = {
        result.value
        for result in results
        if result.method == "dmarc" and result.properties.get("header.from", "").rstrip(".") == from_domain
    }
    return "fail" if "fail" in told else next(iter(sorted(told, key=lambda value: value != "pass")), None)


def _above_received(fields: Sequence[Field]) -> Iterator[Field]:
    for one in fields:
        if one.name == b"received":
            return
        yield one


def _sections(text: str) -> Iterator[list[str]]:
    """The tokens between semicolons, without comments."""
    section: list[str] = []
    depth = 0
    for match in _TOKEN.finditer(text):
        mark = match[2]
        if mark == "(":
            depth += 1
        elif mark == ")":
            depth = max(0, depth - 1)
        elif depth:
            continue
        elif mark == ";":
            yield section
            section = []
        elif match[1] is not None:
            section.append(_ESCAPED.sub(r"\1", match[1]))
        else:
            section.append(mark or match[3])
    if section and not depth:
        yield section


def _result(section: Sequence[str]) -> Result | None:
    """`method = value [key = value]…`; None for `none` and for what is not so."""
    if len(section) < 3 or section[1] != "=":
        return None
    pairs = section[3:]
    properties: dict[str, str] = {}
    for at in range(0, len(pairs) - 2, 3):
        if pairs[at + 1] != "=":
            break
        properties.setdefault(pairs[at].lower(), pairs[at + 2].lower())
    return Result(section[0].partition("/")[0].lower(), section[2].lower(), properties)
