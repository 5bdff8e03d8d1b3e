"""What we begin in somebody's night waits for their morning; replies do not, and nothing waits for ever."""

from dataclasses import replace
from datetime import time

import pytest

from gateway.domain.conversation import Origin, Priority, SessionType
from gateway.domain.delivery import PartText, Refused
from gateway.domain.identity import Address, ContactKind
from gateway.domain.message import Channel
from gateway.domain.ports.store import Store
from gateway.domain.quiet import QuietHours
from gateway.domain.turn import NotNow
from gateway.service.accept import accept
from gateway.service.begin import begin
from gateway.service.converse import NewConversation
from gateway.service.deliver import LaneClaim, claim_lane
from gateway.service.identify import resolve
from gateway.service.parts import PartClaim, claim_part
from tests.contract import scene
from tests.contract.conftest import MovableStore
from tests.contract.lanes import unstored
from tests.contract.scene import ORGANIZATION, OURS, ROUTE, answer, claimed, rows, sms

LONDON = "+442079460018"


NEARLY_ALWAYS = QuietHours(time(0), time(23, 45))


async def begun(store: Store, quiet: QuietHours | None) -> str:
    """A conversation that we begin with a word; its id."""
    person = await store.write(
        resolve, ORGANIZATION, Address(ContactKind.PHONE, LONDON), verified=True, source="api"
    )
    new = NewConversation(
        end_user_id=person.end_user_id,
        channel=Channel.SMS,
        our_address=OURS,
        session_type=SessionType.LIVE,
        priority=Priority.NORMAL,
        origin=Origin.OUTBOUND,
        external_session_id=None,
        subject=None,
        metadata={},
        context_variables={},
    )
    made, _ = await store.write(begin, new, replace(ROUTE, quiet=quiet), "Your order has left.")
    return made.id


async def lane(store: Store, name: str) -> LaneClaim | NotNow:
    return await store.write(claim_lane, name, await scene.worker(store))


async def first_part(store: Store, claim: LaneClaim) -> object:
    return await store.write(claim_part, claim.ref, unstored(claim), "twilio", (PartText("x", None, 1),))


async def test_without_quiet_hours_it_leaves_at_once(store: MovableStore) -> None:
    (delivery,) = await rows(store, "test_deliveries", id=await begun(store, None))
    assert isinstance(await lane(store, delivery["lane"]), LaneClaim)


@pytest.mark.parametrize("hours_late", [0, 13])
async def test_it_waits_in_a_lane_of_its_own_and_expires(store: MovableStore, hours_late: int) -> None:
    conversation_id = await begun(store, NEARLY_ALWAYS)
    (held,) = await rows(store, "test_deliveries", id=conversation_id)
    if held["expires_at"] is None:  # the quarter of an hour that is not quiet
        return
    assert await lane(store, held["lane"]) is NotNow.NOT_DUE
    # they write, and are answered meanwhile
    await store.write(accept, sms("hello", sender=LONDON), ROUTE)
    await answer(store, await claimed(store, conversation_id))
    replies = [d for d in await rows(store, "test_deliveries", id=conversation_id) if d["expires_at"] is None]
    assert isinstance(await lane(store, replies[0]["lane"]), LaneClaim)
    wait = (held["expires_at"] - held["created_at"]) / 1_000_000 - 12 * 3600
    store.advance(wait + 1 + hours_late * 3600)
    claim = await lane(store, held["lane"])
    assert isinstance(claim, LaneClaim)
    outcome = await first_part(store, claim)
    if hours_late:
        assert isinstance(outcome, Refused)
        assert outcome.code == "expired"
    else:
        assert isinstance(outcome, PartClaim)
