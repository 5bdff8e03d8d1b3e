"""The bare floor: what a turn cannot do without, and nothing else, to hold the gateway's figures against.

Both floors take the same signed webhook (bare Starlette behind the gateway's listener: uvicorn, uvloop
and httptools; the signature checked with the standard library), reply with the message's own text, and
POST that to Twilio's Messages resource with raw aiohttp (a third cheaper than the official client, which
the gateway uses). They store a message, a conversation counter, a reply and an attempt durably, in as
many units as the gateway; they have no identity, lease, history, outbox, order or retry, and lose
messages when killed.

`loop PORT TWILIO_URL`: less than that, nothing is stored at all; but Twilio is asked for receipts, each of
which is checked too.

`embedded FILE PORT TWILIO_URL`: five commits a turn (accept, claim, finish, attempt, settle) to SQLite
in WAL mode with `synchronous=FULL`, whatever waits sharing one fsync, as in the gateway.

`webhook DATABASE_URL AMQP_URL PORT` and `worker DATABASE_URL AMQP_URL TWILIO_URL`: the same five as
single statements on PostgreSQL through asyncpg, and two hops through quorum queues with aio-pika (input
to turn, turn to delivery), persistent, confirmed, acknowledged after the commit, prefetch 64.
"""

import asyncio
import base64
import hmac
import json
import sqlite3
import sys
from collections.abc import Awaitable, Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from urllib.parse import parse_qsl

import aio_pika
import aiohttp
import asyncpg
import uvloop
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from gateway.bench.load import PATH
from gateway.bench.stage import ACCOUNT, HOST, TOKEN
from gateway.http_server import HttpServer

CONNECTIONS = 64
QUEUES = ("bench.turns", "bench.deliveries")
Form = dict[str, str]

SCHEMA = (
    "CREATE TABLE receipts (sid text PRIMARY KEY)",
    "CREATE TABLE conversations (id text PRIMARY KEY, inputs bigint NOT NULL, answered bigint NOT NULL)",
    "CREATE TABLE messages (sid text, role text, body text NOT NULL, PRIMARY KEY (sid, role))",
    "CREATE TABLE deliveries (sid text PRIMARY KEY, state text NOT NULL, provider_id text)",
)
_SQLITE = {
    "accept": (
        "INSERT INTO receipts VALUES (:sid)",
        "INSERT INTO conversations VALUES (:phone, 1, 0) ON CONFLICT (id) DO UPDATE SET inputs = inputs + 1",
        "INSERT INTO messages VALUES (:sid, 'user', :body)",
    ),
    "claim": ("UPDATE conversations SET answered = answered + 1 WHERE id = :phone",),
    "finish": (
        "INSERT INTO messages VALUES (:sid, 'assistant', :body)",
        "INSERT INTO deliveries VALUES (:sid, 'pending', NULL)",
    ),
    "attempt": ("UPDATE deliveries SET state = 'sending' WHERE sid = :sid",),
    "settle": ("UPDATE deliveries SET state = 'sent', provider_id = :provider_id WHERE sid = :sid",),
}
_POSTGRES = {
    "accept": (
        "WITH r AS (INSERT INTO receipts VALUES ($1)), "
        "c AS (INSERT INTO conversations VALUES ($2, 1, 0) "
        "ON CONFLICT (id) DO UPDATE SET inputs = conversations.inputs + 1) "
        "INSERT INTO messages VALUES ($1, 'user', $3)"
    ),
    "claim": "UPDATE conversations SET answered = answered + 1 WHERE id = $1",
    "finish": (
        "WITH m AS (INSERT INTO messages VALUES ($1, 'assistant', $2)) "
        "INSERT INTO deliveries VALUES ($1, 'pending', NULL)"
    ),
    "attempt": "UPDATE deliveries SET state = 'sending' WHERE sid = $1",
    "settle": "UPDATE deliveries SET state = 'sent', provider_id = $2 WHERE sid = $1",
}
_running: set[asyncio.Task[None]] = set()


class Commits:
    """SQLite behind one writer: whatever waits is committed together."""

    def __init__(self, path: str) -> None:
        self._connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        for statement in ("PRAGMA journal_mode=WAL", "PRAGMA synchronous=FULL", *SCHEMA):
            self._connection.execute(statement)
        self._waiting: list[tuple[str, Form, asyncio.Future[None]]] = []
        self._ready = asyncio.Event()
        self._disk = ThreadPoolExecutor(1)

    async def unit(self, name: str, **values: str) -> None:
        """Run a unit; returns once it is on the disk."""
        done = asyncio.get_running_loop().create_future()
        self._waiting.append((name, values, done))
        self._ready.set()
        await done

    async def work(self) -> None:
        """Commit for ever."""
        while True:
            await self._ready.wait()
            self._ready.clear()
            batch, self._waiting = self._waiting, []
            self._connection.execute("BEGIN IMMEDIATE")
            for name, values, _ in batch:
                for sql in _SQLITE[name]:
                    self._connection.execute(sql, values)
            await asyncio.get_running_loop().run_in_executor(self._disk, self._connection.execute, "COMMIT")
            for _, _, done in batch:
                done.set_result(None)


class Poster:
    """POSTs replies to Twilio."""

    def __init__(self, url: str) -> None:
        self._url = f"{url}/2010-04-01/Accounts/{ACCOUNT}/Messages.json"
        self._auth = aiohttp.BasicAuth(ACCOUNT, TOKEN)
        self._session = aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=CONNECTIONS))

    async def post(self, form: Form, callback: str | None = None) -> str:
        """Twilio's id of the reply; its receipts go to `callback`."""
        reply = {"To": form["From"], "From": form["To"], "Body": form["Body"]}
        if callback is not None:
            reply["StatusCallback"] = callback
        async with self._session.post(self._url, data=reply, auth=self._auth) as response:
            return str(json.loads(await response.read())["sid"])


