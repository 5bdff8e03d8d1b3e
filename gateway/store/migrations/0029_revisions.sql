-- What every revision of an agent was made of, so that a conversation can stay with the one it began with.
CREATE TABLE agent_revisions (
    -- Follows from the agent and the revision.
    id uuid PRIMARY KEY,
    organization_id uuid NOT NULL,
    agent_id uuid NOT NULL,
    revision_id text NOT NULL,
    -- All its settings as JSON, defaults included.
    settings text NOT NULL,
    created_at bigint NOT NULL,
    -- When it came into force first; NULL: a draft.
    activated_at bigint
);
CREATE INDEX agent_revisions_newest ON agent_revisions (organization_id, agent_id, created_at DESC, id DESC);

-- The replay of the same script by the revision in force.
ALTER TABLE simulations ADD COLUMN baseline_id uuid;
