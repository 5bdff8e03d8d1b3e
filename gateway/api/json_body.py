"""JSON bodies within bounds: refused in milliseconds where too deep, or with what no database keeps."""

import json
import math
from collections.abc import Iterable
from hashlib import sha256
from itertools import count
from typing import Any

from pydantic_core import from_json

MAX_DEPTH = 64
"""Objects and arrays within each other."""


class BadJson(ValueError):
    """A body that is not JSON, or not within our bounds; the message says why."""


def read_json(body: bytes) -> Any:
    """The value of a body in UTF-8. Raises BadJson.

    The parser gives up by itself at 200 levels, so a bomb costs no more than its beginning; it refuses
    NaN, numbers of thousands of digits, lone surrogates and bytes that are not UTF-8.
    """
    try:
        value = from_json(body, allow_inf_nan=False)
    except ValueError as error:
        raise BadJson(f"the body is not JSON that can be read: {error}") from None
    check(value)
    return value


def check(value: Any) -> None:
    """Refuse (BadJson) more than MAX_DEPTH levels, U+0000 in any text, numbers beyond a double."""
    level: list[Any] = [value]
    for depth in count():
        containers = [item for item in level if isinstance(item, dict | list)]
        _check_scalars(level)
        if not containers:
            return
        if depth == MAX_DEPTH:
            raise BadJson(f"objects and arrays are nested more than {MAX_DEPTH} deep")
        level = [inner for item in containers for inner in _inside(item)]


def _inside(container: dict[str, Any] | list[Any]) -> Iterable[Any]:
    if isinstance(container, list):
        return container
    _check_scalars(container)
    return container.values()


def _check_scalars(items: Iterable[Any]) -> None:
    for item in items:
        if isinstance(item, str):
            if "\x00" in item:
                raise BadJson("a text holds the character U+0000")
        elif isinstance(item, float) and not math.isfinite(item):
            raise BadJson("a number is too large")


def body_hash(value: Any) -> str:
    """A hash that is equal for equal bodies, however they are spaced and ordered."""
    canonical = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return sha256(canonical.encode()).hexdigest()
