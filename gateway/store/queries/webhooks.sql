-- name: webhook_endpoint_insert
INSERT INTO webhook_endpoints (id, organization_id, url, description, events, secret, created_at, updated_at)
VALUES (:id, :organization_id, :url, :description, :events, :secret, {now}, {now})
RETURNING *

-- name: webhook_endpoints_count
SELECT COUNT(*) AS number FROM webhook_endpoints WHERE organization_id = :organization_id

-- name: webhook_endpoint_by_id
SELECT * FROM webhook_endpoints WHERE organization_id = :organization_id AND id = :id

-- name: webhook_endpoints_page
SELECT * FROM webhook_endpoints
WHERE organization_id = :organization_id AND (created_at, id) < (:before_at, :before_id)
ORDER BY created_at DESC, id DESC LIMIT :limit

-- name: webhook_endpoint_change
UPDATE webhook_endpoints SET url = :url, description = :description, events = :events,
    disabled_reason = :disabled_reason,
    disabled_at = CASE WHEN CAST(:disabled_reason AS text) IS NULL THEN NULL ELSE COALESCE(disabled_at, {now}) END,
    updated_at = {now}
WHERE organization_id = :organization_id AND id = :id
RETURNING *

-- name: webhook_endpoint_rotate
UPDATE webhook_endpoints SET previous_secret = secret, previous_until = {now} + :overlap, secret = :secret,
    updated_at = {now}
WHERE organization_id = :organization_id AND id = :id
RETURNING *

-- name: webhook_endpoint_delete
DELETE FROM webhook_endpoints WHERE organization_id = :organization_id AND id = :id

-- name: webhook_endpoint_gone
UPDATE webhook_endpoints SET disabled_at = {now}, disabled_reason = 'gone', updated_at = {now}
WHERE id = :id AND disabled_at IS NULL

-- name: webhook_fan_out @sqlite
-- A row for every endpoint that is subscribed now; an event that is told again changes nothing. Nobody is called
-- to a conversation that is deleted.
INSERT INTO webhook_deliveries (endpoint_id, event_id, organization_id, conversation_id, type, body, status,
    created_at, tried_since, due_at)
SELECT e.id, :event_id, e.organization_id, :conversation_id, :type, :body, 'pending', {now}, {now}, {now}
FROM webhook_endpoints e
WHERE e.organization_id = :organization_id AND e.disabled_at IS NULL
  AND (e.events IS NULL OR EXISTS (SELECT 1 FROM json_each(e.events) WHERE value = :type))
  AND NOT EXISTS (SELECT 1 FROM conversations c WHERE c.id = :conversation_id AND c.session_type <> 'live')
  AND (:type <> 'conversation.handoff_requested' OR EXISTS (
        SELECT 1 FROM conversations c WHERE c.id = :conversation_id))
ON CONFLICT DO NOTHING

-- name: webhook_fan_out @postgres
INSERT INTO webhook_deliveries (endpoint_id, event_id, organization_id, conversation_id, type, body, status,
    created_at, tried_since, due_at)
SELECT e.id, CAST(:event_id AS uuid), e.organization_id, CAST(:conversation_id AS uuid), CAST(:type AS text),
    CAST(:body AS text), 'pending', {now}, {now}, {now}
FROM webhook_endpoints e
WHERE e.organization_id = :organization_id AND e.disabled_at IS NULL
  AND (e.events IS NULL OR e.events ? CAST(:type AS text))
  AND NOT EXISTS (
        SELECT 1 FROM conversations c WHERE c.id = CAST(:conversation_id AS uuid) AND c.session_type <> 'live')
  AND (CAST(:type AS text) <> 'conversation.handoff_requested' OR EXISTS (
        SELECT 1 FROM conversations c WHERE c.id = CAST(:conversation_id AS uuid)))
ON CONFLICT DO NOTHING

-- name: webhook_endpoints_due @sqlite
-- Endpoints with something due and room for it, the one that waited longest first; locked by this unit.
SELECT id, url, secret, CASE WHEN previous_until > {now} THEN previous_secret END AS previous_secret
FROM webhook_endpoints
WHERE disabled_at IS NULL
  AND EXISTS (SELECT 1 FROM webhook_deliveries d WHERE d.endpoint_id = webhook_endpoints.id AND d.due_at <= {now})
  AND :bound > (SELECT COUNT(*) FROM webhook_deliveries d
        WHERE d.endpoint_id = webhook_endpoints.id AND d.status = 'sending' AND d.due_at > {now})
ORDER BY served_at, id LIMIT :limit

