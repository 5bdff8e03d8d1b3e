"""Whether the arguments of a call fit its JSON Schema."""

import json
from collections.abc import Mapping
from math import inf
from typing import Any

from jsonschema import Draft202012Validator
from jsonschema.exceptions import SchemaError

from gateway.domain.tool import InvalidArgumentsError
from gateway.settings import SettingsError

MAX_PROBLEMS = 5

_READ: Mapping[str, tuple[type, ...]] = {"integer": (int,), "number": (int, float), "boolean": (bool,)}
"""What a text may stand for, by the type that a schema wants."""


class ArgumentCheck:
    """A schema, ready to check arguments."""

    def __init__(self, schema: Mapping[str, Any], name: str) -> None:
        """SettingsError where it is no JSON Schema."""
        try:
            Draft202012Validator.check_schema(schema)
        except SchemaError as error:
            raise SettingsError([f"{name}: not a JSON Schema: {error.message[:200]}"]) from None
        self._validator = Draft202012Validator(schema)

    def check(self, arguments: Mapping[str, Any]) -> None:
        """Raise InvalidArgumentsError that says what does not fit, for the model to read."""
        problems = [
            f"{'.'.join(str(step) for step in problem.path) or 'arguments'}: {problem.message[:200]}"
            for _, problem in zip(range(MAX_PROBLEMS), self._validator.iter_errors(arguments), strict=False)
        ]
        if problems:
            raise InvalidArgumentsError("; ".join(problems))


def as_wanted(arguments: Mapping[str, Any], schema: Mapping[str, Any]) -> dict[str, Any]:
    """Texts as the numbers and truth values that a schema wants, where they read as such in JSON."""
    properties = schema.get("properties", {})
    return {name: _read(value, properties.get(name)) for name, value in arguments.items()}


def _read(value: Any, wanted: Any) -> Any:
    kinds = _READ.get(str(wanted.get("type"))) if isinstance(wanted, Mapping) else None
    if kinds is None or not isinstance(value, str):
        return value
    try:
        read = json.loads(value.strip().lower())
    except ValueError:
        return value
    return read if type(read) in kinds and read not in (inf, -inf) else value
