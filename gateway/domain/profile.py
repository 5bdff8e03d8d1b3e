"""What a client knows about a person: a JSON object of its own, changed by merge patches within bounds."""

from pydantic_core import to_json

from gateway.domain.errors import ErrorCode, GatewayError
from gateway.domain.message import JsonObject

MAX_PROFILE = 16_384
"""Bytes of a profile as JSON in UTF-8."""


def patched(profile: JsonObject, patch: JsonObject) -> JsonObject:
    """The profile after a merge patch (RFC 7396): null takes a member away, an object is merged member by
    member, anything else replaces. Raises GatewayError `validation_error` for more than `MAX_PROFILE`.
    """
    result = _merged(profile, patch)
    if len(to_json(result)) > MAX_PROFILE:
        raise GatewayError(
            ErrorCode.VALIDATION_ERROR, f"a profile may have at most {MAX_PROFILE} bytes as JSON"
        )
    return result


def _merged(target: object, patch: JsonObject) -> JsonObject:
    result = dict(target) if isinstance(target, dict) else {}
    for name, value in patch.items():
        if value is None:
            result.pop(name, None)
        elif isinstance(value, dict):
            result[name] = _merged(result.get(name), value)
        else:
            result[name] = value
    return result
