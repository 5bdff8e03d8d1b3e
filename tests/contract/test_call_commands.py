"""What a call of ours is told: until it takes it, and a machine its message once."""

import logging

import pytest

from gateway.domain.delivery import Failure, Refused, Taken
from gateway.domain.outgoing_call import LOOK_EVERY, Command
from gateway.service.calls import command_call
from tests.contract.conftest import MovableStore as Store
from tests.contract.test_call_worker import NOTHING, SID, Office, Provider, office_of
from workers.calls import START_WITHIN

AGAIN = 2 * LOOK_EVERY
"""Seconds after which it is told again, at least."""


@pytest.fixture
async def office(store: Store) -> Office:
    """One whose call is up."""
    office = await office_of(store, Provider())
    office.provider.dials.append(Taken(SID))
    await office.ring()
    return office


async def told(office: Office, command: Command) -> list[Command]:
    """The call is to be told this: what it was told of that, in several looks."""
    await office.store.write(command_call, office.id, command)
    for _ in range(4):
        await office.ring(AGAIN)
    return [command for _, command in office.provider.told]


@pytest.mark.parametrize("failure", [Failure.CONFIGURATION, Failure.PERMANENT, Failure.TRANSIENT])
async def test_who_is_to_be_hung_up_on_is_told_until_they_are(
    office: Office, failure: Failure, caplog: pytest.LogCaptureFixture
) -> None:
    """Also where the provider does not know us for a while (401, 403)."""
    office.provider.tells.extend([Refused(failure, "20003")] * 2)
    with caplog.at_level(logging.WARNING, "workers.calls"):
        assert await told(office, Command.HANG_UP) == [Command.HANG_UP] * 3
    noted = [(vars(one)["action"], vars(one)["reason"]) for one in caplog.records]
    assert noted == [("call.refused", "20003")] * 2


@pytest.mark.parametrize(("failure", "times"), [(Failure.CONFIGURATION, 2), (Failure.PERMANENT, 1)])
async def test_a_message_that_is_refused_for_good_is_left_no_more(
    office: Office, failure: Failure, times: int
) -> None:
    office.provider.tells.append(Refused(failure, "20003"))
    assert await told(office, Command.LEAVE_MESSAGE) == [Command.LEAVE_MESSAGE] * times


async def test_a_machine_that_hears_its_message_is_not_sent_there_again(office: Office) -> None:
    """The answer to the redirect was lost, and the call has come for the message."""
    office.provider.tells.append(NOTHING)
    await office.store.write(command_call, office.id, Command.LEAVE_MESSAGE)
    await office.ring()
    await office.worker._reports.leaves_message(office.id, "CA" + "9" * 32)  # another's
    await office.worker._reports.leaves_message(office.id, SID)
    for _ in range(3):
        await office.ring(AGAIN)
    assert office.provider.told == [(SID, Command.LEAVE_MESSAGE)]


async def test_a_machine_whose_redirect_was_lost_is_left_its_message(office: Office) -> None:
    office.provider.tells.append(NOTHING)
    assert await told(office, Command.LEAVE_MESSAGE) == [Command.LEAVE_MESSAGE] * 2


async def test_who_was_held_up_before_telling_a_call_leaves_it_to_others(office: Office) -> None:
    await office.store.write(command_call, office.id, Command.LEAVE_MESSAGE)
    clock = office.worker._clock
    moments = iter([0.0, START_WITHIN + 1])
    office.worker._clock = type(clock)(now=clock.now, monotonic=lambda: next(moments))
    await office.ring()
    assert office.provider.told == []
    office.worker._clock = clock
    await office.ring(AGAIN)
    assert office.provider.told == [(SID, Command.LEAVE_MESSAGE)]