-- name: webhook_endpoints_due @postgres
SELECT id, url, secret, CASE WHEN previous_until > {now} THEN previous_secret END AS previous_secret
FROM webhook_endpoints e
WHERE disabled_at IS NULL
  AND EXISTS (SELECT 1 FROM webhook_deliveries d WHERE d.endpoint_id = e.id AND d.due_at <= {now})
  AND :bound > (SELECT COUNT(*) FROM webhook_deliveries d
        WHERE d.endpoint_id = e.id AND d.status = 'sending' AND d.due_at > {now})
ORDER BY served_at, id LIMIT :limit FOR UPDATE SKIP LOCKED

-- name: webhook_endpoint_served
UPDATE webhook_endpoints SET served_at = {now} WHERE id = :id

-- name: webhook_claim @sqlite
-- The attempt is committed before it is made; whoever makes it is believed dead after `lease` microseconds.
UPDATE webhook_deliveries SET status = 'sending', attempt = attempt + 1, attempted_at = {now},
    due_at = {now} + :lease
WHERE (endpoint_id, event_id) IN (
    SELECT endpoint_id, event_id FROM webhook_deliveries
    WHERE endpoint_id = :endpoint_id AND due_at <= {now} ORDER BY due_at
    LIMIT MIN(:room, MAX(0, :bound - (SELECT COUNT(*) FROM webhook_deliveries
        WHERE endpoint_id = :endpoint_id AND status = 'sending' AND due_at > {now}))))
RETURNING event_id, type, body, attempt

-- name: webhook_claim @postgres
-- The attempt is committed before it is made; whoever makes it is believed dead after `lease` microseconds.
UPDATE webhook_deliveries SET status = 'sending', attempt = attempt + 1, attempted_at = {now},
    due_at = {now} + :lease
WHERE endpoint_id = :endpoint_id AND event_id = ANY(ARRAY(
    SELECT event_id FROM webhook_deliveries
    WHERE endpoint_id = :endpoint_id AND due_at <= {now} ORDER BY due_at
    LIMIT LEAST(:room, GREATEST(0, :bound - (SELECT COUNT(*) FROM webhook_deliveries
        WHERE endpoint_id = :endpoint_id AND status = 'sending' AND due_at > {now}))) FOR UPDATE))
RETURNING event_id, type, body, attempt

-- name: webhook_delivered
-- A fact about the world: whoever learns it, records it.
UPDATE webhook_deliveries SET status = 'delivered', response_code = :response_code, error = NULL, due_at = NULL
WHERE endpoint_id = :endpoint_id AND event_id = :event_id AND status <> 'delivered'

-- name: webhook_attempted
-- How long it has been tried, for who still has the attempt.
SELECT organization_id, conversation_id, type, created_at, {now} - tried_since AS tried_for
FROM webhook_deliveries
WHERE endpoint_id = :endpoint_id AND event_id = :event_id AND attempt = :attempt AND status = 'sending'

-- name: webhook_failed
-- `delay` microseconds until it is tried again; NULL: never.
UPDATE webhook_deliveries SET status = :status, response_code = :response_code, error = :error,
    due_at = {now} + :delay
WHERE endpoint_id = :endpoint_id AND event_id = :event_id AND attempt = :attempt AND status = 'sending'

-- name: webhook_deliveries_page
SELECT event_id, type, status, attempt, response_code, error, created_at, attempted_at, due_at
FROM webhook_deliveries
WHERE endpoint_id = :endpoint_id AND (created_at, event_id) < (:before_at, :before_id)
ORDER BY created_at DESC, event_id DESC LIMIT :limit

-- name: webhook_redeliver
-- What is settled begins anew; what waits is due at once; what is on its way is left alone.
UPDATE webhook_deliveries SET
    attempt = CASE WHEN due_at IS NULL THEN 0 ELSE attempt END,
    tried_since = CASE WHEN due_at IS NULL THEN {now} ELSE tried_since END,
    due_at = CASE WHEN status = 'sending' THEN due_at ELSE {now} END,
    status = CASE WHEN status = 'sending' THEN status ELSE 'pending' END
WHERE endpoint_id = :endpoint_id AND event_id = :event_id
RETURNING event_id, type, status, attempt, response_code, error, created_at, attempted_at, due_at

-- name: webhook_claims_reset
-- An embedded start: whoever was sending is dead.
UPDATE webhook_deliveries SET status = 'pending', due_at = {now} WHERE status = 'sending'

-- name: webhook_deliveries_forget @sqlite
DELETE FROM webhook_deliveries WHERE rowid IN (
    SELECT rowid FROM webhook_deliveries WHERE created_at < {now} - :age ORDER BY created_at LIMIT 200)

-- name: webhook_deliveries_forget @postgres
DELETE FROM webhook_deliveries WHERE ctid = ANY(ARRAY(
    SELECT ctid FROM webhook_deliveries WHERE created_at < {now} - :age ORDER BY created_at LIMIT 200))
