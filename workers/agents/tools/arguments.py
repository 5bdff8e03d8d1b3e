"""Whether the arguments of a call fit its JSON Schema."""

from collections.abc import Mapping
from typing import Any

from jsonschema import Draft202012Validator
from jsonschema.exceptions import SchemaError

from gateway.domain.tool import InvalidArgumentsError
from gateway.settings import SettingsError

MAX_PROBLEMS = 5


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
