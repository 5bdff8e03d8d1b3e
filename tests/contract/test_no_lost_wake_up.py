"""Whatever happens to workers, every input is answered exactly once and in order.

A machine interleaves messages, turns, deaths, stalls, failures, pauses, take-overs and withdrawals at random.
"""

from collections import Counter
from collections.abc import Awaitable
from typing import TypeVar

from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from hypothesis.strategies import integers

from gateway.domain.errors import Braked, Fenced
from gateway.domain.turn import Claim, NotNow
from gateway.service.brake import pause, resume, set_aside
from gateway.service.claim import claim_turn, next_turn, release
from gateway.service.due import due_turns
from gateway.service.submit import withdraw
from gateway.service.turn_failure import postpone_turn
from tests.contract import scene
from tests.contract.conftest import World
from tests.contract.scene import LIFETIME, ORGANIZATION, PARTITIONS

T = TypeVar("T")

_RENEWED_EVERY = 3
"""Seconds."""
_MOST = 25
"""Inputs at once: an agent is shown the newest 50 messages."""


class Turns(RuleBasedStateMachine):
    """One conversation and the workers around it."""

    world: World

    def __init__(self) -> None:
        super().__init__()
        self.world.people += 1
        self.store = self.world.store
        self.number = f"+1415555{self.world.people:04}"
        self.said: list[str] = []
        self.answered: list[str] = []
        self.names = 0
        self.waiting: dict[str, str] = {}
        """By message id, in the order of asking: inputs by API that may be taken back."""
        self.by_api: set[str] = set()
        self.alive: dict[str, Claim] = {}
        """Claims at work, by worker."""
        self.stalled: dict[str, Claim] = {}
        """Claims of workers that no longer renew but may yet commit."""
        self.with_person = False
        self.paused = False
        self.conversation_id = ""
        self.accept()

    def run(self, coroutine: Awaitable[T]) -> T:
        return self.world.run(coroutine)

    def _name(self) -> str:
        self.names += 1
        self.said.append(f"n{self.names}")
        return self.said[-1]

    def _chosen(self, claims: dict[str, Claim], number: int) -> str:
        return list(claims)[number % len(claims)]

    @precondition(lambda self: len(self.said) < _MOST)
    @rule()
    def accept(self) -> None:
        accepted = self.run(scene.arrive(self.store, scene.sms(self._name(), sender=self.number)))
        assert self.conversation_id in ("", accepted.conversation_id)
        self.conversation_id = accepted.conversation_id

    @precondition(lambda self: len(self.said) < _MOST)
    @rule()
    def ask_by_api(self) -> None:
        text = self._name()
        submitted = self.run(scene.say(self.store, self.conversation_id, text))
        if submitted.queued_seq is None:
            self.waiting[submitted.message_id] = text
            self.by_api.add(text)

    @precondition(lambda self: self.waiting)
    @rule(number=integers(0, 9))
    def take_input_back(self, number: int) -> None:
        message_id = list(self.waiting)[number % len(self.waiting)]
        text = self.waiting.pop(message_id)
        if self.run(self.store.write(withdraw, message_id)):
            self.said.remove(text)
            assert text not in self.answered

    @rule()
    def claim(self) -> None:
        worker_id = self.run(scene.worker(self.store))
        self._keep(worker_id, self.run(self.store.write(claim_turn, self.conversation_id, worker_id)))

    def _keep(self, worker_id: str, claim: Claim | NotNow) -> None:
        if isinstance(claim, Claim):
            self.alive[worker_id] = claim

    def _commit(self, claim: Claim) -> bool | None:
        """Whether more is pending; None when the commit was refused."""
        texts = scene.texts_of(claim.request)
        try:
            finished = self.run(scene.answer(self.store, claim, "|".join(texts)))
        except Fenced:
            return None
        except Braked:
            assert self.paused
            self.run(self.store.write(set_aside, claim.lease))
            return None
        self.answered.extend(texts)
        return finished.more

    @precondition(lambda self: self.alive)
    @rule(number=integers(0, 9))
    def commit_and_look_once_more(self, number: int) -> None:
        worker_id = self._chosen(self.alive, number)
        claim = self.alive.pop(worker_id)
        if self._commit(claim):
            self._keep(worker_id, self.run(self.store.write(next_turn, claim.lease)))

    @precondition(lambda self: self.alive)
    @rule(number=integers(0, 9))
    def commit_and_die(self, number: int) -> None:
        self._commit(self.alive.pop(self._chosen(self.alive, number)))

    @precondition(lambda self: self.alive)
    @rule(number=integers(0, 9))
    def die(self, number: int) -> None:
        del self.alive[self._chosen(self.alive, number)]

    @precondition(lambda self: self.alive)
    @rule(number=integers(0, 9))
    def stall(self, number: int) -> None:
        worker_id = self._chosen(self.alive, number)
        self.stalled[worker_id] = self.alive.pop(worker_id)

    @precondition(lambda self: self.stalled)
    @rule(number=integers(0, 9))
    def commit_late(self, number: int) -> None:
        self._commit(self.stalled.pop(self._chosen(self.stalled, number)))

    @precondition(lambda self: self.alive)
    @rule(number=integers(0, 9), seconds=integers(1, 60))
    def fail_and_try_later(self, number: int, seconds: int) -> None:
        try:
            claim = self.alive.pop(self._chosen(self.alive, number))
            self.run(self.store.write(postpone_turn, claim, seconds))
        except Fenced:
            pass

    @precondition(lambda self: self.alive)
    @rule(number=integers(0, 9))
    def give_back(self, number: int) -> None:
        claim = self.alive.pop(self._chosen(self.alive, number))
        self.run(self.store.write(release, claim.lease))

    @rule(steps=integers(1, 5))
    def let_time_pass(self, steps: int) -> None:
        for _ in range(steps):
            self.store.advance(_RENEWED_EVERY)
            for worker_id in self.alive:
                self.run(self.store.write(scene.renew, worker_id))

    @precondition(lambda self: not self.with_person)
    @rule()
    def take_over(self) -> None:
        self.run(scene.operate(self.store, self.conversation_id, take_over=True))
        self.with_person = True

    @precondition(lambda self: self.with_person)
    @rule()
    def return_control(self) -> None:
        self.run(scene.operate(self.store, self.conversation_id, return_control=True))
        self.with_person = False

    @precondition(lambda self: not self.paused)
    @rule()
    def pause(self) -> None:
        self.run(self.store.write(pause, ORGANIZATION, ORGANIZATION, by="olga", reason=None))
        self.paused = True

    @precondition(lambda self: self.paused)
    @rule()
    def resume(self) -> None:
        assert self.run(self.store.write(resume, ORGANIZATION, PARTITIONS))
        self.paused = False

    @invariant()
    def what_is_pending_is_counted(self) -> None:
        if self.conversation_id:
            self.run(scene.consistent(self.store, self.conversation_id))

    def teardown(self) -> None:
        """Everybody dies; the timers and one last worker must find whatever is left."""
        if self.with_person:
            self.return_control()
        if self.paused:
            self.resume()
        self.store.advance(60 + LIFETIME)
        pending = Counter(self.said) - Counter(self.answered)
        rung = self.run(self.store.write(due_turns, 0, PARTITIONS))
        assert rung == (1 if pending else 0)
        if pending:
            self.claim()
        while self.alive:
            self.commit_and_look_once_more(0)
        assert self.run(scene.refused(self.store, self.conversation_id)) is NotNow.ANSWERED
        self._check_answers()

    def _check_answers(self) -> None:
        assert Counter(self.answered) == Counter(self.said)
        for by_api in (True, False):
            group = [text for text in self.said if (text in self.by_api) is by_api]
            assert [text for text in self.answered if (text in self.by_api) is by_api] == group
        messages = self.run(scene.rows(self.store, "test_messages", id=self.conversation_id))
        replies = [m["content"] for m in messages if m["role"] == "assistant"]
        assert "|".join(replies) == "|".join(self.answered)
        deliveries = self.run(scene.rows(self.store, "test_deliveries", id=self.conversation_id))
        assert [d["text"] for d in deliveries] == replies
        self.run(scene.consistent(self.store, self.conversation_id))


def test_no_interleaving_loses_or_repeats_an_input(world: World, database_url: str) -> None:
    machine = type("Turns", (Turns,), {"world": world})
    postgres = database_url.startswith("postgres")
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=12 if postgres else 60,
            stateful_step_count=30,
            deadline=None,
            derandomize=True,
            phases=[Phase.generate, Phase.shrink],
            suppress_health_check=list(HealthCheck),
        ),
    )
