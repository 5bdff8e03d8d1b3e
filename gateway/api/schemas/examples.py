"""Examples of answers for the OpenAPI document: one short story, told by every shape that clients read.

Alex asks about order #12345 and the agent answers. Later it hands over, and a refund waits for a decision:
`desk_examples`. In the end Alex is given all that is known of them: `export_examples`.
"""

from typing import Any

Example = dict[str, Any]

CONVERSATION_ID = "018f7e9c-5a3b-7c1d-9e2f-4a5b6c7d8e9f"
ORGANIZATION_ID = "3c90c3cc-0d44-5b50-8888-8dd25736052a"
END_USER_ID = "550e8400-e29b-41d4-a716-446655440000"
AGENT_ID = "7d444840-9dc0-51d1-b245-5ffdce74fad2"
TURN_ID = "018f7e9c-6b4c-7d2e-8f30-5b6c7d8e9fa0"
REVISION_ID = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"
_QUESTION = "I need help with my order #12345"
_ANSWER = "I'd be happy to help with order #12345! Let me look that up for you right now."
AT = "2024-05-14T12:00:00.000000Z"
_ASKED_AT = "2024-05-14T12:01:00.000000Z"
ANSWERED_AT = "2024-05-14T12:01:02.000000Z"

CHUNK: Example = {
    "chunk_id": "returns-2",
    "kb_id": "shop",
    "score": 0.92,
    "text": "Orders can be returned within 30 days.",
}
TOOL_CALL: Example = {
    "id": "call-1",
    "name": "find_order",
    "arguments": {"order": "12345"},
    "output": {"status": "shipped"},
    "error": None,
}
USER_ROW: Example = {
    "id": "018f7e9c-7c5d-7e3f-9041-6c7d8e9fa0b1",
    "session_id": CONVERSATION_ID,
    "turn_id": TURN_ID,
    "seq": 0,
    "role": "user",
    "content": _QUESTION,
    "authored_by": "end_user",
    "created_at": _ASKED_AT,
    "evidence": [],
}
AGENT_ROW: Example = {
    **USER_ROW,
    "id": "018f7e9c-8d6e-7f40-a152-7d8e9fa0b1c2",
    "seq": 1,
    "role": "assistant",
    "content": _ANSWER,
    "authored_by": "agent",
    "created_at": ANSWERED_AT,
    "tool_calls": [TOOL_CALL],
}
POLL_ROW: Example = {
    **AGENT_ROW,
    "tool_results": [{"tool_call_id": "call-1", "output": {"status": "shipped"}, "error": None}],
    "model_used": "gpt-4o-mini",
    "token_count": {"input_tokens": 412, "output_tokens": 24, "total_tokens": 436},
    "latency_ms": 1450,
    "delivery_status": None,
    "metadata": {},
}
POLL: Example = {"session_status": "active", "next_seq": 1, "has_more": False, "messages": [POLL_ROW]}
TRANSCRIPT: Example = {"turns": [USER_ROW, AGENT_ROW], "has_more": False, "next_cursor": "czE"}
EVAL_SUMMARY: Example = {
    "total": 0,
    "succeeded": 0,
    "failed": 0,
    "pending": 0,
    "critical_total": 0,
    "critical_succeeded": 0,
    "critical_failed": 0,
    "critical_pending": 0,
    "eval_status": "none",
}
CONVERSATION: Example = {
    "id": CONVERSATION_ID,
    "organization_id": ORGANIZATION_ID,
    "end_user_id": END_USER_ID,
    "channel": "api",
    "assistant_id": AGENT_ID,
    "status": "active",
    "priority": "normal",
    "message_count": 2,
    "started_at": AT,
    "created_at": AT,
    "updated_at": ANSWERED_AT,
    "origin": "inbound",
    "external_session_id": None,
    "session_type": "live",
    "subject": None,
    "assigned_agent_id": AGENT_ID,
    "pinned_revision_id": REVISION_ID,
    "retention_policy_id": None,
    "summary": None,
    "metadata": {"shop": "north"},
    "context_variables": {"customer_name": "Alex", "account_tier": "premium"},
    "first_message_at": _ASKED_AT,
    "last_message_at": ANSWERED_AT,
    "ended_at": None,
    "closed_at": None,
    "ttl_expires_at": "2024-05-15T12:01:02.000000Z",
    "retention_expires_at": None,
    "archived_at": None,
    "memory_synced": False,
    "duration_ms": None,
    "summary_preview": None,
    "has_recording": False,
    "eval_summary": EVAL_SUMMARY,
}
CONVERSATION_DETAIL: Example = {**CONVERSATION, "recent_turns": [USER_ROW, AGENT_ROW], "recording_url": None}
SOURCE: Example = {
    "citation_marker": "[1]",
    "label": "Returns, section 2",
    "short_label": "Returns 2",
    "document_title": "Returns",
    "version_number": 1,
    "section": {
        "path_titles": ["Returns"],
        "path_numbers": ["2"],
        "display_label": "2 Returns",
        "confidence": "high",
    },
    "deep_link": None,
}
EVIDENCE: Example = {
    "package_id": "c1f0b0de-58f0-5a63-9a53-2a8a4f6f0a51",
    "conversation_id": CONVERSATION_ID,
    "turn_id": TURN_ID,
    "created_at": ANSWERED_AT,
    "schema_version": 1,
    "message_id": AGENT_ROW["id"],
    "items": [SOURCE],
    "view": "display",
}
FULL_EVIDENCE: Example = {
    **EVIDENCE,
    "items": [{**SOURCE, **CHUNK}],
    "view": "full",
    "organization_id": ORGANIZATION_ID,
    "agent_id": AGENT_ID,
    "status_reason": None,
}
TURN: Example = {
    "turn_id": TURN_ID,
    "conversation_id": CONVERSATION_ID,
    "text": _ANSWER,
    "active_assistant_id": AGENT_ID,
    "path": "single",
    "decision_source": "router",
    "message_seqs": [0, 1],
    "session_status": "active",
    "turn_ttft_ms": 312,
    "ended": False,
    "evidence": None,
}
STREAMED_TURN: Example = {**TURN, "perceived_ttft_ms": 340}
SESSION_RESULT: Example = {
    "session_id": CONVERSATION_ID,
    "messages": [],
    "status": "ended",
    "handoff": None,
    "call_transfer": None,
    "dtmf_input": None,
    "session_status": "closed",
    "error": None,
    "model_used": None,
    "token_count": None,
    "latency_ms": None,
}
_CONTACT: Example = {
    "channel": "sms",
    "value": "+14155550123",
    "verified": True,
    "source": "sms",
    "created_at": AT,
}
RESOLVED: Example = {
    "end_user_id": END_USER_ID,
    "created": False,
    "profile": {"name": "Alex"},
    "contacts": [_CONTACT],
}
END_USER: Example = {
    "end_user_id": END_USER_ID,
    "profile": {"name": "Alex"},
    "contacts": [_CONTACT],
    "created_at": AT,
    "merged_into": None,
    "erased_at": None,
}
WEB_TOKEN: Example = {
    "token": "gwt_…",
    "conversation_id": CONVERSATION_ID,
    "end_user_id": END_USER_ID,
    "expires_at": "2024-05-14T13:00:00.000000Z",
}
ERROR: Example = {"error": "not_found", "message": "there is no such conversation"}


def page(*items: Example) -> Example:
    """A page of a list that has more."""
    return {"items": list(items), "has_more": True, "next_cursor": "MTcxNTY4ODAwMDAwMDAwMC4wMThmN2U5Yw"}
