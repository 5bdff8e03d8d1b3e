"""However records are merged and unmerged: an address has one person, unmerging undoes, and nothing is lost.

A machine merges, unmerges, writes, suppresses and attaches at random, and compares with a forest.
"""

from collections.abc import Awaitable
from typing import TypeVar

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test
from hypothesis.strategies import integers

from gateway.domain.errors import ErrorCode, GatewayError
from gateway.domain.identity import address_of
from gateway.domain.message import Channel
from gateway.service.history import person_conversations
from gateway.service.identify import end_user, resolve
from gateway.service.merge import merge, unmerge
from gateway.service.people import attach_contact
from gateway.service.suppress import lift, suppress, suppressed
from tests.contract import scene
from tests.contract.conftest import World
from tests.contract.scene import ORGANIZATION, OURS

T = TypeVar("T")

_RECORDS = 5
_ANY = integers(0, 99)


class Merging(RuleBasedStateMachine):
    """Five records, their addresses and conversations."""

    world: World

    def __init__(self) -> None:
        super().__init__()
        self.store = self.world.store
        self.links: dict[str, str] = {}
        """What was merged directly into what."""
        self.owners: dict[str, str] = {}
        """Numbers and their records."""
        self.conversations: dict[str, list[str]] = {}
        self.stopped: set[str] = set()
        self.records = [self.run(self.arrive(self.number())) for _ in range(_RECORDS)]

    def run(self, coroutine: Awaitable[T]) -> T:
        return self.world.run(coroutine)

    def number(self) -> str:
        self.world.people += 1
        return f"+1415555{self.world.people:04}"

    def root(self, record: str) -> str:
        while record in self.links:
            record = self.links[record]
        return record

    def group(self, record: str) -> set[str]:
        return {other for other in self.records if self.root(other) == self.root(record)}

    async def arrive(self, number: str) -> str:
        """A text from a number; the record it went to."""
        accepted = await scene.arrive(self.store, scene.sms(sender=number))
        row = await scene.conversation(self.store, accepted.conversation_id)
        record: str = row["end_user_id"]
        assert self.owners.setdefault(number, record) == record
        known = self.conversations.setdefault(record, [])
        if accepted.conversation_id not in known:
            known.append(accepted.conversation_id)
        return record

    def chosen(self, number: int) -> str:
        return self.records[number % _RECORDS]

    @rule(one=_ANY, two=_ANY)
    def merge(self, one: int, two: int) -> None:
        into, joining = self.chosen(one), self.chosen(two)
        allowed = into != joining and into not in self.links and joining not in self.links
        if allowed:
            self.run(self.store.write(merge, ORGANIZATION, into, joining))
            self.links[joining] = into
            return
        with pytest.raises(GatewayError) as refused:
            self.run(self.store.write(merge, ORGANIZATION, into, joining))
        assert refused.value.code is ErrorCode.INVALID_MERGE

    @rule(one=_ANY)
    def unmerge(self, one: int) -> None:
        record = self.chosen(one)
        if record in self.links:
            self.run(self.store.write(unmerge, ORGANIZATION, record))
            del self.links[record]
            return
        with pytest.raises(GatewayError) as refused:
            self.run(self.store.write(unmerge, ORGANIZATION, record))
        assert refused.value.code is ErrorCode.INVALID_MERGE

    @rule(one=_ANY)
    def write(self, one: int) -> None:
        self.run(self.arrive(list(self.owners)[one % len(self.owners)]))

    @rule(one=_ANY)
    def attach(self, one: int) -> None:
        record, number = self.chosen(one), self.number()
        address = address_of(Channel.SMS, number)
        self.run(self.store.write(attach_contact, ORGANIZATION, record, address, "operator"))
        self.owners[number] = record

    @rule(one=_ANY)
    def stop(self, one: int) -> None:
        number = list(self.owners)[one % len(self.owners)]
        self.run(self.store.write(suppress, ORGANIZATION, Channel.SMS, (OURS, number), "stop"))
        self.stopped.add(number)

    @rule(one=_ANY)
    def start(self, one: int) -> None:
        number = list(self.owners)[one % len(self.owners)]
        self.run(self.store.write(lift, ORGANIZATION, Channel.SMS, (OURS, number)))
        self.stopped.discard(number)

    @invariant()
    def addresses_have_one_person(self) -> None:
        for number, record in self.owners.items():
            address = address_of(Channel.SMS, number)
            unit = self.store.write(resolve, ORGANIZATION, address, verified=True, source="test")
            found = self.run(unit)
            assert (found.end_user_id, found.record_id) == (self.root(record), record)
            assert not found.created

    @invariant()
    def no_history_is_lost(self) -> None:
        for record in self.records:
            page = self.run(self.store.read(person_conversations, ORGANIZATION, record, None, 200))
            expected = {c for other in self.group(record) for c in self.conversations[other]}
            assert {c.id for c in page.items} == expected
            assert len(page.items) == len(expected)

    @invariant()
    def records_say_what_they_are(self) -> None:
        for record in self.records:
            shown = self.run(self.store.read(end_user, ORGANIZATION, record))
            assert shown is not None
            root = self.root(record)
            assert shown.merged_into == (None if root == record else root)
            owners = self.group(record) if root == record else {record}
            assert {c.value for c in shown.contacts} == {n for n, o in self.owners.items() if o in owners}

    @invariant()
    def who_asked_to_be_left_alone_is(self) -> None:
        for number, record in self.owners.items():
            group = self.group(record)
            expected = any(self.owners[stopped] in group for stopped in self.stopped)
            assert self.run(self.store.read(suppressed, ORGANIZATION, Channel.SMS, OURS, number)) == expected


def test_merging_and_unmerging(world: World, database_url: str) -> None:
    run_state_machine_as_test(
        type("Merging", (Merging,), {"world": world}),
        settings=settings(
            max_examples=4 if database_url.startswith("postgres") else 10,
            stateful_step_count=15,
            deadline=None,
            derandomize=True,
            phases=[Phase.generate, Phase.shrink],
            suppress_health_check=list(HealthCheck),
        ),
    )
