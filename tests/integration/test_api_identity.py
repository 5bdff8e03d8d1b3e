"""People over HTTP: profiles, contacts, history, and records that are merged and unmerged."""

import asyncio
from typing import Any

import pytest

from gateway.api.schemas.export import PersonExport
from tests.integration.api import V2, Api
from tests.integration.test_api_close import until

PEOPLE = "/v1/identity/end-users"
NOWHERE = "550e8400-e29b-41d4-a716-446655440000"


async def test_a_profile_is_patched(any_api: Api) -> None:
    path = f"{PEOPLE}/{await any_api.person()}"
    first = await any_api.call("PATCH", path, {"profile": {"name": "Ada", "tags": {"a": 1, "b": 2}}})
    assert first.status == 200
    second = await any_api.call("PATCH", path, {"profile": {"name": None, "tags": {"a": None, "c": [None]}}})
    assert second.json["profile"] == {"tags": {"b": 2, "c": [None]}}
    assert (await any_api.get(path)).json == second.json
    refused = await any_api.call("PATCH", path, {"profile": {"text": "x" * 16_384}})
    assert refused.error == (422, "validation_error")
    assert (await any_api.call("PATCH", path, {"profile": ["no object"]})).error == (422, "validation_error")
    assert (await any_api.get(path)).json == second.json


async def test_contacts_are_attached_by_operators(any_api: Api) -> None:
    ada, eve = await any_api.person("ada"), await any_api.person("eve")
    contact = {"channel": "voice", "value": "+1 (415) 555-0123"}
    made = await any_api.post(f"{PEOPLE}/{ada}/contacts", contact, headers={"Idempotency-Key": "k"})
    assert made.status == 201
    again = await any_api.post(f"{PEOPLE}/{ada}/contacts", contact, headers={"Idempotency-Key": "k"})
    assert (again.status, again.json) == (201, made.json)
    (number,) = [c for c in made.json["contacts"] if c["channel"] == "sms"]
    assert (number["value"], number["verified"], number["source"]) == ("+14155550123", True, "operator")
    assert (await any_api.post(f"{PEOPLE}/{ada}/contacts", contact)).status == 200
    assert (await any_api.post(f"{PEOPLE}/{eve}/contacts", contact)).error == (409, "contact_in_use")
    wrong = {"channel": "sms", "value": "five"}
    assert (await any_api.post(f"{PEOPLE}/{ada}/contacts", wrong)).error == (422, "invalid_identifier")
    assert await any_api.person("+14155550123", "sms") == ada


async def test_records_are_merged_and_unmerged(any_api: Api) -> None:
    ada, lovelace = await any_api.person("ada"), await any_api.person("ada@example.com", "email")
    made = [
        (await any_api.post(V2, {"end_user_id": person, "channel": channel})).json["id"]
        for person, channel in ((ada, "api"), (lovelace, "email"), (lovelace, "web"))
    ]

    async def history(person: str) -> list[Any]:
        answer = await any_api.get(f"{PEOPLE}/{person}/conversations")
        assert answer.status == 200
        return [c["id"] for c in answer.json["items"]]

    merged = await any_api.post(f"{PEOPLE}/{ada}/merge", {"from_end_user_id": lovelace})
    assert merged.status == 200
    assert [c["channel"] for c in merged.json["contacts"]] == ["api", "email"]
    assert (await any_api.get(f"{PEOPLE}/{lovelace}")).json["merged_into"] == ada
    assert await any_api.person("ada@example.com", "email") == ada
    assert await history(ada) == await history(lovelace) == made[::-1]
    for into, other in ((ada, ada), (lovelace, ada), (ada, lovelace)):
        refused = await any_api.post(f"{PEOPLE}/{into}/merge", {"from_end_user_id": other})
        assert refused.error == (409, "invalid_merge")
    first = (await any_api.get(f"{PEOPLE}/{ada}/conversations?limit=2")).json
    assert ([c["id"] for c in first["items"]], first["has_more"]) == (made[:0:-1], True)
    rest = (await any_api.get(f"{PEOPLE}/{ada}/conversations?limit=2&cursor={first['next_cursor']}")).json
    assert ([c["id"] for c in rest["items"]], rest["has_more"]) == (made[:1], False)
    apart = await any_api.post(f"{PEOPLE}/{ada}/unmerge", {"from_end_user_id": lovelace})
    assert (apart.status, apart.json["end_user_id"], apart.json["merged_into"]) == (200, lovelace, None)
    assert (await history(ada), await history(lovelace)) == (made[:1], made[:0:-1])
    assert (await any_api.post(f"{PEOPLE}/{ada}/unmerge")).error == (409, "invalid_merge")
    await any_api.post(f"{PEOPLE}/{ada}/merge", {"from_end_user_id": lovelace})
    assert (await any_api.post(f"{PEOPLE}/{lovelace}/unmerge")).status == 200
    assert await any_api.person("ada@example.com", "email") == lovelace


