"""What the fake Twilio has accepted: every message once, in order, with its state."""

import json
import time
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from io import TextIOWrapper
from itertools import count
from pathlib import Path
from uuid import uuid4


def new_sid(prefix: str) -> str:
    """A fresh identifier: two letters and 32 hex digits."""
    return prefix + uuid4().hex


@dataclass(slots=True)
class Message:
    """A message that the fake has accepted (outbound) or has sent to the webhook (inbound)."""

    sid: str
    to: str
    from_: str
    body: str
    status: str
    direction: str
    """`outbound-api` or `inbound`."""
    ordinal: int
    """Its place in the order of acceptance, over both directions."""
    created_at: float
    """Seconds since the epoch."""
    created_monotonic: float
    """Seconds of this process's monotonic clock."""
    messaging_service_sid: str | None = None
    media: int = 0
    status_callback: str = ""
    error_code: int | None = None

    def line(self) -> dict[str, object]:
        """The message as the control API and the ledger file show it."""
        return {
            "ordinal": self.ordinal,
            "sid": self.sid,
            "to": self.to,
            "from": self.from_,
            "body": self.body,
            "status": self.status,
            "error_code": self.error_code,
            "direction": self.direction,
            "created_at": self.created_at,
            "created_monotonic": self.created_monotonic,
        }


@dataclass(frozen=True, slots=True)
class Draft:
    """A message before it is accepted."""

    to: str
    from_: str
    body: str
    status: str
    direction: str = "outbound-api"
    sid: str = ""
    """Chosen by the fake where empty."""
    messaging_service_sid: str | None = None
    media: int = 0
    status_callback: str = ""


@dataclass(slots=True)
class Ledger:
    """Accepted messages, newest last. Grows with every message: only `clear` forgets.

    With a `path`, each accepted message is also appended to that file as one line of JSON and handed to the
    operating system before it is answered.
    """

    path: Path | None = None
    outbound: list[Message] = field(default_factory=list)
    inbound: list[Message] = field(default_factory=list)
    _all: list[Message] = field(default_factory=list)
    _by_sid: dict[str, Message] = field(default_factory=dict)
    _by_to: defaultdict[str, list[Message]] = field(default_factory=lambda: defaultdict(list))
    _ordinals: Iterator[int] = field(default_factory=count)
    _file: TextIOWrapper | None = None

    def accept(self, draft: Draft) -> Message:
        """Record a message. One whose SID is known already is returned as it is, not recorded twice."""
        sid = draft.sid or new_sid("MM" if draft.media else "SM")
        if sid in self._by_sid:
            return self._by_sid[sid]
        message = Message(
            sid=sid,
            to=draft.to,
            from_=draft.from_,
            body=draft.body,
            status=draft.status,
            direction=draft.direction,
            ordinal=next(self._ordinals),
            created_at=time.time(),
            created_monotonic=time.monotonic(),
            messaging_service_sid=draft.messaging_service_sid,
            media=draft.media,
            status_callback=draft.status_callback,
        )
        self._append(message)
        (self.inbound if draft.direction == "inbound" else self.outbound).append(message)
        self._all.append(message)
        self._by_sid[sid] = message
        self._by_to[message.to].append(message)
        return message

    def get(self, sid: str) -> Message | None:
        """The message with this SID."""
        return self._by_sid.get(sid)

    def to(self, number: str) -> Sequence[Message]:
        """All messages to a number, both directions, in order of acceptance."""
        return self._by_to.get(number, ())

    def everything(self, after: int = -1) -> Sequence[Message]:
        """All messages whose ordinal is greater than `after`, both directions, in order of acceptance."""
        return self._all[bisect_left(self._all, after + 1, key=lambda message: message.ordinal) :]

    def clear(self) -> None:
        """Forget all messages; ordinals go on, the file is left as it is."""
        for kept in (self.outbound, self.inbound, self._all, self._by_sid, self._by_to):
            kept.clear()

    def close(self) -> None:
        """Close the file."""
        if self._file is not None:
            self._file.close()
            self._file = None

    def _append(self, message: Message) -> None:
        if self.path is None:
            return
        if self._file is None:
            self._file = self.path.open("a", encoding="utf-8")
        self._file.write(json.dumps(message.line(), ensure_ascii=False) + "\n")
        self._file.flush()
