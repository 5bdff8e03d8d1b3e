"""The tag of a call that we begin, which jambonz puts on all that it tells of it: whose call it is."""

import re
from typing import Annotated

from pydantic import AliasChoices, BeforeValidator, Field

TAG = "conversation_id"
"""In the tag of a call that we begin: whose it is."""
_REFERENCE = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


def _reference(tag: object) -> str:
    """The conversation that a call's tag names; "" for one that is not ours."""
    named = tag.get(TAG) if isinstance(tag, dict) else None
    return named if isinstance(named, str) and _REFERENCE.fullmatch(named) else ""


Reference = Annotated[
    str,
    BeforeValidator(_reference),
    Field(validation_alias=AliasChoices("customerData", "customer_data", "_customerData", "_customer_data")),
]
"""jambonz spells the tag in several ways, by version and message."""
