"""A reply in the making: folds what an agent streams into a `Reply`, within bounds.

Everything an agent may get wrong ends here, before anything is stored: contradictions, endless
replies, values that a database cannot keep.
"""

from collections.abc import Callable, Mapping
from typing import Any, ClassVar

from gateway.domain.agent import (
    AgentError,
    AgentEvent,
    AgentFailed,
    ApprovalRequired,
    CallTransferRequested,
    ConsentRevoked,
    ConversationEnd,
    Delta,
    DigitsRequested,
    Evidence,
    FileAttached,
    HandoffRequested,
    MessageEnd,
    ToolAnswered,
    ToolCalled,
    Usage,
)
from gateway.domain.briefing import briefing_text
from gateway.domain.event_values import plain_values
from gateway.domain.ids import new_id
from gateway.domain.intent import DtmfInputSpec, IntentKind, TransferMode, resolve_digits, resolve_transfer
from gateway.domain.message import Channel, JsonObject
from gateway.domain.model_usage import ModelUsage
from gateway.domain.speech import Speech
from gateway.domain.steps import Digest, Embedded, Fact, PolicyAction, PolicyApplied
from gateway.domain.transfers import Transfers
from gateway.domain.turn import Path, Reply, ReplyFile

MAX_EVENTS = 200
"""Events of a reply besides its deltas."""

MAX_EVIDENCE = 200
"""Items over all evidence events of a reply."""

MAX_BYTES = 4_194_304
"""Size of all events besides deltas together, as JSON."""

MAX_ERROR = 200
"""Characters kept of what an agent says of its own failure."""

HOLDING_LINE = "I'm checking that with a colleague."
"""Said when a turn is parked and the agent has said nothing itself."""

MAX_POLICIES = 50
"""Matches of policies that are kept of one turn."""

_NO_DEFAULTS = DtmfInputSpec()
_AFTER_APPROVAL = frozenset({"message", "usage", "error"})


