"""A caller on hold for a warm transfer that the agent has asked for, in the store."""

import json
from collections.abc import Sequence
from itertools import count

from gateway.domain.ids import new_id
from gateway.domain.intent import CallTransferIntent, TransferMode, WarmTransfer, resolve_transfer
from gateway.domain.outcome import TransferReason
from gateway.domain.turn import Path
from gateway.domain.warm.held import HeldCall, HeldEvent, NewTransfer
from gateway.domain.warm.words import Leg, LegEvent
from gateway.service.warm_transfers import begin_transfer, due_transfers, find_transfer, take_event
from tests.contract import scene
from tests.contract.conftest import MovableStore as Store
from tests.contract.scene import ORGANIZATION, OURS, THEIRS

ANN, BOB = "+15550112001", "+15550112002"
_calls = count(1)


class Held:
    """A caller on hold."""

    def __init__(self, store: Store, new: NewTransfer) -> None:
        self.store = store
        self.new = new
        self.id = new.id
        self.dialled: list[str] = []

    async def begin(self) -> HeldCall | None:
        """Put them on hold."""
        return self._took(await self.store.write(begin_transfer, self.new, ORGANIZATION))

    async def happens(self, event: HeldEvent, leg_id: str | None = None) -> HeldCall:
        """Something happens."""
        held = self._took(await self.store.write(take_event, self.id, event, leg_id))
        assert held is not None
        return held

    async def leg(self, event: LegEvent, attempt: int = 1, reason: TransferReason | None = None) -> HeldCall:
        """A person's leg reports."""
        return await self.happens(Leg(attempt, event, reason), f"leg-{attempt}")

    async def now(self) -> HeldCall:
        """As it stands."""
        held = await self.store.read(find_transfer, self.id)
        assert held is not None
        return held

    async def due(self) -> Sequence[str]:
        """What a timer finds."""
        return await self.store.read(due_transfers)

    async def states(self) -> list[str]:
        """What the timeline says of the transfer."""
        rows = await scene.rows(self.store, "test_timeline", id=self.new.conversation_id)
        bodies = [json.loads(row["body"]) for row in rows if row["kind"] == "intent"]
        return [body["state"] for body in bodies if body["state"] != "issued"]

    def _took(self, held: HeldCall | None) -> HeldCall | None:
        self.dialled += [dial.destination for dial in held.dials] if held is not None else []
        return held


async def wanted(store: Store, **changed: str) -> NewTransfer:
    """The agent has asked for a transfer, to Ann or else Bob; nothing is said to reassure.

    `changed`: what is otherwise in the intent as it is stored.
    """
    call_id, intent_id = f"CA{next(_calls)}", new_id()
    intent, _ = resolve_transfer(
        CallTransferIntent(
            destination=ANN,
            mode=TransferMode.WARM,
            warm_destinations=[ANN, BOB],
            warm=WarmTransfer(reassurance_text=""),
        )
    )
    payload = intent.model_dump(mode="json")
    accepted = await scene.arrive(store, scene.call("a person", call_id))
    claim = await scene.claimed(store, accepted.conversation_id)
    asked = {"intent_id": intent_id, "kind": "transfer", "payload": payload | changed}
    await scene.answer(
        store, claim, path=Path.HANDOFF, handoff_reason="asked", transfer=payload, intents=(asked,)
    )
    return NewTransfer(
        id=intent_id,
        provider="twilio",
        call_id=call_id,
        conversation_id=accepted.conversation_id,
        sender=THEIRS,
        recipient=OURS,
        proven=True,
        n=1,
        session="",
        intent=intent,
        briefing="About a refund.",
    )
