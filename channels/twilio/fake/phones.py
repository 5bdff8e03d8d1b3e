"""Whoever is called at the fake Twilio: picks up or does not, and is a person or a machine."""

from collections.abc import Mapping
from dataclasses import dataclass

from channels.twilio.fake.calls import FakeCall
from channels.twilio.fake.callstate import CallStatus
from channels.twilio.fake.webhooks import Webhooks, WebhookUnreachable

_RINGS_AT_MOST = 600.0
"""Seconds; Twilio's own limit of `Timeout`."""


@dataclass(frozen=True, slots=True)
class Phone:
    """How a number behaves when it is called."""

    ends: CallStatus | None = None
    """How a call that is not answered ends (`busy`, `no-answer`, `failed`, `canceled`); None: it is."""
    answered_by: str = "human"
    """What machine detection says, where the call asks for it: `human`, `machine_start`, `fax`, …"""
    rings: bool = False
    """Whether it rings until the script has it answered (`FakeCall.pick_up`)."""


@dataclass(frozen=True, slots=True)
class Dialling:
    """A call that was created, and what was asked for it."""

    call: FakeCall
    fields: Mapping[str, str]
    webhooks: Webhooks

    async def reach(self, phone: Phone) -> None:
        """Ring, and go on with whoever answers."""
        call = self.call
        await call.report("initiated", CallStatus.INITIATED)
        await call.report("ringing", CallStatus.RINGING)
        if phone.ends is not None:
            await call.finish(phone.ends)
            return
        if phone.rings:
            await call.wait_for(lambda one: one.picked_up or one.ended, _RINGS_AT_MOST)
        if call.ended:
            return
        await call.report("answered", CallStatus.IN_PROGRESS)
        detects = "MachineDetection" in self.fields
        later = self.fields.get("AsyncAmd") == "true"
        await self._begin([("AnsweredBy", phone.answered_by)] if detects and not later else [])
        if detects and later:
            await self._tell(phone.answered_by)

    async def _begin(self, extra: list[tuple[str, str]]) -> None:
        twiml = self.fields.get("Twiml", "")
        if twiml and not self.fields.get("Url"):
            await self.call.perform(twiml)
        else:
            await self.call.fetch(self.fields["Url"], extra, self.fields.get("Method", "POST"))

    async def _tell(self, answered_by: str) -> None:
        """Machine detection in the background has come to a result."""
        url = self.fields.get("AsyncAmdStatusCallback", "")
        if not url or self.call.ended:
            return
        form = [*self.call.form(), ("AnsweredBy", answered_by), ("MachineDetectionDuration", "4200")]
        try:
            await self.webhooks.post(url, form)
        except WebhookUnreachable:
            return
