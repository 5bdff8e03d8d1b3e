"""What follows from a provider's refusal, or from a receipt that says so, besides the failure of the part."""

from gateway.domain.consent import ConsentSource, Evidence
from gateway.domain.delivery import Failure
from gateway.domain.identity import KIND_OF_CHANNEL
from gateway.domain.message import Channel
from gateway.domain.ports.store import Row, Tx
from gateway.service.consent import revoke
from gateway.service.senders import SenderKey, halt
from gateway.service.suppress import ANY, HARD_BOUNCE, suppress


async def draw_consequences(tx: Tx, delivery: Row, failure: Failure, code: str) -> None:
    """Suppress who wants nothing, mark an address that takes nothing, stop a sender that may send nothing.

    `delivery`: its row, or as much of it as says between whom it was.
    """
    organization_id, channel = delivery["organization_id"], Channel(delivery["channel"])
    ours, theirs = delivery["sender"], delivery["recipient"]
    match failure:
        case Failure.OPTED_OUT:
            evidence = Evidence(
                source=ConsentSource.CARRIER,
                detail=code,
                conversation_id=delivery["conversation_id"],
                message_id=delivery["message_id"],
            )
            await revoke(tx, organization_id, channel, (ours, theirs), evidence)
        case Failure.BAD_ADDRESS:
            await tx.run(
                "contact_undeliverable",
                organization_id=organization_id,
                kind=KIND_OF_CHANNEL[channel].value,
                value=theirs,
                code=code,
            )
            if channel is Channel.EMAIL:  # servers hold it against who goes on writing to nobody
                await suppress(tx, organization_id, channel, (ANY, theirs), HARD_BOUNCE)
        case Failure.CONFIGURATION:
            key = SenderKey(organization_id, channel.value, ours)
            await halt(tx, key, code, delivery=delivery, tries=False)
        case _:
            pass
