"""Suppressions and the ledger over HTTP, and a STOP on its way through a whole gateway."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from channels.twilio.fake import FakeTwilio
from channels.twilio.fake.faults import Faults
from gateway.domain.ids import new_id
from tests.integration.api import Api, gateway

ACCOUNT, TOKEN = "AC" + "0" * 32, "token-of-these-tests"
OURS, THEIRS = "+15550100", "+14155550123"
SMS: dict[str, Any] = {"channel": "sms", "their_address": "+1 (415) 555-0123"}


async def test_operators_add_list_and_lift(any_api: Api) -> None:
    desk = any_api.as_("desk")
    body = {**SMS, "our_address": OURS, "reason": "asked on the phone"}
    made = await desk.post("/v1/suppressions", body, headers={"Idempotency-Key": "k"})
    assert made.status == 201, made.text
    assert (made.json["their_address"], made.json["our_address"]) == (THEIRS, OURS)
    assert (made.json["reason"], made.json["lifted_by_start"], made.json["derived"]) == (
        "operator",
        False,
        False,
    )
    again = await desk.post("/v1/suppressions", body, headers={"Idempotency-Key": "k"})
    assert (again.status, again.json) == (201, made.json)
    assert (await desk.post("/v1/suppressions", body)).status == 200
    assert (await desk.post("/v1/suppressions", SMS)).json["our_address"] is None
    everything = await desk.get("/v1/suppressions?limit=1")
    assert (len(everything.json["items"]), everything.json["has_more"]) == (1, True)
    rest = await desk.get(f"/v1/suppressions?limit=1&cursor={everything.json['next_cursor']}")
    assert [item["id"] for item in rest.json["items"]] == [made.json["id"]]
    of_one = await desk.get("/v1/suppressions?channel=sms&their_address=%2B14155550123")
    assert len(of_one.json["items"]) == 2
    assert (await desk.get("/v1/suppressions?channel=sms&their_address=%2B14155550124")).json["items"] == []
    assert (await any_api.as_("other").call("DELETE", f"/v1/suppressions/{made.json['id']}")).status == 404
    lifted = await desk.call("DELETE", f"/v1/suppressions/{made.json['id']}")
    assert (lifted.status, lifted.text) == (204, "")
    assert (await desk.call("DELETE", f"/v1/suppressions/{made.json['id']}")).error == (404, "not_found")
    ledger = (await desk.get("/v1/consents?channel=sms&their_address=%2B14155550123")).json["items"]
    assert [(e["state"], e["source"], e["actor"], e["detail"]) for e in ledger] == [
        ("opted_in", "operator", "Jamie", None),
        ("opted_out", "operator", "Jamie", None),
        ("opted_out", "operator", "Jamie", "asked on the phone"),
        ("opted_out", "operator", "Jamie", "asked on the phone"),
    ]


async def test_who_may_and_what_is_refused(any_api: Api) -> None:
    for call in (
        any_api.as_("app").get("/v1/suppressions"),
        any_api.as_("app").post("/v1/suppressions", SMS),
        any_api.as_("app").call("DELETE", f"/v1/suppressions/{new_id()}"),
        any_api.as_("app").get("/v1/consents"),
    ):
        assert (await call).error == (403, "forbidden")
    refused = await any_api.post("/v1/suppressions", {**SMS, "their_address": "five"})
    assert refused.error == (422, "invalid_identifier")
    on_api = await any_api.post("/v1/suppressions", {"channel": "api", "their_address": "user-1"})
    assert on_api.error == (422, "invalid_identifier")
    alone = await any_api.get("/v1/suppressions?their_address=%2B14155550123")
    assert alone.error == (422, "validation_error")
    whatsapp = {"channel": "sms", "their_address": "whatsapp:+14155550123", "our_address": "72345"}
    made = await any_api.post("/v1/suppressions", whatsapp)
    assert (made.status, made.json["their_address"]) == (201, "whatsapp:+14155550123")


PUBLIC = "https://gateway.example"
MORE = """
[channels.sms]
max_parts = 9
provider_handles_optout = false
stop_text = "You are out."
"""


@pytest.fixture
async def texted(tmp_path: Path) -> AsyncIterator[tuple[Api, FakeTwilio]]:
    """A gateway whose messages go through a fake Twilio that is slow to take them."""
    fake = FakeTwilio(ACCOUNT, TOKEN, webhook_url=PUBLIC)
    await fake.start()
    environment = {
        "TWILIO_ACCOUNT_SID": ACCOUNT,
        "TWILIO_AUTH_TOKEN": TOKEN,
        "TWILIO_API_URL": fake.url,
        "GATEWAY_PUBLIC_URL": PUBLIC,
    }
    async with gateway(tmp_path, more=MORE, **environment) as api:
        yield api, fake
    await fake.stop()


async def texts(api: Api, fake: FakeTwilio, body: str, **extra: str) -> None:
    answer = await fake.text(THEIRS, OURS, body, via=api.app.http_url, **extra)
    assert answer.status == 200


async def messages(api: Api) -> list[dict[str, Any]]:
    """What was said, over all conversations."""
    found = (await api.get("/v1/conversations")).json["items"]
    polls = [await api.get(f"/v1/conversations/{c['id']}/messages") for c in found]
    return [message for poll in polls for message in poll.json["messages"]]


async def failed(api: Api) -> int:
    """How many replies did not arrive."""
    return [m["delivery_status"] for m in await messages(api)].count("failed")


async def eventually(holds: Callable[[], Awaitable[bool]]) -> None:
    """Wait until it does."""
    async with asyncio.timeout(60):
        while not await holds():  # noqa: ASYNC110 - what is waited for is in other processes' hands
            await asyncio.sleep(0.05)


def bodies(fake: FakeTwilio) -> list[str]:
    return [message.body for message in fake.messages]


async def test_of_nine_parts_on_their_way_those_not_sent_stay_after_a_stop(
    texted: tuple[Api, FakeTwilio],
) -> None:
    api, fake = texted

    async def heard(text: str, count: int = 1) -> bool:
        return sum(body.startswith(text) for body in bodies(fake)) >= count

    fake.faults = Faults(delay_probability=1, delay_seconds=2)
    await texts(api, fake, "long")
    await eventually(lambda: heard("(1/"))
    await texts(api, fake, "Stop!")
    sent = len(fake.messages)
    await eventually(lambda: heard("You are out."))
    fake.faults = Faults()
    parts = [body for body in bodies(fake) if body != "You are out."]
    assert len(parts) <= sent + 1 < 9  # at most the one that was being sent
    assert await failed(api) == 1
    # no conversation may be begun, and what the agent goes on to say stays here
    person = await api.person(THEIRS, "sms")
    begun = await api.post("/v1/conversations", {"end_user_id": person, "channel": "sms"})
    assert begun.error == (409, "suppressed")
    await texts(api, fake, "Are you there?")

    async def also_failed() -> bool:
        return await failed(api) == 2

    await eventually(also_failed)
    assert bodies(fake) == [*parts, "You are out."]
    await texts(api, fake, "START")
    await texts(api, fake, "Are you there?")
    await eventually(lambda: heard("You said: Are you there?"))


async def test_what_twilio_has_answered_is_not_answered_again(texted: tuple[Api, FakeTwilio]) -> None:
    api, fake = texted
    await texts(api, fake, "please leave me alone", OptOutType="STOP")
    found = await messages(api)
    assert [(m["role"], m["metadata"]["keyword"]) for m in found] == [("user", "stop")]
    ledger = (await api.get("/v1/consents")).json["items"]
    assert [(e["source"], e["message_id"]) for e in ledger] == [("provider", found[0]["id"])]
    assert not fake.messages


async def test_free_text_revokes_through_the_agent(texted: tuple[Api, FakeTwilio]) -> None:
    api, fake = texted
    await texts(api, fake, "I really asked you to stop texting me")

    async def confirmed() -> bool:
        return bodies(fake) == ["You are out."]

    await eventually(confirmed)
    suppressions = (await api.get("/v1/suppressions")).json["items"]
    assert [(s["reason"], s["lifted_by_start"]) for s in suppressions] == [("agent", False)]
