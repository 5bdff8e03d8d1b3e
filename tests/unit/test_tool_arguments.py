"""Texts of a flow as the numbers and truth values that a tool wants."""

import pytest

from workers.agents.tools.arguments import as_wanted


@pytest.mark.parametrize(
    ("text", "kind", "read"),
    [
        (" 17 ", "integer", 17),
        ("17.5", "integer", "17.5"),
        ("17.5", "number", 17.5),
        ("True", "boolean", True),
        ("1", "boolean", "1"),
        ("true", "integer", "true"),
        ("NaN", "number", "NaN"),
        ("1e999", "number", "1e999"),
        ("-1e999", "number", "-1e999"),
        ("17", "string", "17"),
    ],
)
def test_a_text_is_what_the_schema_wants_where_it_reads_as_such(text: str, kind: str, read: object) -> None:
    wanted = as_wanted({"value": text}, {"properties": {"value": {"type": kind}}})
    assert wanted == {"value": read}
    assert type(wanted["value"]) is type(read)
