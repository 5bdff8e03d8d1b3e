"""Agents that a test steers: they fail, hold still, or act on command."""

import asyncio
from collections.abc import AsyncIterator

from gateway.domain.agent import (
    AgentEvent,
    ApprovalRequired,
    Delta,
    Evidence,
    EvidenceItem,
    FileAttached,
    TurnRequest,
    Usage,
)


class Steering:
    """What the agents of this module do next; reset before each test."""

    def __init__(self) -> None:
        self.failures = 0
        """How often the agent fails before it answers."""
        self.asked: list[TurnRequest] = []
        self.begun = asyncio.Event()
        self.go_on = asyncio.Event()


steering = Steering()


def reset() -> Steering:
    """Begin anew."""
    global steering
    steering = Steering()
    return steering


async def steered(turn: TurnRequest) -> AsyncIterator[AgentEvent]:
    """Fail as often as told; hold on `hold` until told to go on; hold money back."""
    steering.asked.append(turn)
    if steering.failures:
        steering.failures -= 1
        raise RuntimeError("told to fail")
    text = turn.input_text
    yield Delta(text=f"Re: {text}")
    steering.begun.set()
    if "hold" in text:
        await steering.go_on.wait()
    if "break" in text:
        raise RuntimeError("told to break off")
    if "invoice" in text:
        yield FileAttached(name="../invoice.pdf", media_type="application/pdf", content=b"%PDF-1.7")
    if "evidence" in text:
        yield Evidence(items=[EvidenceItem(chunk_id="c1", kb_id="k1", score=0.5, text="A fact.")])
    if "pay" in text:
        yield ApprovalRequired(tool_call_id="t1", tool="pay", approver_role="cashier")
        return
    yield Usage(model="none", input_tokens=3, output_tokens=4)
    yield Delta(text=".")


async def outspoken(turn: TurnRequest) -> AsyncIterator[AgentEvent]:
    """Say it again, louder."""
    yield Delta(text=f"{turn.input_text.upper()}!")
