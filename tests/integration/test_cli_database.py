"""The commands that look after a database, as processes, on both kinds."""

import asyncio
import json
import os
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from gateway.bench.private_server import free_ports
from gateway.domain.clock import Clock
from gateway.domain.ids import new_id
from gateway.service.backlog import backlog
from gateway.service.dead import bury
from gateway.service.keys import key_hash, key_of_hash
from gateway.service.senders import SenderKey, halt
from gateway.store.engine import open_store, sqlite_path
from tests.integration.commands import Folder
from tests.schema import schema_file
from tests.services import execute


@pytest.fixture(params=["sqlite", "postgres"])
def folder(request: pytest.FixtureRequest, tmp_path: Path) -> Folder:
    """A folder whose commands know a database with the schema."""
    if request.param == "sqlite":
        return Folder(tmp_path, {"GATEWAY_DATABASE_URL": asyncio.run(schema_file(tmp_path / "gateway.db"))})
    return Folder(tmp_path, {"GATEWAY_DATABASE_URL": request.getfixturevalue("schema_url")})


@pytest.fixture(params=["sqlite", "postgres"])
def new_folder(request: pytest.FixtureRequest, tmp_path: Path) -> Folder:
    """A folder whose commands know an empty database."""
    if request.param == "sqlite":
        return Folder(tmp_path, {"GATEWAY_DATABASE_URL": f"sqlite:///{tmp_path}/gateway.db"})
    return Folder(tmp_path, {"GATEWAY_DATABASE_URL": request.getfixturevalue("postgres_url")})


def url_of(folder: Folder) -> str:
    return folder.environment["GATEWAY_DATABASE_URL"]


async def spoil(url: str, statements: str) -> None:
    """Somebody changes the schema."""
    path = sqlite_path(url)
    if path is None:
        await execute(url, statements)
        return
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript(statements)


async def buried(folder: Folder, count: int, queue: str = "turns.1") -> list[str]:
    """Dead letters of messages; their ids."""
    async with open_store(url_of(folder), Clock()) as store:
        return [
            await store.write(bury, queue, f"reason {n}\x1b[2J", json.dumps({"n": n}), headers={"a": "b"})
            for n in range(count)
        ]


async def outbox_depth(folder: Folder) -> int:
    async with open_store(url_of(folder), Clock()) as store:
        return (await store.read(backlog)).outbox


async def test_migrate_and_doctor(new_folder: Folder) -> None:
    behind = await new_folder.gateway("migrate", "--check")
    assert behind.code == 1
    assert "missing 0001_pipeline\n" in behind.out
    assert behind.err == "gateway: the schema is behind; run: gateway migrate\n"
    refused = await new_folder.gateway("keys", "list")
    assert refused.code == 1
    assert "gateway migrate" in refused.err
    applied = await new_folder.gateway("migrate")
    assert applied.code == 0
    assert applied.out == behind.out.replace("missing", "applied")
    again = await new_folder.gateway("migrate", "--check")
    assert (again.code, again.out) == (0, "the schema is up to date\n")
    doctor = await new_folder.gateway("doctor")
    assert doctor.code == 0
    assert "answers, its schema is up to date" in doctor.out


async def test_a_database_that_is_not_what_its_version_says_is_told_in_one_line(folder: Folder) -> None:
    await spoil(url_of(folder), "DROP TABLE forgotten_calls; ALTER TABLE calls DROP COLUMN quiet_said")
    for command in (["migrate"], ["migrate", "--check"]):
        refused = await folder.gateway(*command)
        assert (refused.code, refused.out) == (1, "")
        assert refused.err.count("\n") == 1
        assert "lacks calls.quiet_said, forgotten_calls." in refused.err
    doctor = await folder.gateway("doctor")
    assert doctor.code == 1
    assert "lacks calls.quiet_said, forgotten_calls." in doctor.out


async def test_doctor_finds_a_sender_that_is_stopped_and_requeue_resumes_it(folder: Folder) -> None:
    key = SenderKey(new_id(), "sms", "+15550100")
    async with open_store(url_of(folder), Clock()) as store:
        await store.write(halt, key, "30034", delivery=None, tries=False)
    doctor = await folder.gateway("doctor")
    assert doctor.code == 1
    assert "+15550100 (sms) is stopped since" in doctor.out
    assert "30034" in doctor.out
    assert "+15550100" in (await folder.gateway("dead", "list")).out
    assert (await folder.gateway("dead", "requeue", "--all")).code == 0
    assert "none is stopped by its provider" in (await folder.gateway("doctor")).out


