"""What is said when settings are refused: a line a problem, with the name, what is wrong, the nearest name.

A value is repeated unless the caller says that it is secret.
"""

import difflib
import re
import types
from collections.abc import Iterable
from typing import Any, TypeVar, Union, get_args, get_origin

from pydantic import BaseModel, ConfigDict, ValidationError
from pydantic_core import ErrorDetails

MAX_PROBLEMS = 50
_MAX_SHOWN = 60
_NEAR = 0.75
_BARE_KEY = re.compile(r"[A-Za-z0-9_-]{1,128}")

_WORDING = {
    "missing": "missing",
    "int_parsing": "must be a whole number",
    "int_parsing_size": "must be a whole number",
    "int_from_float": "must be a whole number",
    "int_type": "must be a whole number",
    "float_parsing": "must be a number",
    "float_type": "must be a number",
    "finite_number": "must be a number",
    "bool_parsing": "must be true or false",
    "bool_type": "must be true or false",
    "string_type": "must be text",
    "string_unicode": "must be text in UTF-8",
    "path_type": "must be a path",
    "greater_than": "must be more than {gt}",
    "greater_than_equal": "must be at least {ge}",
    "less_than_equal": "must be at most {le}",
    "string_too_short": "must not be empty",
    "string_too_long": "must be at most {max_length} characters long",
    "too_long": "must have at most {max_length} entries",
    "enum": "must be {expected}",
    "literal_error": "must be {expected}",
    "tuple_type": "must be an array",
    "dict_type": "must be a table",
    "model_type": "must be a table",
}


class SettingsError(Exception):
    """Settings or configuration that cannot be used; its text has one problem a line."""

    def __init__(self, problems: Iterable[str]) -> None:
        lines = list(dict.fromkeys(" ".join(problem.split()) for problem in problems))
        if len(lines) > MAX_PROBLEMS:
            lines[MAX_PROBLEMS:] = [f"and {len(lines) - MAX_PROBLEMS} more"]
        self.problems = tuple(lines)
        super().__init__("\n".join(lines))


class Table(BaseModel):
    """A table of gateway.toml: frozen, every key known, numbers finite."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False, hide_input_in_errors=True)


TableT = TypeVar("TableT", bound=Table)


def nearest(name: str, names: Iterable[str]) -> str | None:
    """The known name most like a mistyped one, or None if none is near."""
    return next(iter(difflib.get_close_matches(name[:128], list(names), n=1, cutoff=_NEAR)), None)


def hint(name: str, names: Iterable[str]) -> str:
    """The nearest name as the end of a sentence; without a near one, all of them."""
    known = sorted(names)
    near = nearest(name, known)
    return f"nearest valid name: {near}" if near else f"valid names: {', '.join(known) or 'none'}"


def shown(value: object) -> str:
    """A value that is not secret, short, on one line and printable."""
    if not isinstance(value, str | int | float):
        return "an array" if isinstance(value, list | tuple) else "a table or date"
    try:
        text = repr(value)
    except ValueError:  # an integer of more digits than Python prints
        return "a number too long to show"
    return text if len(text) <= _MAX_SHOWN else f"{text[: _MAX_SHOWN - 1]}…"


def dotted(place: str, *keys: str | int) -> str:
    """The path of a key: `agents.support.url`, `addresses[0].agent`; unusual keys quoted."""
    for key in keys:
        if isinstance(key, int):
            place += f"[{key}]"
        elif key != "[key]":
            place += ("." if place else "") + (key if _BARE_KEY.fullmatch(key) else shown(key))
    return place


def read_table(model: type[TableT], raw: object, place: str, problems: list[str]) -> TableT | None:
    """A table checked by its model; None after its problems were added to the list."""
    try:
        return model.model_validate(raw)
    except ValidationError as error:
        for detail in error.errors(include_url=False):
            path = dotted(place, *detail["loc"])
            problems.append(f"{path}: {_explained(detail, model)}" if path else _explained(detail, model))
        return None


def wording(detail: ErrorDetails, *, secret: bool = False) -> str:
    """What is wrong with a value, and the value unless it is secret."""
    context = detail.get("ctx", {})
    if "error" in context:
        text = str(context["error"])
    else:
        template = _WORDING.get(detail["type"])
        text = template.format(**context) if template else "must be of another kind"
    if secret or not text.startswith("must"):
        return text
    return f"{text}, not {shown(detail['input'])}"


def _explained(detail: ErrorDetails, model: type[BaseModel]) -> str:
    if detail["type"] != "extra_forbidden":
        return wording(detail)
    *parents, key = detail["loc"]
    return f"unknown key; {hint(str(key), _keys_at(model, parents))}"


def _keys_at(model: type[BaseModel], path: list[str | int]) -> list[str]:
    """The keys that the table at a path of a model may have."""
    here: Any = model
    for step in path:
        if _is_table(here):
            here = _required(here.model_fields[step].annotation)
        else:
            arguments = get_args(here)
            here = _required(arguments[1] if get_origin(here) is dict else arguments[0])
    return list(here.model_fields) if _is_table(here) else []


def _required(annotation: Any) -> Any:
    """The type of a value that may be left out."""
    choices = [choice for choice in get_args(annotation) if choice is not type(None)]
    return choices[0] if get_origin(annotation) in (Union, types.UnionType) else annotation


def _is_table(annotation: Any) -> bool:
    return isinstance(annotation, type) and issubclass(annotation, BaseModel)
