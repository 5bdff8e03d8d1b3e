"""The reference voice host under SIPp: cold transfers by REFER, and what becomes of them."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from channels.voice.host.ledger import Json
from gateway.domain.intent import CallTransferIntent, resolve_transfer
from tests.integration.host_place import TARGET, Place, hosting, when_dialled
from tests.services import sipp


@pytest.fixture
async def place(tmp_path: Path) -> AsyncIterator[Place]:
    """A host."""
    sipp.find_sipp()
    async with hosting(tmp_path) as opened:
        yield opened


def cold(**changed: Any) -> Json:
    """A cold transfer's payload."""
    return resolve_transfer(CallTransferIntent(destination=TARGET, **changed))[0].model_dump(mode="json")


def referred(*steps: str) -> tuple[str, ...]:
    """A call in which a key leads to a REFER."""
    return sipp.call(*sipp.keys(2, "1#"), sipp.receive("REFER"), *steps)


def notify(number: int, status: str, state: str) -> tuple[str, ...]:
    """How a REFER goes."""
    more = f"Event: refer\nSubscription-State: {state}\nContent-Type: message/sipfrag"
    return (sipp.within("NOTIFY", number, more, f"SIP/2.0 {status}"), sipp.receive(200))


ACCEPTED = sipp.reply("202 Accepted")
TRYING = notify(4, "100 Trying", "active;expires=60")


@pytest.mark.parametrize(
    ("steps", "outcome", "reason"),
    [
        (
            (ACCEPTED, *TRYING, *notify(5, "200 OK", "terminated"), *sipp.hung_up()),
            ("transferred", None, 200, "refer"),
            "transferred",
        ),
        (
            (ACCEPTED, *TRYING, *notify(5, "486 Busy Here", "terminated"), *sipp.bye(6)),
            ("failed", "refer_target_failed", 486, "refer"),
            "caller",
        ),
        (
            (sipp.reply("603 Decline"), *sipp.bye(4)),
            ("failed", "refer_rejected", 603, "refer"),
            "caller",
        ),
        ((ACCEPTED, *sipp.bye(4)), ("transfer_presumed", None, None, "refer"), "transferred"),
        (
            (sipp.within("BYE", 4), sipp.receive(200)),
            ("caller_abandoned", None, None, None),
            "caller",
        ),
    ],
    ids=["done", "target busy", "refused", "hung up before NOTIFY", "hung up before the answer"],
)
async def test_a_refer_and_what_becomes_of_it(
    place: Place, steps: tuple[str, ...], outcome: tuple[object, ...], reason: str
) -> None:
    when_dialled(place.gateway, lambda call_id: place.gateway.want(call_id, "transfer", cold()))
    await place.run(*referred(*steps))
    (ended,) = place.gateway.of("intent.outcome")
    assert (ended["state"], ended["reason"], ended["sip_code"], ended["method_used"]) == outcome
    assert [event["reason"] for event in place.gateway.of("call.ended")] == [reason]
    place.gateway.numbered_without_gaps()


async def test_a_refer_that_nobody_speaks_of_any_more(tmp_path: Path) -> None:
    sipp.find_sipp()
    async with hosting(tmp_path, notify_seconds=0.2) as place:
        when_dialled(place.gateway, lambda call_id: place.gateway.want(call_id, "transfer", cold()))
        await place.run(*referred(ACCEPTED, *sipp.hung_up()))
        (ended,) = place.gateway.of("intent.outcome")
        assert ended["state"] == "transfer_presumed"
