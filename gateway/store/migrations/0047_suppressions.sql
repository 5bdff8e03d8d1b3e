-- A suppression that is lifted is deleted. That it was, when and by whom, is in the ledger; and whoever was
-- erased is in no row that holds nothing any more.
-- The indexes go first: PostgreSQL locks the table for that, so that none is lifted while they are deleted.
DROP INDEX suppressions_in_force;
DROP INDEX suppressions_newest;
DROP INDEX suppressions_of_bounces;
DELETE FROM suppressions WHERE lifted_at IS NOT NULL;
ALTER TABLE suppressions DROP COLUMN lifted_at;
CREATE UNIQUE INDEX suppressions_of_address
    ON suppressions (organization_id, channel, their_address, our_address, derived);
CREATE INDEX suppressions_newest ON suppressions (organization_id, created_at DESC, id DESC);
CREATE INDEX suppressions_of_bounces ON suppressions (created_at) WHERE reason IN ('hard_bounce', 'soft_bounces');
