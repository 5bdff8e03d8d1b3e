"""Bodies within bounds: depth, texts, numbers; hashes that do not depend on spelling."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.api.json_body import MAX_DEPTH, BadJson, body_hash, read_json

SCALARS = (
    st.none()
    | st.booleans()
    | st.integers(-(10**30), 10**30)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text()
)
VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=12
)


def depth_of(value: Any) -> int:
    """Containers within each other."""
    if isinstance(value, dict):
        return 1 + max(map(depth_of, value.values()), default=0)
    if isinstance(value, list):
        return 1 + max(map(depth_of, value), default=0)
    return 0


def texts_of(value: Any) -> list[str]:
    """Every text and key."""
    if isinstance(value, dict):
        return [*value, *(text for inner in value.values() for text in texts_of(inner))]
    if isinstance(value, list):
        return [text for inner in value for text in texts_of(inner)]
    return [value] if isinstance(value, str) else []


@given(VALUES, st.integers(0, 80), st.booleans())
def test_what_is_within_bounds_is_read_and_nothing_else(value: Any, more: int, arrays: bool) -> None:
    for _ in range(more):
        value = [0, value] if arrays else {"a": value, "b": 0}
    body = json.dumps(value).encode()
    if depth_of(value) > MAX_DEPTH or "\x00" in "".join(texts_of(value)):
        with pytest.raises(BadJson):
            read_json(body)
    else:
        assert read_json(body) == value


@given(st.binary(max_size=60))
def test_any_bytes_are_read_or_refused(body: bytes) -> None:
    try:
        value = read_json(body)
    except BadJson:
        return
    "".join(texts_of(value)).encode()
    json.dumps(value, allow_nan=False)


@pytest.mark.parametrize(
    "body",
    [
        *(b"", b"{", b"NaN", b"Infinity", b"1e999", b"-1e999", b"[1e999]", b"9" * 5000),
        *(b'"\\ud800"', b'"\\udc00x"', b'"\xed\xa0\x80"', b'"\\u0000"', b'{"\\u0000": 1}', b'"a\x00"'),
        *("[]".encode("utf-16"), b"[" * 1_000_000, b'{"a":' * 100_000),
    ],
)
def test_what_is_refused(body: bytes) -> None:
    with pytest.raises(BadJson):
        read_json(body)


def test_the_deepest_that_is_read() -> None:
    assert read_json(b"[" * MAX_DEPTH + b"]" * MAX_DEPTH)
    with pytest.raises(BadJson, match="nested"):
        read_json(b"[" * (MAX_DEPTH + 1) + b"]" * (MAX_DEPTH + 1))


@given(VALUES, VALUES)
def test_equal_bodies_have_equal_hashes(one: Any, other: Any) -> None:
    respelt = json.loads(json.dumps(one, indent=3, ensure_ascii=False))
    assert body_hash(respelt) == body_hash(one)
    if json.dumps(one, sort_keys=True) != json.dumps(other, sort_keys=True):
        assert body_hash(one) != body_hash(other)
