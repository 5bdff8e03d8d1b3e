"""Webhooks out over real HTTP: told once, tried again, never lost, by whichever process is there."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from gateway.app import Plan, Role, running
from gateway.bench.private_server import free_ports
from gateway.domain.clock import SECOND, Clock
from gateway.domain.envelope import Envelope
from gateway.domain.ids import named_id, new_id
from gateway.domain.ports.bus import DONE, Ack
from gateway.domain.ports.store import Store
from gateway.domain.webhook import (
    WebhookDelivery,
    WebhookStatus,
)
from gateway.service import webhook_endpoints as endpoints
from gateway.service.webhook_deliveries import Bounds, claim_attempts, fan_out
from gateway.service.webhook_endpoints import EndpointFields
from gateway.settings import load_settings
from gateway.store.engine import open_store
from tests.integration.api import CONFIG, KEYS, Api, gateway
from tests.integration.receivers import Receiver, cut, status
from tests.processes import Leash, Process
from tests.schema import schema_file
from tests.waiting import PATIENCE, until
from workers.webhook_post import WebhookPoster
from workers.webhooks import PER_ENDPOINT, WebhookWorker

ORGANIZATION = named_id("organisation of these tests")


class Moving:
    """A clock that a test moves for the database, SQLite's."""

    def __init__(self) -> None:
        self.ahead = 0.0

    def clock(self) -> Clock:
        """As the gateway takes it."""
        real = Clock()
        return Clock(now=lambda: real.now() + int(self.ahead * SECOND))


class Office:
    """A store with one endpoint and a worker that tells it."""

    def __init__(self, store: Store, url: str, moving: Moving) -> None:
        self.store = store
        self.moving = moving
        self.url = url
        self.endpoint_id = ""
        self.secret = ""

    async def open(self) -> None:
        """Make the endpoint."""
        fields = EndpointFields(url=self.url, description="", events=None)
        endpoint, self.secret = await self.store.write(endpoints.create_endpoint, ORGANIZATION, fields)
        self.endpoint_id = endpoint.id

    async def told(self) -> list[WebhookDelivery]:
        """How its events stand, the oldest first."""
        page = await self.store.read(endpoints.deliveries_page, ORGANIZATION, self.endpoint_id, None, 100)
        return list(page.items)[::-1]

    async def settled(self, wanted: WebhookStatus) -> WebhookDelivery:
        """The only event, once it stands so."""
        async with asyncio.timeout(PATIENCE):
            while True:
                (delivery,) = await self.told()
                if delivery.status is wanted:
                    return delivery
                await asyncio.sleep(0.01)

    @asynccontextmanager
    async def worker(self) -> AsyncIterator[WebhookWorker]:
        """A worker at work."""
        async with WebhookPoster(Clock(), allow_private=True, timeout_seconds=PATIENCE) as poster:
            worker = WebhookWorker(self.store, poster, Clock())
            await worker.start()
            try:
                yield worker
            finally:
                await worker.stop(60)


@pytest.fixture
async def office(tmp_path: Path, receiver: Receiver) -> AsyncIterator[Office]:
    """An endpoint that is the receiver."""
    url = await schema_file(tmp_path / "gateway.db")
    moving = Moving()
    async with open_store(url, moving.clock()) as store:
        office = Office(store, receiver.url, moving)
        await office.open()
        yield office


def fact(**fields: Any) -> Envelope:
    """An event."""
    return Envelope(
        **{
            "id": new_id(),
            "type": "conversation.closed",
            "occurred_at": "2026-01-01T00:00:00Z",
            "organization_id": ORGANIZATION,
            "data": {"reason": "done"},
            **fields,
        }
    )


async def test_a_fact_is_told_once_however_often_it_comes(office: Office, receiver: Receiver) -> None:
    event, other = fact(), fact()
    async with office.worker() as worker:
        for message in (event, event, other):
            assert await worker.consume(message) == DONE
        await receiver.wait_for(2)
        await until(lambda: receiver.under_way == 0)
        assert await worker.consume(event) == DONE
    assert {got.event_id for got in receiver.got} == {event.id, other.id}
    assert len(receiver.got) == 2
    first = receiver.got[0]
    assert first.signed_with(office.secret)
    assert first.event == {"type": event.type, "timestamp": event.occurred_at, "data": {"reason": "done"}}


