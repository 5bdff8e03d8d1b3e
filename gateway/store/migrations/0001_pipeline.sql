-- The pipeline. One text for both databases: SQLite reads any type name, and columns it does not know
-- (uuid, jsonb, boolean) keep what is put into them. Times are microseconds since the epoch, UTC.

CREATE TABLE organisations (
    id uuid PRIMARY KEY,
    name text NOT NULL UNIQUE,
    created_at bigint NOT NULL
);

-- Made once by the first process that needs one, and shared by all.
CREATE TABLE secrets (
    name text PRIMARY KEY,
    value text NOT NULL,
    created_at bigint NOT NULL
);

CREATE TABLE api_keys (
    id uuid PRIMARY KEY,
    organization_id uuid NOT NULL REFERENCES organisations (id),
    name text NOT NULL,
    role text NOT NULL,
    key_hash text NOT NULL UNIQUE,
    approver_roles jsonb NOT NULL,
    created_at bigint NOT NULL,
    revoked_at bigint
);

-- One row per running worker process: a lease lives as long as its owner's row does.
CREATE TABLE workers (
    id uuid PRIMARY KEY,
    roles text NOT NULL,
    host text NOT NULL,
    started_at bigint NOT NULL,
    expires_at bigint NOT NULL
);

CREATE TABLE end_users (
    id uuid PRIMARY KEY,
    organization_id uuid NOT NULL,
    profile jsonb NOT NULL,
    created_at bigint NOT NULL,
    merged_into uuid,
    erased_at bigint
);

CREATE TABLE contacts (
    organization_id uuid NOT NULL,
    kind text NOT NULL,
    value text NOT NULL,
    end_user_id uuid NOT NULL,
    verified boolean NOT NULL,
    source text NOT NULL,
    created_at bigint NOT NULL,
    PRIMARY KEY (organization_id, kind, value)
);
CREATE INDEX contacts_of_end_user ON contacts (end_user_id);

CREATE TABLE conversations (
    id uuid PRIMARY KEY,
    organization_id uuid NOT NULL,
    end_user_id uuid NOT NULL,
    channel text NOT NULL,
    status text NOT NULL,
    session_type text NOT NULL,
    priority text NOT NULL,
    origin text,
    assistant_id uuid NOT NULL,
    assigned_agent_id uuid NOT NULL,
    pinned_revision_id text NOT NULL,
    our_address text,
    their_address text,
    -- The sender's address was never proven: no history, memory or tools.
    unverified boolean NOT NULL DEFAULT FALSE,
    -- What several messages of one conversation have in common; unique among the open ones.
    thread_key text,
    external_session_id text,
    subject text,
    retention_policy_id uuid,
    summary text,
    metadata jsonb NOT NULL,
    context_variables jsonb NOT NULL,
    message_count bigint NOT NULL DEFAULT 0,
    event_count bigint NOT NULL DEFAULT 0,
    started_at bigint NOT NULL,
    created_at bigint NOT NULL,
    updated_at bigint NOT NULL,
    first_message_at bigint,
    last_message_at bigint,
    ended_at bigint,
    closed_at bigint,
    -- Idle time after which an open conversation expires, and when that is.
    idle_ttl bigint,
    ttl_expires_at bigint,
    retention bigint,
    retention_expires_at bigint,
    archived_at bigint,
    memory_synced boolean NOT NULL DEFAULT FALSE,
    has_recording boolean NOT NULL DEFAULT FALSE,
    recording_url text,
    -- Pending input: accepted so far, answered so far. Equal means nothing is pending.
    last_input bigint NOT NULL DEFAULT 0,
    answered bigint NOT NULL DEFAULT 0,
    -- The turn that will answer what is queued now, so that its id can be told in advance.
    next_turn_id uuid,
    -- The unfinished turn (running or parked); at most one.
    turn_id uuid,
    turn_due_at bigint,
    rung_at bigint,
    lease_owner uuid,
    fence bigint NOT NULL DEFAULT 0
);
CREATE UNIQUE INDEX conversations_open_thread ON conversations (organization_id, thread_key)
    WHERE thread_key IS NOT NULL AND ended_at IS NULL;
CREATE UNIQUE INDEX conversations_open_external ON conversations (organization_id, end_user_id, external_session_id)
    WHERE external_session_id IS NOT NULL AND ended_at IS NULL;
CREATE INDEX conversations_newest ON conversations (organization_id, created_at DESC, id DESC);
CREATE INDEX conversations_of_end_user ON conversations (organization_id, end_user_id, created_at DESC, id DESC);
CREATE INDEX conversations_ended_thread ON conversations (organization_id, thread_key, ended_at DESC)
    WHERE thread_key IS NOT NULL AND ended_at IS NOT NULL;
