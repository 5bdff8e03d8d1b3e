"""An agent that transfers calls warmly: two persons, a briefing, and few words."""

from collections.abc import AsyncIterator

from gateway.domain.agent import AgentEvent, CallTransferRequested, Delta, DigitsRequested, TurnRequest
from gateway.domain.intent import TransferMode, WarmTransfer

ANN, BOB, DESK = "+15550112001", "+15550112002", "+15550112003"
BRIEFING = "Ada calls about a refund of her order."
WARM = WarmTransfer(
    hold_announcement_text="One moment.",
    retry_announcement_text="I try somebody else.",
    failure_text="Nobody is free.",
    reassurance_text="Still trying.",
    max_dial_seconds=120,  # nothing ends by itself while a test is at it
    max_briefing_seconds=300,
    bridge_confirm_seconds=120,
    max_hold_seconds=600,
    reassurance_interval_seconds=300,
)


async def answer(turn: TurnRequest) -> AsyncIterator[AgentEvent]:
    """By what was said."""
    text = turn.input_text
    match text.split():
        case ["a", "pin"]:
            yield Delta(text="Your PIN?")
            yield DigitsRequested(max_digits=4, termination_digit="#", prefix="PIN ")
        case ["what", "happened"]:
            yield Delta(text=" | ".join(m.content for m in turn.messages if m.role == "system_event"))
        case ["person", *then]:
            screens = "screened" in then
            yield CallTransferRequested(
                destination=DESK,
                mode=TransferMode.WARM,
                connecting_text="I'll get somebody.",
                warm_destinations=[ANN, BOB],
                on_failure=then[0] if then else None,
                warm=WARM.model_copy(update={"detect_supervisor_voicemail": screens}),
                briefing=BRIEFING,
            )
        case ["desk"]:
            yield CallTransferRequested(destination="sip:desk@example.org")
        case _:
            yield Delta(text=f"You said {text}.")
