-- Addresses of ours as senders: the rate they keep, and whether their provider has stopped them.
CREATE TABLE senders (
    organization_id uuid NOT NULL,
    channel text NOT NULL,
    address text NOT NULL,
    -- When what is sent next may leave: the segments before it have had their time by then.
    next_at bigint NOT NULL DEFAULT 0,
    -- Set while nothing may leave: since when, the provider's code, when one part may try again (null: when a
    -- person says so), and the dead letter that tells of it.
    halted_at bigint,
    halted_code text,
    retry_at bigint,
    letter_id uuid,
    PRIMARY KEY (organization_id, channel, address)
);

-- A part's place in its sender's rate, until it is claimed.
ALTER TABLE parts ADD COLUMN slot_at bigint;
-- The provider's id of a second copy, where an attempt that was repeated turns out to have been taken.
ALTER TABLE parts ADD COLUMN doubled_by text;

-- Parts of which a provider may still tell what became of them.
CREATE INDEX parts_unconfirmed ON parts (claimed_at) WHERE state IN ('accepted', 'sent');

-- The provider says that nothing can be delivered there; forgotten when something comes from there.
ALTER TABLE contacts ADD COLUMN undeliverable_at bigint;
ALTER TABLE contacts ADD COLUMN undeliverable_code text;
