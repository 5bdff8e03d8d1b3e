"""Policies of an agent as gateway.toml declares them: where each looks, what it matches, what it does."""

from enum import StrEnum
from typing import Annotated, Self

import regex
from pydantic import AfterValidator, Field, model_validator

from gateway.domain.steps import PolicyAction, PolicyPoint
from gateway.settings.refusals import Table
from gateway.settings.targets import Target
from gateway.settings.values import Number, Text

ANY_TOOL = "*"


class OnReject(StrEnum):
    """What becomes of the conversation when an approval is refused or times out."""

    CLOSE = "close"
    CONTINUE = "continue"


def parse_pattern(value: str) -> str:
    """A regular expression."""
    try:
        regex.compile(value)
    except regex.error as error:
        raise ValueError(f"must be a regular expression: {error}") from None
    return value


Pattern = Annotated[str, Field(min_length=1, max_length=2_000), AfterValidator(parse_pattern)]


class PolicyConfig(Table):
    """What an agent may not do, or not alone. Texts that are None are the gateway's own."""

    name: Annotated[str, Field(min_length=1, max_length=100)] | None = None
    """What it is called where it has matched."""
    point: PolicyPoint = PolicyPoint.TOOL_CALL
    tool: Text | None = None
    """Of tool calls: which; `*`: all."""
    pattern: Pattern | None = None
    """Matches anywhere in the text, in any case; of tool calls, in the arguments as JSON."""
    hook: Target | None = None
    """A Python function that is asked besides; it matches where that says yes."""
    action: PolicyAction
    replacement: Annotated[str, Field(max_length=200)] = "[redacted]"
    """What `redact` puts in the place of what matches."""
    approver_role: Text | None = None
    timeout_hours: Annotated[float, Number, Field(gt=0, le=8760)] = 24
    suspend_message: Text | None = None
    safe_message: Text | None = None
    on_reject: OnReject = OnReject.CLOSE

    @model_validator(mode="after")
    def _fits(self) -> Self:
        calls = self.point is PolicyPoint.TOOL_CALL
        if calls and self.tool is None:
            raise ValueError('must name its tool, as in tool = "refund_order"; "*" is any')
        if not calls and self.tool is not None:
            raise ValueError("must not name a tool: it looks at texts")
        if not calls and self.pattern is None and self.hook is None:
            raise ValueError("must have a pattern or a hook")
        if self.action is PolicyAction.REQUIRE_APPROVAL and not calls:
            raise ValueError("must block or redact: only tool calls can wait for an approval")
        if self.action is PolicyAction.REDACT and (calls or self.pattern is None or self.hook is not None):
            raise ValueError("must have a pattern, and look at texts, to redact")
        return self

    @property
    def title(self) -> str:
        """What it is called in records."""
        return self.name or (f"tool:{self.tool}" if self.tool else self.point.value)
