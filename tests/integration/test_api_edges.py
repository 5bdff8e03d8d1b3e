"""The edges of the API: keys, bounds of bodies, the shape of every error, health, documents, surfaces."""

import json
import re
from collections.abc import AsyncIterator
from io import BytesIO
from time import perf_counter
from typing import Any

import aiohttp
import pytest

from gateway.bus.asyncapi import asyncapi_document
from gateway.service.keys import create_key, list_keys, revoke_key
from gateway.settings import KeyRole
from tests.integration.api import V2, Api

NOWHERE = "550e8400-e29b-41d4-a716-446655440000"
MIB = 1024 * 1024


async def test_keys_and_roles(api: Api) -> None:
    for key in (None, "wrong", "x" * 5000):
        assert (await api.as_(key).get("/v1/agents")).error == (401, "unauthorized")
        assert (await api.as_(key).post(V2, {"broken": 1})).error == (401, "unauthorized")
    for key in ("app", "desk", "root"):
        assert (await api.as_(key).get("/v1/agents")).status == 200
    assert (await api.as_("app").get("/v1/hitl/handoffs")).error == (403, "forbidden")
    assert (await api.as_("app").call("DELETE", f"{V2}/{NOWHERE}")).error == (403, "forbidden")
    assert (await api.as_("desk").get("/v1/hitl/approvals")).status == 200


async def test_stored_keys(any_api: Api) -> None:
    store = any_api.app.store
    key_id, text = await store.write(create_key, "Here", "CI", KeyRole.CLIENT)
    assert text.startswith("gw_")
    assert (await any_api.as_(text).get("/v1/agents")).json["items"]
    assert (await any_api.as_(text).get("/v1/hitl/handoffs")).error == (403, "forbidden")
    listed = await store.read(list_keys)
    assert [(key.id, key.name, key.revoked_at) for key in listed] == [(key_id, "CI", None)]
    assert text not in repr(listed)
    _, second = await store.write(create_key, "Elsewhere", "CI", KeyRole.ADMIN)
    assert (await any_api.as_(second).get("/v1/agents")).json["items"] == []
    third_id, third = await store.write(create_key, "Here", "CI", KeyRole.CLIENT)
    assert await store.write(revoke_key, third_id)
    assert not await store.write(revoke_key, third_id)
    assert (await any_api.as_(third).get("/v1/agents")).error == (401, "unauthorized")


async def test_every_error_has_our_shape(api: Api) -> None:
    path = await api.conversation()
    for method, place, error in (
        ("GET", "/nowhere", (404, "not_found")),
        ("GET", "/v1/agents/", (404, "not_found")),
        ("PUT", "/v1/agents", (405, "method_not_allowed")),
        ("GET", f"{V2}/conv_01hxabc987654321fedcba00", (422, "validation_error")),
        ("GET", f"{V2}/%00", (422, "validation_error")),
        ("GET", f"{V2}/{NOWHERE}", (404, "not_found")),
        ("POST", f"{path}/approvals/1/resolve", (422, "validation_error")),
        ("GET", "/v1/hitl/handoffs/1", (422, "validation_error")),
        ("GET", f"/v1/hitl/approvals/{NOWHERE}", (404, "not_found")),
    ):
        assert (await api.call(method, place)).error == error, place
    for place, allowed in (
        ("/v1/agents", "GET"),
        (V2, "GET, POST"),
        (path, "DELETE, GET"),
        (f"{V2}/test-chat", "POST"),
        ("/docs", "GET"),
    ):
        assert (await api.call("PUT", place)).headers["Allow"] == allowed
    assert (await api.get(f"{V2}/test-chat")).error == (405, "method_not_allowed")


