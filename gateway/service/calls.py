"""Phone calls as conversations: what the host of a call is told."""

from gateway.domain.clock import SECOND, rfc3339
from gateway.domain.conversation import Conversation, Origin, Status
from gateway.domain.envelope import Exchange
from gateway.domain.intent import IntentKind
from gateway.domain.message import Accepted, Channel, JsonObject, Message
from gateway.domain.outgoing_call import CallState, Command
from gateway.domain.ports.store import Row, Tx
from gateway.domain.turn import TurnOutcome, Uttered
from gateway.domain.voice import VoiceIntent, hanging_up, saying, voice_intents
from gateway.service.call_intents import issue, note_intent
from gateway.service.call_keys import collects_here, expect_keys, hears_no_keys
from gateway.service.call_notes import CallNote, note_call
from gateway.service.postings import envelope, post, ring_call

RIVAL_SECONDS = 60
"""How long the end of a call that was refused is expected."""
_NO_KEYS = CallNote(
    "This call cannot do what was asked for: collect_dtmf is left out.",
    {"kind": "capability_downgrade", "field": "collect_dtmf", "substitute": "left out"},
)


async def tell_host(
    tx: Tx, conversation: Conversation, outcome: TurnOutcome, at: int, uttered: Uttered | None = None
) -> None:
    """After a turn of a call that a queue host holds: what it has to say and do, in order.

    Calls over webhooks have their answer on the webhook; they have no host on the queues.
    """
    call = await hosted(tx, conversation)
    if call is None:
        return
    by_keys = collects_here(call)
    asked: VoiceIntent | None = None
    for intent in voice_intents(outcome, call["call_id"], at, uttered):
        place = (call["host_id"], conversation.organization_id)
        if intent.kind is IntentKind.COLLECT_DTMF and hears_no_keys(call):
            await note_call(tx, conversation.id, _NO_KEYS)
        elif by_keys and intent.kind is IntentKind.COLLECT_DTMF:
            asked = intent
            await note_intent(tx, place[1], intent)
        else:
            await issue(tx, place[0], intent, at=at, organization_id=place[1])
    if by_keys:
        await expect_keys(tx, call, asked)


async def say_on_call(tx: Tx, conversation: Conversation, message: Message) -> None:
    """Words from outside of a turn, an operator's above all: a queue host speaks them to the caller."""
    call = await hosted(tx, conversation)
    if call is not None:
        said = saying(call["call_id"], (message.id, conversation.id), message.content, message.created_at)
        await issue(
            tx, call["host_id"], said, at=message.created_at, organization_id=conversation.organization_id
        )


async def hang_up_call(tx: Tx, conversation: Conversation, reason: Status, at: int) -> None:
    """The conversation has ended, and not by the agent or the caller: its host lets the caller go."""
    if conversation.channel is Channel.VOICE and conversation.origin is Origin.OUTBOUND:
        await command_call(tx, conversation.id, Command.HANG_UP)
    call = await hosted(tx, conversation)
    if call is not None:
        hung_up = hanging_up(call["call_id"], conversation.id, reason, at)
        await issue(tx, call["host_id"], hung_up, at=at, organization_id=conversation.organization_id)


async def command_call(tx: Tx, conversation_id: str, command: Command) -> None:
    """Have the provider of a call that we began told something, unless the call is over."""
    told = await tx.one(
        "outgoing_call_command",
        conversation_id=conversation_id,
        command=command.value,
        over=CallState.COMPLETED.rank,
    )
    if told is not None:
        await ring_call(
            tx,
            organization_id=told["organization_id"],
            conversation_id=conversation_id,
            at=told["rung_at"],
        )


async def hosted(tx: Tx, conversation: Conversation) -> Row | None:
    """The conversation's call, while it is up and a host on the queues holds it."""
    if conversation.channel is not Channel.VOICE:
        return None
    call = await tx.one("call_live", conversation_id=conversation.id)
    return None if call is None or call["host_id"] is None else call


async def answer_host(
    tx: Tx, host_id: str, kind: str, data: JsonObject, *, at: int, organization_id: str
) -> None:
    """`call.accepted` or `call.refused`, to the host that announced the call."""
    told = envelope(
        "voice.event",
        {"kind": kind, **data, "at": rfc3339(at)},
        at=at,
        organization_id=organization_id,
        conversation_id=data.get("conversation_id"),
    )
    await post(tx, Exchange.VOICE, host_id, told)


async def greet_caller(tx: Tx, greeting: Accepted, text: str) -> None:
    """The first words of a call, which are a message already. A host that is told twice says them once."""
    call = await tx.one("call_live", conversation_id=greeting.conversation_id)
    if call is not None and call["host_id"] is not None:
        place = (greeting.message_id, greeting.conversation_id)
        said = saying(call["call_id"], place, text, call["at"])
        await issue(tx, call["host_id"], said, at=call["at"], organization_id=call["organization_id"])


async def end_call(tx: Tx, provider: str, call_id: str) -> None:
    """The host has let the call go."""
    await tx.one("call_end", provider=provider, call_id=call_id)


async def expect_rival_end(tx: Tx, place: tuple[str, str]) -> None:
    """Another call by the id of this one was refused: its end is reported, too, maybe by who names nobody."""
    await tx.run("call_rival", host_id=place[0], call_id=place[1], wait=RIVAL_SECONDS * SECOND)


async def is_rival_end(tx: Tx, place: tuple[str, str], event_id: str) -> bool:
    """Whether an end that no host signs is taken for that of the refused call: the first one is.

    Should it be this call's, the refused one's ends it: hosts report each end once.
    """
    return bool(await tx.run("call_rival_end", host_id=place[0], call_id=place[1], event_id=event_id))
