"""Identifiers: version 7 by the RFC, and in the order in which they were made."""

import time
import uuid

import pytest

from gateway.domain import ids
from gateway.domain.ids import new_id


@pytest.fixture(autouse=True)
def no_ids_before(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ids, "_last", 0)


def test_an_id_is_a_version_7_uuid_of_this_millisecond() -> None:
    before = time.time_ns() // 1_000_000
    made = uuid.UUID(new_id())
    after = time.time_ns() // 1_000_000
    assert (made.version, made.variant) == (7, uuid.RFC_4122)
    assert before <= made.int >> 80 <= after


def test_ids_of_one_millisecond_sort_as_they_were_made(monkeypatch: pytest.MonkeyPatch) -> None:
    now = time.time_ns() + 1_000_000_000
    monkeypatch.setattr(time, "time_ns", lambda: now)
    made = [new_id() for _ in range(2000)]
    assert made == sorted(set(made))
    assert {uuid.UUID(one).int >> 80 for one in made} == {now // 1_000_000}
    assert {uuid.UUID(one).version for one in made} == {7}


def test_a_clock_set_back_makes_no_id_that_sorts_before_the_last(monkeypatch: pytest.MonkeyPatch) -> None:
    last = new_id()
    back = time.time_ns() - 3_600_000_000_000
    monkeypatch.setattr(time, "time_ns", lambda: back)
    assert last < new_id()
