-- Webhooks out: where to, and one row for each event and place.

CREATE TABLE webhook_endpoints (
    id uuid PRIMARY KEY,
    organization_id uuid NOT NULL,
    url text NOT NULL,
    description text NOT NULL,
    -- A list of types; NULL: every event.
    events jsonb,
    secret text NOT NULL,
    -- Signs as well until then.
    previous_secret text,
    previous_until bigint,
    disabled_at bigint,
    disabled_reason text,
    -- When events were last taken for it: who waited longest comes first.
    served_at bigint NOT NULL DEFAULT 0,
    created_at bigint NOT NULL,
    updated_at bigint NOT NULL
);
CREATE INDEX webhook_endpoints_newest ON webhook_endpoints (organization_id, created_at DESC, id DESC);

CREATE TABLE webhook_deliveries (
    endpoint_id uuid NOT NULL,
    event_id uuid NOT NULL,
    organization_id uuid NOT NULL,
    conversation_id uuid,
    type text NOT NULL,
    body text NOT NULL,
    status text NOT NULL,
    attempt bigint NOT NULL DEFAULT 0,
    response_code bigint,
    error text,
    created_at bigint NOT NULL,
    -- Since when it has been tried: the 24 hours begin here.
    tried_since bigint NOT NULL,
    attempted_at bigint,
    -- When it is tried next, or its sender is believed dead; NULL: it is settled.
    due_at bigint,
    PRIMARY KEY (endpoint_id, event_id)
);
CREATE INDEX webhook_deliveries_due ON webhook_deliveries (endpoint_id, due_at) WHERE due_at IS NOT NULL;
CREATE INDEX webhook_deliveries_sending ON webhook_deliveries (endpoint_id) WHERE status = 'sending';
CREATE INDEX webhook_deliveries_newest ON webhook_deliveries (endpoint_id, created_at DESC, event_id DESC);
CREATE INDEX webhook_deliveries_of_conversation ON webhook_deliveries (conversation_id);
CREATE INDEX webhook_deliveries_by_age ON webhook_deliveries (created_at);
