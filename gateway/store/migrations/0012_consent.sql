-- Consent: what people said about being written to, and what is sent all the same.

-- A START of the person lifts what a keyword did, and not what is firm: an operator's word, an agent's reading.
ALTER TABLE suppressions ADD COLUMN firm boolean NOT NULL DEFAULT TRUE;
CREATE INDEX suppressions_newest ON suppressions (organization_id, created_at DESC, id DESC) WHERE lifted_at IS NULL;

-- The ledger; it only grows, and outlives the messages it names as evidence.
CREATE TABLE consents (
    id uuid PRIMARY KEY,
    organization_id uuid NOT NULL,
    channel text NOT NULL,
    -- Of ours; empty: all.
    our_address text NOT NULL,
    their_address text NOT NULL,
    state text NOT NULL,
    source text NOT NULL,
    detail text,
    actor text,
    conversation_id uuid,
    message_id uuid,
    created_at bigint NOT NULL
);
CREATE INDEX consents_newest ON consents (organization_id, created_at DESC, id DESC);
CREATE INDEX consents_of_address ON consents (organization_id, channel, their_address, created_at DESC, id DESC);

-- The one answer to a STOP, or to a HELP, leaves although nothing else may.
ALTER TABLE deliveries ADD COLUMN despite_suppression boolean NOT NULL DEFAULT FALSE;

-- What is held for quiet hours is not sent long after them.
ALTER TABLE deliveries ADD COLUMN expires_at bigint;
