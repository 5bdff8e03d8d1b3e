"""Whether a text that nobody could read as a message quotes a person: by an address, or by an id of ours."""

import re
from collections.abc import Iterable
from urllib.parse import quote

from gateway.domain.identity import UNVERIFIED, Address, ContactKind


class Quotes:
    """Knows a text that quotes a person. A client's own user id is no sign: it may be any word."""

    def __init__(self, addresses: Iterable[Address], ids: Iterable[str]) -> None:
        forms = [re.escape(one) for one in ids]
        for address in addresses:
            forms += _forms(address)
        self._pattern = re.compile("|".join(forms), re.IGNORECASE) if forms else None

    def found_in(self, text: str) -> bool:
        """Whether the person is named in it."""
        return self._pattern is not None and self._pattern.search(text) is not None


def _forms(address: Address) -> list[str]:
    """The ways an address is written in JSON, in a header and in a form; never a part of another address."""
    if address.kind is ContactKind.PHONE:
        return [rf"(?<!\d){re.escape(address.value.lstrip('+'))}(?!\d)"]
    if address.kind is ContactKind.EMAIL:
        mailbox = address.value.removeprefix(UNVERIFIED)
        written = {mailbox, quote(mailbox, safe="@"), quote(mailbox, safe="")}
        return [rf"(?<![\w.+-]){re.escape(form)}(?![\w-]|\.\w)" for form in sorted(written)]
    return []
