"""One call as a script, to be played at every kind of host: what the caller does, and what they must hear.

A host takes part with a `Line` over its fake. The agent is that of `tests.integration.relay_agents`.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from gateway.domain.call_rules import CallTexts
from gateway.domain.intent import WarmTransfer


@dataclass(frozen=True, slots=True)
class Hears:
    """The caller is told this, to its end, after what they heard before."""

    text: str


@dataclass(frozen=True, slots=True)
class HearsBeginning:
    """The caller has heard at least this of what is still being made."""

    text: str


@dataclass(frozen=True, slots=True)
class Says:
    """The caller speaks."""

    text: str


@dataclass(frozen=True, slots=True)
class SpeaksOver:
    """The caller speaks over what is being said, having heard this of it."""

    heard: str


@dataclass(frozen=True, slots=True)
class Presses:
    """The caller presses keys."""

    keys: str


@dataclass(frozen=True, slots=True)
class NobodyTakesIt:
    """Those are called whom the transfer names: the first does not answer, the second declines."""


@dataclass(frozen=True, slots=True)
class IsOver:
    """The agent has ended the call."""


Act = Hears | HearsBeginning | Says | SpeaksOver | Presses | NobodyTakesIt | IsOver


@dataclass(frozen=True, slots=True)
class Part:
    """A part of the call, and what was said in it, as it was heard; besides it the transcript has events."""

    acts: Sequence[Act]
    transcript: Sequence[tuple[str, str]]


GREETING = Part((Hears(CallTexts().greeting),), [("assistant", CallTexts().greeting)])
QUESTION = Part(
    (Says("hello"), Hears("You said hello.")), [("user", "hello"), ("assistant", "You said hello.")]
)
INTERRUPTION = Part(
    (
        Says("tell me everything"),
        HearsBeginning("First this."),
        SpeaksOver("First"),
        Says("what did I hear?"),
        Hears("You said hello. | First"),
    ),
    [
        ("user", "tell me everything"),
        ("assistant", "First"),
        ("user", "what did I hear?"),
        ("assistant", "You said hello. | First"),
    ],
)
PIN = Part(
    (Says("a pin, please"), Hears("Your PIN?"), Presses("1234#"), Hears("You said PIN 1234.")),
    [
        ("user", "a pin, please"),
        ("assistant", "Your PIN?"),
        ("user", "PIN 1234"),
        ("assistant", "You said PIN 1234."),
    ],
)
TRANSFER = Part(
    (
        Says("two colleagues"),
        Hears("Connecting."),
        NobodyTakesIt(),
        Hears(WarmTransfer().failure_text),
        Says("hello again"),
        Hears("You said hello again."),
    ),
    [
        ("user", "two colleagues"),
        ("assistant", "Connecting."),
        ("user", "hello again"),
        ("assistant", "You said hello again."),
    ],
)
END = Part((Says("bye"), Hears("Goodbye then."), IsOver()), [("user", "bye"), ("assistant", "Goodbye then.")])

CALL = (GREETING, QUESTION, INTERRUPTION, PIN, TRANSFER, END)
"""All of it."""


class Line(Protocol):
    """A caller at one kind of host."""

    @property
    def said(self) -> Sequence[str]:
        """What they have heard, text by text."""
        ...

    @property
    def partial(self) -> str:
        """What is being said to them."""
        ...

    @property
    def over(self) -> bool:
        """Whether the call has ended."""
        ...

    async def until(self, condition: Callable[[], bool]) -> None:
        """Wait for something; TimeoutError if it does not come."""
        ...

    async def say(self, text: str) -> None:
        """Speak."""
        ...

    async def press(self, keys: str) -> None:
        """Press keys."""
        ...

    async def speak_over(self, heard: str) -> None:
        """Speak over what is being said."""
        ...

    async def nobody_takes_it(self) -> None:
        """Play those whom the transfer calls, where the host's fake does not play them by itself."""
        ...


async def play(line: Line, *acts: Act) -> None:
    """Play a call; AssertionError names the act that did not come about."""
    heard = 0
    for number, act in enumerate(acts):
        try:
            match act:
                case Hears():
                    heard = await _hears(line, act.text, heard)
                case HearsBeginning():
                    await _hears_beginning(line, act.text)
                case Says(text=text):
                    await line.say(text)
                case SpeaksOver(heard=part):
                    await line.speak_over(part)
                case Presses(keys=keys):
                    await line.press(keys)
                case NobodyTakesIt():
                    await line.nobody_takes_it()
                case IsOver():
                    await line.until(lambda: line.over)
        except TimeoutError:
            told = f"heard {list(line.said)[-3:]}, then {line.partial!r}"
            raise AssertionError(f"act {number}, {act}, did not come about: {told}") from None


async def _hears(line: Line, text: str, heard: int) -> int:
    await line.until(lambda: text in _after(line, heard))
    return heard + _after(line, heard).index(text) + 1


async def _hears_beginning(line: Line, text: str) -> None:
    await line.until(lambda: line.partial.startswith(text))


def _after(line: Line, heard: int) -> list[str]:
    return [text.strip() for text in line.said[heard:]]
