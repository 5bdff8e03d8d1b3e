"""A caller at a voice host whose agent is paused is told to hold, and answered when it is not."""

from collections.abc import AsyncIterator

import pytest

from gateway.bus.streams import LocalReplies, NoHosts
from gateway.domain.agent import Delta, TurnRequest
from gateway.domain.call_rules import CallPace, CallRules
from gateway.domain.clock import Clock
from gateway.domain.conversation import Conversation
from gateway.domain.envelope import Envelope
from gateway.domain.fallback import Fallbacks
from gateway.domain.ports.bus import DONE
from gateway.domain.served_agent import ServedAgent
from gateway.domain.transfers import Transfers
from gateway.domain.turn_rules import TurnRules
from gateway.service.brake import pause, resume
from gateway.service.hold_caller import hold_caller
from gateway.service.reply_files import ReplyFiles
from tests.contract import scene
from tests.contract.conftest import MovableStore as Store
from tests.contract.host_line import Line
from tests.contract.scene import ORGANIZATION, PARTITIONS, ROUTE, arrive, sms
from workers.audience import Audience
from workers.brakes import Brakes
from workers.liveness import Liveness
from workers.turns import TurnLimits, TurnWorker

HOLD = "Please hold, a colleague will take over."


class Agent:
    """Is there."""

    async def answer(self, turn: TurnRequest) -> AsyncIterator[Delta]:
        """One text."""
        yield Delta(text="We open at nine.")


@pytest.fixture
async def worker(store: Store) -> AsyncIterator[TurnWorker]:
    """Whoever works off the bells of turns."""
    clock = Clock(monotonic=lambda: 0.0)
    liveness = Liveness(store, clock, roles="turns")
    await liveness.start()

    async def served(_: object) -> ServedAgent:
        return ServedAgent(Agent(), Transfers())

    async def keep(*_: object, **__: object) -> None:
        raise AssertionError("no reply has files")

    def rules(_: Conversation) -> TurnRules:
        return TurnRules(fallbacks=Fallbacks(hold=HOLD))

    limits = TurnLimits(600.0, PARTITIONS, ReplyFiles(keep, ""), rules)  # type: ignore[arg-type]
    patient = CallRules(pace=CallPace(filler_after=600))
    audience = Audience(store, (LocalReplies(), NoHosts()), clock, lambda _: patient)
    yield TurnWorker(store, audience, served, liveness, Brakes(store), limits)
    await liveness.stop()


async def rung(store: Store, worker: TurnWorker) -> None:
    """All bells of turns ring."""
    for kind in ("message.inbound", "turn.due"):
        for body in await scene.posted(store, kind):
            assert await worker.consume(Envelope.model_validate(body)) == DONE


async def heard(line: Line) -> list[str]:
    """What the caller was told, in order."""
    rows = await scene.rows(line.store, "test_messages", id=(await line.conversation())["id"])
    said = [row["content"] for row in rows if row["role"] == "assistant"]
    told = [say["payload"] for say in await line.told("say")]
    assert sorted(said) == sorted(one.get("whole") or one["text"] for one in told)
    return said


@pytest.mark.parametrize("subject", [ORGANIZATION, ROUTE.agent_id], ids=["organisation", "agent"])
async def test_who_is_kept_waiting_is_told_so_and_answered_later(
    store: Store, worker: TurnWorker, subject: str
) -> None:
    line = Line(store)
    await line.start()
    await store.write(pause, ORGANIZATION, subject, by="olga", reason=None)
    assert await line.send("user.speech", text="when do you open?", final=True) == DONE
    for _ in range(2):
        await rung(store, worker)
    assert await heard(line) == [HOLD]
    assert await line.send("user.speech", text="hello?", final=True) == DONE
    await rung(store, worker)
    assert await heard(line) == [HOLD, HOLD]
    await store.write(resume, subject, PARTITIONS)
    await rung(store, worker)
    assert await heard(line) == [HOLD, HOLD, "We open at nine."]
    await scene.consistent(store, (await line.conversation())["id"])


async def test_only_who_is_on_the_line_and_waits_is_told(store: Store, worker: TurnWorker) -> None:
    line = Line(store)
    await line.start()
    texted = await arrive(store, sms("hello"))
    called = await arrive(store, scene.call("hello", "CA1"))
    await store.write(pause, ORGANIZATION, ORGANIZATION, by="olga", reason=None)
    await rung(store, worker)
    told = [texted.conversation_id, called.conversation_id, (await line.conversation())["id"]]
    for conversation_id in told:
        assert not await store.write(hold_caller, conversation_id, lambda _: HOLD)
    assert await line.send("user.speech", text="hello", final=True) == DONE
    assert not await store.write(hold_caller, told[-1], lambda _: None)
    assert await line.send("call.ended", reason="caller") == DONE
    assert not await store.write(hold_caller, told[-1], lambda _: HOLD)
    assert await line.told("say") == []
