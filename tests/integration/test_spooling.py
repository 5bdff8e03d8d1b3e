"""What comes while the database is away: spooled, replayed in order, and where it is refused then, kept."""

import asyncio
import socket
import sqlite3
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, closing
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from gateway.bench.private_server import free_ports
from gateway.commands.checks import check_spool
from gateway.domain.call_rules import CallRules
from gateway.domain.clock import Clock
from gateway.domain.delivery import PartState, Receipt
from gateway.domain.errors import Unavailable, UnknownAddress
from gateway.domain.message import Role
from gateway.domain.ports.store import Store
from gateway.service import spooling
from gateway.service.attachments import Attachments, attachment
from gateway.service.call_ends import StoredEnds
from gateway.service.dead import DeadLetter, open_letters
from gateway.service.ingress import Acceptance, Receipts
from gateway.service.requeue import CannotRequeue, requeue
from gateway.service.spooling import Replay, SpooledAcceptance, SpooledEnds, SpooledKeep, SpooledReceipts
from gateway.settings import GatewayConfig, load_config, load_settings
from gateway.store.attachment_folder import AttachmentFolder
from gateway.store.engine import open_store
from gateway.store.spool import Spool
from tests.contract.scene import PARTITIONS, call, sms, to
from tests.schema import schema_file
from tests.waiting import until
from workers.spool import SpoolDrain

CONFIG = """
[agents.demo]
kind = "demo"
"""
ADDRESS = """
[[addresses]]
channel = "{channel}"
address = "{address}"
"""
RECEIPT = Receipt(
    provider="twilio",
    provider_message_id="SM" + "7" * 32,
    state=PartState.DELIVERED,
    raw_status="delivered",
)


def configured(folder: Path, *channels: str) -> GatewayConfig:
    """A configuration in which our number of the scene has these channels."""
    file = folder / "gateway.toml"
    file.write_text(CONFIG + "".join(ADDRESS.format(channel=c, address=sms().recipient) for c in channels))
    return load_config(file, "localhost")


@dataclass
class Place:
    """A gateway's ingress, a database that is away, and one that is there."""

    folder: Path
    spool: Spool
    config: GatewayConfig
    away: Store
    there: Store

    def acceptance(self, store: Store) -> Acceptance:
        """Into one of the databases, without a spool."""
        return Acceptance(store, lambda: self.config, PARTITIONS)

    def accept(self, store: Store) -> SpooledAcceptance:
        """The port."""
        return SpooledAcceptance(self.acceptance(store), self.spool)

    @property
    def replay(self) -> Replay:
        """Into the database that is there."""
        return Replay(self.there, self.acceptance(self.there), Receipts(self.there), self.ends(self.there))

    def ends(self, store: Store) -> StoredEnds:
        """Into one of the databases."""
        return StoredEnds(
            store=store,
            accept=self.acceptance(store),
            rules_of=lambda _number: CallRules(),
            organization_id=self.config.organization_id,
            partitions=PARTITIONS,
        )

    @asynccontextmanager
    async def draining(self) -> AsyncIterator[None]:
        """Drained until it is empty, and on."""
        drain = SpoolDrain(self.spool, self.replay)
        await drain.start()
        try:
            await until(lambda: not self.spool.waiting)
            yield
        finally:
            await drain.stop()

    def statuses(self) -> list[str]:
        """Of the conversations that the database has."""
        with closing(sqlite3.connect(self.folder / "gateway.db")) as connection:
            return [status for (status,) in connection.execute("SELECT status FROM conversations")]

    def texts(self) -> list[str]:
        """What the database has."""
        with closing(sqlite3.connect(self.folder / "gateway.db")) as connection:
            return [text for (text,) in connection.execute("SELECT content FROM messages ORDER BY seq")]

    async def letters(self) -> list[DeadLetter]:
        """The open dead letters."""
        return await self.there.read(open_letters, 100)


@pytest.fixture
async def place(tmp_path: Path) -> AsyncIterator[Place]:
    """Nothing spooled yet."""
    url = await schema_file(tmp_path / "gateway.db")
    (port,) = free_ports(1)
    nowhere = f"postgresql://nobody@127.0.0.1:{port}/none"
    async with AsyncExitStack() as stack:
        yield Place(
            tmp_path,
            await stack.enter_async_context(Spool(tmp_path / "spool", Clock())),
            configured(tmp_path, "sms", "voice"),
            await stack.enter_async_context(open_store(nowhere, Clock())),
            await stack.enter_async_context(open_store(url, Clock())),
        )


async def test_a_file_of_an_outage_comes_with_its_message(place: Place) -> None:
    files = AttachmentFolder(place.folder / "files")
    organization_id = place.config.organization_id
    keep = SpooledKeep(Attachments(place.away, files, organization_id, 100), place.spool)
    kept = await keep(b"a picture", media_type="image/png", name="cat.png")
    await place.accept(place.away)(replace(sms("look"), attachments=(kept,)))
    async with place.draining():
        assert place.texts() == ["look"]
        found = await place.there.read(attachment, organization_id, kept.id)
        assert found is not None
        assert found.key is not None
        assert b"".join([piece async for piece in files.read(found.key)]) == b"a picture"


async def test_messages_of_an_outage_are_stored_in_order_behind_each_other(place: Place) -> None:
    accepted = await place.accept(place.away)(sms("first"))
    assert (accepted.conversation_id, accepted.duplicate, accepted.turn_expected) == ("", False, False)
    await SpooledReceipts(Receipts(place.away), place.spool)(RECEIPT)
    # the database is back, but the spool is not empty yet
    await place.accept(place.there)(sms("second"))
    assert (place.spool.waiting, place.texts()) == (3, [])
    async with place.draining():
        assert place.texts() == ["first", "second"]
        directly = await place.accept(place.there)(sms("third"))
        assert directly.conversation_id
        assert (place.spool.waiting, place.texts()) == (0, ["first", "second", "third"])
    assert await place.letters() == []