async def test_what_is_not_valid_is_told_and_not_echoed(api: Api) -> None:
    path = await api.conversation()
    answer = await api.post(f"{path}/turns", {"for_update": "maybe", "secret": "hush"})
    assert answer.error == (422, "validation_error")
    assert [fault["loc"] for fault in answer.json["detail"]] == [
        ["body", "user_message"],
        ["body", "for_update"],
    ]
    assert "hush" not in answer.text
    for text in ("", "x" * 100_001, None, 5, "a\x00b"):
        assert (await api.post(f"{path}/turns", {"user_message": text})).error == (422, "validation_error")
    for raw in (
        b"",
        b"{",
        b"[1]",
        b"null",
        b'{"user_message": NaN}',
        b'{"user_message": "\\ud800"}',
        b"\xff",
    ):
        answer = await api.call(
            "POST", f"{path}/turns", data=raw, headers={"Content-Type": "application/json"}
        )
        assert answer.error == (422, "validation_error"), raw
        assert answer.json["detail"]
    assert (await api.get(path)).json["message_count"] == 0


@pytest.mark.parametrize(
    "content_type", ["text/plain", "application/x-www-form-urlencoded", "application/xml", "json", "+json"]
)
async def test_a_body_that_does_not_say_json_is_told_what_to_say(api: Api, content_type: str) -> None:
    path = await api.conversation()
    headers = {"Content-Type": content_type}
    said = b'{"user_message": "Hello"}'
    answer = await api.call("POST", f"{path}/turns", data=said, headers=headers)
    assert answer.error == (422, "validation_error")
    assert "Content-Type: application/json" in answer.json["message"]


@pytest.mark.parametrize("content_type", [None, "Application/JSON; charset=utf-8", "application/a.b+json"])
async def test_a_body_is_json_unless_it_says_otherwise(api: Api, content_type: str | None) -> None:
    path = await api.conversation()
    more: dict[str, Any] = {"headers": {"Content-Type": content_type}} if content_type else {}
    if content_type is None:
        more["skip_auto_headers"] = ["Content-Type"]
    said = b'{"user_message": "Hello"}'
    assert (await api.call("POST", f"{path}/turns", data=said, **more)).status == 200


def nested(depth: int) -> str:
    """Arrays within each other."""
    return "[" * depth + "]" * depth


async def test_bombs_are_refused_at_once(api: Api) -> None:
    path = await api.conversation()
    for bomb in (nested(500_000), "[" * 1_000_000, '{"a":' * 200_000, nested(65)):
        started = perf_counter()
        answer = await api.call(
            "POST", f"{path}/turns", data=bomb.encode(), headers={"Content-Type": "application/json"}
        )
        assert answer.error == (422, "validation_error")
        assert perf_counter() - started < 20
    body = {"end_user_id": await api.person(), "channel": "api"}
    for depth, status in ((62, 201), (63, 422)):  # the body and metadata are two levels
        deep = {**body, "metadata": {"a": json.loads(nested(depth))}}
        assert (await api.post(V2, deep)).status == status


