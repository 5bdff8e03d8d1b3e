"""Texts whose webhook never arrived are found at Twilio, once, with their files."""

import time
from collections.abc import AsyncIterator, Sequence

import pytest

from channels.sms.sweep import UNDER_WAY, TwilioSweep
from channels.twilio.client import TwilioRest
from channels.twilio.credentials import TwilioCredentials
from channels.twilio.fake import FakeTwilio
from channels.twilio.fake.faults import Faults
from channels.twilio.fake.webhooks import WebhookUnreachable
from gateway.domain.clock import SECOND, Clock
from tests.integration.webhooks import ACCOUNT, OURS, THEIRS, TOKEN, Core

NOWHERE = "http://127.0.0.1:9"


@pytest.fixture
async def fake() -> AsyncIterator[FakeTwilio]:
    twilio = FakeTwilio(ACCOUNT, TOKEN, webhook_url=NOWHERE)
    await twilio.start()
    yield twilio
    await twilio.stop()


@pytest.fixture
async def swept(fake: FakeTwilio) -> AsyncIterator[tuple[Core, TwilioSweep, list[int]]]:
    """A gateway that hears no webhook, its sweep, and how many seconds later it is."""
    rest = TwilioRest(TwilioCredentials(account_sid=ACCOUNT, auth_tokens=(TOKEN,), api_url=fake.url))
    core, later = Core(), [UNDER_WAY // SECOND + 5]

    async def known(ids: Sequence[str]) -> set[str]:
        return set(ids) & set(core.messages)

    clock = Clock(now=lambda: int((time.time() + later[0]) * SECOND))
    yield core, TwilioSweep(rest, clock, core, known, lambda: [OURS]), later
    await rest.close()


async def lost(fake: FakeTwilio, body: str, **extra: str) -> None:
    """Somebody texts, and the webhook reaches nobody."""
    with pytest.raises(WebhookUnreachable):
        await fake.text(THEIRS, OURS, body, **extra)


async def test_what_was_missed_is_accepted_once_in_order(
    fake: FakeTwilio, swept: tuple[Core, TwilioSweep, list[int]]
) -> None:
    core, sweep, _ = swept
    for body in ("one", "two"):
        await lost(fake, body)
    url = fake.keep_media(b"picture", "image/png", message="MM" + "1" * 32)
    await lost(fake, "look", MessageSid="MM" + "1" * 32, NumMedia="1")
    assert await sweep.look() == 3
    assert sorted(m.text for m in core.messages.values()) == ["look", "one", "two"]
    picture = core.messages["MM" + "1" * 32]
    assert [(a.source, a.media_type) for a in picture.attachments] == [(url, "image/png")]
    assert (picture.sender, picture.recipient, picture.metadata["swept"]) == (THEIRS, OURS, True)
    assert await sweep.look() == 0


async def test_a_webhook_that_may_be_under_way_is_waited_for(
    fake: FakeTwilio, swept: tuple[Core, TwilioSweep, list[int]]
) -> None:
    core, sweep, later = swept
    await lost(fake, "just now")
    later[0] = 10
    assert await sweep.look() == 0
    later[0] = 25 * 3600
    assert await sweep.look() == 0  # nobody waits for an answer any more
    assert not core.messages


async def test_when_twilio_does_not_answer_the_next_look_finds_it(
    fake: FakeTwilio, swept: tuple[Core, TwilioSweep, list[int]]
) -> None:
    _, sweep, _ = swept
    await lost(fake, "one")
    fake.faults = Faults(rate_5xx=1)
    assert await sweep.look() == 0
    fake.faults = Faults()
    assert await sweep.look() == 1
