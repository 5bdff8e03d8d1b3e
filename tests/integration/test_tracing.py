"""Traces as a collector sees them: an SMS is one, from the webhook to the provider."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import aiohttp
import pytest
from aiohttp import web

from channels.twilio.fake import FakeTwilio
from gateway.bench.private_server import free_ports
from gateway.domain.ids import parse_id
from gateway.tracing import Kind, is_recording
from gateway.tracing.otlp import OtlpRecorder
from tests.collector import Collector, Seen, collecting
from tests.deployments import ACCOUNT, CONFIG, DEMO_NUMBER, HOST, TOKEN, Services, World, distributed
from tests.integration.in_process import in_process
from tests.loopback import served
from tests.waiting import until

CALLER = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
THEIRS = "+15550123"
TEXT = "a text that nobody else may read"


@dataclass(frozen=True, slots=True)
class Site:
    """An embedded gateway, its provider, and how to ask it."""

    url: str
    twilio: FakeTwilio
    http: aiohttp.ClientSession

    async def status(self, method: str, path: str, **headers: str) -> int:
        """The status of a request."""
        async with self.http.request(
            method, self.url + path, headers={"x-api-key": "k", **headers}
        ) as answer:
            return answer.status


@asynccontextmanager
async def site(folder: Path, **environment: str) -> AsyncIterator[Site]:
    """Everything in this process."""
    (port,) = free_ports(1)
    twilio = FakeTwilio(ACCOUNT, TOKEN, webhook_url=f"http://{HOST}:{port}")
    environ = {
        "TWILIO_ACCOUNT_SID": ACCOUNT,
        "TWILIO_AUTH_TOKEN": TOKEN,
        "TWILIO_API_URL": await twilio.start(HOST),
        "GATEWAY_API_KEYS": "k:admin",
        **environment,
    }
    gateway = in_process(folder, CONFIG, environ, port=port)
    try:
        async with gateway as app, aiohttp.ClientSession() as http:
            yield Site(app.http_url, twilio, http)
    finally:
        await twilio.stop()


@pytest.fixture
async def collector() -> AsyncIterator[Collector]:
    """A collector of this test's own."""
    async with collecting() as running_collector:
        yield running_collector


def the(spans: list[Seen]) -> Seen:
    """The only one."""
    (span,) = spans
    return span


async def text_and_answer(twilio: FakeTwilio) -> None:
    """One text, and one answer."""
    answer = await twilio.text(THEIRS, DEMO_NUMBER, TEXT)
    assert answer.status == 200
    await until(lambda: twilio.by_pair(THEIRS, DEMO_NUMBER))


def check_road(collector: Collector) -> list[Seen]:
    """The one trace of a text, whose spans are each other's parents; its spans."""
    turn = the(collector.named("turn"))
    trace = collector.trace(turn.trace_id)
    webhook, accept, agent, deliver = (
        the([span for span in trace if span.name == name])
        for name in ("webhook", "accept", "agent", "deliver")
    )
    assert webhook.parent_id == ""
    assert accept.parent_id == webhook.span_id
    assert turn.parent_id == accept.span_id
    assert agent.parent_id == deliver.parent_id == turn.span_id
    assert (webhook.kind, turn.kind, deliver.kind) == ("server", "consumer", "client")
    assert webhook.attributes == {
        "http.request.method": "POST",
        "http.response.status_code": "200",
        "http.route": "/webhooks/twilio/sms",
    }
    assert parse_id(turn.attributes["gateway.agent_id"]) == agent.attributes["gateway.agent_id"]
    assert (turn.attributes["gateway.attempt"], turn.attributes["gateway.path"]) == ("1", "single")
    assert (deliver.attributes["gateway.channel"], deliver.attributes["gateway.outcome"]) == ("sms", "taken")
    assert deliver.attributes["gateway.turn_id"] == turn.attributes["gateway.turn_id"]
    assert {span.resource["service.name"] for span in trace} == {"gateway"}
    assert not [span for span in collector.spans if span.failed]
    everything = repr(collector.spans)
    assert not [secret for secret in (TEXT, THEIRS, DEMO_NUMBER, TOKEN) if secret in everything]
    return trace


