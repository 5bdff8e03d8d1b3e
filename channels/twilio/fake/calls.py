"""A phone call at the fake Twilio, with a script for the person on the line.

Only the person's own acts (`say`, `press`, `silence`, `hang_up`) and the end of a dialled leg (`dial_ended`)
move a waiting call on.
"""

from urllib.parse import urljoin

from channels.twilio.fake.callstate import CallError, CallStatus
from channels.twilio.fake.ledger import new_sid
from channels.twilio.fake.running import RunningCall, Waiting
from channels.twilio.fake.twiml import Dial, Gather, Refer


class FakeCall(RunningCall):
    """One call, and whoever is on the line."""

    @property
    def listening(self) -> frozenset[str]:
        """What the call collects now: `speech`, `dtmf`, both or nothing."""
        verb = self._waiting.verb if self._waiting else None
        return verb.inputs if isinstance(verb, Gather) else frozenset()

    @property
    def dialing(self) -> bool:
        """Whether the call is connected, or being connected, to someone else."""
        return self._waiting is not None and isinstance(self._waiting.verb, Dial)

    @property
    def whispers_from(self) -> str:
        """Where whoever is called fetches what they hear first; "" where nobody is, or hears nothing."""
        waiting = self._waiting
        verb = waiting.verb if waiting else None
        return (
            urljoin(waiting.url, verb.whisper) if waiting and isinstance(verb, Dial) and verb.whisper else ""
        )

    @property
    def referred(self) -> str:
        """Whom the caller's side was told to call, and has not yet."""
        verb = self._waiting.verb if self._waiting else None
        return verb.destination if isinstance(verb, Refer) else ""

    @property
    def together(self) -> bool:
        """Whether the call hears somebody else in a conference."""
        return self._rooms.together(self.sid)

    def pick_up(self) -> None:
        """Whoever is called answers (`Phone.rings`)."""
        self.picked_up = True
        self._changed.set()

    async def say(self, text: str) -> None:
        """The caller speaks. Raises CallError where the call does not listen for speech."""
        await self._heard("speech", [("SpeechResult", text), ("Confidence", "0.95")])

    async def press(self, digits: str) -> None:
        """The caller presses keys; a finish key and what follows numDigits are not sent.

        Raises CallError where the call does not listen for keys.
        """
        verb = self._waiting.verb if self._waiting else None
        kept, finished_on = digits, ""
        if isinstance(verb, Gather):
            if verb.finish_on_key and verb.finish_on_key in kept:
                finished_on = verb.finish_on_key
                kept = kept.split(finished_on)[0]
            kept = kept[: verb.num_digits]
        await self._heard("dtmf", [("Digits", kept), ("FinishedOnKey", finished_on)])

    async def press_and_leave(self, digits: str) -> None:
        """The person presses keys and hangs up at once: the document that follows reaches nobody."""
        waiting = self._gather()
        self._move_on()
        url = urljoin(waiting.url, waiting.verb.action)
        await self._webhooks.post(url, [*self.form(), ("Digits", digits)])
        await self.hang_up()

    async def silence(self) -> None:
        """The caller lets the Gather time out: the document goes on, or its action hears of nothing."""
        waiting = self._gather()
        assert isinstance(waiting.verb, Gather)
        if waiting.verb.action_on_empty:
            await self._act(waiting, [("SpeechResult", "")] if "speech" in waiting.verb.inputs else [])
        else:
            await self._perform(waiting.rest, waiting.url)

    async def refer_ended(self, taken: int = 202, told: int | None = 200) -> None:
        """The caller's side answers the REFER, and says (or not) what came of it. CallError without one."""
        waiting = self._waiting
        if waiting is None or not isinstance(waiting.verb, Refer):
            raise CallError("the call is referred to nobody")
        codes = [("ReferSipResponseCode", str(taken)), ("ReferCallStatus", "completed")]
        await self._act(waiting, codes if told is None else [*codes, ("NotifySipResponseCode", str(told))])

    async def dial_ended(self, status: str = "completed", *, bridged: bool = True) -> None:
        """The other leg ends: `completed, busy, no-answer, failed, canceled`. CallError without one.

        `bridged`: whether the two were joined.
        """
        waiting = self._waiting
        if waiting is None or not isinstance(waiting.verb, Dial):
            raise CallError("the call is connected to nobody")
        self._waiting = None
        if waiting.verb.action:
            outcome = [("DialCallSid", new_sid("CA")), ("DialCallStatus", status), ("DialCallDuration", "1")]
            outcome.append(("DialBridged", "true" if bridged and status == "completed" else "false"))
            await self._act(waiting, outcome)
        else:
            await self._perform(waiting.rest, waiting.url)

    async def pass_time(self) -> None:
        """The pause that the call is in is over now. CallError where it is in none."""
        after, self._after_pause = self._after_pause, None
        if after is None:
            raise CallError("the call does not pause")
        await after()

    async def hang_up(self) -> None:
        """The caller, or the API, ends the call; the status callback has been answered when this returns."""
        await self.finish(CallStatus.COMPLETED)

    def _gather(self) -> Waiting:
        waiting = self._waiting
        if waiting is None or not isinstance(waiting.verb, Gather):
            raise CallError("the call has ended" if self.ended else "the call does not listen")
        self._waiting = None
        return waiting

    async def _heard(self, kind: str, result: list[tuple[str, str]]) -> None:
        if self._waiting and isinstance(self._waiting.verb, Gather) and kind not in self._waiting.verb.inputs:
            raise CallError(f"the call does not listen for {kind}")
        await self._act(self._gather(), result)
