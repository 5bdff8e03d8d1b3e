"""Webhook endpoints over HTTP: kept, changed, rotated, deleted, listed, for administrators only."""

from typing import Any

from gateway.domain.signing import signing_key
from tests.integration.api import Api

PATH = "/v1/webhook-endpoints"
URL = "https://example.org/webhooks"
NOWHERE = "550e8400-e29b-41d4-a716-446655440000"
SHAPE = {
    *("id", "organization_id", "url", "description", "events", "disabled", "disabled_reason"),
    *("previous_secret_until", "created_at", "updated_at"),
}


async def created(api: Api, **fields: Any) -> Any:
    """A new endpoint."""
    answer = await api.post(PATH, {"url": URL, **fields})
    assert answer.status == 201, answer.text
    return answer.json


async def test_a_secret_is_shown_once(any_api: Api) -> None:
    made = await created(any_api, events=["message.failed"], description="desk", unknown="ignored")
    secret = made.pop("secret")
    assert len(signing_key(secret)) == 32
    assert made.keys() == SHAPE
    assert (made["url"], made["events"], made["description"]) == (URL, ["message.failed"], "desk")
    assert (made["disabled"], made["disabled_reason"], made["previous_secret_until"]) == (False, None, None)
    assert (await any_api.get(f"{PATH}/{made['id']}")).json == made
    assert (await any_api.get(PATH)).json["items"] == [made]
    rotated = (await any_api.post(f"{PATH}/{made['id']}/rotate-secret")).json
    assert rotated["secret"] not in (secret, "")
    assert rotated["previous_secret_until"] > rotated["updated_at"]
    changed = await any_api.call("PATCH", f"{PATH}/{made['id']}", {"description": "x"})
    for text in ((await any_api.get(PATH)).text, changed.text):
        assert "whsec_" not in text


async def test_what_is_sent_is_changed_and_nothing_else(api: Api) -> None:
    made = await created(api, events=["message.failed"], description="desk")
    path = f"{PATH}/{made['id']}"
    for body, expected in (
        ({}, {}),
        ({"url": f"{URL}/2"}, {"url": f"{URL}/2"}),
        ({"disabled": True}, {"disabled": True, "disabled_reason": "requested"}),
        ({"description": ""}, {"description": ""}),
        ({"disabled": False, "events": None}, {"disabled": False, "disabled_reason": None, "events": None}),
    ):
        before = (await api.get(path)).json
        answer = await api.call("PATCH", path, body)
        assert answer.status == 200
        assert answer.json == {**before, **expected, "updated_at": answer.json["updated_at"]}
        assert (await api.get(path)).json == answer.json


NO_URLS = (
    *("", "example.org", "ftp://example.org", "https://", "https://user:pw@example.org", f"{URL}#a"),
    *("https://exa mple.org", "https://example.org:0", "https://example.org:99999", "https://ex\u00e4.org"),
    *(
        "https://[::1",
        "https://example.org/\x07",
        "https://example.org:65536",
        "HTTPS//x",
        "https://" + "a" * 2000,
    ),
)


async def test_what_is_not_valid_is_refused(api: Api) -> None:
    for url in (*NO_URLS, None, 5):
        assert (await api.post(PATH, {"url": url})).error == (422, "validation_error"), url
    for events in (["nonsense"], "message.failed", ["message.failed"] * 51, 5):
        assert (await api.post(PATH, {"url": URL, "events": events})).error == (422, "validation_error")
    path = f"{PATH}/{(await created(api))['id']}"
    bodies: list[Any] = [{"disabled": 0}, {"url": ""}, {"url": None}, {"description": None}, []]
    for body in bodies:
        assert (await api.call("PATCH", path, body)).error == (422, "validation_error"), body


async def test_only_administrators_of_the_organisation(api: Api) -> None:
    made = await created(api)
    path = f"{PATH}/{made['id']}"
    calls: list[tuple[str, str, Any]] = [
        ("GET", path, None),
        ("PATCH", path, {"disabled": True}),
        ("POST", f"{path}/rotate-secret", None),
        ("GET", f"{path}/deliveries", None),
        ("POST", f"{path}/redeliver", {"event_id": NOWHERE}),
        ("DELETE", path, None),
    ]
    for method, place, body in calls:
        for key in ("app", "desk"):
            assert (await api.as_(key).call(method, place, body)).error == (403, "forbidden")
        assert (await api.as_("other").call(method, place, body)).error == (404, "not_found")
    for key in ("app", "desk"):
        assert (await api.as_(key).post(PATH, {"url": URL})).error == (403, "forbidden")
        assert (await api.as_(key).get(PATH)).error == (403, "forbidden")
    assert (await api.as_("other").get(PATH)).json["items"] == []
    assert (await api.get(path)).json["disabled"] is False
    assert (await api.post(f"{path}/redeliver", {"event_id": NOWHERE})).error == (404, "not_found")
    assert (await api.call("DELETE", path)).status == 204
    assert (await api.call("DELETE", path)).error == (404, "not_found")


async def test_pages(any_api: Api) -> None:
    ids = [(await created(any_api))["id"] for _ in range(3)]
    first = (await any_api.get(f"{PATH}?limit=2")).json
    assert first["has_more"]
    second = (await any_api.get(f"{PATH}?limit=2&cursor={first['next_cursor']}")).json
    assert [e["id"] for e in (*first["items"], *second["items"])] == ids[::-1]
    assert not second["has_more"]
    empty = (await any_api.get(f"{PATH}/{ids[0]}/deliveries")).json
    assert empty == {"items": [], "has_more": False, "next_cursor": None}
    assert (await any_api.get(f"{PATH}?cursor=x")).error == (400, "invalid_cursor")


async def test_a_repeated_request_makes_one_endpoint(api: Api) -> None:
    key = {"Idempotency-Key": "once"}
    first, again = [await api.post(PATH, {"url": URL}, headers=key) for _ in range(2)]
    assert first.json == again.json
    assert again.headers["Idempotency-Replayed"] == "true"
    assert len((await api.get(PATH)).json["items"]) == 1
    assert (await api.call("DELETE", f"{PATH}/{first.json['id']}")).status == 204
    anew = await api.post(PATH, {"url": URL}, headers=key)
    assert anew.status == 201
    assert anew.json["id"] != first.json["id"], "what is remembered goes with the endpoint"


async def test_the_document_has_examples(api: Api) -> None:
    document = (await api.get("/openapi.json")).json
    schemas = document["components"]["schemas"]
    for name in (
        "CreateEndpointBody",
        "ChangeEndpointBody",
        "RedeliverBody",
        "EndpointWithSecret",
        "DeliveryShape",
    ):
        assert schemas[name]["example"], name
    operations = [
        operation
        for path, item in document["paths"].items()
        if path.startswith(PATH)
        for operation in item.values()
    ]
    assert len(operations) == 8
    assert all(operation["summary"] and operation["description"] for operation in operations)
