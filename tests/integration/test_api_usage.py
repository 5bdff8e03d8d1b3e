"""Daily caps over HTTP: what is used, what a caller is told at a cap, and that a higher one lets it go on."""

from pathlib import Path

from channels.twilio.fake import FakeTwilio
from tests.integration.api import Api, gateway
from tests.integration.api_agents import Steering
from tests.integration.test_api_brakes import command, eventually, texts

USAGE = "/v1/organisation/usage"
PRICED = """
[agents.priced]
kind = "python"
target = "tests.integration.api_agents:steered"
input_price = 1000
output_price = 2000
"""


async def raised(api: Api, folder: Path, cap: str, higher: str) -> None:
    """The cap is changed in the file, which is read again."""
    file = folder / "gateway.toml"
    file.write_text(file.read_text("utf-8").replace(cap, higher), "utf-8")
    await api.app.reload()


async def test_at_the_cap_on_spend_turns_are_queued(
    any_database_url: str | None, tmp_path: Path, steering: Steering
) -> None:
    cap = "spend_per_day = 0.02"
    async with gateway(tmp_path, any_database_url, organisation=cap, more=PRICED) as api:
        before = (await api.as_("desk").get(USAGE)).json
        assert {name: before[name] for name in ("spend", "spend_per_day", "messages_per_day", "reached")} == {
            "spend": 0.0,
            "spend_per_day": 0.02,
            "messages_per_day": None,
            "reached": [],
        }
        path = await api.conversation(assistant_id="priced")
        for text in ("one", "two"):  # each turn costs 3 * 0.001 + 4 * 0.002
            assert (await api.turn(path, text)).json["path"] == "single"
        waits = await api.turn(path, "three")
        assert (waits.status, waits.json["path"], waits.json["decision_source"]) == (200, "queued", "policy")
        used = (await api.get(USAGE)).json
        assert (used["spend"], used["turns"], used["tokens"], used["reached"]) == (0.022, 2, 14, ["spend"])
        counted = (await api.as_(None).get("/metrics")).text
        assert 'gateway_cap_reached{cap="spend"} 1.0' in counted
        assert 'gateway_used_today{what="tokens"} 14.0' in counted
        assert (await api.as_("app").get(USAGE)).error == (403, "forbidden")
        theirs = (await api.as_("other").get(USAGE)).json
        assert (theirs["spend"], theirs["spend_per_day"], theirs["reached"]) == (0.0, None, [])
        await raised(api, tmp_path, cap, "spend_per_day = 5")
        assert await eventually(lambda: _said(api, path, "Re: three."))
        assert (await api.get(USAGE)).json["reached"] == []


async def _said(api: Api, path: str, text: str) -> bool:
    return text in await texts(api, path)


async def test_at_the_cap_on_messages_nothing_more_leaves(
    any_database_url: str | None, tmp_path: Path
) -> None:
    fake = FakeTwilio("AC" + "0" * 32, "token")
    await fake.start()
    account = {
        "TWILIO_ACCOUNT_SID": fake.account_sid,
        "TWILIO_AUTH_TOKEN": "token",
        "TWILIO_API_URL": fake.url,
    }
    cap = "messages_per_day = 1"
    async with gateway(tmp_path, any_database_url, organisation=cap, **account) as api:
        person = await api.person("+14155550123", "sms")
        path = await api.conversation(end_user_id=person, channel="sms", first_message="Hello.")
        used = await eventually(lambda: _reached(api))
        assert (used["messages"], used["reached"]) == (1, ["messages"])
        assert (await api.turn(path, "hi")).json["path"] == "single"  # answered, and not sent
        assert (await api.get(USAGE)).json["messages"] == 1
        await raised(api, tmp_path, cap, "messages_per_day = 50")
        await eventually(lambda: _sent(fake, 2))
        assert [message.body for message in fake.messages] == ["Hello.", (await texts(api, path))[-1]]
    await fake.stop()


async def _reached(api: Api) -> dict[str, object] | None:
    used: dict[str, object] = (await api.get(USAGE)).json
    return used if used["reached"] else None


async def _sent(fake: FakeTwilio, count: int) -> bool:
    return len(fake.messages) == count


async def test_doctor_warns_of_a_cap_that_is_reached(tmp_path: Path, steering: Steering) -> None:
    async with gateway(tmp_path, organisation="spend_per_day = 0.001", more=PRICED) as api:
        told = (await command(tmp_path, "doctor"))[1]
        assert "used today: 0 messages, 0.00 spent" in told
        await api.turn(await api.conversation(assistant_id="priced"), "one")
        code, told = await command(tmp_path, "doctor")
        assert code == 0
        assert "reached: spend (used today: 0 messages, 0.01 spent)" in told