CREATE INDEX conversations_pending ON conversations (rung_at) WHERE answered < last_input;
CREATE INDEX conversations_idle ON conversations (ttl_expires_at) WHERE ended_at IS NULL;

CREATE TABLE messages (
    conversation_id uuid NOT NULL,
    seq bigint NOT NULL,
    id uuid NOT NULL UNIQUE,
    turn_id uuid,
    role text NOT NULL,
    content text NOT NULL,
    authored_by text NOT NULL,
    agent_id uuid,
    created_at bigint NOT NULL,
    tool_calls jsonb,
    model_used text,
    input_tokens bigint,
    output_tokens bigint,
    latency_ms bigint,
    delivery_status text,
    metadata jsonb,
    evidence jsonb,
    attachments jsonb,
    PRIMARY KEY (conversation_id, seq)
);

-- Mail threading: which conversation knows a Message-ID.
CREATE TABLE thread_ids (
    organization_id uuid NOT NULL,
    our_address text NOT NULL,
    thread_id text NOT NULL,
    conversation_id uuid NOT NULL,
    created_at bigint NOT NULL,
    PRIMARY KEY (organization_id, our_address, thread_id)
);
CREATE INDEX thread_ids_of_conversation ON thread_ids (conversation_id);

-- Input that no finished turn has answered yet. Kind `api` waits for its seq until its turn starts.
CREATE TABLE inputs (
    message_id uuid PRIMARY KEY,
    conversation_id uuid NOT NULL,
    number bigint NOT NULL,
    kind text NOT NULL,
    seq bigint,
    text text,
    reply_to text,
    -- Whether the listener behind reply_to wants deltas.
    stream boolean NOT NULL,
    -- The turn that answers it, named in advance: what shares a turn id is answered together.
    turn_id uuid NOT NULL,
    accepted_at bigint NOT NULL
);
CREATE INDEX inputs_in_order ON inputs (conversation_id, number);

CREATE TABLE turns (
    id uuid PRIMARY KEY,
    organization_id uuid NOT NULL,
    conversation_id uuid NOT NULL,
    state text NOT NULL,
    attempt bigint NOT NULL,
    fence bigint NOT NULL,
    agent_id uuid,
    path text,
    decision_source text,
    text text,
    message_seqs jsonb NOT NULL,
    session_status text,
    ttft_ms bigint,
    evidence jsonb,
    intents jsonb,
    error text,
    error_message text,
    agent_state jsonb,
    shown boolean NOT NULL DEFAULT FALSE,
    started_at bigint NOT NULL,
    finished_at bigint
);
CREATE INDEX turns_of_conversation ON turns (conversation_id, id);

-- What a provider has delivered to us: the de-duplication key of every inbound message.
CREATE TABLE receipts (
    organization_id uuid NOT NULL,
    provider text NOT NULL,
    provider_message_id text NOT NULL,
    message_id uuid NOT NULL,
    received_at bigint NOT NULL,
    PRIMARY KEY (organization_id, provider, provider_message_id)
);
CREATE INDEX receipts_by_age ON receipts (received_at);

-- The order in which deliveries between two addresses leave; a lease like the conversation's.
CREATE TABLE lanes (
    id text PRIMARY KEY,
    channel text NOT NULL,
    organization_id uuid NOT NULL,
    queued bigint NOT NULL DEFAULT 0,
    settled bigint NOT NULL DEFAULT 0,
    due_at bigint,
    rung_at bigint,
    lease_owner uuid,
    fence bigint NOT NULL DEFAULT 0
);
CREATE INDEX lanes_pending ON lanes (rung_at) WHERE settled < queued;

CREATE TABLE deliveries (
    id uuid PRIMARY KEY,
    lane text NOT NULL,
    number bigint NOT NULL,
    organization_id uuid NOT NULL,
    conversation_id uuid NOT NULL,
    message_id uuid NOT NULL,
    message_seq bigint NOT NULL,
    turn_id uuid,
    channel text NOT NULL,
    sender text NOT NULL,
    recipient text NOT NULL,
    text text NOT NULL,
    thread jsonb,
    attachments jsonb,
    sandboxed boolean NOT NULL,
    by_agent boolean NOT NULL,
    state text NOT NULL,
    attempt bigint NOT NULL DEFAULT 0,
    error_code text,
    created_at bigint NOT NULL,
    updated_at bigint NOT NULL,
    settled_at bigint
);
CREATE INDEX deliveries_unsettled ON deliveries (lane, number) WHERE settled_at IS NULL;
CREATE INDEX deliveries_of_conversation ON deliveries (conversation_id, number);
CREATE INDEX deliveries_of_message ON deliveries (message_id);

