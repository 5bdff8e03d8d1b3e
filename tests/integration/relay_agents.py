"""An agent for calls: does what it is told, and says how far it is allowed to come."""

import asyncio
from collections.abc import AsyncIterator

from gateway.domain.agent import (
    AgentEvent,
    CallTransferRequested,
    ConversationEnd,
    Delta,
    DigitsRequested,
    HandoffRequested,
    TurnRequest,
)

thought = asyncio.Event()
"""Whether what is thought about first has been thought of."""
thinks = asyncio.Event()
"""Whether it has begun to think about billing."""
held: set[str] = set()
"""The turns that wait in the middle of a sentence."""
stopped: list[str] = []
"""What those were asked that were stopped there."""


async def answer(turn: TurnRequest) -> AsyncIterator[AgentEvent]:  # noqa: C901 - a table of cases
    """By what was said."""
    text = turn.input_text
    match text:
        case "tell me everything":
            yield Delta(text="First this. ")
            held.add(turn.turn_id)
            try:
                await asyncio.sleep(60)
            except asyncio.CancelledError:
                stopped.append(text)
                raise
        case "break off":
            yield Delta(text="First this. ")
            raise RuntimeError("it broke")
        case "fail":
            raise RuntimeError("it broke")
        case "think first":
            thought.clear()
            await thought.wait()
            yield Delta(text="Thought of it.")
        case "what did I hear?":
            said = [m.content for m in turn.messages if m.role == "assistant"]
            yield Delta(text=" | ".join(said[1:]))
        case "a pin, please":
            yield Delta(text="Your PIN?")
            yield DigitsRequested(max_digits=4, termination_digit="#", prefix="PIN ")
        case "think about billing":
            thought.clear()
            thinks.set()
            while not thought.is_set():  # noqa: ASYNC110 - an event that is waited for belongs to one loop
                await asyncio.sleep(0.01)
            yield Delta(text="Connecting. ")
            yield CallTransferRequested(destination="+15550111", connecting_text="Please hold the line.")
        case "billing" | "a person warmly":
            yield Delta(text="Connecting. ")
            warmly = "warm" if "warmly" in text else "cold"
            yield CallTransferRequested(
                destination="+15550111", mode=warmly, connecting_text="Please hold the line."
            )
        case "the desk":
            yield CallTransferRequested(destination="sip:desk@example.org", reason="asked for\nthe desk")
        case "two colleagues":
            yield Delta(text="Connecting. ")
            yield CallTransferRequested(
                destination="+15550111", mode="warm", warm_destinations=["+15550111", "+15550112"]
            )
        case "three sentences":
            for part in ("This is one. This is ", "Dr. Two. And ", "this is three."):
                yield Delta(text=part)
        case "a person":
            yield HandoffRequested(reason="asked")
        case "bye":
            yield Delta(text="Goodbye then.")
            yield ConversationEnd()
        case _:
            yield Delta(text="You ")
            yield Delta(text=f"said {text}.")
