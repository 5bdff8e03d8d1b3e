"""The answers of the API as the contract fixes them: exactly these keys, each of its type."""

import re
from collections.abc import Callable, Mapping
from typing import Any
from uuid import UUID

Check = Callable[[object], bool]
Shape = Mapping[str, Check]
_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z")


def uuid(value: object) -> bool:
    """A UUID in its usual spelling."""
    return isinstance(value, str) and str(UUID(value)) == value


def time(value: object) -> bool:
    """RFC 3339 in UTC."""
    return isinstance(value, str) and _TIME.fullmatch(value) is not None


def text(value: object) -> bool:
    """Any string."""
    return isinstance(value, str)


def number(value: object) -> bool:
    """A whole number, not a boolean."""
    return isinstance(value, int) and not isinstance(value, bool)


def measure(value: object) -> bool:
    """A number, whole or not."""
    return isinstance(value, int | float) and not isinstance(value, bool)


def flag(value: object) -> bool:
    """A boolean."""
    return isinstance(value, bool)


def table(value: object) -> bool:
    """An object."""
    return isinstance(value, dict)


def items(value: object) -> bool:
    """A list."""
    return isinstance(value, list)


def numbers(value: object) -> bool:
    """A list of whole numbers."""
    return isinstance(value, list) and all(map(number, value))


def null(value: object) -> bool:
    """Nothing."""
    return value is None


def maybe(check: Check) -> Check:
    """Null, or what the check says."""
    return lambda value: value is None or check(value)


def one_of(*values: str) -> Check:
    """One of these words."""
    return lambda value: value in values


EVAL_SUMMARY: Shape = {
    **dict.fromkeys(
        (
            *("total", "succeeded", "failed", "pending"),
            *("critical_total", "critical_succeeded", "critical_failed", "critical_pending"),
        ),
        number,
    ),
    "eval_status": one_of("none", "failed", "pending", "passed"),
}

CONVERSATION: Shape = {
    "id": uuid,
    "organization_id": uuid,
    "end_user_id": uuid,
    "channel": one_of("api", "web", "email", "sms", "voice"),
    "assistant_id": maybe(uuid),
    "status": text,
    "priority": one_of("low", "normal", "high", "urgent"),
    "message_count": number,
    "started_at": time,
    "created_at": time,
    "updated_at": time,
    "origin": maybe(one_of("inbound", "outbound")),
    "external_session_id": maybe(text),
    "session_type": one_of("live", "test", "simulation"),
    "subject": maybe(text),
    "assigned_agent_id": maybe(uuid),
    "pinned_revision_id": maybe(text),
    "retention_policy_id": maybe(uuid),
    "summary": maybe(text),
    "metadata": table,
    "context_variables": table,
    "first_message_at": maybe(time),
    "last_message_at": maybe(time),
    "ended_at": maybe(time),
    "closed_at": maybe(time),
    "ttl_expires_at": maybe(time),
    "retention_expires_at": maybe(time),
    "archived_at": maybe(time),
    "memory_synced": flag,
    "duration_ms": maybe(number),
    "summary_preview": maybe(text),
    "has_recording": flag,
    "eval_summary": table,
}

CONVERSATION_DETAIL: Shape = {**CONVERSATION, "recent_turns": items, "recording_url": maybe(text)}

TURN: Shape = {
    "turn_id": uuid,
    "conversation_id": uuid,
    "text": text,
    "active_assistant_id": maybe(uuid),
    "path": text,
    "decision_source": text,
    "message_seqs": numbers,
    "session_status": text,
    "turn_ttft_ms": maybe(number),
    "ended": flag,
    "evidence": null,
}

SECTION: Shape = {
    "path_titles": items,
    "path_numbers": items,
    "display_label": maybe(text),
    "confidence": text,
}

SOURCE: Shape = {
    "citation_marker": maybe(text),
    "label": maybe(text),
    "short_label": maybe(text),
    "document_title": maybe(text),
    "version_number": maybe(number),
    "section": table,
    "deep_link": maybe(text),
}

FULL_SOURCE: Shape = {**SOURCE, "chunk_id": text, "kb_id": text, "score": measure, "text": text}

