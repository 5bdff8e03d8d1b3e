"""Pressed keys as input: collects digits from single key presses, for every host that reports them singly.

Pure; times are microseconds, handed in by the caller. A host that collects digits itself needs none of this.
"""

from collections import deque
from dataclasses import dataclass, field
from enum import StrEnum

from gateway.domain.intent import TERMINATORS, DtmfInputSpec

MILLISECOND = 1_000
DEFAULT_DIGITS = DtmfInputSpec(
    expects_input=False, max_digits=32, termination_digit="#", inter_digit_timeout_ms=3_000, prefix=""
)
"""What holds where neither the agent nor its configuration says anything."""
SAME_KEY_WITHIN = 2_000_000
"""Microseconds within which two ways of signalling report one and the same key press."""
MAX_UNMATCHED = 64
MAX_HELD = 16
"""Texts said while digits are being pressed; more of them end the collection."""


class EndedBy(StrEnum):
    """What completed an input (contract/queues.md, `user.dtmf.ended_by`)."""

    TERMINATION = "termination"
    MAX_DIGITS = "max_digits"
    TIMEOUT = "timeout"
    SPEECH = "speech"
    """More was said meanwhile than is kept waiting. A voice host never reports this."""


@dataclass(frozen=True, slots=True)
class BargeIn:
    """The first key of an input: whatever is being said to the caller stops."""


@dataclass(frozen=True, slots=True)
class Digits:
    """A complete input, a user's turn at once."""

    digits: str
    text: str
    """The prefix and the digits, nothing between."""
    ended_by: EndedBy


@dataclass(frozen=True, slots=True)
class NoDigits:
    """The termination key alone: an event, not a turn."""


@dataclass(frozen=True, slots=True)
class Said:
    """What was said, in its place in time: held back while digits were being pressed."""

    text: str


Collected = BargeIn | Digits | NoDigits | Said


@dataclass(slots=True)
class DigitCollector:
    """The digits of one call. What comes out of a method is to be acted on in order."""

    default: DtmfInputSpec = DEFAULT_DIGITS
    _spec: DtmfInputSpec | None = None
    _buffer: str = ""
    _due: int | None = None
    _swallow: tuple[str, int] | None = None
    """The termination key of the input that was full, and until when it still belongs to that input."""
    _held: list[str] = field(default_factory=list)

    @property
    def due(self) -> int | None:
        """When `tick` completes what was pressed; None while nothing is."""
        return self._due

    @property
    def buffered(self) -> bool:
        """Whether keys were pressed that are no input yet: no reminder of silence is due."""
        return bool(self._buffer)

    def press(self, key: str, at: int) -> list[Collected]:
        """A key. One that no telephone has is left out."""
        key = key.upper()
        if key not in TERMINATORS or len(key) != 1:
            return []
        collected = self.tick(at)
        swallow, self._swallow = self._swallow, None
        if swallow is not None and not self._buffer and key == swallow[0] and at < swallow[1]:
            return collected  # typed after the last digit of a full input, as people do
        if key == self._of("termination_digit"):
            if not self._buffer:
                return [*collected, NoDigits()]
            return [*collected, *self._flush(EndedBy.TERMINATION)]
        if not self._buffer:
            collected.append(BargeIn())
        self._buffer += key
        return [*collected, *self._full(at)]

    def retune(self, spec: DtmfInputSpec | None, at: int) -> list[Collected]:
        """The next input is collected like this (None: as usual); keys pressed already are kept."""
        collected = self.tick(at)
        self._spec = spec
        return [*collected, *self._full(at)]

    def say(self, text: str, at: int) -> list[Collected]:
        """Something was said: after the digits that are being pressed, never instead of them."""
        collected = self.tick(at)
        if not self._buffer:
            return [*collected, Said(text)]
        self._held.append(text)
        if len(self._held) == MAX_HELD:
            collected += self._flush(EndedBy.SPEECH)
        return collected

    def tick(self, at: int) -> list[Collected]:
        """Time has passed."""
        if self._due is None or at < self._due:
            return []
        return self._flush(EndedBy.TIMEOUT)

    def discard(self) -> str:
        """The caller is gone, or being transferred: what was pressed and is no input, for the record."""
        rest, self._buffer, self._due, self._held = self._buffer, "", None, []
        return rest

    def _full(self, at: int) -> list[Collected]:
        """Completes what has as many digits as wanted, else waits for the next key from now on."""
        collected: list[Collected] = []
        while len(self._buffer) >= self._limit():
            rest = self._buffer[self._limit() :]
            self._buffer = self._buffer[: self._limit()]
            self._swallow = (str(self._of("termination_digit") or ""), at + self._timeout())
            collected += self._flush(EndedBy.MAX_DIGITS)
            self._buffer = rest
        self._due = at + self._timeout() if self._buffer else None
        return collected

    def _flush(self, ended_by: EndedBy) -> list[Collected]:
        prefix = str(self._of("prefix") or "")
        done: list[Collected] = [Digits(self._buffer, prefix + self._buffer, ended_by)]
        done += [Said(text) for text in self._held]
        self._buffer, self._due, self._held, self._spec = "", None, [], None
        return done

    def _limit(self) -> int:
        return int(self._of("max_digits") or DEFAULT_DIGITS.max_digits or 1)

    def _timeout(self) -> int:
        return (
            int(self._of("inter_digit_timeout_ms") or DEFAULT_DIGITS.inter_digit_timeout_ms or 0)
            * MILLISECOND
        )

    def _of(self, name: str) -> str | int | None:
        for spec in (self._spec, self.default, DEFAULT_DIGITS):
            value: str | int | None = None if spec is None else getattr(spec, name)
            if value is not None:
                return value
        return None


class KeyPresses:
    """Tells key presses from their repetition.

    RFC 4733 has the end of each sent three times, and some peers send an INFO besides.
    """

    def __init__(self) -> None:
        self._last: dict[str, tuple[int, int]] = {}
        self._unmatched: deque[tuple[str, str, int]] = deque(maxlen=MAX_UNMATCHED)

    def is_new(self, source: str, key: str, at: int, rtp: tuple[int, int] | None = None) -> bool:
        """Whether this is a press not yet reported.

        `source`: which way of signalling; `rtp`: SSRC and timestamp of a telephone event (RFC 4733 §2.5.1.3).
        """
        if rtp is not None:
            if self._last.get(source) == rtp:
                return False
            self._last[source] = rtp
        for seen in self._unmatched:
            if seen[0] != source and seen[1] == key and at - seen[2] < SAME_KEY_WITHIN:
                self._unmatched.remove(seen)
                return False
        self._unmatched.append((source, key, at))
        return True
