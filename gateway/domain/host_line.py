"""Where the words for a caller at a voice host go while they are made."""

from dataclasses import dataclass
from typing import Self

_LINE, _PIECES, _SENTENCES = "voice", "pieces", "sentences"


@dataclass(frozen=True, slots=True)
class HostLine:
    """A call at a voice host: the `reply_to` of what the host reports."""

    host_id: str
    call_id: str
    streams: bool
    """Whether the host speaks pieces of any size; else it is given whole sentences."""

    def __str__(self) -> str:
        """As an address."""
        return f"{_LINE}:{self.host_id}:{_PIECES if self.streams else _SENTENCES}:{self.call_id}"

    @classmethod
    def read(cls, address: str) -> Self | None:
        """The line of an address; None for those of other listeners."""
        kind, _, rest = address.partition(":")
        host_id, _, rest = rest.partition(":")
        how, _, call_id = rest.partition(":")
        if kind != _LINE or how not in (_PIECES, _SENTENCES):
            return None
        return cls(host_id, call_id, streams=how == _PIECES)
