-- People: records merged reversibly, addresses that must not be sent to, erasures that survive a crash.

-- `merged_into` is the record a merged one answers as now, however long the chain; this is the link that was
-- made, which unmerging takes away.
ALTER TABLE end_users ADD COLUMN merged_directly uuid;
CREATE INDEX end_users_merged ON end_users (merged_into) WHERE merged_into IS NOT NULL;

-- Addresses we must not send to. Never deleted but by derivation: an erased person's wish to be left alone stays.
CREATE TABLE suppressions (
    id uuid PRIMARY KEY,
    organization_id uuid NOT NULL,
    channel text NOT NULL,
    -- Which of ours must not send; empty: none may.
    our_address text NOT NULL,
    their_address text NOT NULL,
    -- It holds because it holds for another address of the same person.
    derived boolean NOT NULL,
    reason text NOT NULL,
    created_at bigint NOT NULL,
    lifted_at bigint
);
CREATE UNIQUE INDEX suppressions_in_force
    ON suppressions (organization_id, channel, their_address, our_address, derived) WHERE lifted_at IS NULL;

-- Erasures under way. A tombstone in end_users remains; this row forgets the addresses when it is done.
CREATE TABLE erasures (
    end_user_id uuid PRIMARY KEY,
    organization_id uuid NOT NULL,
    addresses jsonb NOT NULL,
    requested_at bigint NOT NULL,
    -- When a timer goes on with it.
    due_at bigint NOT NULL,
    -- All that was there has been deleted; it is looked for once more.
    swept_at bigint,
    finished_at bigint
);
CREATE INDEX erasures_due ON erasures (due_at) WHERE finished_at IS NULL;

-- Remembered answers quote people.
ALTER TABLE idempotency_keys ADD COLUMN end_user_id uuid;
CREATE INDEX idempotency_keys_of_end_user ON idempotency_keys (end_user_id) WHERE end_user_id IS NOT NULL;

CREATE INDEX dead_letters_of_conversation ON dead_letters (conversation_id) WHERE conversation_id IS NOT NULL;
