"""Log lines: one line each in both styles, fields, bodies hidden, libraries routed."""

import asyncio
import gc
import io
import json
import logging
import warnings
from collections.abc import Iterator
from typing import Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr

from gateway.log import JsonFormatter, TextFormatter, body, configure_logging, tell_of

LOGGER = logging.getLogger("gateway.test")


@pytest.fixture(autouse=True)
def _logging_as_before() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    logging.captureWarnings(False)


class Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        return True


def lines(style: Literal["text", "json"] | None, stream: io.StringIO, level: str = "info") -> io.StringIO:
    configure_logging(style, level, stream=stream)
    return stream


def test_json_has_one_object_a_line() -> None:
    stream = lines("json", io.StringIO())
    LOGGER.info("sent %d parts", 2, extra={"action": "reply_sent", "parts": 2, "token": SecretStr("hunter2")})
    LOGGER.debug("not shown")
    assert stream.getvalue().count("\n") == 1
    line: dict[str, Any] = json.loads(stream.getvalue())
    assert line.pop("ts").endswith("Z")
    assert line == {
        "level": "info",
        "logger": "gateway.test",
        "event": "sent 2 parts",
        "action": "reply_sent",
        "parts": 2,
        "token": "**********",
    }


def test_text_is_one_line_for_people() -> None:
    stream = lines("text", io.StringIO())
    LOGGER.warning("refused", extra={"action": "signature_refused", "reason": "no header"})
    time, rest = stream.getvalue().split(" ", 1)
    assert time.endswith("Z")
    assert rest == "warning gateway.test: refused action=signature_refused reason='no header'\n"


def test_text_on_a_terminal_else_json() -> None:
    on_terminal, in_file = Terminal(), io.StringIO()
    lines(None, on_terminal)
    LOGGER.info("here")
    lines(None, in_file)
    LOGGER.info("there")
    assert " gateway.test: here\n" in on_terminal.getvalue()
    assert json.loads(in_file.getvalue())["event"] == "there"


def test_exceptions_stay_on_their_line_and_keep_what_they_quote_to_themselves() -> None:
    number, text = "+14155550100", "two\nlines"
    for style in ("text", "json"):
        stream = lines(style, io.StringIO())
        try:
            try:
                raise ValueError(text)
            except ValueError as first:
                raise KeyError(number) from first
        except KeyError:
            LOGGER.exception("failed")
        assert stream.getvalue().count("\n") == 1
        assert "KeyError: <14 chars>" in stream.getvalue()
        assert "test_exceptions_stay_on_their_line" in stream.getvalue()
        assert number not in stream.getvalue()
        assert "two" not in stream.getvalue()
        assert ("ValueError: <9 chars>" in stream.getvalue()) is (style == "json")
    configure_logging("text", stream=(shown := io.StringIO()), bodies=True)
    LOGGER.error("failed", exc_info=ValueError("two\nlines"))
    assert "ValueError: two\\nlines" in shown.getvalue()


async def test_what_fails_unobserved_is_told_without_its_text() -> None:
    loop = asyncio.get_running_loop()
    tell_of(loop)
    stream = lines("text", io.StringIO())
    task = asyncio.create_task(_fails(), name="some-loop")
    await asyncio.wait([task])
    del task
    gc.collect()
    loop.call_soon(_takes, "what a person wrote")
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert "Task exception was never retrieved action=loop.error task=some-loop" in stream.getvalue()
    assert "ValueError: <14 chars> at _fails:" in stream.getvalue()
    assert "Exception in callback _takes" in stream.getvalue()
    assert "a person wrote" not in stream.getvalue()


def _takes(text: str) -> None:
    raise ValueError(text)


async def _fails() -> None:
    raise ValueError("a person wrote")


def test_a_message_that_does_not_fit_its_arguments_is_not_lost() -> None:
    stream = lines("json", io.StringIO())
    LOGGER.info("%d parts", "hunter2")
    assert json.loads(stream.getvalue())["event"] == "%d parts"


def test_bodies_are_hidden_unless_allowed() -> None:
    configure_logging("json", stream=io.StringIO(), bodies=True)
    assert body("hello") == "hello"
    configure_logging("json", stream=io.StringIO())
    assert body("hello") == "<5 chars>"


def test_libraries_go_the_same_way_and_keep_addresses_and_bodies_to_themselves() -> None:
    uvicorn = logging.getLogger("uvicorn.error")
    own = logging.StreamHandler(io.StringIO())
    uvicorn.addHandler(own)
    uvicorn.propagate = False
    stream = lines("text", io.StringIO(), "debug")
    uvicorn.info("started")
    for name in ("uvicorn.access", "mail.log", "twilio.http_client", "aiosqlite", "aiormq.connection"):
        logging.getLogger(name).info("from someone@example.org")
        logging.getLogger(name).warning("slow")
    assert own not in uvicorn.handlers
    shown = stream.getvalue()
    assert " uvicorn.error: started\n" in shown
    assert "example.org" not in shown
    assert shown.count("slow") == 5


def test_configured_again_each_line_appears_once() -> None:
    stream = io.StringIO()
    lines("text", stream)
    lines("text", stream)
    LOGGER.info("once")
    assert stream.getvalue().count("once") == 1


def test_warnings_of_python_are_logged() -> None:
    stream = lines("json", io.StringIO())
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        logging.captureWarnings(False)
        logging.captureWarnings(True)
        warnings.warn("old", DeprecationWarning, stacklevel=1)
    assert json.loads(stream.getvalue())["logger"] == "py.warnings"


ANYTHING = st.one_of(st.text(), st.integers(), st.floats(), st.none(), st.lists(st.text(), max_size=3))


@given(st.text(), st.dictionaries(st.sampled_from(["action", "a", "b"]), ANYTHING))
def test_any_line_is_one_line(event: str, fields: dict[str, object]) -> None:
    record = logging.makeLogRecord({"msg": event, "name": "x", "levelname": "INFO", **fields})
    text = TextFormatter().format(record)
    assert len(text.splitlines()) == 1
    assert text.isprintable()
    document = JsonFormatter().format(record)
    assert len(document.splitlines()) == 1
    assert json.loads(document, parse_constant=pytest.fail)["event"] == event
