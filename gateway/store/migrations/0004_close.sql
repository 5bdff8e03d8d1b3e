-- What follows from the end of a conversation, and simulations.

-- Live conversations that have ended and are still to be summed up; written in the transaction of the end.
CREATE TABLE closings (
    conversation_id uuid PRIMARY KEY,
    organization_id uuid NOT NULL,
    due_at bigint NOT NULL,
    -- Counted by every claim: a claim that has been overtaken finds another number.
    attempt bigint NOT NULL DEFAULT 0
);
CREATE INDEX closings_due ON closings (due_at);

-- What agents are told about a person's earlier conversations.
CREATE TABLE memories (
    conversation_id uuid PRIMARY KEY,
    organization_id uuid NOT NULL,
    end_user_id uuid NOT NULL,
    channel text NOT NULL,
    text text NOT NULL,
    created_at bigint NOT NULL
);
CREATE INDEX memories_of_end_user ON memories (end_user_id, created_at DESC);
CREATE INDEX IF NOT EXISTS end_users_merged ON end_users (merged_into) WHERE merged_into IS NOT NULL;

-- One row per live conversation that has ended; it names nobody and outlives what was said.
CREATE TABLE analytics (
    conversation_id uuid PRIMARY KEY,
    organization_id uuid NOT NULL,
    agent_id uuid NOT NULL,
    channel text NOT NULL,
    status text NOT NULL,
    started_at bigint NOT NULL,
    ended_at bigint NOT NULL,
    duration_ms bigint NOT NULL,
    messages bigint NOT NULL,
    user_messages bigint NOT NULL,
    agent_messages bigint NOT NULL,
    operator_messages bigint NOT NULL,
    turns bigint NOT NULL,
    failed_turns bigint NOT NULL,
    handoffs bigint NOT NULL,
    approvals bigint NOT NULL,
    input_tokens bigint NOT NULL,
    output_tokens bigint NOT NULL
);
CREATE INDEX analytics_by_end ON analytics (organization_id, ended_at);

-- Terminal conversations whose messages are still there and may not be for ever.
CREATE INDEX conversations_retained ON conversations (retention_expires_at)
    WHERE retention_expires_at IS NOT NULL AND archived_at IS NULL;

-- Until when somebody is to take a handoff.
ALTER TABLE handoffs ADD COLUMN timeout_at bigint;
CREATE INDEX handoffs_overdue ON handoffs (timeout_at) WHERE status = 'requested' AND timeout_at IS NOT NULL;

-- A script that is replayed turn by turn, and what came of it so far.
CREATE TABLE simulations (
    conversation_id uuid PRIMARY KEY,
    organization_id uuid NOT NULL,
    agent_id uuid NOT NULL,
    revision_id text NOT NULL,
    script jsonb NOT NULL,
    results jsonb NOT NULL,
    started_at bigint NOT NULL,
    finished_at bigint
);
