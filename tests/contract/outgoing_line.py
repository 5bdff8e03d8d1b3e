"""A call that we begin, as the contract suites make, dial and report it."""

import json
from collections.abc import Callable
from datetime import datetime, time
from typing import Any
from zoneinfo import ZoneInfo

from gateway.domain.call_rules import CallRules, OnMachine
from gateway.domain.clock import SECOND
from gateway.domain.outgoing_call import (
    AnsweredBy,
    AnsweredReport,
    CallReport,
    CallState,
    OutgoingCall,
    Standing,
)
from gateway.domain.ports.store import Row
from gateway.domain.quiet import QuietHours
from gateway.service.begin_call import NewOutgoingCall, begin_call
from gateway.service.call_progress import note_answered_by, report_call
from gateway.service.dial import CallTask, Task, claim_call
from tests.contract import scene
from tests.contract.conftest import MovableStore as Store
from tests.contract.scene import ORGANIZATION, OURS, PARTITIONS, ROUTE, THEIRS

SID, OTHER = "CA" + "1" * 32, "CA" + "2" * 32
ONGOING = [CallState.INITIATED, CallState.RINGING, CallState.ANSWERED]


def night_at(at: int) -> QuietHours:
    """The hours in which it is quiet where THEIRS is, as at this moment (µs)."""
    hour = datetime.fromtimestamp(at / SECOND, ZoneInfo("America/Los_Angeles")).hour
    return QuietHours(time(hour), time((hour + 3) % 24))


def never(_number: str) -> QuietHours | None:
    return None


def rules(**given: Any) -> Callable[[str], CallRules]:
    """The same for every number."""
    return lambda _number: CallRules(**given)


def new(**changed: Any) -> NewOutgoingCall:
    """A wish to call somebody."""
    wanted: dict[str, Any] = {
        "end_user_id": None,
        "their_address": THEIRS,
        "our_address": OURS,
        "first_message": None,
        "metadata": {"order": 7},
        "context_variables": {"name": "Ada"},
    }
    return NewOutgoingCall(**{**wanted, **changed})


class Line:
    """One call that we begin, as its worker and its provider see it."""

    def __init__(self, store: Store, conversation_id: str) -> None:
        self.store = store
        self.id = conversation_id

    async def claim(self, quiet: Callable[[str], QuietHours | None] = never) -> CallTask | None:
        """What is to be done."""
        return await self.store.write(claim_call, ORGANIZATION, self.id, quiet, PARTITIONS)

    async def dialed(self) -> OutgoingCall:
        """An attempt, claimed."""
        task = await self.claim()
        assert task is not None
        assert task.task is Task.DIAL
        return task.call

    async def report(self, state: CallState, *, sid: str = SID, raw: str = "", **given: Any) -> Standing:
        """Its provider says how far it is."""
        report = CallReport(
            provider="twilio", call_id=sid, conversation_id=self.id, state=state, raw=raw or state.value
        )
        return await self.store.write(report_call, ORGANIZATION, report, rules(**given), PARTITIONS)

    async def answered_by(self, who: AnsweredBy, on_machine: OnMachine | None, *, sid: str = SID) -> None:
        """Machine detection has a result."""
        report = AnsweredReport(call_id=sid, conversation_id=self.id, who=who, raw=f"{who}_raw")
        await self.store.write(
            note_answered_by, ORGANIZATION, report, rules(on_machine=on_machine), PARTITIONS
        )

    async def row(self) -> Row:
        """Its conversation."""
        return await scene.conversation(self.store, self.id)

    async def stored(self) -> Row:
        """Its own row."""
        (row,) = await scene.rows(self.store, "test_outgoing_call", id=self.id)
        return row

    async def statuses(self) -> list[str]:
        """What its timeline has of statuses."""
        timeline = await scene.rows(self.store, "test_timeline", id=self.id)
        return [json.loads(e["body"])["session_status"] for e in timeline if e["kind"] == "status"]

    async def transcript(self) -> list[str]:
        """What its transcript has."""
        return [m["content"] for m in await scene.rows(self.store, "test_messages", id=self.id)]


async def begun(store: Store) -> Line:
    """A call that nobody has been asked to dial yet."""
    return Line(store, (await store.write(begin_call, new(), ROUTE)).id)
