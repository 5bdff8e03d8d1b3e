"""What a session asks of its host when the call is to leave the agent."""

from typing import Protocol

from channels.voice.wishes import Wishes


class Exit(Protocol):
    """How a call leaves the agent, where its host does it."""

    @property
    def begun(self) -> bool:
        """Whether it is being passed on or ended: nothing stops that."""
        ...

    @property
    def over(self) -> bool:
        """Whether nothing more can be said."""
        ...

    async def pass_on(self, wishes: Wishes, n: int, lang: str | None) -> None:
        """Input number `n` led to a transfer."""
        ...

    async def hang_up(self) -> None:
        """When all was said, the call ends."""
        ...
