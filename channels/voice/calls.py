"""What happens in a Twilio call, as messages: start, what is said or pressed, a transfer's outcome, end."""

from dataclasses import dataclass
from typing import Any

from channels.twilio.addresses import canonical_sender, is_withheld
from channels.twilio.requests import PROVIDER, TwilioForm
from channels.voice.parties import Parties, input_id
from channels.voice.steps import Step
from gateway.domain.message import InboundMessage, Role
from gateway.domain.outcome import TransferState, transfer_sentence

FINAL_STATUSES = frozenset({"completed", "busy", "failed", "no-answer", "canceled"})
"""CallStatus values after which nothing follows."""
TRANSFERRED = frozenset({"completed", "answered"})
"""DialCallStatus values that say that the two were connected."""
_REASONS = {"no-answer": "no_answer", "busy": "busy", "failed": "bridge_error", "canceled": "no_answer"}
GREETING = "greeting"
_SPOKEN = ("Digits", "SpeechResult", "UnstableSpeechResult", "StableSpeechResult")


def direction_of(raw: str) -> str:
    """Who began the call: `outbound` where we did, for which Twilio has several words."""
    return "outbound" if raw.startswith("outbound") else "inbound"


def parties_of(sid: str, sender: str, recipient: str, direction: str) -> Parties:
    """The parties of a Twilio call in either direction."""
    outbound = direction_of(direction) == "outbound"
    ours, theirs = (sender, recipient) if outbound else (recipient, sender)
    withheld = is_withheld(theirs)
    return Parties(
        provider=PROVIDER,
        sid=sid,
        theirs=f"anonymous:{sid}" if withheld else canonical_sender(theirs),
        ours=ours,
        # A SIP or client name is the caller's own claim; a number is what the carrier says.
        proven=theirs.startswith("+") and not withheld,
        direction=direction_of(direction),
    )


@dataclass(frozen=True, slots=True)
class Call:
    """One webhook of a call. WebhookRefused with 422 where a parameter that must be there is not."""

    form: TwilioForm
    received_at: int

    @property
    def sid(self) -> str:
        """The call's id."""
        return self.form.sid("CallSid")

    @property
    def parties(self) -> Parties:
        """Whose call it is."""
        form = self.form
        return parties_of(self.sid, form.address("From"), form.address("To"), form.text("Direction"))

    @property
    def over(self) -> bool:
        """Whether this reports the end of the call."""
        return self.form.text("CallStatus") in FINAL_STATUSES

    @property
    def dial_status(self) -> str:
        """What became of a `<Dial>`; "" where this is not its callback."""
        return self.form.text("DialCallStatus")

    @property
    def connected(self) -> bool:
        """Whether a `<Dial>` has joined the two; who hangs up during a whisper was not."""
        return self.dial_status in TRANSFERRED and self.form.text("DialBridged") != "false"

    @property
    def has_sip_leg(self) -> bool:
        """Whether the caller's own side can be told to call somebody else."""
        return self.form.text("From").startswith(("sip:", "sips:"))

    def heard(self, step: Step) -> str:
        """What the caller pressed, behind the prefix, or said; "" for silence. Keys come before speech."""
        digits = self.form.text("Digits").strip()
        if digits:
            return ((step.digits.prefix if step.digits else None) or "") + digits
        return self.form.text("SpeechResult").strip()

    def input_id(self, step: Step) -> str:
        """The id of the input that a step is about."""
        return input_id(self.sid, step.n, step.session)

    def input(self, step: Step) -> InboundMessage:
        """What the caller said or pressed, as a message."""
        return self._message(self.input_id(step), self.heard(step), Role.USER, {})

    def started(self) -> InboundMessage:
        """The call has come in, or has been answered."""
        direction = direction_of(self.form.text("Direction"))
        event = {"kind": "call.started", "call_id": self.sid, "direction": direction}
        return self._event("start", "Call started.", event)

    def said(self, place: str, text: str) -> InboundMessage:
        """What we say outside of a turn, where it is to be in the transcript."""
        return self._message(f"{self.sid}:{place}", text, Role.ASSISTANT, {})

    def ended(self, reason: str) -> InboundMessage:
        """The call is over."""
        event = {"kind": "call.ended", "call_id": self.sid, "reason": reason}
        return self._event("end", "Call ended.", event)

    def transfer_outcome(self, step: Step, intent_id: str | None) -> InboundMessage:
        """How the transfer that input number `step.n` led to has ended."""
        done = self.connected
        declined = self.dial_status in TRANSFERRED  # answered, and not joined
        why = "declined" if declined else _REASONS.get(self.dial_status, "bridge_error")
        state = TransferState.TRANSFERRED if done else TransferState.FAILED
        if self.over and not done:
            state, why = TransferState.CALLER_ABANDONED, ""
        place = max(1, step.attempt)
        reason = None if done else step.reason or why or None
        return self._transfer_ended(step, intent_id, state, reason, method="bridge", attempt=place)

    def refer_outcome(self, step: Step, intent_id: str | None) -> InboundMessage:
        """How the REFER that input number `step.n` led to has ended (RFC 3515)."""
        taken, told = (self._code(name) for name in ("ReferSipResponseCode", "NotifySipResponseCode"))
        if not 200 <= taken < 300:
            state, reason = TransferState.FAILED, "refer_rejected"
        elif told >= 300:
            state, reason = TransferState.FAILED, "refer_target_failed"
        else:
            state, reason = (
                TransferState.TRANSFERRED if told >= 200 else TransferState.TRANSFER_PRESUMED,
                None,
            )
        code = max(taken, told) or None
        return self._transfer_ended(step, intent_id, state, reason, method="refer", sip_code=code)

    def _code(self, name: str) -> int:
        text = self.form.text(name)
        return int(text) if len(text) == 3 and text.isdecimal() else 0

    def _transfer_ended(  # noqa: PLR0913 - what `intent.outcome` has
        self,
        step: Step,
        intent_id: str | None,
        state: TransferState,
        reason: str | None,
        *,
        method: str,
        attempt: int = 1,
        sip_code: int | None = None,
    ) -> InboundMessage:
        event = {
            "kind": "intent.outcome",
            "intent_id": intent_id,
            "call_id": self.sid,
            "attempt": attempt,
            "destination_index": attempt - 1,
            "state": state.value,
            "reason": reason,
            "method_used": method,
        }
        if sip_code is not None:
            event["sip_code"] = sip_code
        return self._event(f"{step.place}:dialed", transfer_sentence(state.value, reason), event)

    def _event(self, place: str, text: str, event: dict[str, Any]) -> InboundMessage:
        return self._message(f"{self.sid}:{place}", text, Role.SYSTEM_EVENT, {"voice_event": event})

    def _message(self, message_id: str, text: str, role: Role, event: dict[str, Any]) -> InboundMessage:
        metadata = self.form.metadata(*_SPOKEN) | event
        return self.parties.message(message_id, text, role, metadata, self.received_at)
