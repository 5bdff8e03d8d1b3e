"""Profiles: merge patches as RFC 7396 has them, within bounds."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis.strategies import dictionaries, integers, none, recursive, text

from gateway.domain.errors import ErrorCode, GatewayError
from gateway.domain.profile import MAX_PROFILE, patched

RFC_7396 = [
    ({"a": "b"}, {"a": "c"}, {"a": "c"}),
    ({"a": "b"}, {"b": "c"}, {"a": "b", "b": "c"}),
    ({"a": "b"}, {"a": None}, {}),
    ({"a": "b", "b": "c"}, {"a": None}, {"b": "c"}),
    ({"a": ["b"]}, {"a": "c"}, {"a": "c"}),
    ({"a": "c"}, {"a": ["b"]}, {"a": ["b"]}),
    ({"a": {"b": "c"}}, {"a": {"b": "d", "c": None}}, {"a": {"b": "d"}}),
    ({"a": [{"b": "c"}]}, {"a": [1]}, {"a": [1]}),
    ({"e": None}, {"a": 1}, {"e": None, "a": 1}),
    ({}, {"a": {"bb": {"ccc": None}}}, {"a": {"bb": {}}}),
]
_LEAF = dictionaries(text(max_size=3), integers(), max_size=3)
PROFILES = recursive(
    _LEAF, lambda inner: dictionaries(text(max_size=3), inner | integers(), max_size=3), max_leaves=5
)


@pytest.mark.parametrize(("profile", "patch", "result"), RFC_7396)
def test_the_examples_of_the_rfc(profile: Any, patch: Any, result: Any) -> None:
    assert patched(profile, patch) == result


@given(PROFILES, PROFILES)
def test_a_patch_without_nulls_is_there_afterwards_and_twice_is_once(profile: Any, patch: Any) -> None:
    once = patched(profile, patch)
    assert patched(once, patch) == once
    assert patched({}, patch) == patch
    assert patched(once, dict.fromkeys(once)) == {}


@given(dictionaries(text(max_size=3), none(), max_size=3), PROFILES)
def test_nulls_take_away(nulls: Any, profile: Any) -> None:
    assert patched(profile, nulls) == {k: v for k, v in profile.items() if k not in nulls}


def test_what_was_given_is_not_changed() -> None:
    profile = {"a": {"b": 1}}
    patched(profile, {"a": {"b": 2}})
    assert profile == {"a": {"b": 1}}


def test_a_profile_has_a_bound() -> None:
    room = MAX_PROFILE - len('{"a":""}')
    assert patched({}, {"a": "x" * room})
    with pytest.raises(GatewayError) as refused:
        patched({"a": "x" * room}, {"b": 1})
    assert refused.value.code is ErrorCode.VALIDATION_ERROR
