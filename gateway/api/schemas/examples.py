"""Examples of answers for the OpenAPI document: one short story, told by every shape that clients read.

Alex asks about order #12345 and the agent answers; later it hands over, and a refund waits for a decision.
"""

from typing import Any

Example = dict[str, Any]

_CONVERSATION_ID = "018f7e9c-5a3b-7c1d-9e2f-4a5b6c7d8e9f"
_ORGANIZATION_ID = "3c90c3cc-0d44-5b50-8888-8dd25736052a"
_END_USER_ID = "550e8400-e29b-41d4-a716-446655440000"
_AGENT_ID = "7d444840-9dc0-51d1-b245-5ffdce74fad2"
_TURN_ID = "018f7e9c-6b4c-7d2e-8f30-5b6c7d8e9fa0"
_REVISION = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"
_QUESTION = "I need help with my order #12345"
_ANSWER = "I'd be happy to help with order #12345! Let me look that up for you right now."
_AT = "2024-05-14T12:00:00.000000Z"
_ASKED_AT = "2024-05-14T12:01:00.000000Z"
_ANSWERED_AT = "2024-05-14T12:01:02.000000Z"

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
    "session_id": _CONVERSATION_ID,
    "turn_id": _TURN_ID,
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
    "created_at": _ANSWERED_AT,
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
    "id": _CONVERSATION_ID,
    "organization_id": _ORGANIZATION_ID,
    "end_user_id": _END_USER_ID,
    "channel": "api",
    "assistant_id": _AGENT_ID,
    "status": "active",
    "priority": "normal",
    "message_count": 2,
    "started_at": _AT,
    "created_at": _AT,
    "updated_at": _ANSWERED_AT,
    "origin": "inbound",
    "external_session_id": None,
    "session_type": "live",
    "subject": None,
    "assigned_agent_id": _AGENT_ID,
    "pinned_revision_id": _REVISION,
    "retention_policy_id": None,
    "summary": None,
    "metadata": {"shop": "north"},
    "context_variables": {"customer_name": "Alex", "account_tier": "premium"},
    "first_message_at": _ASKED_AT,
    "last_message_at": _ANSWERED_AT,
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
    "conversation_id": _CONVERSATION_ID,
    "turn_id": _TURN_ID,
    "created_at": _ANSWERED_AT,
    "schema_version": 1,
    "message_id": AGENT_ROW["id"],
    "items": [SOURCE],
    "view": "display",
}
FULL_EVIDENCE: Example = {
    **EVIDENCE,
    "items": [{**SOURCE, **CHUNK}],
    "view": "full",
    "organization_id": _ORGANIZATION_ID,
    "agent_id": _AGENT_ID,
    "status_reason": None,
}
TURN: Example = {
    "turn_id": _TURN_ID,
    "conversation_id": _CONVERSATION_ID,
    "text": _ANSWER,
    "active_assistant_id": _AGENT_ID,
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
    "session_id": _CONVERSATION_ID,
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
HANDOFF: Example = {
    "id": "018f7ea0-2c3d-7e4f-9051-6c7d8e9fa0b2",
    "organization_id": _ORGANIZATION_ID,
    "conversation_id": _CONVERSATION_ID,
    "turn_id": _TURN_ID,
    "reason": "The end user asked for a person.",
    "static_text": "I am handing you over to a person, who will answer here.",
    "status": "accepted",
    "assignee": "Jamie",
    "source": "router",
    "packet": {
        "static_text": "I am handing you over to a person, who will answer here.",
        "reason": "The end user asked for a person.",
        "context_vars": {"customer_name": "Alex"},
        "summary": None,
        "transcript_ptr": {"conversation_id": _CONVERSATION_ID, "up_to_seq": 4},
        "transfer_to": None,
        "transfer_label": None,
    },
    "created_at": "2024-05-14T12:05:00.000000Z",
    "resolved_at": None,
}
HUMAN_TURN: Example = {
    "conversation_id": _CONVERSATION_ID,
    "message": {
        **POLL_ROW,
        "id": "018f7ea1-3d4e-7f50-a162-7d8e9fa0b1c3",
        "turn_id": None,
        "seq": 5,
        "content": "Hi, this is Jamie from support. How can I help you today?",
        "authored_by": "human_operator",
        "created_at": "2024-05-14T12:06:45.000000Z",
        "tool_calls": [],
        "tool_results": [],
        "model_used": None,
        "token_count": None,
        "latency_ms": None,
    },
    "handoff_id": HANDOFF["id"],
    "session_status": "waiting_for_human",
    "next_seq": 5,
}
APPROVAL: Example = {
    "id": "018f7ea2-4e5f-7061-b273-8e9fa0b1c2d4",
    "organization_id": _ORGANIZATION_ID,
    "conversation_id": _CONVERSATION_ID,
    "turn_id": _TURN_ID,
    "subject_kind": "tool_call",
    "subject_ref": "refund_order",
    "payload": {"tool_call_id": "call-2", "arguments": {"order": "12345", "amount": "19.90"}},
    "approver_role": "cashier",
    "status": "pending",
    "suspend_message": "I'm checking that refund with a colleague.",
    "decision": None,
    "decided_by": None,
    "decided_at": None,
    "note": None,
    "timeout_at": "2024-05-15T12:08:00.000000Z",
    "created_at": "2024-05-14T12:08:00.000000Z",
}
_CONTACT: Example = {
    "channel": "sms",
    "value": "+14155550123",
    "verified": True,
    "source": "sms",
    "created_at": _AT,
}
RESOLVED: Example = {
    "end_user_id": _END_USER_ID,
    "created": False,
    "profile": {"name": "Alex"},
    "contacts": [_CONTACT],
}
END_USER: Example = {
    "end_user_id": _END_USER_ID,
    "profile": {"name": "Alex"},
    "contacts": [_CONTACT],
    "created_at": _AT,
    "merged_into": None,
    "erased_at": None,
}
AGENT: Example = {
    "id": _AGENT_ID,
    "slug": "support",
    "kind": "http",
    "revision_id": _REVISION,
    "default": True,
    "paused_since": None,
}
REVISION: Example = {
    "agent_id": _AGENT_ID,
    "revision_id": _REVISION,
    "status": "active",
    "created_at": _AT,
    "activated_at": _AT,
}
WEB_TOKEN: Example = {
    "token": "gwt_…",
    "conversation_id": _CONVERSATION_ID,
    "end_user_id": _END_USER_ID,
    "expires_at": "2024-05-14T13:00:00.000000Z",
}
SIMULATION: Example = {
    "id": "018f7ea3-5f60-7172-8384-9fa0b1c2d3e5",
    "conversation_id": "018f7ea3-5f60-7172-8384-9fa0b1c2d3e5",
    "agent_id": _AGENT_ID,
    "revision_id": _REVISION,
    "status": "failed",
    "started_at": _AT,
    "finished_at": _ANSWERED_AT,
    "turns": [
        {
            "number": 1,
            "user": "Where is my order?",
            "expect": {"contains": ["order"], "not_contains": [], "path": "handoff", "session_status": None},
            "status": "failed",
            "text": "Which order?",
            "path": "single",
            "session_status": "active",
            "error": None,
            "misses": ["the path is single, not handoff"],
        }
    ],
    "comparison": None,
}
_TOTALS: Example = {
    "conversations": 40,
    "average_duration_ms": 184000,
    "messages": 260,
    "user_messages": 120,
    "agent_messages": 128,
    "operator_messages": 12,
    "turns": 118,
    "failed_turns": 1,
    "handoffs": 3,
    "approvals": 2,
    "input_tokens": 41200,
    "output_tokens": 2400,
}
ANALYTICS: Example = {
    "first_day": "2024-04-15",
    "last_day": "2024-05-14",
    "total": _TOTALS,
    "by_channel": {"sms": _TOTALS},
    "by_status": {"closed": _TOTALS},
    "by_day": [{**_TOTALS, "day": "2024-05-14"}],
}
ERROR: Example = {"error": "not_found", "message": "there is no such conversation"}


MEMORY: Example = {
    "conversation_id": _CONVERSATION_ID,
    "channel": "api",
    "text": "Asked about order #12345; it was shipped.",
    "facts": ["Prefers to be written to in French."],
    "created_at": "2024-05-14T12:15:00.000000Z",
}


EXPORTED_MESSAGE: Example = {
    **POLL_ROW,
    "delivery_status": "delivered",
    "attachments": [],
    "deliveries": [
        {
            "id": "018f7ea4-6071-7283-9495-a0b1c2d3e4f7",
            "channel": "sms",
            "sender": "+15550100",
            "recipient": "+14155550123",
            "state": "delivered",
            "error_code": None,
            "created_at": _ANSWERED_AT,
            "settled_at": _ANSWERED_AT,
            "parts": [
                {
                    "number": 0,
                    "segments": 1,
                    "state": "delivered",
                    "provider": "twilio",
                    "provider_message_id": "SM00000000000000000000000000000001",
                    "error_code": None,
                    "updated_at": _ANSWERED_AT,
                }
            ],
        }
    ],
}
EXPORTED_CONVERSATION: Example = {
    **CONVERSATION,
    "channel": "sms",
    "our_address": "+15550100",
    "their_address": "+14155550123",
    "recording_url": None,
    "outgoing_call": None,
    "calls": [],
    "messages": [EXPORTED_MESSAGE],
    "handoffs": [HANDOFF],
    "approvals": [],
}
EXPORT: Example = {
    "version": 1,
    "exported_at": "2024-05-14T13:00:00.000000Z",
    "end_user": END_USER,
    "merged": [],
    "suppressions": [],
    "consents": [],
    "memories": [MEMORY],
    "conversations": [EXPORTED_CONVERSATION],
    "complete": True,
}


def page(*items: Example) -> Example:
    """A page of a list that has more."""
    return {"items": list(items), "has_more": True, "next_cursor": "MTcxNTY4ODAwMDAwMDAwMC4wMThmN2U5Yw"}
