"""A message's verdict: what its consumer says, unless it is unreadable, fails, or was tried too often."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.bus.verdicts import MAX_ATTEMPTS, MAX_AWAY, judge
from gateway.domain.envelope import Envelope
from gateway.domain.errors import Unavailable
from gateway.domain.ports.bus import DONE, Ack, Consumer, RetryStep, Verdict, dead, look_again, retry

VALID = b'{"v": 1, "id": "1", "type": "x", "occurred_at": "", "data": {}, "of_the_future": 1}'


def answering(verdict: Verdict) -> Consumer:
    """A consumer with one answer."""

    async def consume(_message: Envelope) -> Verdict:
        return verdict

    return Consumer("turns.0", consume)


@pytest.mark.parametrize("verdict", [DONE, retry(RetryStep.M2, "later"), dead("no")])
async def test_the_consumers_verdict_stands(verdict: Verdict) -> None:
    assert await judge(answering(verdict), VALID, 1) == verdict


async def test_patience_ends() -> None:
    asks = answering(retry(RetryStep.S5, "leased"))
    assert (await judge(asks, VALID, MAX_ATTEMPTS - 1)).ack is Ack.RETRY
    assert await judge(asks, VALID, MAX_ATTEMPTS) == dead("given up after 50 attempts: leased")
    assert await judge(answering(DONE), VALID, MAX_ATTEMPTS + 1) == DONE


async def test_what_waits_for_somebody_who_is_at_it_is_no_dead_letter() -> None:
    asks = answering(look_again("leased"))
    assert await judge(asks, VALID, MAX_ATTEMPTS - 1) == look_again("leased")
    assert await judge(asks, VALID, MAX_ATTEMPTS) == DONE


async def test_an_outage_of_many_minutes_makes_no_dead_letters() -> None:
    """Nothing is wrong with the messages; but one that finds it away for a day has another reason."""

    async def consume(_message: Envelope) -> Verdict:
        raise Unavailable("the database is away")

    asks = Consumer("webhooks", consume)
    assert await judge(asks, VALID, MAX_ATTEMPTS) == retry(RetryStep.S5, "the database is away")
    assert (await judge(asks, VALID, MAX_AWAY - 1)).ack is Ack.RETRY
    assert (await judge(asks, VALID, MAX_AWAY)).ack is Ack.DEAD


@pytest.mark.parametrize("key", ["conversation_id", "organization_id"])
async def test_an_id_that_is_none_is_a_dead_letter_at_once(key: str) -> None:
    for wrong in ('"c-1"', '""', "7", '"0190B0A0-0000-7000-8000-000000000001"'):
        verdict = await judge(answering(DONE), VALID[:-1] + f', "{key}": {wrong}}}'.encode(), 1)
        assert verdict.ack is Ack.DEAD
        assert key in verdict.reason
    valid = VALID[:-1] + f', "{key}": "0190b0a0-0000-7000-8000-000000000001"}}'.encode()
    assert await judge(answering(DONE), valid, 1) == DONE


@given(st.binary(max_size=300))
async def test_no_bytes_reach_a_consumer_unread(body: bytes) -> None:
    verdict = await judge(answering(DONE), body, 1)
    assert verdict.ack is Ack.DEAD
    assert verdict.reason
