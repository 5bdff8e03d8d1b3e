"""No hot query reads a whole table that grows, on either database."""

import json
import re
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import asyncpg

from gateway.store.migrate import migrate
from gateway.store.queries import load_queries
from tests.contract.test_queries import of_sqlite

QUERIES = load_queries()

NOT_HOT = {
    "outbox_reset": "once, at an embedded start",
    "webhook_claims_reset": "once, at an embedded start",
}

SMALL = {"workers", "organisations", "api_keys", "webhook_endpoints", "senders", "brakes"}
"""Tables that do not grow with the traffic."""

FULL_TEXT = {"knowledge_index", "knowledge_vocabulary"}
"""Of SQLite: what it calls a scan is a look-up by words."""

IN_ORDER = {
    "approvals_pending",
    "attachments_due",
    "conversations_pending",
    "lanes_pending",
    "outbox_due",
    "dead_letters_open",
}
"""Indices a query may walk from an end: partial ones that hold only what is pending, or up to a LIMIT."""


def _sqlite_scans(details: list[str]) -> list[str]:
    """The lines of SQLite's plan that read a table whole."""
    scans = []
    for detail in details:
        match = re.match(r"SCAN (?!CONSTANT ROW)(\w+)(?: USING (?:COVERING )?INDEX (\w+))?", detail)
        # json_each is the caller's own list, done the row of a count, listed and newest subqueries of a few
        if (
            match is not None
            and match[1] not in {*SMALL, *FULL_TEXT, "json_each", "done", "listed", "newest"}
            and match[2] not in IN_ORDER
        ):
            scans.append(detail)
    return scans


def _postgres_scans(node: dict[str, Any]) -> list[str]:
    """The nodes of PostgreSQL's plan that read a table whole."""
    scans = [scan for child in node.get("Plans", ()) for scan in _postgres_scans(child)]
    kind, table, index = node["Node Type"], node.get("Relation Name"), node.get("Index Name")
    whole = kind == "Seq Scan" or (
        kind.endswith(("Index Scan", "Index Only Scan")) and "Index Cond" not in node
    )
    if whole and table not in SMALL and index not in IN_ORDER:
        scans.append(f"{kind} of {table or index}")
    return scans


async def test_sqlite_scans_no_table_that_grows(tmp_path: Path) -> None:
    await migrate(f"sqlite:///{tmp_path}/gateway.db")
    scans = {}
    with closing(sqlite3.connect(tmp_path / "gateway.db")) as connection:
        for query in of_sqlite(QUERIES):
            values = query.for_sqlite(dict.fromkeys(query.parameters), lambda: 0)
            plan = connection.execute(f"EXPLAIN QUERY PLAN {query.sqlite}", values).fetchall()
            found = _sqlite_scans([row[-1] for row in plan])
            if found and query.name not in NOT_HOT:
                scans[query.name] = found
    assert scans == {}


_SOME = {
    "uuid": "gen_random_uuid()",
    "bigint": "n",
    "text": "md5(n::text)",
    "jsonb": "'{}'::jsonb",
    "boolean": "n % 2 = 0",
}
"""A value per row for each type of column."""


def _value(column: Any) -> str:
    if column["column_name"] == "status" and column["data_type"] == "text":
        return "'pending'"
    some = _SOME[column["data_type"]]
    return f"CASE WHEN n % 2 = 0 THEN {some} END" if column["maybe"] else some


async def _fill(connection: Any) -> None:
    """Put rows into every table that grows, so that the planner has something to avoid."""
    columns = await connection.fetch(
        "SELECT table_name, column_name, data_type, is_nullable = 'YES' AS maybe"
        " FROM information_schema.columns WHERE table_schema = 'public' AND is_generated = 'NEVER'"
        " ORDER BY table_name, ordinal_position"
    )
    for table in sorted({c["table_name"] for c in columns} - SMALL - {"alembic_version"}):
        mine = [c for c in columns if c["table_name"] == table]
        names = ", ".join(c["column_name"] for c in mine)
        values = ", ".join(_value(c) for c in mine)
        await connection.execute(
            f"INSERT INTO {table} ({names}) SELECT {values} FROM generate_series(1, 2000) n"
        )
    await connection.execute("ANALYZE")


async def test_postgres_scans_no_table_that_grows(postgres_url: str) -> None:
    await migrate(postgres_url)
    scans = {}
    connection = await asyncpg.connect(postgres_url)
    try:
        await _fill(connection)
        # a small table is cheapest read whole: what is left then could be read in no other way
        await connection.execute(
            "SET enable_seqscan = off; SET enable_mergejoin = off; SET enable_hashjoin = off;"
            "SET plan_cache_mode = force_generic_plan"
        )
        for query in QUERIES.values():
            await connection.execute(f"PREPARE hot AS {query.postgres}")
            arguments = ", ".join(["NULL"] * len(query.order))
            execute = f"EXECUTE hot({arguments})" if arguments else "EXECUTE hot"
            plan = json.loads(await connection.fetchval(f"EXPLAIN (FORMAT JSON) {execute}"))
            await connection.execute("DEALLOCATE hot")
            found = _postgres_scans(plan[0]["Plan"])
            if found and query.name not in NOT_HOT:
                scans[query.name] = found
    finally:
        await connection.close()
    assert scans == {}


OF_A_TURN = {
    "contact_end_user",
    "conversation_add_input",
    "conversation_add_unanswered",
    "conversation_claim",
    "conversation_claimable",
    "conversation_finish_and_move",
    "conversation_finish_turn",
    "conversation_of_external_session",
    "conversation_of_thread",
    "deliveries_cancel",
    "delivery_lock",
    "delivery_next",
    "delivery_settle",
    "delivery_state",
    "inputs_done",
    "lane_claim",
    "lane_claimable",
    "lane_settle",
    "message_delivery_status",
    "outbox_delete",
    "part_by_reference",
    "part_claim",
    "part_receipt",
    "part_settle",
    "parts_of_delivery",
    "receipt_accepted",
    "sms_standing",
    "turn_finish",
}
"""What a message, its turn and its reply ask for: planned while a database is empty, the plan may be kept."""


async def test_postgres_finds_what_a_turn_needs_by_its_index_also_where_there_is_nothing_yet(
    postgres_url: str,
) -> None:
    await migrate(postgres_url)
    scans = {}
    connection = await asyncpg.connect(postgres_url)
    try:
        await connection.execute("SET plan_cache_mode = force_generic_plan")
        for name in sorted(OF_A_TURN):
            query = QUERIES[name]
            await connection.execute(f"PREPARE hot AS {query.postgres}")
            arguments = ", ".join(["NULL"] * len(query.order))
            plan = json.loads(await connection.fetchval(f"EXPLAIN (FORMAT JSON) EXECUTE hot({arguments})"))
            await connection.execute("DEALLOCATE hot")
            if found := _postgres_scans(plan[0]["Plan"]):
                scans[name] = found
    finally:
        await connection.close()
    assert scans == {}


def test_a_whole_read_is_noticed(tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "any.db")) as connection:
        connection.execute("CREATE TABLE grows (a PRIMARY KEY, b)")
        plan = connection.execute("EXPLAIN QUERY PLAN SELECT * FROM grows WHERE b = 1").fetchall()
    assert _sqlite_scans([row[-1] for row in plan])
    assert _postgres_scans(
        {"Node Type": "Limit", "Plans": [{"Node Type": "Seq Scan", "Relation Name": "grows"}]}
    )