async def test_keys(folder: Folder) -> None:
    created = await folder.gateway(
        "keys", "create", "--role", "operator", "--name", "Olga", "--approver", "finance"
    )
    assert created.code == 0
    text = created.out.strip()
    assert text.startswith("gw_")
    assert text not in created.err
    async with open_store(url_of(folder), Clock()) as store:
        stored = await store.read(key_of_hash, key_hash(text))
    assert stored is not None
    assert (stored.name, stored.role, stored.approver_roles) == ("Olga", "operator", ("finance",))
    listed = await folder.gateway("keys", "list")
    assert text not in listed.out
    assert listed.out.splitlines()[1].split()[:4] == [stored.id, "Olga", "operator", "finance"]
    assert (await folder.gateway("keys", "revoke", stored.id[:13])).code == 0
    again = await folder.gateway("keys", "revoke", stored.id)
    assert (again.code, again.err) == (1, f"gateway: {stored.id} is revoked already\n")
    assert "revoked 2" in (await folder.gateway("keys", "list")).out
    unknown = await folder.gateway("keys", "revoke", "zzz")
    assert unknown.code == 1


async def test_dead_letters_one_by_one(folder: Folder) -> None:
    first, second = await buried(folder, 2)
    listed = await folder.gateway("dead", "list")
    assert [line.split()[0] for line in listed.out.splitlines()] == ["ID", first, second]
    assert "\x1b" not in listed.out
    shown = await folder.gateway("dead", "show", first)
    assert '"n": 0' in shown.out
    assert "header a" in shown.out
    ambiguous = await folder.gateway("dead", "requeue", first[:2])
    assert ambiguous.code == 1
    assert "more than one" in ambiguous.err
    requeued = await folder.gateway("dead", "requeue", first)
    assert (requeued.code, requeued.out) == (0, f"requeued {first}\n")
    assert await outbox_depth(folder) == 1
    twice = await folder.gateway("dead", "requeue", first, second)
    assert twice.code == 1
    assert twice.out == f"requeued {second}\n"
    assert f"{first}: it has been requeued already" in twice.err
    empty = await folder.gateway("dead", "list")
    assert (empty.code, empty.out) == (0, "")


async def test_all_dead_letters_of_a_queue(folder: Folder) -> None:
    await buried(folder, 60)
    await buried(folder, 2, "theirs")
    discarded = await folder.gateway("dead", "discard", "--all", "--queue", "their", "--yes")
    assert (discarded.code, discarded.out) == (0, "2 discarded\n")
    assert await outbox_depth(folder) == 0
    await buried(folder, 1, "theirs")
    requeued = await folder.gateway("dead", "requeue", "--all")
    assert requeued.code == 1
    assert requeued.out == "60 requeued\n"
    assert "nothing is published to theirs" in requeued.err
    assert await outbox_depth(folder) == 60


async def test_doctor_finds_a_database_that_is_away(tmp_path: Path) -> None:
    (port,) = free_ports(1)
    away = {"GATEWAY_DATABASE_URL": f"postgresql://u:hush@127.0.0.1:{port}/d"}
    ended = await Folder(tmp_path, away).gateway("doctor")
    assert ended.code == 1
    assert "fail  database" in ended.out
    assert "hush" not in ended.out + ended.err


async def test_doctor_finds_what_a_worker_declares(
    tmp_path: Path, schema_url: str, rabbit_url: str, amqp_prefix: str
) -> None:
    environment = {
        "GATEWAY_DATABASE_URL": schema_url,
        "GATEWAY_AMQP_URL": rabbit_url,
        "GATEWAY_AMQP_PREFIX": amqp_prefix,
        "GATEWAY_PARTITIONS": "2",
    }
    folder = Folder(tmp_path, environment)
    bare = await folder.gateway("doctor")
    assert bare.code == 1
    assert f"missing, such as {amqp_prefix}inbound" in bare.out
    async with folder.running("worker", "relay", "timers") as (process, ready):
        assert ready == "ready"
        declared = await folder.gateway("doctor")
        process.terminate()
        assert await asyncio.wait_for(process.wait(), 60) == 0
    assert declared.code == 0, declared.out
    assert "its exchanges and queues are declared" in declared.out
    assert declared.err == ""


async def test_contracts_need_no_database(tmp_path: Path) -> None:
    folder = Folder(tmp_path, {"GATEWAY_AMQP_PREFIX": "mine.", "GATEWAY_PARTITIONS": "2"})
    http, queues = await asyncio.gather(
        folder.gateway("export", "openapi"), folder.gateway("export", "asyncapi", "--output", "queues.json")
    )
    assert "/v1/conversations/{conversation_id}/turns" in json.loads(http.out)["paths"]
    assert queues.out == ""
    assert "mine.voice.events" in (tmp_path / "queues.json").read_text()
    assert os.listdir(tmp_path) == ["queues.json"]  # noqa: PTH208 -- the loop need not be spared here
