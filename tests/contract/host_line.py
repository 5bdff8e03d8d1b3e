"""A call of a voice host, seen from the host: what it reports goes through the voice worker and the units."""

from itertools import count
from typing import Any, TypeVar

from prometheus_client import REGISTRY

from gateway.domain.call_rules import CallTexts
from gateway.domain.clock import SECOND, Clock, rfc3339
from gateway.domain.envelope import Envelope
from gateway.domain.ids import named_id, new_id
from gateway.domain.intent import CallTransferIntent, resolve_transfer
from gateway.domain.message import Accepted, Channel, InboundMessage, JsonObject
from gateway.domain.ports.bus import DONE, Verdict
from gateway.domain.turn import Path
from gateway.service.accept import accept
from gateway.service.close import close
from tests.contract import scene
from tests.contract.conftest import MovableStore as Store
from tests.contract.scene import ORGANIZATION, OURS, PARTITIONS, ROUTE, THEIRS
from workers.voice import VoiceWorker

HOST = "host-1"
CALL = "call-1"
MOMENT = 1_700_000_000 * SECOND
T = TypeVar("T")


class Core:
    """The ports a voice worker is handed, over the units themselves."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def __call__(self, message: InboundMessage) -> Accepted:
        """Store it."""
        return await self._store.write(accept, message, ROUTE)

    def serves(self, channel: Channel, address: str) -> bool:
        """All are ours."""
        return True

    async def end(self, message: InboundMessage) -> None:
        """Note the end and close."""
        accepted = await self(message)
        assert accepted.conversation_id
        await self._store.write(close, ORGANIZATION, accepted.conversation_id, "the call ended", PARTITIONS)


class Line:
    """A host's call, seen from the host."""

    def __init__(self, store: Store, greeting: str = "") -> None:
        self.store = store
        core = Core(store)
        clock, texts = Clock(now=lambda: MOMENT), CallTexts(greeting=greeting)
        self.worker = VoiceWorker(store, (core, core), clock, ORGANIZATION, lambda _number: texts)
        self._seq = count()

    async def send(self, kind: str, *, event_id: str | None = None, at: int = MOMENT, **data: Any) -> Verdict:
        """Report something."""
        event = Envelope(
            id=event_id or new_id(),
            type="voice.event",
            occurred_at=rfc3339(at),
            data={"kind": kind, "call_id": CALL, **data},
        )
        return await self.worker.consume(event)

    async def start(self, **changed: Any) -> None:
        """Announce the call."""
        announced = {"host_id": HOST, "direction": "inbound", "from": THEIRS, "to": OURS, "transport": "sip"}
        assert await self.send("call.started", **{**announced, **changed}) == DONE

    async def report(
        self, intent_id: str, state: str, *, kind: str = "intent.outcome", **more: Any
    ) -> Verdict:
        """Report about an intent."""
        told = {"intent_id": intent_id, "state": state, "seq": next(self._seq), **more}
        return await self.send(kind, **told)

    async def told(self, kind: str | None = None) -> list[JsonObject]:
        """What the host has been told; in no order."""
        data = [e["data"] for exchange, _, e in await scene.postings(self.store) if exchange == "voice"]
        return [d for d in data if kind in (None, d["kind"])]

    async def conversation(self) -> Any:
        """Its conversation's row."""
        (accepted,) = await self.told("call.accepted")
        return await scene.conversation(self.store, accepted["conversation_id"])

    async def transcript(self) -> list[str]:
        """The messages of its conversation."""
        messages = await scene.rows(self.store, "test_messages", id=(await self.conversation())["id"])
        return [m["content"] for m in messages]

    async def facts(self) -> list[JsonObject]:
        """How its transfers ended, as others are told."""
        return [fact["data"] for fact in await scene.posted(self.store, "voice.transfer_finished")]

    async def ask_for_transfer(self, **settings: Any) -> str:
        """Have the agent transfer the call; the intent's id."""
        wanted = CallTransferIntent(destination="+15550111", **settings)
        payload = resolve_transfer(wanted)[0].model_dump(mode="json")
        intent_id = named_id("transfer", new_id())
        intent = {"intent_id": intent_id, "kind": "transfer", "payload": payload}
        assert await self.send("user.speech", text="billing please", final=True) == DONE
        claim = await scene.claimed(self.store, (await self.conversation())["id"])
        await scene.answer(
            self.store,
            claim,
            "connecting you",
            path=Path.HANDOFF,
            handoff_reason="transfer",
            transfer=payload,
            intents=(intent,),
        )
        return intent_id


def left_out(kind: str, reason: str) -> float:
    """How many events of a kind nothing came of."""
    labels = {"kind": kind, "reason": reason}
    return REGISTRY.get_sample_value("gateway_host_events_left_out_total", labels) or 0
