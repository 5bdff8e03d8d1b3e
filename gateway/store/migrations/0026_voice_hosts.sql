-- What a voice host on the queues was told to do, until it says how that ended.
CREATE TABLE call_intents (
    intent_id text NOT NULL PRIMARY KEY,
    call_id text NOT NULL,
    organization_id uuid NOT NULL,
    conversation_id uuid NOT NULL,
    kind text NOT NULL,
    patience bigint NOT NULL, -- µs of silence after which its host counts as lost
    due_at bigint, -- when that is; null: nobody waits for this one
    seq bigint NOT NULL DEFAULT -1, -- of the newest report
    state text, -- as it ended
    ended_by text, -- the report that said so
    created_at bigint NOT NULL
);
CREATE INDEX call_intents_of_conversation ON call_intents (conversation_id);
CREATE INDEX call_intents_due ON call_intents (due_at) WHERE due_at IS NOT NULL;
