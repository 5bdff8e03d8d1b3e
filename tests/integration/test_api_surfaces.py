"""What each surface of the API shows, whether it is ready, and what a fault of ours tells."""

import asyncio
from collections.abc import AsyncIterator
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from gateway.api.application import build_api
from gateway.api.deps import ApiDeps
from gateway.api.surface import Surface
from gateway.app import Plan, Role
from gateway.domain.clock import Clock
from gateway.domain.errors import Unavailable
from gateway.http_server import HttpServer
from gateway.store.attachment_folder import AttachmentFolder
from gateway.store.engine import open_store
from gateway.store.spool import Spool
from tests.integration.api import Api
from tests.integration.test_api_edges import MIB, pieces


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
