"""Where a TwiML call stands, carried in the URLs that its documents name.

The webhooks keep no state: a callback's URL, which Twilio's signature covers, says which input comes next and
how digits are read. A repeated callback therefore has the same input number, which de-duplicates it.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlencode

from channels.twilio.requests import SMS_RETRIES, VOICE_PATH, VOICE_STATUS_PATH
from gateway.domain.intent import INTER_DIGIT_TIMEOUT_MS, MAX_DIGITS, TERMINATORS, DtmfInputSpec

START_PATH = VOICE_PATH
INPUT_PATH = f"{START_PATH}/input"
WAIT_PATH = f"{START_PATH}/wait"
DIALED_PATH = f"{START_PATH}/dialed"
STATUS_PATH = VOICE_STATUS_PATH
RELAYED_PATH = f"{START_PATH}/relayed"
HOLD_PATH = f"{START_PATH}/hold"
JOINED_PATH = f"{START_PATH}/joined"
REFERRED_PATH = f"{START_PATH}/referred"
WHISPER_PATH = f"{START_PATH}/whisper"
LEG_PATH = f"{START_PATH}/leg"
LEG_STATUS_PATH = f"{LEG_PATH}/status"
LEG_DETECTED_PATH = f"{LEG_PATH}/detected"
ROOM_PATH = f"{START_PATH}/room"
"""A warm transfer's: the caller on hold and joined, the person's call, the room of both."""
RELAY_PATH = "/webhooks/twilio/relay"
"""The WebSocket of ConversationRelay."""

MAX_PREFIX = 500
"""Characters of a digit prefix; a URL has its limits."""
_COUNT = re.compile(r"[0-9]{1,9}")
_SESSION = re.compile(r"[A-Za-z0-9]{1,64}")
_TRANSFER = re.compile(r"[A-Za-z0-9-]{1,64}")
_REASON = re.compile(r"[a-z_]{1,32}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One place in a call."""

    n: int
    """The number of the input: the next one at `input`, the one being answered elsewhere."""
    silences: int = 0
    """How often in a row nothing was said."""
    holds: int = 0
    """How often in a row the caller was asked to hold; 0 when a turn is expected."""
    since: int | None = None
    """The newest message that was said, or need not be; None where the answer before tells it."""
    tries: int = 0
    """How often this URL was fetched already."""
    digits: DtmfInputSpec | None = None
    """How the next input's digits are collected."""
    reason: str = ""
    """Why a transfer failed, where no callback says it."""
    session: str = ""
    """Of which ConversationRelay session the input is; "" where the call is carried by documents."""

    transfer: str = ""
    """Which warm transfer this is about."""
    attempt: int = 0
    """Which of its persons: the attempt, counted from 1."""
    told: int = 0
    """How many of its lines were said here: to the caller, or to persons."""

    @property
    def place(self) -> str:
        """Where in its call this is, unique there."""
        return f"{self.session}:{self.n}" if self.session else f"{self.n}"

    def query(self) -> str:
        """The URL's query."""
        spec = self.digits or DtmfInputSpec()
        values = {
            "n": self.n,
            "s": self.silences or None,
            "h": self.holds or None,
            "m": self.since,
            "k": self.tries or None,
            "r": self.reason or None,
            "x": self.session or None,
            "t": self.transfer or None,
            "a": self.attempt or None,
            "l": self.told or None,
            "dm": spec.max_digits,
            "df": spec.termination_digit,
            "di": spec.inter_digit_timeout_ms,
            "dp": spec.prefix and spec.prefix[:MAX_PREFIX],
        }
        given = {name: value for name, value in values.items() if value is not None}
        return urlencode(given, errors="replace")

    @classmethod
    def parse(cls, query: Mapping[str, str]) -> "Step":
        """The step of a query; ValueError where it is not one of ours."""
        reason, session, transfer = query.get("r", ""), query.get("x", ""), query.get("t", "")
        if transfer and not _TRANSFER.fullmatch(transfer):
            raise ValueError("t is not a transfer")
        if session and not _SESSION.fullmatch(session):
            raise ValueError("x is not a session")
        if reason and not _REASON.fullmatch(reason):
            raise ValueError("r is not a reason")
        return cls(
            n=_count(query, "n"),
            silences=_count(query, "s"),
            holds=_count(query, "h"),
            since=_count(query, "m") if "m" in query else None,
            tries=_count(query, "k"),
            digits=_digits(query),
            reason=reason,
            session=session,
            transfer=transfer,
            attempt=_count(query, "a"),
            told=_count(query, "l"),
        )


