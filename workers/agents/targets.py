"""Functions of this installation that configuration names."""

import importlib
from collections.abc import Callable
from typing import Any

from gateway.settings import SettingsError


def load_function(target: str) -> Callable[..., Any]:
    """What `package.module:function` names; SettingsError if there is none, or it cannot be called."""
    module_name, _, name = target.partition(":")
    try:
        module = importlib.import_module(module_name)
    except Exception as error:
        problem = f"{target}: importing {module_name} failed: {type(error).__name__}: {error}"
        raise SettingsError([problem]) from error
    function = getattr(module, name, None)
    if function is None:
        raise SettingsError([f"{target}: {module_name} has no {name}"])
    if not callable(function):
        raise SettingsError([f"{target}: must be a function"])
    return function  # type: ignore[no-any-return]