class ReplyDraft:
    """One reply while it is streamed. Every method raises AgentFailed; the draft is of no use after that."""

    def __init__(
        self,
        channel: Channel,
        transfers: Transfers,
        *,
        started_at: float,
        digits: DtmfInputSpec | None = None,
        ids: Callable[[], str] = new_id,
        said: str = "",
    ) -> None:
        """`started_at`: when the agent was asked, in seconds of the clock that `add` is given.

        `digits` are the agent's defaults for collecting digits; `ids` names the intents; `said` is what is
        being answered.
        """
        self._channel = channel
        self._said = said
        self._transfers = transfers
        self._digits = digits or _NO_DEFAULTS
        self._ids = ids
        self._started_at = started_at
        self._first_at: float | None = None
        self._last_at: float | None = None
        self._events = 0
        self._bytes = 0
        self._speech = Speech()
        self._path = Path.SINGLE
        self._evidence: list[JsonObject] = []
        self._intents: list[JsonObject] = []
        self._collects_digits = False
        self._approval: JsonObject | None = None
        self._transfer: JsonObject | None = None
        self._handoff_reason: str | None = None
        self._handoff_text: str | None = None
        self._end_reason: str | None = None
        self._consent_revoked = False
        self._usage = ModelUsage()
        self._corrected: list[str] = []
        self._policies: list[JsonObject] = []
        self._digest: Digest | None = None
        self._facts: list[str] = []

    @property
    def corrected(self) -> tuple[str, ...]:
        """Fields that were out of bounds and set right, such as `dtmf_input.max_digits`: for the timeline."""
        return tuple(self._corrected)

    def add(self, event: AgentEvent, *, at: float) -> str:
        """Take an event in; what a listener may be shown of it now: all of it, joined, is `Reply.text`."""
        self._last_at = at
        if self._approval is not None and event.type not in _AFTER_APPROVAL:
            raise AgentFailed(f"{event.type} after approval_required")
        shown = self._speech.say(event.text) if isinstance(event, Delta) else self._fold(event)
        if shown and self._first_at is None:
            self._first_at = at
        return shown

    def police(self, applied: PolicyApplied, *, at: float) -> str:
        """Note a policy that matched; what is shown of it. One that blocks has the last word."""
        self._last_at = at
        if len(self._policies) < MAX_POLICIES:
            match = {"policy": applied.policy, "point": applied.point.value, "action": applied.action.value}
            self._policies.append(match if applied.tool is None else {**match, "tool": applied.tool})
        if applied.action is not PolicyAction.BLOCK:
            return ""
        self._decide(Path.BLOCKED)
        self._speech.end_message()
        shown = self._speech.say(applied.safe_message)
        if shown and self._first_at is None:
            self._first_at = at
        return shown

    def remember(self, fact: Fact) -> None:
        """Keep what later conversations are to know."""
        self._facts.append(fact.text)

    def embed(self, step: Embedded) -> None:
        """Count what it took to find passages."""
        self._usage.embed(step.tokens)

    def condense(self, digest: Digest) -> None:
        """Keep what later turns need not read again."""
        self._digest = digest

    def finish(self) -> Reply:
        """The reply, once the stream has ended."""
        self._speech.end_message()
        if self._collects_digits and self._path in (Path.HANDOFF, Path.CLOSED_BY_AGENT):
            raise AgentFailed("dtmf_input in a reply that gives the caller away")
        may_be_silent = self._channel is Channel.VOICE or self._consent_revoked
        if not may_be_silent and self._path is Path.SINGLE and self._speech.silent:
            raise AgentFailed("empty reply")
        usage = self._usage
        return Reply(
            messages=self._speech.messages(),
            path=self._path,
            evidence=tuple(self._evidence),
            intents=tuple(self._intents),
            handoff_reason=self._handoff_reason,
            handoff_text=self._handoff_text,
            end_reason=self._end_reason,
            consent_revoked=self._consent_revoked,
            approval=self._approval,
            transfer=self._transfer,
            model_used=usage.model,
            input_tokens=usage.input_tokens,
            output_tokens=usage.output_tokens,
            embedded_tokens=usage.embedded_tokens,
            ttft_ms=self._milliseconds(self._first_at),
            latency_ms=self._milliseconds(self._last_at),
            policies=tuple(self._policies),
            facts=tuple(self._facts),
            digest=self._digest,
        )

    def _milliseconds(self, at: float | None) -> int | None:
        return None if at is None else max(0, round((at - self._started_at) * 1000))

    def _fold(self, event: AgentEvent) -> str:
        self._events += 1
        if self._events > MAX_EVENTS:
            raise AgentFailed(f"more than {MAX_EVENTS} events besides deltas")
        values, size = plain_values(event)
        self._bytes += size
        if self._bytes > MAX_BYTES:
            raise AgentFailed(f"events of more than {MAX_BYTES} bytes")
        return self._FOLDS[event.type](self, event, values) or ""

    def _decide(self, path: Path) -> None:
        if self._path is not Path.SINGLE:
            raise AgentFailed("more than one of approval_required, handoff, call_transfer and end")
        self._path = path

    def _fold_message(self, _event: MessageEnd, _values: JsonObject) -> None:
        self._speech.end_message()

    def _fold_attachment(self, event: FileAttached, _values: JsonObject) -> None:
        self._speech.attach(ReplyFile(event.name, event.media_type, event.content))

    def _fold_tool_call(self, event: ToolCalled, values: JsonObject) -> None:
        self._speech.call(event.id, event.name, values["arguments"])

    def _fold_tool_result(self, event: ToolAnswered, values: JsonObject) -> None:
        self._speech.answer(event.id, values["output"], event.error)

    def _fold_evidence(self, _event: Evidence, values: JsonObject) -> None:
        for item in values["items"]:
            if len(self._evidence) == MAX_EVIDENCE:
                raise AgentFailed(f"more than {MAX_EVIDENCE} evidence items")
            marker = item["citation_marker"] or f"[{len(self._evidence) + 1}]"
            self._evidence.append({**item, "citation_marker": marker})

    def _fold_approval_required(self, event: ApprovalRequired, values: JsonObject) -> str:
        """The turn parks; its holding line is the last message."""
        if self._speech.answered(event.tool_call_id):
            raise AgentFailed("approval_required for a tool call that has been answered")
        self._decide(Path.APPROVAL)
        self._approval = values
        self._speech.end_message()
        line = (event.suspend_message or "").strip()
        return self._speech.say(line or (HOLDING_LINE if self._speech.silent else ""))

    def _fold_handoff(self, event: HandoffRequested, _values: JsonObject) -> str:
        """Control goes to a person; the static text is said where the agent has said nothing itself."""
        self._decide(Path.HANDOFF)
        self._handoff_reason = event.reason
        self._handoff_text = event.static_text
        self._speech.end_message()
        line = (event.static_text or "").strip()
        return self._speech.say(line) if line and self._speech.silent else ""

    def _fold_call_transfer(self, event: CallTransferRequested, _values: JsonObject) -> None:
        """A transfer; without a live call, a handoff that says where the call was to go."""
        self._decide(Path.HANDOFF)
        asked = self._transfers.resolve(event)
        intent, corrected = resolve_transfer(asked)
        self._transfer = intent.model_dump(mode="json")
        self._handoff_reason = intent.reason or "call_transfer"
        if self._channel is not Channel.VOICE:
            self._handoff_text = intent.connecting_text
            return
        self._corrected += [f"call_transfer.{name}" for name in corrected]
        payload = self._transfer
        if intent.mode is TransferMode.WARM:
            payload = {**payload, "briefing_text": briefing_text(intent, event.briefing, self._said)}
        self._intend(IntentKind.TRANSFER, payload)

    def _fold_dtmf_input(self, event: DigitsRequested, _values: JsonObject) -> None:
        """Digits are collected where there are keys to press; on other channels only the text counts."""
        if self._collects_digits:
            raise AgentFailed("more than one dtmf_input")
        self._collects_digits = True
        if self._channel is Channel.VOICE:
            spec, clamped = resolve_digits(event, self._digits)
            self._corrected += [f"dtmf_input.{name}" for name in clamped]
            self._intend(IntentKind.COLLECT_DTMF, spec.model_dump(mode="json"))

    def _intend(self, kind: IntentKind, payload: JsonObject) -> None:
        self._intents.append({"intent_id": self._ids(), "kind": kind.value, "payload": payload})

    def _fold_end(self, event: ConversationEnd, _values: JsonObject) -> None:
        self._decide(Path.CLOSED_BY_AGENT)
        self._end_reason = event.reason

    def _fold_revoke_consent(self, _event: ConsentRevoked, _values: JsonObject) -> None:
        self._consent_revoked = True

    def _fold_usage(self, event: Usage, _values: JsonObject) -> None:
        self._usage.add(event)

    def _fold_error(self, event: AgentError, _values: JsonObject) -> None:
        said = " ".join(event.message.split())[:MAX_ERROR]
        raise AgentFailed(f"the agent gave up: {said}" if said else "the agent gave up")

    _FOLDS: ClassVar[Mapping[str, Callable[["ReplyDraft", Any, JsonObject], str | None]]] = {
        "message": _fold_message,
        "attachment": _fold_attachment,
        "tool_call": _fold_tool_call,
        "tool_result": _fold_tool_result,
        "evidence": _fold_evidence,
        "approval_required": _fold_approval_required,
        "handoff": _fold_handoff,
        "call_transfer": _fold_call_transfer,
        "dtmf_input": _fold_dtmf_input,
        "revoke_consent": _fold_revoke_consent,
        "end": _fold_end,
        "usage": _fold_usage,
        "error": _fold_error,
    }
