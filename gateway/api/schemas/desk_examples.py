"""Examples of what operators and developers read: handoffs, approvals, agents, simulations, figures."""

from gateway.api.schemas.examples import (
    AGENT_ID,
    ANSWERED_AT,
    AT,
    CONVERSATION_ID,
    ORGANIZATION_ID,
    POLL_ROW,
    REVISION_ID,
    TURN_ID,
    Example,
)

HANDOFF: Example = {
    "id": "018f7ea0-2c3d-7e4f-9051-6c7d8e9fa0b2",
    "organization_id": ORGANIZATION_ID,
    "conversation_id": CONVERSATION_ID,
    "turn_id": TURN_ID,
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
        "transcript_ptr": {"conversation_id": CONVERSATION_ID, "up_to_seq": 4},
        "transfer_to": None,
        "transfer_label": None,
    },
    "created_at": "2024-05-14T12:05:00.000000Z",
    "resolved_at": None,
}
HUMAN_TURN: Example = {
    "conversation_id": CONVERSATION_ID,
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
    "organization_id": ORGANIZATION_ID,
    "conversation_id": CONVERSATION_ID,
    "turn_id": TURN_ID,
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
AGENT: Example = {
    "id": AGENT_ID,
    "slug": "support",
    "kind": "http",
    "revision_id": REVISION_ID,
    "default": True,
    "paused_since": None,
}
REVISION: Example = {
    "agent_id": AGENT_ID,
    "revision_id": REVISION_ID,
    "status": "active",
    "created_at": AT,
    "activated_at": AT,
}
SIMULATION: Example = {
    "id": "018f7ea3-5f60-7172-8384-9fa0b1c2d3e5",
    "conversation_id": "018f7ea3-5f60-7172-8384-9fa0b1c2d3e5",
    "agent_id": AGENT_ID,
    "revision_id": REVISION_ID,
    "status": "failed",
    "started_at": AT,
    "finished_at": ANSWERED_AT,
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