CREATE TABLE parts (
    delivery_id uuid NOT NULL,
    number bigint NOT NULL,
    text text NOT NULL,
    hash text NOT NULL,
    encoding text,
    segments bigint NOT NULL,
    state text NOT NULL,
    rank bigint NOT NULL DEFAULT 0,
    attempt bigint NOT NULL DEFAULT 0,
    claimed_at bigint,
    provider text,
    provider_message_id text,
    error_code text,
    raw_status text,
    updated_at bigint NOT NULL,
    PRIMARY KEY (delivery_id, number)
);
CREATE UNIQUE INDEX parts_of_provider ON parts (provider, provider_message_id)
    WHERE provider_message_id IS NOT NULL;

CREATE TABLE outbox (
    id uuid PRIMARY KEY,
    exchange text NOT NULL,
    routing_key text NOT NULL,
    body text NOT NULL,
    traceparent text NOT NULL,
    due_at bigint NOT NULL,
    attempt bigint NOT NULL DEFAULT 0
);
CREATE INDEX outbox_due ON outbox (due_at);

CREATE TABLE timeline (
    conversation_id uuid NOT NULL,
    number bigint NOT NULL,
    kind text NOT NULL,
    body jsonb NOT NULL,
    at bigint NOT NULL,
    PRIMARY KEY (conversation_id, number)
);

CREATE TABLE handoffs (
    id uuid PRIMARY KEY,
    organization_id uuid NOT NULL,
    conversation_id uuid NOT NULL,
    turn_id uuid,
    reason text NOT NULL,
    static_text text,
    status text NOT NULL,
    assignee text,
    source text NOT NULL,
    packet jsonb NOT NULL,
    created_at bigint NOT NULL,
    resolved_at bigint
);
CREATE UNIQUE INDEX handoffs_open ON handoffs (conversation_id) WHERE resolved_at IS NULL;
CREATE INDEX handoffs_newest ON handoffs (organization_id, created_at DESC, id DESC);
CREATE INDEX handoffs_of_conversation ON handoffs (conversation_id);

CREATE TABLE approvals (
    id uuid PRIMARY KEY,
    organization_id uuid NOT NULL,
    conversation_id uuid NOT NULL,
    turn_id uuid NOT NULL,
    subject_kind text NOT NULL,
    subject_ref text NOT NULL,
    payload jsonb NOT NULL,
    approver_role text,
    status text NOT NULL,
    suspend_message text,
    safe_message text,
    on_reject text NOT NULL,
    decision text,
    decided_by text,
    decided_at bigint,
    note text,
    timeout_at bigint NOT NULL,
    created_at bigint NOT NULL
);
CREATE INDEX approvals_pending ON approvals (timeout_at) WHERE status = 'pending';
CREATE INDEX approvals_oldest ON approvals (organization_id, created_at, id);
CREATE INDEX approvals_of_conversation ON approvals (conversation_id);
CREATE INDEX approvals_of_turn ON approvals (turn_id, created_at);

CREATE TABLE dead_letters (
    id uuid PRIMARY KEY,
    organization_id uuid,
    queue text NOT NULL,
    reason text NOT NULL,
    body text NOT NULL,
    headers jsonb NOT NULL,
    conversation_id uuid,
    created_at bigint NOT NULL,
    settled_at bigint,
    settled_how text
);
CREATE INDEX dead_letters_open ON dead_letters (created_at, id) WHERE settled_at IS NULL;

CREATE TABLE idempotency_keys (
    organization_id uuid NOT NULL,
    route text NOT NULL,
    key text NOT NULL,
    body_hash text NOT NULL,
    -- The message the first request put in, so that a retry resumes it.
    message_id uuid,
    conversation_id uuid,
    status bigint,
    answer text,
    expires_at bigint NOT NULL,
    PRIMARY KEY (organization_id, route, key)
);
CREATE INDEX idempotency_keys_by_age ON idempotency_keys (expires_at);
CREATE INDEX idempotency_keys_of_conversation ON idempotency_keys (conversation_id);

-- Calls that a voice host has announced.
CREATE TABLE calls (
    provider text NOT NULL,
    call_id text NOT NULL,
    organization_id uuid NOT NULL,
    conversation_id uuid NOT NULL,
    host_id text,
    transport text,
    capabilities jsonb NOT NULL,
    last_seq bigint NOT NULL DEFAULT -1,
    started_at bigint NOT NULL,
    ended_at bigint,
    PRIMARY KEY (provider, call_id)
);
CREATE INDEX calls_of_conversation ON calls (conversation_id);
CREATE INDEX calls_by_id ON calls (call_id);
