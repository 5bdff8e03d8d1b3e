"""The edges of the API: keys, bounds of bodies, the shape of every error, health, documents, surfaces."""

import asyncio
import json
import re
from collections.abc import AsyncIterator
from io import BytesIO
from pathlib import Path
from time import perf_counter
from typing import Any

import aiohttp
import pytest
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from gateway.api.application import build_api
from gateway.api.deps import ApiDeps
from gateway.api.surface import Surface
from gateway.app import Plan, Role
from gateway.bus.asyncapi import asyncapi_document
from gateway.domain.clock import Clock
from gateway.domain.errors import Unavailable
from gateway.http_server import HttpServer
from gateway.service.keys import create_key, list_keys, revoke_key
from gateway.settings import KeyRole
from gateway.store.attachment_folder import AttachmentFolder
from gateway.store.engine import open_store
from gateway.store.spool import Spool
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


async def healthy() -> str | None:
    """A check that finds nothing wrong."""
    return None


async def broken() -> str | None:
    """A check that finds something."""
    return "no connection"


async def webhook(request: Request) -> PlainTextResponse:
    """A provider's webhook, which reads its body, or fails."""
    if request.method == "GET":
        raise RuntimeError("the secret is hunter2")
    return PlainTextResponse(str(len(await request.body())))


def deps(api: Api, surface: Surface, **more: Any) -> ApiDeps:
    """The parts of a running gateway, for another application."""
    return ApiDeps(
        waiting=None,  # type: ignore[arg-type]  # no turn is asked for
        files=AttachmentFolder(api.app.settings.data_dir),
        config=api.app.configured.current,
        partitions=16,
        queue_prefix="",
        api_keys=api.app.settings.api_keys,
        clock=Clock(),
        surface=surface,
        webhook_routes=[Route("/webhooks/some", webhook, methods=["GET", "POST"])],
        **{"store": api.app.store, "checks": {"bus": healthy}, "version": "1", **more},
    )


@pytest.fixture
async def served(api: Api, tmp_path: Path) -> AsyncIterator[Any]:
    """Serves another application of the same gateway; a function from its parts to its address."""
    servers: list[HttpServer] = []

    async def serve(parts: ApiDeps) -> str:
        server = HttpServer(build_api(parts), "127.0.0.1", 0)
        await server.start()
        servers.append(server)
        return f"http://127.0.0.1:{server.port}"

    yield serve
    await asyncio.gather(*(server.stop(1) for server in servers))


async def status(api: Api, url: str, method: str = "GET", **more: Any) -> int:
    """The status of one request with a key."""
    async with api.session.request(method, url, headers={"x-api-key": "root"}, **more) as answer:
        if answer.status >= 400:
            assert (await answer.json()).keys() >= {"error", "message"}
        return answer.status


async def test_surfaces(api: Api, served: Any) -> None:
    public = await served(deps(api, Surface.PUBLIC))
    private = await served(deps(api, Surface.PRIVATE))
    for path, on_public, on_private in (
        ("/healthz", 200, 200),
        ("/readyz", 200, 200),
        ("/metrics", 404, 200),
        ("/docs", 404, 200),
        ("/openapi.json", 404, 200),
        ("/asyncapi", 404, 200),
        ("/docs/swagger-ui.css", 404, 200),
        ("/v1/agents", 404, 200),
    ):
        assert (await status(api, public + path), await status(api, private + path)) == (
            on_public,
            on_private,
        )
    assert await status(api, f"{public}/webhooks/some", "POST", data=b"a=b") == 200
    assert await status(api, f"{private}/webhooks/some", "POST", data=b"a=b") == 404
    assert await status(api, f"{public}/webhooks/some", "POST", data=BytesIO(b"a" * 2 * MIB)) == 413
    assert await status(api, f"{public}/webhooks/some", "POST", data=pieces(2 * MIB)) == 413


async def test_a_webhook_of_mail_has_room_for_it_and_nothing_else_has(api: Api, served: Any) -> None:
    url = await served(deps(api, Surface.PUBLIC, large=frozenset({"/webhooks/some"})))
    large = b"a" * 2 * MIB
    for body in (BytesIO(large), pieces(2 * MIB)):
        async with api.session.post(f"{url}/webhooks/some", data=body) as answer:
            assert (answer.status, await answer.text()) == (200, str(len(large)))
    assert await status(api, f"{url}/webhooks/other", "POST", data=BytesIO(large)) == 413


async def test_readiness_names_what_does_not_answer(api: Api, served: Any) -> None:
    url = await served(deps(api, Surface.PUBLIC, checks={"bus": broken}))
    async with api.session.get(f"{url}/readyz") as answer:
        assert answer.status == 503
        assert await answer.json() == {
            "error": "unavailable",
            "message": "bus: no connection",
            "checks": {"database": "ok", "bus": "no connection"},
        }


async def test_who_does_without_what_is_away_is_degraded_and_ready(
    api: Api, served: Any, tmp_path: Path
) -> None:
    async def readiness(**more: Any) -> tuple[int, Any]:
        url = await served(deps(api, Surface.PUBLIC, **more))
        async with api.session.get(f"{url}/readyz") as answer:
            return answer.status, await answer.json()

    broker_away = {"checks": {"bus": broken}, "spared": frozenset({"bus"})}
    told = {"database": "ok", "bus": "no connection"}
    assert await readiness(**broker_away) == (200, {"status": "degraded", "checks": told})
    nowhere = open_store("postgresql://nobody@127.0.0.1:1/none", Clock())
    async with nowhere as away, Spool(tmp_path / "spool", Clock(), max_bytes=64 * 1024) as spool:
        status, body = await readiness(spool=spool)
        assert (status, body["status"], body["checks"]["spool"]) == (200, "ready", "0 waiting")
        await spool.put("message", b"{}", "")
        status, body = await readiness(spool=spool, store=away)
        assert (status, body["status"], body["checks"]["spool"]) == (200, "degraded", "1 waiting")
        with pytest.raises(Unavailable):
            await spool.put("message", b"x" * 100_000, "")
        status, body = await readiness(spool=spool, store=away)
        assert (status, body["error"], body["checks"]["spool"]) == (503, "unavailable", "full")


@pytest.mark.parametrize(
    ("roles", "surface", "needed"),
    [
        ({Role.SERVE}, Surface.PUBLIC, False),
        ({Role.SMTP}, Surface.ALL, False),
        ({Role.SERVE}, Surface.ALL, True),
        ({Role.SERVE}, Surface.PRIVATE, True),
        ({Role.RELAY}, Surface.ALL, True),
        (set(Role), Surface.ALL, True),
    ],
)
def test_whoever_works_or_converses_needs_the_broker(
    roles: set[Role], surface: Surface, needed: bool
) -> None:
    assert Plan(roles=frozenset(roles), surface=surface).needs_bus is needed


async def test_a_fault_of_ours_tells_nothing(api: Api, served: Any) -> None:
    url = await served(deps(api, Surface.PUBLIC))
    async with api.session.get(f"{url}/webhooks/some") as answer:
        assert answer.status == 500
        assert "hunter2" not in await answer.text()
        assert (await answer.json())["error"] == "unavailable"


async def test_what_is_wrong_is_said_in_words(api: Api) -> None:
    path = await api.conversation()
    empty = await api.post(f"{path}/human-turns", {})
    assert empty.json["message"] == "body: give content, or return_control: true"
    odd = await api.post("/v1/webhook-endpoints", {"url": "ftp://example.org"})
    assert odd.error == (422, "validation_error")
    assert odd.json["message"].startswith("body.url: This is not written as it has to be")
    assert "^" not in odd.text
