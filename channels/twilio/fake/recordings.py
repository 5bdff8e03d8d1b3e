"""Recordings of the fake Twilio's calls: asked for by a document, told of when the call is over."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from channels.twilio.fake.ledger import new_sid
from channels.twilio.fake.webhooks import Webhooks, WebhookUnreachable


@dataclass(slots=True)
class Recordings:
    """Those of one call."""

    webhooks: Webhooks
    _callbacks: list[str] = field(default_factory=list)

    def start(self, callback: str) -> None:
        """Record from here; `callback` is told where the recording is."""
        self._callbacks.append(callback)

    async def finish(self, account_sid: str, call_sid: str, seconds: int) -> None:
        """The call is over: tell of each recording, once."""
        callbacks, self._callbacks = self._callbacks, []
        for url in callbacks:
            try:
                await self.webhooks.post(url, _form(account_sid, call_sid, seconds))
            except WebhookUnreachable:
                continue


def _form(account_sid: str, call_sid: str, seconds: int) -> Sequence[tuple[str, str]]:
    sid = new_sid("RE")
    return [
        ("AccountSid", account_sid),
        ("CallSid", call_sid),
        ("RecordingSid", sid),
        ("RecordingUrl", f"https://api.twilio.com/2010-04-01/Accounts/{account_sid}/Recordings/{sid}"),
        ("RecordingStatus", "completed"),
        ("RecordingDuration", str(seconds)),
        ("RecordingChannels", "1"),
        ("RecordingSource", "StartCallRecordingTwiML"),
        ("RecordingStartTime", "Thu, 26 Nov 2026 12:00:00 +0000"),
    ]
