"""What a call is told in the gateway's own words; everything else is the agent's."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class CallTexts:
    """The lines, in the language of the people who call."""

    greeting: str = "Hello, how can I help you?"
    filler: str = "One moment, please."
    """While a turn takes longer than a provider waits for an answer."""
    reminder: str = "Are you still there? I'm listening."
    goodbye: str = "Goodbye."
    hold: str = "Please hold, a colleague will take over."
    reassurance: str = "Thank you for holding."
    apology: str = "I'm sorry, something went wrong. Could you say that again, please?"
