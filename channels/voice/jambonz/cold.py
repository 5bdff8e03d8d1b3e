"""A transfer over jambonz without asking anybody: kept before jambonz is told of it, until its end is known.

The connection may break between the two, or while the hook that tells of the end is under way, which jambonz
asks once. So whoever takes the call up calls nobody again, and waits for as long as the dial may take; when
nothing is heard by then, jambonz is asked whether the two talk: else it was lost.
"""

from math import inf

from channels.voice.destination import Destination, destination_kind
from channels.voice.jambonz.legs import Called
from channels.voice.jambonz.messages import REFERRED_HOOK, Place
from channels.voice.jambonz.parts import Parts
from channels.voice.jambonz.persons import Put
from channels.voice.jambonz.transfer import Transfer, announced, dialing, referring, ring_seconds
from channels.voice.jambonz.verbs import Verb
from channels.voice.jambonz.warm import JambonzWarm
from gateway.domain.clock import SECOND

SPARE_SECONDS = 20.0
"""More than a dial lasts that nobody answers, for what is told of it; of a REFER that takes 15 s."""
BACK_SECONDS = 5.0
"""For jambonz to tell a connection that is back what it has held back for it, at least."""
ASK_AGAIN_SECONDS = 5.0
"""Between two questions to jambonz, where it does not know, or somebody is still called."""
ASKS = 12
"""Questions; then it was lost: a caller for whom nobody is called any more hears nothing."""


class Cold:
    """One such transfer."""

    def __init__(self, transfer: Transfer, warm: JambonzWarm, parts: Parts) -> None:
        """`warm`: how it stands, after those who were asked where there were any."""
        kind = destination_kind(transfer.intent.destination)
        self.dialable = kind is not None
        """Whether there is somebody to call at all."""
        self.refers = kind is Destination.SIP
        """Whether the caller's own side is told to call; else jambonz calls, and joins the two."""
        self._transfer = transfer
        self._warm = warm
        self._kept, self._side, self._legs, self._clock = parts.kept, parts.side, parts.legs, parts.clock
        self._pace = parts.rules.pace.characters_per_second
        self._asked = 0
        """How often jambonz was asked who talks."""
        self._lost_at: int | None = None

    @property
    def taken_up(self) -> bool:
        """Whether another connection has told jambonz, or was about to."""
        return self._lost_at is not None

    @property
    def has_referred(self) -> bool:
        """Whether the caller's side was told to call somebody, or was about to be."""
        return self.refers and self._warm.told

    @property
    def patience(self) -> float:
        """Seconds after which it is lost."""
        return inf if self._lost_at is None else max(0.0, (self._lost_at - self._clock.now()) / SECOND)

    async def begin(self) -> None:
        """The caller is told, when what is being said has been, and somebody is called."""
        self._warm.announce(self._clock.now())
        if await self._is_kept():
            await self._side.all_said()
            await self._tell(self._side.next, *announced(self._transfer), *self._verbs())

    async def instead(self) -> None:
        """Somebody is called in the place of what runs."""
        await self._tell(self._side.instead, *self._verbs())

    async def dial_instead(self) -> None:
        """The REFER was refused."""
        self.refers = False
        await self.instead()

    def wait(self) -> None:
        """Another connection has told jambonz, or was about to: its end is waited for here."""
        self._lost_at = max(self._warm.due or 0, self._clock.now() + int(BACK_SECONDS * SECOND))

    def told_of(self, place: Place) -> None:
        """A hook shows what jambonz was told, which whoever has taken it up need not know."""
        if self.taken_up and place.attempt == self._transfer.attempt:
            self.refers = place.hook == REFERRED_HOOK

    async def goes_on(self) -> bool:
        """Whether somebody is called for the caller already, by a connection that could not keep that."""
        if await self._legs.now() not in (Called.RINGS, Called.TALKS):
            return False
        self.wait()
        return True

    async def talks(self) -> bool:
        """Nothing was heard in time: whether the two talk. Where that is not known, there is more time."""
        called = await self._legs.now()
        self._asked += 1
        if called in (Called.RINGS, Called.UNKNOWN) and self._asked < ASKS:
            self._lost_at = self._clock.now() + int(ASK_AGAIN_SECONDS * SECOND)
        return called is Called.TALKS

    def answered(self) -> None:
        """Somebody jambonz has called is there: it was told to call, and it is not lost."""
        if self.taken_up:
            self.refers, self._lost_at = False, None

    async def ended(self) -> None:
        """Its end is known: no connection after this one waits for it."""
        await self._kept.done(self._transfer, self._warm.state)

    def _verbs(self) -> tuple[Verb, ...]:
        return referring(self._transfer) if self.refers else (dialing(self._transfer),)

    async def _tell(self, put: Put, *verbs: Verb) -> None:
        ahead = len(self._transfer.intent.connecting_text or "") / self._pace + self._side.words_in_queue
        seconds = ahead + ring_seconds(self._transfer) + SPARE_SECONDS
        until = self._clock.now() + int(seconds * SECOND)
        self._warm.tell(self._transfer.attempt, until)
        if self._lost_at is not None:
            self._lost_at = max(self._lost_at, until)
        if await self._is_kept():
            await put(*verbs)

    async def _is_kept(self) -> bool:
        """Whether this connection still has it. Of a transfer that only a hook tells of nothing is kept."""
        warm = self._warm.state
        return warm is None or await self._kept.keep(self._transfer, warm)
