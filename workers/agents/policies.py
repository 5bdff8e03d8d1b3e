"""Policies at work: whether a tool may be called, and what of a text may be said."""

import inspect
import json
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import regex

from gateway.domain.agent import AgentFailed
from gateway.domain.steps import PolicyAction, PolicyPoint
from gateway.settings import PolicyConfig
from gateway.settings.policies import ANY_TOOL
from workers.agents.targets import load_function

MATCH_SECONDS = 0.25
"""A pattern that takes longer counts as one that matches: who writes slow texts must not slip through."""

Hook = Callable[..., bool | Awaitable[bool]]


@dataclass(frozen=True, slots=True)
class Policy:
    """One policy, ready to be asked."""

    config: PolicyConfig
    _pattern: "regex.Pattern[str] | None"
    _hook: Hook | None

    def covers(self, tool: str) -> bool:
        """Whether it looks at calls of a tool."""
        return self.config.tool in (tool, ANY_TOOL)

    async def matches(self, text: str, *asked: object) -> bool:
        """Whether the pattern, if there is one, is in the text, and the hook, if there is one, says yes."""
        if self._pattern is not None and not self._found(self._pattern, text):
            return False
        return self._hook is None or await self._says(self._hook, asked)

    def redacted(self, text: str) -> str:
        """The text without what matches."""
        assert self._pattern is not None
        try:
            return str(self._pattern.sub(lambda _: self.config.replacement, text, timeout=MATCH_SECONDS))
        except TimeoutError:
            return self.config.replacement

    def _found(self, pattern: "regex.Pattern[str]", text: str) -> bool:
        try:
            return pattern.search(text, timeout=MATCH_SECONDS) is not None
        except TimeoutError:
            return True

    async def _says(self, hook: Hook, asked: Sequence[object]) -> bool:
        """A hook that fails ends the turn: nobody knows what it would have said."""
        try:
            answer = hook(*asked)
            return bool(await answer if inspect.isawaitable(answer) else answer)
        except Exception as error:
            reason = f"the hook of the policy {self.config.title!r} raised {type(error).__name__}"
            raise AgentFailed(reason) from error


def load_policies(configs: Sequence[PolicyConfig], point: PolicyPoint) -> tuple[Policy, ...]:
    """The policies that look at one point; SettingsError where a hook cannot be used."""
    return tuple(
        Policy(
            config,
            regex.compile(config.pattern, regex.IGNORECASE) if config.pattern is not None else None,
            load_function(config.hook) if config.hook is not None else None,
        )
        for config in configs
        if config.point is point
    )


class CallPolicies:
    """What an agent's policies say of its calls of tools."""

    def __init__(self, policies: Sequence[Policy]) -> None:
        self._policies = policies

    async def of_call(self, tool: str, arguments: Mapping[str, Any]) -> PolicyConfig | None:
        """The policy that a call meets, one that blocks first; None: the call may be made."""
        written = json.dumps(arguments, ensure_ascii=False)
        met = [
            policy.config
            for policy in self._policies
            if policy.covers(tool) and await policy.matches(written, tool, dict(arguments))
        ]
        blocking = (config for config in met if config.action is PolicyAction.BLOCK)
        return next(blocking, None) or next(iter(met), None)