def proven(request: Request, body: bytes) -> Form | None:
    """The parameters, if the signature is right."""
    form = dict(parse_qsl(body.decode(), keep_blank_values=True))
    signed = f"{request.url}" + "".join(name + form[name] for name in sorted(form))
    expected = base64.b64encode(hmac.digest(TOKEN.encode(), signed.encode(), "sha1")).decode()
    return form if hmac.compare_digest(expected, request.headers["x-twilio-signature"]) else None


def start(work: Awaitable[None]) -> None:
    """Go on with it beside."""
    task = asyncio.ensure_future(work)
    _running.add(task)
    task.add_done_callback(_running.discard)


async def serve(
    port: str,
    accept: Callable[[Form], Awaitable[None]],
    then: Callable[[Form], Any],
    status: str | None = None,
) -> None:
    """Take webhooks: `accept` before the answer, `then` beside it. Receipts come to the path `status`."""

    async def webhook(request: Request) -> Response:
        form = proven(request, await request.body())
        if form is None:
            return Response(status_code=403)
        await accept(form)
        start(then(form))
        return Response("<Response/>", media_type="text/xml")

    async def receipt(request: Request) -> Response:
        return Response(status_code=403 if proven(request, await request.body()) is None else 204)

    routes = [Route(PATH, webhook, methods=["POST"])]
    if status is not None:
        routes.append(Route(status, receipt, methods=["POST"]))
    app = Starlette(routes=routes)
    await HttpServer(app, HOST, int(port)).start()
    print("ready", flush=True)
    await asyncio.Event().wait()


async def loop(port: str, twilio_url: str) -> None:
    """A reply to every text, and its receipts; nothing is kept."""
    poster, status = Poster(twilio_url), f"{PATH}/status"

    async def accept(_form: Form) -> None:
        """Nothing is stored."""

    await serve(port, accept, lambda form: poster.post(form, f"http://{HOST}:{port}{status}"), status)


async def embedded(path: str, port: str, twilio_url: str) -> None:
    """Everything in one process."""
    commits, poster = Commits(path), Poster(twilio_url)
    start(commits.work())

    async def accept(form: Form) -> None:
        await commits.unit("accept", sid=form["MessageSid"], phone=form["From"], body=form["Body"])

    async def answer(form: Form) -> None:
        sid = form["MessageSid"]
        await commits.unit("claim", phone=form["From"])
        await commits.unit("finish", sid=sid, body=form["Body"])
        await commits.unit("attempt", sid=sid)
        await commits.unit("settle", sid=sid, provider_id=await poster.post(form))

    await serve(port, accept, answer)


async def pool_of(database_url: str) -> Any:
    """Connections to PostgreSQL, as many as the gateway has."""
    return await asyncpg.create_pool(database_url, min_size=0, max_size=20)


async def publish(channel: aio_pika.abc.AbstractChannel, queue: str, form: Form) -> None:
    """Hand it on, confirmed."""
    body = json.dumps(form).encode()
    message = aio_pika.Message(body, delivery_mode=aio_pika.DeliveryMode.PERSISTENT)
    await channel.default_exchange.publish(message, queue)


async def webhook(database_url: str, amqp_url: str, port: str) -> None:
    """The first process of the distributed floor; it also makes tables and queues."""
    pool, broker = await pool_of(database_url), await aio_pika.connect(amqp_url)
    for statement in SCHEMA:
        await pool.execute(statement)
    channel = await broker.channel()
    for queue in QUEUES:
        await channel.declare_queue(queue, durable=True, arguments={"x-queue-type": "quorum"})

    async def accept(form: Form) -> None:
        await pool.execute(_POSTGRES["accept"], form["MessageSid"], form["From"], form["Body"])

    await serve(port, accept, lambda form: publish(channel, QUEUES[0], form))


async def worker(database_url: str, amqp_url: str, twilio_url: str) -> None:
    """The second process of the distributed floor: turns and deliveries."""
    pool, broker, poster = await pool_of(database_url), await aio_pika.connect(amqp_url), Poster(twilio_url)
    out = await broker.channel()

    async def turn(form: Form) -> None:
        await pool.execute(_POSTGRES["claim"], form["From"])
        await pool.execute(_POSTGRES["finish"], form["MessageSid"], form["Body"])
        await publish(out, QUEUES[1], form)

    async def delivery(form: Form) -> None:
        await pool.execute(_POSTGRES["attempt"], form["MessageSid"])
        await pool.execute(_POSTGRES["settle"], form["MessageSid"], await poster.post(form))

    for name, work in zip(QUEUES, (turn, delivery), strict=True):
        await consume(broker, name, work)
    print("ready", flush=True)
    await asyncio.Event().wait()


async def consume(
    broker: aio_pika.abc.AbstractConnection, name: str, work: Callable[[Form], Awaitable[None]]
) -> None:
    """Work messages off, each acknowledged when it is done."""
    channel = await broker.channel()
    await channel.set_qos(prefetch_count=CONNECTIONS)

    async def take(message: aio_pika.abc.AbstractIncomingMessage) -> None:
        await work(json.loads(message.body))
        await message.ack()

    await (await channel.get_queue(name, ensure=False)).consume(take)


if __name__ == "__main__":
    roles: dict[str, Callable[..., Coroutine[Any, Any, None]]] = {
        "loop": loop,
        "embedded": embedded,
        "webhook": webhook,
        "worker": worker,
    }
    role = roles[sys.argv[1]]
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(role(*sys.argv[2:]))