async def test_a_hundred_at_once_are_one_person(any_api: Api) -> None:
    body = {"channel": "sms", "identifier": "+14155550123"}
    answers = await asyncio.gather(*(any_api.post("/v1/identity/resolve", body) for _ in range(100)))
    assert {answer.status for answer in answers} == {200}
    assert len({answer.json["end_user_id"] for answer in answers}) == 1
    assert sum(answer.json["created"] for answer in answers) == 1


async def test_what_is_remembered_is_seen_corrected_and_forgotten(any_api: Api) -> None:
    ada = await any_api.person("ada")
    memories = f"{PEOPLE}/{ada}/memories"
    made: list[str] = []
    for number in range(3):
        path = await any_api.conversation(end_user_id=ada)
        await any_api.turn(path, f"question {number}")
        made.append((await any_api.post(f"{path}/close")).json["id"])
        await until(lambda: any_api.get(memories), lambda page: len(page.json["items"]) == len(made))
    first = (await any_api.get(f"{memories}?limit=2")).json
    assert [m["conversation_id"] for m in first["items"]] == made[:0:-1]
    assert first["has_more"]
    rest = (await any_api.get(f"{memories}?limit=2&cursor={first['next_cursor']}")).json
    assert ([m["conversation_id"] for m in rest["items"]], rest["has_more"]) == (made[:1], False)
    assert "question 0" in rest["items"][0]["text"]
    corrected = await any_api.call("PATCH", f"{memories}/{made[0]}", {"text": "Likes tea."})
    assert corrected.json == {**rest["items"][0], "text": "Likes tea."}
    assert (await any_api.call("DELETE", f"{memories}/{made[1]}")).status == 204
    assert (await any_api.call("DELETE", f"{memories}/{made[1]}")).error == (404, "not_found")
    left = (await any_api.get(memories)).json["items"]
    assert [m["conversation_id"] for m in left] == [made[2], made[0]]
    assert left[1] == corrected.json
    assert (await any_api.call("PATCH", f"{memories}/{made[0]}", {"text": ""})).status == 422
    assert (await any_api.call("DELETE", memories)).status == 204
    assert (await any_api.get(memories)).json["items"] == []


async def test_everything_about_a_person_is_exported(any_api: Api) -> None:
    ada, lovelace = await any_api.person("ada"), await any_api.person("+14155550123", "sms")
    await any_api.call("PATCH", f"{PEOPLE}/{ada}", {"profile": {"name": "Ada"}})
    first = await any_api.conversation(end_user_id=ada, metadata={"order": 7})
    for number in range(30):  # more messages than one piece has
        assert (await any_api.turn(first, f"question {number} \u2028 \U0001f600")).status == 200
    await any_api.post(f"{first}/close")
    await until(lambda: any_api.get(f"{PEOPLE}/{ada}/memories"), lambda page: page.json["items"] != [])
    by_text = {"channel": "sms", "assistant_id": "demo", "first_message": "It is here."}
    second = await any_api.conversation(end_user_id=lovelace, **by_text)
    await until(
        lambda: any_api.get(f"{second}/messages"),
        lambda page: page.json["messages"][0]["delivery_status"] == "sandboxed",
    )
    asked = await any_api.turn(second, "human")
    assert (asked.status, asked.json["path"]) == (200, "handoff"), asked.text
    await any_api.turn(second, "still there?")
    assert (await any_api.post(f"{PEOPLE}/{ada}/merge", {"from_end_user_id": lovelace})).status == 200
    answer = await any_api.get(f"{PEOPLE}/{lovelace}/export")
    assert answer.status == 200
    assert answer.headers["Content-Disposition"] == f'attachment; filename="end-user-{ada}.json"'
    told = answer.json
    whole = PersonExport.model_validate(told)
    assert list(told) == list(PersonExport.model_fields)
    assert (told["end_user"], [r["end_user_id"] for r in told["merged"]]) == (
        (await any_api.get(f"{PEOPLE}/{ada}")).json,
        [lovelace],
    )
    assert told["memories"] == (await any_api.get(f"{PEOPLE}/{ada}/memories")).json["items"]
    assert len(whole.conversations) == 2
    for path, shown in zip((second, first), told["conversations"], strict=True):
        own = {key: value for key, value in (await any_api.get(path)).json.items() if key != "recent_turns"}
        assert {key: shown[key] for key in own} == own
        said = (await any_api.get(f"{path}/messages")).json["messages"]
        assert [{key: row[key] for key in said[0]} for row in shown["messages"]] == said
    texted, written = whole.conversations
    assert (texted.their_address, [h.status for h in texted.handoffs]) == ("+14155550123", ["requested"])
    (delivery,) = texted.messages[0].deliveries
    assert (delivery.recipient, delivery.state) == ("+14155550123", "sandboxed")
    assert len(written.messages) == 60
    nobody = await any_api.person("nobody")
    empty = (await any_api.get(f"{PEOPLE}/{nobody}/export")).json
    assert (empty["memories"], empty["conversations"], empty["complete"]) == ([], [], True)