async def test_what_fails_is_tried_again_and_succeeds(office: Office, receiver: Receiver) -> None:
    receiver.script = [status(500), status(302, Location="/x"), cut]
    event = fact()
    async with office.worker() as worker:
        await worker.consume(event)
        for number in (1, 2, 3):
            await receiver.wait_for(number)
            waiting = await office.settled(WebhookStatus.PENDING)
            assert waiting.attempt == number
            office.moving.ahead += 121
        assert (await office.settled(WebhookStatus.DELIVERED)).attempt == 4
    assert {got.event_id for got in receiver.got} == {event.id}
    assert all(got.signed_with(office.secret) for got in receiver.got)


async def test_gone_is_the_last_word(office: Office, receiver: Receiver) -> None:
    receiver.script = [status(410)]
    async with office.worker() as worker:
        await worker.consume(fact())
        dead = await office.settled(WebhookStatus.DEAD)
        assert dead.response_code == 410
        await worker.consume(fact())
    assert len(receiver.got) == len(await office.told()) == 1


async def test_one_endpoint_is_not_flooded(office: Office, receiver: Receiver) -> None:
    async def slow(_request: web.Request) -> web.Response:
        await until(lambda: receiver.most > 1)
        return web.Response(status=204)

    receiver.script = [slow] * 20
    async with office.worker() as worker, office.worker():
        await asyncio.gather(*(worker.consume(fact()) for _ in range(20)))
        await receiver.wait_for(20)
    assert len({got.event_id for got in receiver.got}) == len(receiver.got) == 20
    assert 1 < receiver.most <= PER_ENDPOINT


async def test_what_was_sent_and_not_recorded_is_sent_again(office: Office, receiver: Receiver) -> None:
    event = fact()
    await office.store.write(fan_out, event)
    bounds = Bounds(room=1, per_endpoint=1, lease_seconds=30)
    (taken,) = await office.store.write(claim_attempts, bounds)
    async with WebhookPoster(Clock(), allow_private=True) as poster:
        assert (await poster.post(taken)).delivered
    # killed here: nothing is recorded
    office.moving.ahead += 31
    async with office.worker():
        done = await office.settled(WebhookStatus.DELIVERED)
    assert done.attempt == 2
    assert [got.event_id for got in receiver.got] == [event.id, event.id]


async def test_stopping_waits_for_what_is_under_way(office: Office, receiver: Receiver) -> None:
    go_on = asyncio.Event()

    async def held(_request: web.Request) -> web.Response:
        await go_on.wait()
        return web.Response(status=204)

    receiver.script = [held]
    async with office.worker() as worker:
        await worker.consume(fact())
        await receiver.wait_for(1)
        asyncio.get_running_loop().call_later(0.1, go_on.set)
    (delivery,) = await office.told()
    assert delivery.status is WebhookStatus.DELIVERED


@pytest.mark.parametrize(
    "event",
    [
        fact(type="voice.intent"),
        fact(id="1"),
        fact(organization_id=None),
    ],
)
async def test_what_is_no_fact_of_ours_is_a_dead_letter(office: Office, event: Envelope) -> None:
    async with office.worker() as worker:
        assert (await worker.consume(event)).ack is Ack.DEAD
    assert await office.told() == []


async def endpoint(api: Api, receiver: Receiver, **fields: Any) -> Any:
    """The receiver as an endpoint."""
    answer = await api.post("/v1/webhook-endpoints", {"url": receiver.url, **fields})
    assert answer.status == 201
    return answer.json


async def test_a_conversation_that_closes_is_told(tmp_path: Path, receiver: Receiver) -> None:
    async with gateway(tmp_path, GATEWAY_WEBHOOK_ALLOW_PRIVATE="1") as api:
        made = await endpoint(api, receiver, events=["conversation.closed"])
        path = f"/v1/webhook-endpoints/{made['id']}"
        test = await api.conversation(session_type="test")
        live = await api.conversation()
        for conversation in (test, live):
            assert (await api.post(f"{conversation}/close", {"reason": "done"})).status == 200
        (got,) = await receiver.wait_for(1)
        assert got.event["type"] == "conversation.closed"
        assert got.event["data"]["conversation_id"] == live.rpartition("/")[2]
        assert got.signed_with(made["secret"])
        rotated = (await api.post(f"{path}/rotate-secret")).json
        again = await api.post(f"{path}/redeliver", {"event_id": got.event_id})
        assert again.status == 200
        await receiver.wait_for(2)
        assert receiver.got[1].event == got.event
        assert all(receiver.got[1].signed_with(secret) for secret in (made["secret"], rotated["secret"]))
        await until(lambda: receiver.under_way == 0)
        listed = (await api.get(f"{path}/deliveries")).json["items"]
        assert [(d["event_id"], d["type"]) for d in listed] == [(got.event_id, "conversation.closed")]
        assert json.dumps(listed).count(receiver.url) == 0


