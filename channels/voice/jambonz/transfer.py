"""How a call is passed on by jambonz: the verbs of it, and what their outcomes mean. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from channels.voice.destination import Destination, destination_kind
from channels.voice.host.outcomes import Outcome, refusal
from channels.voice.jambonz.listening import deaf
from channels.voice.jambonz.messages import DIALED_HOOK, REFERRED_HOOK, Dialed, Place, Referred
from channels.voice.jambonz.verbs import (
    Dial,
    PhoneTarget,
    Redirect,
    Say,
    SipRefer,
    SipTarget,
    Tag,
    Verb,
    said,
    speakable,
)
from channels.voice.wishes import Wishes
from gateway.domain.intent import CallTransferIntent, TransferMode, WarmTransfer
from gateway.domain.outcome import TransferReason, TransferState

ACCEPTED, OK = 202, 200
"""202 is the only answer to a REFER that jambonz takes for a yes."""
MAX_HEADER = 200
LOST = 1
"""The step of the hook that is asked where a REFER could not even be sent."""
_STATUSES: Mapping[str, TransferReason] = {
    "no-answer": TransferReason.NO_ANSWER,
    "busy": TransferReason.BUSY,
    "failed": TransferReason.BRIDGE_ERROR,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Transfer:
    """A transfer that a turn has led to."""

    intent: CallTransferIntent
    intent_id: str | None
    session: str
    n: int
    """The input it answers."""
    attempt: int = 1

    @classmethod
    def of(cls, intent: CallTransferIntent, wishes: Wishes, session: str, n: int) -> "Transfer":
        """That of input number `n` of a connection, `session`, which led to these wishes."""
        return cls(intent=intent, intent_id=wishes.transfer_id, session=session, n=n)

    @classmethod
    def at(cls, place: Place, intent: CallTransferIntent, wishes: Wishes) -> "Transfer":
        """That of one of its hooks: after all attempts at asking comes the one without."""
        transfer = cls.of(intent, wishes, place.session, place.n)
        return transfer if place.attempt <= transfer.attempts else transfer.cold(place.attempt)

    def cold(self, attempt: int) -> "Transfer":
        """The same without asking anybody, after those who were asked: the attempt that follows theirs."""
        cold = self.intent.model_copy(update={"mode": TransferMode.COLD, "on_failure": None})
        return replace(self, intent=cold, attempt=attempt)

    @property
    def attempts(self) -> int:
        """How often somebody is asked, at most."""
        return 1 + self.intent.max_retries

    def place(self, hook: str, step: int = 0) -> Place:
        """Where one of its hooks leads."""
        return Place(hook, self.session, self.n, self.attempt, step)

    @property
    def warm(self) -> bool:
        """Whether the person is asked before they are joined with the caller."""
        return self.intent.mode is TransferMode.WARM

    @property
    def name(self) -> str:
        """Where in its call it is, unique there."""
        return f"{self.session}:{self.n}"


def announced(transfer: Transfer) -> tuple[Verb, ...]:
    """What comes before somebody is called: nothing that the caller says ends it."""
    intent = transfer.intent
    tag = (Tag(data={"transfer": speakable(intent.label)[:MAX_HEADER]}),) if intent.label else ()
    text = (Say(text=said(intent.connecting_text)),) if intent.connecting_text else ()
    return (deaf(), *tag, *text)


def referring(transfer: Transfer) -> tuple[Verb, ...]:
    """Have the caller's side call a SIP URI; where that cannot even be sent, the last verb says so."""
    refer = SipRefer(
        refer_to=transfer.intent.destination,
        action_hook=transfer.place(REFERRED_HOOK).url,
        headers=_headers(transfer.intent),
    )
    return refer, Redirect(action_hook=transfer.place(REFERRED_HOOK, LOST).url)


def ring_seconds(transfer: Transfer) -> int:
    """How long somebody is called who is not asked."""
    return (transfer.intent.warm or WarmTransfer()).max_dial_seconds


def dialing(transfer: Transfer) -> Dial:
    """Call somebody and join the two."""
    destination = transfer.intent.destination
    sip = destination_kind(destination) is Destination.SIP
    return Dial(
        target=(target(destination),),
        action_hook=transfer.place(DIALED_HOOK).url,
        timeout=ring_seconds(transfer),
        headers=_headers(transfer.intent) if sip else None,
    )


def target(destination: str) -> PhoneTarget | SipTarget:
    """Whom a dial calls."""
    if destination_kind(destination) is Destination.SIP:
        return SipTarget(sip_uri=destination)
    return PhoneTarget(number=destination)


def dialed(data: Dialed) -> Outcome:
    """What became of a dial."""
    if data.dial_call_status == "completed":
        return Outcome(TransferState.TRANSFERRED, method="bridge", attempt=1, destination_index=0)
    code = data.dial_sip_status if data.dial_sip_status and data.dial_sip_status >= 300 else None
    reason = _STATUSES.get(data.dial_call_status) or TransferReason.BRIDGE_ERROR
    if reason is TransferReason.BRIDGE_ERROR and code is not None:
        reason = refusal(code)
    return failed(reason, "bridge", code)


def referred(data: Referred) -> Outcome:
    """What became of a REFER that was sent."""
    final = data.final_referred_call_status
    if data.refer_status != ACCEPTED:
        return failed(TransferReason.REFER_REJECTED, "refer", data.refer_status or None)
    if final is None:
        return presumed()
    if OK <= final < 300:
        return Outcome(
            TransferState.TRANSFERRED, sip_code=final, method="refer", attempt=1, destination_index=0
        )
    return failed(TransferReason.REFER_TARGET_FAILED, "refer", final)


def presumed() -> Outcome:
    """The REFER was taken, and nobody said what became of it."""
    return Outcome(TransferState.TRANSFER_PRESUMED, method="refer", attempt=1, destination_index=0)


def failed(reason: TransferReason, method: str | None = None, code: int | None = None) -> Outcome:
    """Nobody was reached."""
    return Outcome(TransferState.FAILED, reason, sip_code=code, method=method, attempt=1, destination_index=0)


def _headers(intent: CallTransferIntent) -> dict[str, str] | None:
    reason = " ".join(speakable(intent.reason or "").split())[:MAX_HEADER]
    return {"X-Transfer-Reason": reason} if reason else None
