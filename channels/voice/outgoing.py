"""The URLs of a call that we begin: each carries our reference to the call, its conversation's id."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlencode

from channels.twilio.requests import SMS_RETRIES, VOICE_PATH
from channels.webhooks import invalid

ANSWERED_PATH = f"{VOICE_PATH}/outgoing/answered"
PROGRESS_PATH = f"{VOICE_PATH}/outgoing/progress"
MACHINE_PATH = f"{VOICE_PATH}/outgoing/machine"
MESSAGE_PATH = f"{VOICE_PATH}/outgoing/message"
RECORDED_PATH = f"{VOICE_PATH}/recorded"

_REFERENCE = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


@dataclass(frozen=True, slots=True)
class OutgoingLinks:
    """The URLs of one call, below the public URL of the gateway."""

    public_url: str
    conversation_id: str

    @property
    def answered(self) -> str:
        """What the call does once somebody answers."""
        return self._at(ANSWERED_PATH)

    @property
    def progress(self) -> str:
        """Told how far the call has come; again, where we could not take it."""
        return f"{self._at(PROGRESS_PATH)}{SMS_RETRIES}"

    @property
    def machine(self) -> str:
        """Told who has answered."""
        return f"{self._at(MACHINE_PATH)}{SMS_RETRIES}"

    @property
    def message(self) -> str:
        """What is left on a machine."""
        return self._at(MESSAGE_PATH)

    def _at(self, path: str) -> str:
        return f"{self.public_url}{path}?{urlencode({'c': self.conversation_id})}"


def read_reference(query: Mapping[str, str]) -> str:
    """The conversation's id in a URL of ours; WebhookRefused with 422 where it is none."""
    reference = query.get("c", "")
    if not _REFERENCE.fullmatch(reference):
        raise invalid("This URL is not one of this gateway's: c is not a reference.")
    return reference
