"""What webhooks of mail providers share: forms that hold a mail, and how much of them is held at once."""

import asyncio
import random
from contextlib import AsyncExitStack
from urllib.parse import parse_qsl, quote_plus, urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.requests import Request

from channels.contract import MAX_BODY, MAX_FIELDS
from channels.email.hooks.forms import form_fields_of, unescaped
from channels.email.hooks.room import Room
from channels.webhooks import FORM_TYPE, WebhookRefused
from gateway.domain.errors import Unavailable

MIB = 1_048_576
LIMIT = 8 * MIB
WANTED = frozenset({"a", "b"})


def test_any_bytes_come_out_of_a_form_as_they_went_in() -> None:
    content = random.Random(7).randbytes(300_000)
    for shift in range(4):
        value = b"%" * shift + content
        escaped = quote_plus(value).encode()
        assert unescaped(escaped, 0, len(escaped)) == value


@given(st.text(st.sampled_from("ab=&%+41é\r\n "), max_size=60))
def test_property_a_form_is_read_as_the_standard_library_reads_it(form: str) -> None:
    expected: dict[str, bytes] = {}
    for name, value in parse_qsl(form.encode().decode("latin-1"), keep_blank_values=True, encoding="latin-1"):
        if name in WANTED:
            expected.setdefault(name, value.encode("latin-1"))
    assert form_fields_of(FORM_TYPE, form.encode(), WANTED) == expected


def test_the_first_field_of_a_name_counts_in_either_kind_of_form() -> None:
    pairs = [("b", "2"), ("a", "1"), ("a", "other"), ("c", "no")]
    parts = "".join(
        f'--x\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n' for name, value in pairs
    )
    for declared, body in (
        (FORM_TYPE, urlencode(pairs)),
        (f"{FORM_TYPE.upper()}; charset=utf-8", urlencode(pairs)),
        ("multipart/form-data; boundary=x", f"{parts}--x--\r\n"),
    ):
        assert form_fields_of(declared, body.encode(), WANTED) == {"a": b"1", "b": b"2"}


@pytest.mark.parametrize("declared", ["", "application/json", FORM_TYPE])
def test_what_is_no_form_or_has_too_many_fields_is_refused(declared: str) -> None:
    with pytest.raises(WebhookRefused) as refused:
        form_fields_of(declared, b"&" * MAX_FIELDS, WANTED)
    assert refused.value.status == 400


def announcing(length: object) -> Request:
    headers = [] if length is None else [(b"content-length", str(length).encode())]
    return Request({"type": "http", "headers": headers})


async def test_a_large_request_waits_until_there_is_room_for_it() -> None:
    room = Room(LIMIT, patience=60)
    inside = asyncio.Event()

    async def another() -> None:
        async with room.of(announcing(LIMIT), LIMIT):
            inside.set()

    async with room.of(announcing(2 * MIB), LIMIT):
        waiting = asyncio.create_task(another())
        async with room.of(announcing(6 * MIB), LIMIT):  # there is room beside the first
            pass
        for _ in range(9):
            await asyncio.sleep(0)
        assert not inside.is_set()
    await asyncio.wait_for(inside.wait(), 60)
    await waiting


@pytest.mark.parametrize("length", [LIMIT, None])
async def test_what_finds_no_room_in_time_comes_again(length: int | None) -> None:
    room = Room(LIMIT, patience=0)
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(room.of(announcing(length), LIMIT))
        with pytest.raises(Unavailable):
            await stack.enter_async_context(room.of(announcing(2 * MIB), LIMIT))
        # none is needed for what every request may have, nor for what will not be read
        for small, limit in ((MAX_BODY, LIMIT), (None, MAX_BODY), (LIMIT + 1, LIMIT)):
            await stack.enter_async_context(room.of(announcing(small), limit))
    async with room.of(announcing(LIMIT), LIMIT):  # all of it was given back
        pass


async def test_room_is_given_back_by_what_fails() -> None:
    room = Room(LIMIT, patience=0)
    for _ in range(3):
        with pytest.raises(ZeroDivisionError):
            async with room.of(announcing(LIMIT), LIMIT):
                raise ZeroDivisionError


async def test_a_length_that_is_no_number_is_refused() -> None:
    with pytest.raises(WebhookRefused):
        async with Room().of(announcing("ten"), LIMIT):
            raise AssertionError
