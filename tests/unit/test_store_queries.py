"""The query loader: names, variants, parameters, quoting; and the statement splitter."""

import sqlite3
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.domain.ports.store import Param
from gateway.store.queries import Queries, QueryError, load_queries
from gateway.store.sql import Kind, SqlError, split_statements, tokens


def load(folder: Path, text: str) -> Queries:
    (folder / "some.sql").write_text(text, encoding="utf-8")
    return load_queries(folder)


def test_one_text_serves_both(tmp_path: Path) -> None:
    query = load(
        tmp_path,
        "-- Head of the file.\n\n-- name: touch\n-- Says when\n-- it was seen.\n"
        "UPDATE t SET at = {now}, b = :b, c = ':no', d = '{no}' -- :comment\nWHERE a = :a AND b <> :b;\n",
    )["touch"]
    assert query.description == "Says when it was seen."
    text = "UPDATE t SET at = {}, b = {}, c = ':no', d = '{{no}}'  \nWHERE a = {} AND b <> {}"
    assert query.sqlite == text.format("?", "?", "?", "?")
    assert query.postgres == text.format("gateway_now()", "$1", "$2", "$1")
    assert query.order == ("b", "a")
    assert query.positional({"a": 1, "b": 2}) == [2, 1]
    assert query.for_sqlite({"a": 1, "b": 2}, lambda: 77) == (77, 2, 1, 2)


def test_macros_are_each_database_s_own_words(tmp_path: Path) -> None:
    query = load(
        tmp_path,
        "-- name: some\n"
        "SELECT a FROM t WHERE b {in :bs} AND c = :c AND d {in :bs} {for update skip locked}\n",
    )["some"]
    of_sqlite = "IN (SELECT value FROM json_each(?))"
    assert query.sqlite == f"SELECT a FROM t WHERE b {of_sqlite} AND c = ? AND d {of_sqlite}"
    assert query.postgres == (
        "SELECT a FROM t WHERE b = ANY($1) AND c = $2 AND d = ANY($1) FOR UPDATE SKIP LOCKED"
    )
    assert query.order == ("bs", "c")
    assert query.for_sqlite({"bs": [1], "c": 2}, lambda: 77) == ("[1]", 2, "[1]")
    query = load(tmp_path, "-- name: some\nSELECT a FROM t {index t_of_a} WHERE a = :a\n")["some"]
    assert query.sqlite == "SELECT a FROM t INDEXED BY t_of_a WHERE a = ?"
    assert query.postgres == "SELECT a FROM t  WHERE a = $1"
    query = load(tmp_path, "-- name: some\nSELECT a FROM (SELECT a FROM t {for update}) AS u\n")["some"]
    assert query.sqlite == "SELECT a FROM (SELECT a FROM t ) AS u"
    assert query.postgres == "SELECT a FROM (SELECT a FROM t FOR UPDATE) AS u"


def test_the_row_of_a_write_is_told_by_a_look_on_sqlite(tmp_path: Path) -> None:
    query = load(
        tmp_path,
        "-- name: some\nUPDATE t SET a = :a, at = {now} WHERE id = :id\n"
        "RETURNING a, {json object}('b', b) AS b {of t WHERE id = :id};\n",
    )["some"]
    assert query.postgres == (
        "UPDATE t SET a = $1, at = gateway_now() WHERE id = $2\nRETURNING a, json_build_object('b', b) AS b"
    )
    params: dict[str, Param] = {"a": 1, "id": "x"}
    assert query.sqlite == "UPDATE t SET a = ?, at = ? WHERE id = ?"
    assert query.for_sqlite(params, lambda: 77) == (1, 77, "x")
    assert query.row is not None
    assert query.row.sqlite == "SELECT a, json_object('b', b) AS b FROM t WHERE id = ?"
    assert query.row.for_sqlite(params, lambda: 77) == ("x",)


def test_a_row_that_was_given_is_not_looked_up(tmp_path: Path) -> None:
    query = load(
        tmp_path,
        "-- name: some\nINSERT INTO t (a, b) VALUES (:a, :b)\n"
        "ON CONFLICT DO NOTHING RETURNING a, b {of given}\n",
    )["some"]
    assert query.postgres == "INSERT INTO t (a, b) VALUES ($1, $2)\nON CONFLICT DO NOTHING RETURNING a, b"
    assert query.sqlite == "INSERT INTO t (a, b) VALUES (?, ?)\nON CONFLICT DO NOTHING"
    assert query.row is None
    assert query.given == ("a", "b")
    with pytest.raises(QueryError, match=r"some.sql:1: some is not given b\Z"):
        load(tmp_path, "-- name: some\nINSERT INTO t (a) VALUES (:a) RETURNING a, b {of given}\n")


