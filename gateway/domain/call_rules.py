"""How a call is carried: what the gateway says in it in its own words, and how long it waits for what."""

from dataclasses import dataclass
from enum import StrEnum

from gateway.domain.warm.words import CALLER_LEFT, CONFIRM_PROMPT, NOT_JOINED, PersonTexts


@dataclass(frozen=True, slots=True, kw_only=True)
class CallTexts:
    """The lines, in the language of the people who call; everything else is the agent's."""

    greeting: str = "Hello, how can I help you?"
    filler: str = "One moment, please."
    """While a turn takes long."""
    reminder: str = "Are you still there? I'm listening."
    goodbye: str = "Goodbye."
    hold: str = "Please hold, a colleague will take over."
    reassurance: str = "Thank you for holding."
    apology: str = "I'm sorry, something went wrong. Could you say that again, please?"
    welcome_back: str = "Hello again. Let's go on."
    """To somebody who rings back into the conversation."""
    machine: str = "Hello, we tried to reach you. Please call us back."
    """Left on an answering machine."""
    confirm: str = CONFIRM_PROMPT
    """To a person who is called for a caller; must name the two keys."""
    caller_left: str = CALLER_LEFT
    not_joined: str = NOT_JOINED
    """To the same when there is nobody to talk to (any more)."""

    @property
    def persons(self) -> PersonTexts:
        """What is said to persons who are called for a caller."""
        return PersonTexts(confirm=self.confirm, caller_left=self.caller_left, not_joined=self.not_joined)

    def greeting_of(self, *, goes_on: bool) -> str:
        """What a caller hears first; one who goes on with a conversation is not asked what it is about."""
        return self.welcome_back if goes_on else self.greeting


@dataclass(frozen=True, slots=True, kw_only=True)
class Speech:
    """In which language calls are held, where their host does not know it by itself."""

    language: str | None = None
    """BCP 47 (RFC 5646), as `de-DE`; None: the host's own, English at Twilio."""
    voice: str | None = None
    """`Provider.Name`, of those in VOICE_PROVIDERS; None: the host's own for the language."""


UNSET_SPEECH = Speech()
VOICE_PROVIDERS = ("Polly", "Google", "ElevenLabs")
"""Whose voices Twilio speaks with, by the names that it has for them in `<Say>`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CallPace:
    """How long a call waits for what; seconds."""

    filler_after: float = 1.0
    """Without a word of the reply."""
    reminder_after: float = 8.0
    """Of silence, from the end of what was said."""
    max_reminders: int = 2
    """Then the call ends."""
    reassure_every: float = 20.0
    """On hold."""
    hold_at_most: float = 600.0
    look_every: float = 2.0
    """For what an operator says."""
    characters_per_second: float = 15.0
    """Of speech."""


class OnMachine(StrEnum):
    """What becomes of a call of ours that a machine answers."""

    HANG_UP = "hang_up"
    LEAVE_MESSAGE = "leave_message"
    GO_ON = "go_on"
    """It is noted, and nothing else."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CallRules:
    """What holds for the calls of one number of ours."""

    streams: bool = False
    """Whether their words travel over a WebSocket while they are spoken."""
    texts: CallTexts = CallTexts()
    speech: Speech = UNSET_SPEECH
    pace: CallPace = CallPace()
    ring_seconds: int = 60
    """How long a call of ours rings before nobody answers."""
    on_machine: OnMachine | None = None
    """None: nobody looks who has answered."""
    record: bool = False
    closes: bool = True
    """Whether the end of a call closes its conversation."""
    ring_back_seconds: int = 0
    """How long it waits with that, so that a caller who rings back goes on with it."""
    hold_music: str | None = None
    """URL of what a caller on hold hears between the lines, where their host can play it; None: nothing."""
