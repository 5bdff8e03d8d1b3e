"""What schemathesis is told besides the OpenAPI document; it loads this module by SCHEMATHESIS_HOOKS."""

import json
from typing import Any

import schemathesis
from schemathesis.core.failures import Failure

_WAIT_SECONDS = 0.05


class ValidRequestRefused(Failure):
    """A request that the document allows is called invalid."""

    title = "A request that the document allows is called invalid"


@schemathesis.hook
def before_call(
    context: schemathesis.HookContext, case: "schemathesis.Case[Any]", kwargs: dict[str, object]
) -> None:
    """A poll is held open, but not as long as it might."""
    wait = (case.query or {}).get("wait")
    if isinstance(wait, float | int) and wait > _WAIT_SECONDS and wait <= 30:
        case.query["wait"] = _WAIT_SECONDS


@schemathesis.check
def a_valid_request_is_not_called_invalid(
    ctx: schemathesis.CheckContext, response: schemathesis.Response, case: "schemathesis.Case[Any]"
) -> None:
    """The finer form of positive_data_acceptance: a 422 names a state, or a rule that no schema can say."""
    if case.meta is None or not case.meta.generation.mode.is_positive or response.status_code != 422:
        return
    told = json.loads(response.content)
    said = [fault for fault in told.get("detail", []) if fault["type"] != "value_error"]
    if said:
        raise ValidRequestRefused(operation=case.operation.label, message=told["message"])