async def test_a_kill_between_sending_and_recording_is_made_good(tmp_path: Path, receiver: Receiver) -> None:
    async def never(_request: web.Request) -> web.Response:
        await asyncio.sleep(60)
        return web.Response(status=204)

    receiver.script = [never]
    port, smtp_port = free_ports(2)
    url = f"http://127.0.0.1:{port}"
    environment = {"GATEWAY_API_KEYS": "root:admin", "GATEWAY_WEBHOOK_ALLOW_PRIVATE": "1"}
    command = ("-m", "gateway", "dev", "--port", str(port), "--smtp-port", str(smtp_port))
    leash = Leash()
    process = Process("dev", command, environment, tmp_path, leash)
    try:
        await process.start()
        async with aiohttp.ClientSession(headers={"x-api-key": "root"}) as session:
            made = await answered(session, f"{url}/v1/webhook-endpoints", url=receiver.url)
            person = await answered(session, f"{url}/v1/identity/resolve", channel="api", identifier="u")
            begun = {"end_user_id": person["end_user_id"], "channel": "api"}
            conversation = await answered(session, f"{url}/v1/conversations", **begun)
            await answered(session, f"{url}/v1/conversations/{conversation['id']}/close")
        await receiver.wait_for(1)
        await process.kill()
        await process.start()
        first, second = await receiver.wait_for(2)
    finally:
        process.stop()
        leash.close()
    assert (second.event_id, second.body) == (first.event_id, first.body)
    assert second.signed_with(made["secret"])


async def answered(session: aiohttp.ClientSession, url: str, /, **body: Any) -> Any:
    """A POST that succeeds."""
    async with session.post(url, json=body) as answer:
        assert answer.status < 300, await answer.text()
        return await answer.json()


async def test_a_private_address_is_refused_by_default(tmp_path: Path, receiver: Receiver) -> None:
    async with gateway(tmp_path) as api:
        made = await endpoint(api, receiver)
        await api.post(f"{await api.conversation()}/close")
        async with asyncio.timeout(PATIENCE):
            while True:
                listed = (await api.get(f"/v1/webhook-endpoints/{made['id']}/deliveries")).json["items"]
                if listed and listed[0]["error"]:
                    break
                await asyncio.sleep(0.02)
        assert (listed[0]["error"], listed[0]["status"]) == ("address_refused", "pending")
    assert receiver.got == []


async def test_the_role_works_beside_the_others_on_rabbitmq(
    tmp_path: Path, receiver: Receiver, rabbit_url: str, amqp_prefix: str, postgres_url: str
) -> None:
    config = tmp_path / "gateway.toml"
    config.write_text(CONFIG, encoding="utf-8")
    environ = {
        "GATEWAY_API_KEYS": KEYS,
        "GATEWAY_DRAIN_SECONDS": "2",
        "GATEWAY_DATABASE_URL": postgres_url,
        "GATEWAY_AMQP_URL": rabbit_url,
        "GATEWAY_AMQP_PREFIX": amqp_prefix,
        "GATEWAY_PARTITIONS": "1",
        "GATEWAY_WEBHOOK_ALLOW_PRIVATE": "1",
    }
    settings = load_settings(environ, config_path=config, data_dir=tmp_path, host="127.0.0.1", port=0)
    serving = Plan(roles=frozenset({Role.SERVE, Role.RELAY}), migrate=True)
    async with running(settings, serving) as app, aiohttp.ClientSession() as session:
        api = Api(app, session, "root")
        made = await endpoint(api, receiver)
        unheard = await api.conversation()
        await api.post(f"{unheard}/close")
        workers = replace(serving, roles=frozenset({Role.WEBHOOKS}), migrate=False)
        async with running(settings, workers), running(settings, workers):
            closed = [await api.conversation() for _ in range(5)]
            for conversation in closed:
                await api.post(f"{conversation}/close")
            await receiver.wait_for(5)
            await until(lambda: receiver.under_way == 0)
    told = {got.event["data"]["conversation_id"] for got in receiver.got}
    assert {conversation.rpartition("/")[2] for conversation in closed} <= told
    assert all(got.signed_with(made["secret"]) for got in receiver.got)
