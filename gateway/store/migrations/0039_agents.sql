-- When a revision of an agent was in force last, or stored as a draft: what nobody needs any more goes some time after.
ALTER TABLE agent_revisions ADD COLUMN used_at bigint;
UPDATE agent_revisions SET used_at = created_at;
CREATE INDEX agent_revisions_used ON agent_revisions (used_at);
-- Whether an open conversation is pinned to one.
CREATE INDEX conversations_pinned ON conversations (assigned_agent_id, pinned_revision_id) WHERE ended_at IS NULL;
