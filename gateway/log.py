"""Log lines: one line each, text for people or JSON for machines, without secrets and message bodies.

A line is a short sentence and fields: `logger.info("reply sent", extra={"action": "reply_sent"})`.
`action` is a stable name that queries and alerts may rely on; the sentence may change.
"""

import json
import logging
import sys
import traceback
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Literal, TextIO

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop

MAX_EVENT = 8192
MAX_FIELD = 2048
MAX_TRACEBACK = 16_384
MAX_CAUSES = 10

_log = logging.getLogger(__name__)

_STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "color_message", "taskName"}
_OWN_HANDLERS = ("uvicorn", "uvicorn.error", "uvicorn.access", "mail.log", "mail.debug")
"""Loggers whose libraries may give them handlers of their own."""
_TALKATIVE = (
    "aio_pika",
    "aiormq",
    "aiosqlite",
    "anthropic",
    "google_genai",
    "httpx",
    "httpx2",
    "mcp",
    "openai",
    "alembic",
    "asyncio",
    "httpcore",
    "httpx",
    "mail.log",
    "mail.debug",
    "twilio.http_client",
    "uvicorn.access",
    "websockets",
)
"""Loggers that below warning print addresses, statements and bodies, or every step of a migration."""

_bodies = False


def configure_logging(
    style: Literal["text", "json"] | None = None,
    level: str = "info",
    *,
    bodies: bool = False,
    stream: TextIO | None = None,
) -> None:
    """Routes every logger of the process to one stream (stderr); may be called again.

    Without a style, text on a terminal and else JSON. `bodies` lets `body` show what people write.
    """
    global _bodies
    _bodies = bodies
    target = stream or sys.stderr
    handler = logging.StreamHandler(target)
    text = style == "text" or (style is None and target.isatty())
    handler.setFormatter(TextFormatter() if text else JsonFormatter())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    for name in _OWN_HANDLERS:
        logger = logging.getLogger(name)
        logger.handlers.clear()
        logger.propagate = True
    for name in _TALKATIVE:
        logging.getLogger(name).setLevel(max(root.level, logging.WARNING))
    logging.captureWarnings(True)


def body(text: str) -> str:
    """What a log line may say of a text that a person wrote: its length, unless bodies are allowed."""
    return text if _bodies else f"<{len(text)} chars>"


class JsonFormatter(logging.Formatter):
    """One JSON object a line: `ts` (RFC 3339, UTC), `level`, `logger`, `event`, the fields, `exception`."""

    def format(self, record: logging.LogRecord) -> str:
        """The line, without its end."""
        line: dict[str, object] = {
            "ts": _time(record),
            "level": record.levelname.lower(),
            "logger": record.name,
            "event": _event(record),
        }
        for name, value in _fields(record).items():
            line.setdefault(name, value)
        if record.exc_info and record.exc_info[0]:
            line["exception"] = _tracebacks(record.exc_info[1])[-MAX_TRACEBACK:]
        return json.dumps(line, separators=(",", ":"))


class TextFormatter(logging.Formatter):
    """`time level logger: event name=value …`, and an exception as its kind and its last places."""

    def format(self, record: logging.LogRecord) -> str:
        """The line, without its end."""
        fields = dict(_fields(record))
        if record.exc_info and record.exc_info[0]:
            fields["exception"] = _exception(record.exc_info[1])
        shown = "".join(f" {name}={_word(value)}" for name, value in fields.items())
        return _one_line(
            f"{_time(record)} {record.levelname.lower():7} {record.name}: {_event(record)}{shown}"
        )


def _time(record: logging.LogRecord) -> str:
    moment = datetime.fromtimestamp(record.created, UTC)
    return moment.isoformat(timespec="milliseconds").removesuffix("+00:00") + "Z"


def _event(record: logging.LogRecord) -> str:
    """The sentence; one whose arguments do not fit is shown without them rather than lost."""
    try:
        return record.getMessage()[:MAX_EVENT]
    except (TypeError, ValueError, KeyError):
        return str(record.msg)[:MAX_EVENT]


def _fields(record: logging.LogRecord) -> Mapping[str, str | int | float | bool | None]:
    extras = {name: value for name, value in vars(record).items() if name not in _STANDARD}
    return {name: _plain(value) for name, value in extras.items()}


def _plain(value: object) -> str | int | float | bool | None:
    """Numbers as they are (JSON has no NaN), all else as bounded text."""
    if value is None or isinstance(value, bool | int):
        return value
    if isinstance(value, float) and value - value == 0:
        return value
    return str(value)[:MAX_FIELD]


def _word(value: str | int | float | bool | None) -> str:
    text = str(value)
    return (
        text
        if text and not any(character.isspace() or character in '="' for character in text)
        else repr(text)
    )


def tell_of(loop: "AbstractEventLoop") -> None:
    """Have what fails unobserved in a loop told like other errors: the loop itself would quote texts."""
    loop.set_exception_handler(_unobserved)


def _unobserved(_loop: "AbstractEventLoop", context: dict[str, Any]) -> None:
    task = context.get("task") or context.get("future")
    extra = {"action": "loop.error"}
    if task is not None and hasattr(task, "get_name"):
        extra["task"] = task.get_name()
    what = context["message"].partition("(")[0]  # behind it, what a callback was given
    _log.error("%s", what, exc_info=context.get("exception"), extra=extra)


def _exception(error: BaseException | None) -> str:
    where = "" if error is None else place_of(error)
    return f"{_kind(error)} at {where or 'an unknown place'}"


def _tracebacks(error: BaseException | None) -> str:
    """As Python prints an error and what led to it, the first cause first."""
    told: list[str] = []
    while error is not None and len(told) < MAX_CAUSES:
        told.append("".join(traceback.format_tb(error.__traceback__)) + _kind(error))
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    return "\n\n".join(reversed(told))


def _kind(error: BaseException | None) -> str:
    """Its class, and of its text the length: it may quote a row, or what somebody has sent."""
    return f"{type(error).__name__}: {body(str(error)[:MAX_FIELD])}"


def place_of(error: BaseException) -> str:
    """Where it was raised, the innermost function first: what may be told of an error whose text may not."""
    places = traceback.extract_tb(error.__traceback__)[-3:]
    return " < ".join(f"{place.name}:{place.lineno}" for place in reversed(places))


def _one_line(text: str) -> str:
    """The text with what could begin a line of its own, or move a terminal's cursor, escaped."""
    if text.isprintable():
        return text
    return "".join(
        character if character.isprintable() else character.encode("unicode_escape").decode()
        for character in text
    )