EVIDENCE: Shape = {
    "package_id": uuid,
    "conversation_id": uuid,
    "turn_id": uuid,
    "created_at": time,
    "items": items,
    "view": one_of("display", "full"),
    "schema_version": number,
    "message_id": maybe(uuid),
}

FULL_EVIDENCE: Shape = {
    **EVIDENCE,
    "organization_id": uuid,
    "agent_id": maybe(uuid),
    "status_reason": maybe(text),
}

SESSION_RESULT: Shape = {
    "session_id": uuid,
    "messages": items,
    "status": one_of("idle", "running_turn", "end_requested", "end_processing", "ended", "error"),
    "handoff": maybe(table),
    "call_transfer": maybe(table),
    "dtmf_input": maybe(table),
    "session_status": text,
    "error": maybe(text),
    "model_used": maybe(text),
    "token_count": maybe(number),
    "latency_ms": maybe(number),
}

HUMAN_TURN: Shape = {
    "conversation_id": uuid,
    "message": maybe(table),
    "handoff_id": uuid,
    "session_status": text,
    "next_seq": number,
}

HANDOFF: Shape = {
    "id": uuid,
    "organization_id": uuid,
    "conversation_id": uuid,
    "turn_id": maybe(uuid),
    "reason": text,
    "static_text": maybe(text),
    "status": one_of("requested", "assigned", "accepted", "resolved", "cancelled"),
    "assignee": maybe(text),
    "source": one_of("workflow_terminal", "router", "policy", "operator"),
    "packet": table,
    "created_at": time,
    "resolved_at": maybe(time),
}

PACKET: Shape = {
    "static_text": maybe(text),
    "reason": text,
    "context_vars": table,
    "summary": maybe(text),
    "transcript_ptr": table,
    "transfer_to": maybe(text),
    "transfer_label": maybe(text),
}

APPROVAL: Shape = {
    "id": uuid,
    "organization_id": uuid,
    "conversation_id": uuid,
    "turn_id": uuid,
    "subject_kind": one_of("tool_call", "workflow_node"),
    "subject_ref": text,
    "payload": table,
    "approver_role": maybe(text),
    "status": one_of("pending", "approved", "rejected", "timed_out", "cancelled"),
    "suspend_message": maybe(text),
    "decision": maybe(one_of("approve", "reject")),
    "decided_by": maybe(text),
    "decided_at": maybe(time),
    "note": maybe(text),
    "timeout_at": time,
    "created_at": time,
}

STREAMED_TURN: Shape = {**TURN, "perceived_ttft_ms": maybe(number)}

POLL: Shape = {"session_status": text, "next_seq": number, "has_more": flag, "messages": items}

POLL_MESSAGE: Shape = {
    "id": uuid,
    "seq": number,
    "session_id": uuid,
    "turn_id": maybe(uuid),
    "role": one_of("user", "assistant", "system", "tool", "system_event"),
    "content": text,
    "authored_by": one_of("agent", "human_operator", "end_user", "system"),
    "created_at": time,
    "tool_calls": items,
    "tool_results": items,
    "model_used": maybe(text),
    "token_count": maybe(table),
    "latency_ms": maybe(number),
    "delivery_status": maybe(text),
    "metadata": table,
    "evidence": items,
}

TRANSCRIPT: Shape = {"turns": items, "has_more": flag, "next_cursor": text}

TRANSCRIPT_ROW: Shape = {
    "id": uuid,
    "session_id": uuid,
    "turn_id": maybe(uuid),
    "seq": number,
    "role": one_of("user", "assistant", "system", "tool", "system_event"),
    "content": text,
    "authored_by": one_of("agent", "human_operator", "end_user", "system"),
    "created_at": time,
    "evidence": items,
}

ERROR: Shape = {"error": text, "message": text}


def expect(value: Any, shape: Shape, *, more: bool = False) -> dict[str, Any]:
    """The value, which must have this shape; with `more`, other keys besides."""
    assert isinstance(value, dict), value
    missing, unknown = shape.keys() - value.keys(), value.keys() - shape.keys()
    assert not missing, f"missing: {sorted(missing)}"
    assert more or not unknown, f"not in the contract: {sorted(unknown)}"
    wrong = {key: value[key] for key, check in shape.items() if not check(value[key])}
    assert not wrong, f"not of their types: {wrong}"
    return value
