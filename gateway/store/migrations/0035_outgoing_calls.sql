-- The calls that we begin, one of a conversation, from the wish to the end.
CREATE TABLE outgoing_calls (
    conversation_id uuid NOT NULL PRIMARY KEY,
    organization_id uuid NOT NULL,
    state text NOT NULL,
    rank bigint NOT NULL, -- of the state: what is reported changes it upwards only
    raw_state text, -- the provider's own word
    provider text,
    call_id text, -- the provider's name of it; null: we do not know that it has one
    attempt bigint NOT NULL DEFAULT 0,
    claimed_at bigint, -- when the newest attempt was claimed
    due_at bigint, -- when somebody has to look at it; null: never
    rung_at bigint NOT NULL,
    expires_at bigint NOT NULL, -- after that nobody is called any more
    command text, -- what the provider is to be told
    answered_at bigint,
    answered_by text,
    first_message text,
    created_at bigint NOT NULL
);
CREATE INDEX outgoing_calls_due ON outgoing_calls (due_at) WHERE due_at IS NOT NULL;
CREATE INDEX outgoing_calls_by_call ON outgoing_calls (call_id) WHERE call_id IS NOT NULL;

-- When a conversation closes whose call is over, unless its caller rings back.
ALTER TABLE calls ADD COLUMN closes_at bigint;
CREATE INDEX calls_closing ON calls (closes_at) WHERE closes_at IS NOT NULL;
