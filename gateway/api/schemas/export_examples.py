"""Examples of what is known of a person: what is remembered of a conversation, and all that is handed out."""

from gateway.api.schemas.desk_examples import HANDOFF
from gateway.api.schemas.examples import (
    ANSWERED_AT,
    CONVERSATION,
    CONVERSATION_ID,
    END_USER,
    POLL_ROW,
    Example,
)

MEMORY: Example = {
    "conversation_id": CONVERSATION_ID,
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
            "created_at": ANSWERED_AT,
            "settled_at": ANSWERED_AT,
            "parts": [
                {
                    "number": 0,
                    "segments": 1,
                    "state": "delivered",
                    "provider": "twilio",
                    "provider_message_id": "SM00000000000000000000000000000001",
                    "error_code": None,
                    "updated_at": ANSWERED_AT,
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
    "digest": None,
    "facts": [],
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