async def test_a_text_is_one_trace(tmp_path: Path, collector: Collector) -> None:
    async with site(tmp_path, GATEWAY_OTEL_ENDPOINT=collector.url) as here:
        await text_and_answer(here.twilio)
        await until(lambda: here.twilio.by_pair(THEIRS, DEMO_NUMBER)[0].status == "delivered")
    trace = check_road(collector)
    assert sorted(span.name for span in trace) == ["accept", "agent", "deliver", "turn", "webhook"]
    roles = trace[0].resource["gateway.role"].split()
    assert {"serve", "turns", "deliveries"} <= set(roles)
    assert not is_recording(), "it stops with the process"


async def test_a_text_is_one_trace_over_processes(
    tmp_path: Path, collector: Collector, rabbit_url: str, amqp_prefix: str, postgres_url: str
) -> None:
    twilio = FakeTwilio(ACCOUNT, TOKEN)
    services = Services(rabbit_url, amqp_prefix, postgres_url)
    try:
        world = TracedWorld(await twilio.start(HOST), otel_url=collector.url)
        async with distributed(tmp_path / "gateway", world, services, workers=2) as deployment:
            twilio.webhook_url = deployment.urls[0]
            await text_and_answer(twilio)
            await asyncio.gather(*(process.terminate() for process in deployment.processes.values()))
    finally:
        await twilio.stop()
    trace = check_road(collector)
    assert {span.name for span in trace} == {"accept", "agent", "deliver", "publish", "turn", "webhook"}
    roles = {span.name: span.resource["gateway.role"] for span in trace}
    assert roles["webhook"] == roles["accept"] == "serve"
    assert "serve" not in roles["turn"] + roles["deliver"]
    spans = {span.span_id: span.name for span in trace}
    published = sorted(spans[span.parent_id] for span in trace if span.name == "publish")
    assert published[:2] == ["accept", "turn"]


@dataclass(frozen=True)
class TracedWorld(World):
    """With a collector in it."""

    otel_url: str = ""

    def environment(self) -> dict[str, str]:
        """As the gateway is told it."""
        return {**World.environment(self), "GATEWAY_OTEL_ENDPOINT": self.otel_url}


async def test_requests_continue_their_caller_s_trace(tmp_path: Path, collector: Collector) -> None:
    path = "/v1/v2/conversations/0190a000-0000-7000-8000-000000000001"
    async with site(tmp_path, GATEWAY_OTEL_ENDPOINT=collector.url) as here:
        assert await here.status("GET", path, traceparent=CALLER) == 404
        assert await here.status("GET", path, traceparent=CALLER.upper()) == 404
        assert await here.status("GET", "/nowhere", traceparent=CALLER[:-1] + "0") == 404
        assert await here.status("GET", "/healthz") == 200
    continued, fresh = collector.named("http request")
    assert (continued.trace_id, continued.parent_id) == (CALLER[3:35], CALLER[36:52])
    assert fresh.trace_id != continued.trace_id
    assert fresh.parent_id == ""
    assert continued.attributes == {
        "http.request.method": "GET",
        "http.response.status_code": "404",
        "http.route": "/v1/v2/conversations/{conversation_id}",
    }


async def test_a_collector_that_is_away_disturbs_nothing(tmp_path: Path) -> None:
    (port,) = free_ports(1)
    async with site(tmp_path, GATEWAY_OTEL_ENDPOINT=f"http://{HOST}:{port}") as here:
        await text_and_answer(here.twilio)


async def test_a_collector_that_hangs_holds_nobody_up_for_long() -> None:
    asked, released = asyncio.Event(), asyncio.Event()

    async def hang(_request: web.Request) -> web.Response:
        asked.set()
        await released.wait()
        return web.Response()

    app = web.Application()
    app.router.add_post("/v1/traces", hang)
    async with served(app) as url:
        recorder = OtlpRecorder(f"{url}/v1/traces", roles="turns", version="1")
        recorder.begin("turn", Kind.CONSUMER, None, {}).end(None)
        began = time.monotonic()
        await recorder.close(0.3)
        assert asked.is_set()
        assert 0.3 <= time.monotonic() - began < 30
        released.set()
