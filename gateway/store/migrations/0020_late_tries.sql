-- Parts that a receipt says did not arrive for now: when they may be sent once more, how often that was done,
-- and the provider's id of the copy that did not arrive.
ALTER TABLE parts ADD COLUMN retry_at bigint;
ALTER TABLE parts ADD COLUMN late_tries bigint NOT NULL DEFAULT 0;
ALTER TABLE parts ADD COLUMN failed_id text;

-- Since when a part has tried to leave: so long it has held up what is behind it.
ALTER TABLE parts ADD COLUMN first_claimed_at bigint;