def test_variants_stand_side_by_side(tmp_path: Path) -> None:
    query = load(
        tmp_path,
        "-- name: some @postgres\nSELECT :a::text, x[1]\n-- name: some @sqlite\nSELECT :a, :b\n",
    )["some"]
    assert (query.postgres, query.sqlite) == ("SELECT $1::text, x[1]", "SELECT ?, ?")
    query.check({"a": 1, "b": 2})
    with pytest.raises(TypeError, match="query some misses b and does not know c"):
        query.check({"a": 1, "c": 2})


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("SELECT 1\n", "some.sql:1: SQL before"),
        ("-- name: Bad\nSELECT 1\n", "some.sql:1: expected"),
        ("-- name: a @mysql\nSELECT 1\n", "some.sql:1: expected"),
        ("-- name: a\nSELECT 1\n-- name: a\nSELECT 2\n", "some.sql:3: a is already defined at some.sql:1"),
        ("-- name: a\nSELECT 1\n-- name: a @sqlite\nSELECT 2\n", "some.sql:3: a is already"),
        ("-- name: a @sqlite\nSELECT 1\n-- name: a\nSELECT 2\n", "some.sql:3: a is already"),
        ("-- name: a @sqlite\nSELECT 1\n-- name: a @sqlite\nSELECT 2\n", "some.sql:3: a is already"),
        ("\n-- name: a @sqlite\nSELECT 1\n", "some.sql:2: a has no variant for postgres"),
        ("-- name: a @postgres\nSELECT 1\n", "some.sql:1: a has no variant for sqlite"),
        ("-- name: a\n-- only words\n", "some.sql:1: a has no SQL"),
        ("-- name: a\nSELECT 1; SELECT 2\n", "some.sql:1: a: more than one statement"),
        ("-- name: a\nSELECT 'x\n", "some.sql:1: a: line 1: ' is never closed"),
        ("-- name: a\nSELECT {when}\n", "some.sql:1: a: unknown macro {when}"),
        ("-- name: a\nSELECT {in ids}\n", "some.sql:1: a: unknown macro {in ids}"),
    ],
)
def test_mistakes_name_their_place(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(QueryError) as caught:
        load(tmp_path, text)
    assert str(caught.value).startswith(message)


def test_a_name_is_unique_across_files(tmp_path: Path) -> None:
    (tmp_path / "a.sql").write_text("-- name: x\nSELECT 1\n")
    (tmp_path / "b.sql").write_text("-- name: x\nSELECT 1\n")
    with pytest.raises(QueryError, match=r"b\.sql:1: x is already defined at a\.sql:1"):
        load_queries(tmp_path)


def test_the_packages_own_queries_load() -> None:
    assert load_queries()


def test_lists_travel_as_json_on_sqlite(tmp_path: Path) -> None:
    query = load(tmp_path, "-- name: some\nSELECT a FROM t WHERE a {in :a} AND n {in :n} AND c = :c\n")[
        "some"
    ]
    values = query.for_sqlite({"c": "x", "a": ["ä", "b"], "n": (1, 2)}, lambda: 77)
    assert values == ('["\\u00e4", "b"]', "[1, 2]", "x")


QUOTED = st.one_of(
    st.text().map(lambda text: "'" + text.replace("'", "''") + "'"),
    st.text(min_size=1).map(lambda text: '"' + text.replace('"', '""') + '"'),
    st.text().filter(lambda text: "$t$" not in text + "$").map(lambda text: f"$t${text}$t$"),
    st.text().map(lambda text: "E'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"),
)
COMMENT = st.one_of(
    st.text().filter(lambda text: "\n" not in text).map(lambda text: f"--{text}\n"),
    st.text().filter(lambda text: "*/" not in text + "/").map(lambda text: f"/*{text}*/"),
)
NAME = st.from_regex(r"[a-z][a-z0-9_]{0,8}", fullmatch=True)
PIECE = st.one_of(
    st.tuples(st.just(Kind.QUOTED), QUOTED),
    st.tuples(st.just(Kind.COMMENT), COMMENT),
    st.tuples(st.just(Kind.PARAMETER), NAME.map(lambda name: f":{name}")),
    st.tuples(st.just(Kind.END), st.just(";")),
    st.tuples(st.just(Kind.CODE), st.sampled_from(["a::int", "x", "->>", "1-2/3", "(", "$1", "%"])),
)


@given(st.lists(PIECE))
def test_what_is_quoted_stays_quoted(pieces: list[tuple[Kind, str]]) -> None:
    text = " ".join(piece for _, piece in pieces)
    found = list(tokens(text))
    assert "".join(piece for _, piece in found) == text
    for kind in (Kind.QUOTED, Kind.COMMENT, Kind.PARAMETER, Kind.END):
        assert [p for k, p in found if k is kind] == [p.removesuffix("\n") for k, p in pieces if k is kind]


@given(st.text())
def test_any_text_is_read_whole_or_refused(text: str) -> None:
    try:
        pieces = list(tokens(text))
    except SqlError:
        assert any(opening in text for opening in ("'", '"', "/*", "$"))
    else:
        assert "".join(piece for _, piece in pieces) == text


@given(
    st.lists(
        st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"])), min_size=1, max_size=5
    )
)
def test_splitting_keeps_every_value(values: list[str]) -> None:
    def quoted(value: str) -> str:
        return "'" + value.replace("'", "''") + "'"

    text = "-- a; b\n" + ";\n".join(f"SELECT {quoted(value)} /* ; */" for value in values)
    connection = sqlite3.connect(":memory:")
    statements = split_statements(text, "sqlite")
    assert [connection.execute(statement).fetchone()[0] for statement in statements] == values
    connection.close()
    assert split_statements(text, "postgres") == statements


def test_bodies_with_semicolons_stay_whole() -> None:
    trigger = "CREATE TRIGGER t AFTER INSERT ON a BEGIN SELECT 1; SELECT ';'; END"
    assert split_statements(f"{trigger};\nSELECT 2;;", "sqlite") == [trigger, "SELECT 2"]
    function = "CREATE FUNCTION f() RETURNS int AS $b$ BEGIN; $$ ; END $b$ LANGUAGE sql"
    assert split_statements(f"{function};\nSELECT 2", "postgres") == [function, "SELECT 2"]
