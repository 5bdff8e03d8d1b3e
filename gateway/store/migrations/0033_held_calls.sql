-- Warm transfers of calls whose host asks what to do next (TwiML, ConversationRelay).
CREATE TABLE held_calls (
    id text NOT NULL PRIMARY KEY, -- the transfer's intent
    provider text NOT NULL,
    call_id text NOT NULL,
    organization_id uuid NOT NULL,
    conversation_id uuid NOT NULL,
    held text NOT NULL, -- the transfer as it stands, JSON of domain/warm/held.py
    due_at bigint, -- when a timer has something to do; null: it is over, and all is carried out
    created_at bigint NOT NULL
);
CREATE INDEX held_calls_of_call ON held_calls (provider, call_id);
CREATE INDEX held_calls_of_conversation ON held_calls (conversation_id);
CREATE INDEX held_calls_due ON held_calls (due_at) WHERE due_at IS NOT NULL;