async def pieces(size: int) -> AsyncIterator[bytes]:
    """A body that does not say how long it is."""
    for _ in range(size // 65_536):
        yield b" " * 65_536


async def test_bodies_over_a_mebibyte(api: Api) -> None:
    path = await api.conversation()
    sent = {"headers": {"Content-Type": "application/json"}}
    too_large = (413, "payload_too_large")
    for place in (f"{path}/turns", V2, "/nowhere"):
        started = perf_counter()
        assert (await api.call("POST", place, data=BytesIO(b" " * 2 * MIB), **sent)).error == too_large
        assert perf_counter() - started < 20
    assert (await api.call("POST", V2, data=pieces(2 * MIB), **sent)).error == too_large
    just = b'{"x": "' + b"a" * (MIB - 9) + b'"}'
    assert len(just) == MIB
    assert (await api.call("POST", V2, data=just, **sent)).error == (422, "validation_error")
    assert (await api.get(path)).status == 200


async def test_health_and_metrics_need_no_key(api: Api) -> None:
    nobody = api.as_(None)
    assert (await nobody.get("/healthz")).json == {"status": "ok"}
    ready = await nobody.get("/readyz")
    assert ready.json == {"status": "ready", "checks": {"database": "ok", "bus": "ok"}}
    assert "gateway_turns_total" in (await nobody.get("/metrics")).text


async def test_the_documents_need_a_key_which_a_browser_may_send(api: Api) -> None:
    for place in ("/openapi.json", "/docs"):
        refused = await api.as_(None).get(place)
        assert refused.error == (401, "unauthorized")
        assert refused.headers["WWW-Authenticate"].startswith("Basic ")
        assert (await api.as_("app").get(place)).status == 200
        by_password = {"Authorization": aiohttp.encode_basic_auth("anyone", "app")}
        assert (await api.as_(None).get(place, headers=by_password)).status == 200
        for wrong in ("Basic !", "Basic " + "YQ==", "Bearer app"):
            assert (await api.as_(None).get(place, headers={"Authorization": wrong})).status == 401


async def test_the_page_of_the_api_asks_nobody_else_for_anything(api: Api) -> None:
    page = (await api.as_("app").get("/docs")).text
    asked = re.findall(r"""(?:src|href)=["']([^"']+)["']""", page)
    assert {name.rpartition("/")[2] for name in asked} == {
        "swagger-ui-bundle.js",
        "swagger-ui.css",
        "favicon.png",
    }
    assert "://" not in page
    for place in asked:
        assert (await api.as_(None).get(place)).status == 401
        async with api.session.get(api.app.http_url + place, headers={"x-api-key": "app"}) as answer:
            assert answer.status == 200
            assert len(await answer.read()) > 1000
    assert (await api.get("/docs/redoc.standalone.js")).error == (404, "not_found")
    assert (await api.get("/docs/..%2fcore.py")).error == (404, "not_found")


async def test_the_queues_are_described_to_operators(api: Api) -> None:
    settings = api.app.settings
    document = (await api.as_("desk").get("/asyncapi")).json
    assert document == json.loads(json.dumps(asyncapi_document(settings.amqp_prefix, settings.partitions)))
    assert (await api.as_("app").get("/asyncapi")).error == (403, "forbidden")
    assert (await api.as_(None).get("/asyncapi")).error == (401, "unauthorized")
    by_password = {"Authorization": aiohttp.encode_basic_auth("anyone", "desk")}
    assert (await api.as_(None).get("/asyncapi", headers=by_password)).json == document


async def test_the_openapi_document(api: Api) -> None:
    document = (await api.get("/openapi.json")).json
    operations = [operation for path in document["paths"].values() for operation in path.values()]
    ids = [operation["operationId"] for operation in operations]
    assert len(ids) == len(set(ids))
    for prefix in (V2, "/v1/conversations"):
        places = {path.removeprefix(prefix) for path in document["paths"] if path.startswith(prefix + "/")}
        at = "/{conversation_id}"
        assert places == {
            *("/test-chat", at, f"{at}/turns", f"{at}/turns/stream", f"{at}/messages", f"{at}/close"),
            f"{at}/events",
            f"{at}/events",
            *(f"{at}/end_session", f"{at}/human-turns", f"{at}/approvals/{{approval_id}}/resolve"),
        }
    turn = document["paths"][f"{V2}/{{conversation_id}}/turns"]["post"]
    assert turn["security"] == [{"APIKeyHeader": []}, {"HTTPBearer": []}]
    assert {"200", "401", "403", "404", "409", "413", "422", "502", "503", "504"} <= turn["responses"].keys()
    schemas = document["components"]["schemas"]
    assert set(schemas["TurnAnswer"]["required"]) == set(schemas["TurnAnswer"]["properties"])
    assert turn["responses"]["422"]["content"]["application/json"]["schema"]["$ref"].endswith("/ErrorBody")


async def test_what_is_wrong_is_said_in_words(api: Api) -> None:
    path = await api.conversation()
    empty = await api.post(f"{path}/human-turns", {})
    assert empty.json["message"] == "body: give content, or return_control: true"
    odd = await api.post("/v1/webhook-endpoints", {"url": "ftp://example.org"})
    assert odd.error == (422, "validation_error")
    assert odd.json["message"].startswith("body.url: This is not written as it has to be")
    assert "^" not in odd.text