async def test_a_person_is_erased(any_api: Api) -> None:
    ada = await any_api.person("ada")
    await any_api.call("PATCH", f"{PEOPLE}/{ada}", {"profile": {"name": "Ada"}})
    path = await any_api.conversation(end_user_id=ada)
    assert (await any_api.turn(path, "remember me")).status == 200
    assert (await any_api.call("DELETE", f"{PEOPLE}/{ada}")).status == 204
    shown = (await any_api.get(f"{PEOPLE}/{ada}")).json
    assert (shown["profile"], shown["contacts"]) == ({}, [])
    assert shown["erased_at"]
    assert (await any_api.turn(path, "still there?")).error[0] in (404, 409)
    await until(lambda: any_api.get(path), lambda answer: answer.status == 404)
    assert (await any_api.get(f"{PEOPLE}/{ada}/conversations")).json["items"] == []
    refused = await any_api.call("PATCH", f"{PEOPLE}/{ada}", {"profile": {}})
    assert refused.error == (409, "end_user_erased")
    refused = await any_api.post(V2, {"end_user_id": ada, "channel": "api"})
    assert refused.error == (404, "end_user_not_found")
    assert await any_api.person("ada") != ada
    assert (await any_api.call("DELETE", f"{PEOPLE}/{ada}")).status == 204


ROUTES: list[tuple[str, str, Any, str]] = [
    ("DELETE", "", None, "root"),
    ("PATCH", "", {"profile": {}}, "desk"),
    ("GET", "/conversations", None, "app"),
    ("POST", "/contacts", {"channel": "api", "value": "more"}, "desk"),
    ("POST", "/merge", {"from_end_user_id": NOWHERE}, "root"),
    ("POST", "/unmerge", None, "root"),
    ("GET", "/export", None, "root"),
    ("GET", "/memories", None, "app"),
    ("PATCH", f"/memories/{NOWHERE}", {"text": "t"}, "desk"),
    ("DELETE", f"/memories/{NOWHERE}", None, "desk"),
    ("DELETE", "/memories", None, "root"),
]


@pytest.mark.parametrize(("method", "route", "body", "key"), ROUTES)
async def test_who_may_do_what(api: Api, method: str, route: str, body: Any, key: str) -> None:
    person = await api.person()
    for weaker in ("app", "desk", "root"):
        if weaker == key:
            break
        answer = await api.as_(weaker).call(method, f"{PEOPLE}/{person}{route}", body)
        assert answer.error == (403, "forbidden")
    stranger = await api.as_("other").call(method, f"{PEOPLE}/{person}{route}", body)
    assert stranger.error == (404, "not_found")
    assert (await api.as_(key).call(method, f"{PEOPLE}/{NOWHERE}{route}", body)).error[0] == 404
    assert (await api.as_(key).call(method, f"{PEOPLE}/nobody{route}", body)).error[0] == 422
    done = await api.as_(key).call(method, f"{PEOPLE}/{person}{route}", body)
    assert done.status in (200, 201, 204, 404, 409)


async def test_a_test_chat_s_end_user_is_nobody(api: Api) -> None:
    person = (await api.post(f"{V2}/test-chat")).json["end_user_id"]
    assert (await api.get(f"{PEOPLE}/{person}")).error == (404, "not_found")