@dataclass(frozen=True, slots=True)
class Links:
    """The URLs of a call's webhooks, below the public URL of the gateway."""

    public_url: str = ""

    def input(self, step: Step) -> str:
        """Where what the caller says goes."""
        return f"{self.public_url}{INPUT_PATH}?{step.query()}"

    def wait(self, step: Step) -> str:
        """Where a turn that takes long is asked for again."""
        return f"{self.public_url}{WAIT_PATH}?{step.query()}"

    def dialed(self, step: Step) -> str:
        """Where the end of a transfer goes."""
        return f"{self.public_url}{DIALED_PATH}?{step.query()}"

    def relayed(self, step: Step) -> str:
        """Where the end of a ConversationRelay session goes."""
        return f"{self.public_url}{RELAYED_PATH}?{step.query()}"

    def hold(self, step: Step) -> str:
        """Where a caller on hold asks how it stands."""
        return f"{self.public_url}{HOLD_PATH}?{step.query()}"

    def joined(self, step: Step) -> str:
        """Where a caller goes who was with a person, or was to be."""
        return f"{self.public_url}{JOINED_PATH}?{step.query()}"

    def referred(self, step: Step) -> str:
        """Where the end of a REFER goes."""
        return f"{self.public_url}{REFERRED_PATH}?{step.query()}"

    def whisper(self, step: Step) -> str:
        """What a person hears before the caller is joined with them."""
        return f"{self.public_url}{WHISPER_PATH}?{step.query()}"

    def leg(self, step: Step) -> str:
        """Where the call to a person asks what to do."""
        return f"{self.public_url}{LEG_PATH}?{step.query()}"

    def leg_status(self, step: Step) -> str:
        """Where the progress of the call to a person goes; again, where we could not take it."""
        return f"{self.public_url}{LEG_STATUS_PATH}?{step.query()}{SMS_RETRIES}"

    def leg_detected(self, step: Step) -> str:
        """Where it goes whether a person or a machine has answered; again, where we could not take it."""
        return f"{self.public_url}{LEG_DETECTED_PATH}?{step.query()}{SMS_RETRIES}"

    def room(self, step: Step) -> str:
        """Where it goes that caller and person are in one room; again: unheard, the two would be parted."""
        return f"{self.public_url}{ROOM_PATH}?{step.query()}{SMS_RETRIES}"

    @property
    def relay(self) -> str:
        """The WebSocket that a ConversationRelay session opens."""
        return f"ws{self.public_url.removeprefix('http')}{RELAY_PATH}"


def _count(query: Mapping[str, str], name: str) -> int:
    text = query.get(name, "0")
    if not _COUNT.fullmatch(text):
        raise ValueError(f"{name} is not a count")
    return int(text)


def _digits(query: Mapping[str, str]) -> DtmfInputSpec | None:
    if not {"dm", "df", "di", "dp"} & query.keys():
        return None
    terminator = query.get("df")
    if terminator and terminator not in TERMINATORS:
        raise ValueError("df is not a key")
    return DtmfInputSpec(
        expects_input=True,
        max_digits=_bounded(query, "dm", MAX_DIGITS),
        termination_digit=terminator,
        inter_digit_timeout_ms=_bounded(query, "di", INTER_DIGIT_TIMEOUT_MS),
        prefix=query.get("dp", "")[:MAX_PREFIX] or None,
    )


def _bounded(query: Mapping[str, str], name: str, bounds: tuple[int, int]) -> int | None:
    return max(bounds[0], min(bounds[1], _count(query, name))) if name in query else None
