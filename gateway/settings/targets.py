"""Python functions that gateway.toml names."""

import re
from typing import Annotated

from pydantic import BeforeValidator

_TARGET = re.compile(r"[A-Za-z_][A-Za-z0-9_]*(\.[A-Za-z_][A-Za-z0-9_]*)*:[A-Za-z_][A-Za-z0-9_]*")


def parse_target(value: object) -> str:
    """A Python function, `package.module:function`."""
    if not isinstance(value, str) or not _TARGET.fullmatch(value):
        raise ValueError("must be package.module:function")
    return value


Target = Annotated[str, BeforeValidator(parse_target)]