async def test_a_call_that_ends_meanwhile_is_closed_afterwards(place: Place) -> None:
    sid = "CA" + "1" * 32
    started = {"voice_event": {"kind": "call.started", "call_id": sid}}
    await place.acceptance(place.there)(
        replace(call("Call started.", sid, role=Role.SYSTEM_EVENT), metadata=started)
    )
    over = {"voice_event": {"kind": "call.ended", "call_id": sid}}
    ended = replace(call("Call ended.", sid, role=Role.SYSTEM_EVENT), metadata=over)
    ends = SpooledEnds(place.ends(place.away), place.spool)
    for _ in range(2):  # whoever tells of it may do so twice
        await ends.end(ended)
    assert place.statuses() == ["active"]
    async with place.draining():
        assert place.statuses() == ["closed"]
        assert place.texts() == ["Call started.", "Call ended."]
    with pytest.raises(UnknownAddress):
        await ends.end(to(ended, "+15559999999"))


async def test_what_the_database_has_already_is_stored_once(place: Place) -> None:
    """As after a commit whose answer was lost, or a replay that was cut off."""
    message = sms("once")
    await place.acceptance(place.there)(message)
    for _ in range(2):
        await place.accept(place.away)(message)
    async with place.draining():
        assert place.texts() == ["once"]


async def test_a_database_that_keeps_silent_costs_a_provider_no_time_out(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(spooling, "DIRECT_SECONDS", 0.3)
    for module in ("postgres", "postgres_connection"):  # nothing else cuts it off
        monkeypatch.setattr(f"gateway.store.{module}.CONNECT_SECONDS", 600.0)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"postgresql://nobody@127.0.0.1:{silent.getsockname()[1]}/none"
        async with open_store(url, Clock()) as hanging:
            async with asyncio.timeout(60):
                await place.accept(hanging)(sms("now"))
    assert place.spool.waiting == 1


async def test_what_is_not_spooled_is_refused_as_ever(place: Place) -> None:
    accept = place.accept(place.away)
    with pytest.raises(UnknownAddress):
        await accept(to(sms("hello"), "+15559999999"))
    with pytest.raises(Unavailable):
        await accept(call("hello", "CA" + "1" * 32))
    assert place.spool.waiting == 0


async def test_a_full_spool_is_unavailable(place: Place) -> None:
    async with Spool(place.folder / "small", Clock(), max_bytes=64 * 1024) as small:
        accept = SpooledAcceptance(place.acceptance(place.away), small)
        with pytest.raises(Unavailable):  # noqa: PT012 -- how many fit is not the point
            for _ in range(100):
                await accept(sms("x" * 4000))


async def test_a_refused_entry_is_a_dead_letter_that_can_be_requeued(place: Place) -> None:
    refused, taken = sms("hello?", sender="+15550177"), sms("fine")
    await place.accept(place.away)(to(refused, sms().recipient))
    await place.spool.put("message", b"{not json", "")
    await place.spool.put("a kind of a later version", b"{}", "")
    place.config = configured(place.folder, "voice")
    entries = await place.spool.page(10)
    for _ in range(2):  # a drain that is cut off begins again
        for entry in entries:
            await place.replay(entry)
    await place.spool.done(entries[-1])
    letters = {letter.reason: letter for letter in await place.letters()}
    assert len(letters) == 3
    assert {letter.queue.partition(".")[0] for letter in letters.values()} == {"ingress"}
    unreadable = letters["ValidationError"]
    unknown = next(letter for reason, letter in letters.items() if "gateway.toml" in reason)

    acceptance = place.acceptance(place.there)
    for letter in (unknown, unreadable):
        with pytest.raises(CannotRequeue):
            await place.there.write(requeue, letter.id, PARTITIONS, acceptance.route)
    place.config = configured(place.folder, "sms")
    await place.there.write(requeue, unknown.id, PARTITIONS, acceptance.route)
    await acceptance(replace(taken))
    assert sorted(place.texts()) == ["fine", "hello?"]
    assert len(await place.letters()) == 2


async def test_doctor_says_what_waits(tmp_path: Path) -> None:
    folder = tmp_path / "spool"
    environ = {"GATEWAY_DATABASE_URL": "postgresql://nobody@127.0.0.1:1/none", "GATEWAY_AMQP_URL": "amqp://h"}

    async def verdict(**more: str) -> str:
        settings = load_settings(
            environ | more, config_path=None, data_dir=tmp_path, host="127.0.0.1", port=8080
        )
        found = await check_spool(settings)
        return f"{found.verdict} {found.text}"

    where = {"GATEWAY_SPOOL_DIR": str(folder)}
    assert (await verdict()).startswith("skip GATEWAY_SPOOL_DIR is unset")
    assert (await verdict(**where)).startswith("fail ")
    async with Spool(folder, Clock()) as spool:
        assert (await verdict(**where)).startswith("ok ")
        await spool.put("message", b"{}", "")
        assert (await verdict(**where)).startswith("warn 1 entries ")
    (folder / "0" / "spool.db").write_bytes(b"no database" * 1000)
    assert (await verdict(**where)).startswith("fail ")


def test_a_spool_beside_sqlite_is_warned_of(tmp_path: Path) -> None:
    settings = load_settings(
        {"GATEWAY_SPOOL_DIR": str(tmp_path)}, config_path=None, data_dir=tmp_path, host="127.0.0.1", port=8080
    )
    assert settings.warnings == ("GATEWAY_SPOOL_DIR: has no effect with SQLite; leave it out",)
