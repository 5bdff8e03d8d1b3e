-- name: outbox_insert
INSERT INTO outbox (id, exchange, routing_key, body, traceparent, due_at)
VALUES (:id, :exchange, :routing_key, :body, :traceparent, {now} + :delay)

-- name: outbox_claim @sqlite
-- Rows that are due, claimed until `claim` microseconds from now.
UPDATE outbox SET due_at = {now} + :claim, attempt = attempt + 1
WHERE id IN (SELECT id FROM outbox WHERE due_at <= {now} ORDER BY due_at, id LIMIT :limit)
RETURNING id, exchange, routing_key, body, traceparent, attempt

-- name: outbox_claim @postgres
UPDATE outbox SET due_at = {now} + :claim, attempt = attempt + 1
WHERE id IN (
    SELECT id FROM outbox WHERE due_at <= {now} ORDER BY due_at, id LIMIT :limit FOR UPDATE SKIP LOCKED)
RETURNING id, exchange, routing_key, body, traceparent, attempt

-- name: outbox_delete @sqlite
DELETE FROM outbox WHERE id IN (SELECT value FROM json_each(:ids))

-- name: outbox_delete @postgres
DELETE FROM outbox WHERE id = ANY(:ids)

-- name: outbox_postpone
UPDATE outbox SET due_at = {now} + :delay WHERE id = :id

-- name: outbox_reset
-- An embedded start: nobody else is dispatching, so nothing has to wait for a dead claim.
UPDATE outbox SET due_at = {now} WHERE due_at > {now}

-- name: outbox_next_due
SELECT MIN(due_at) - {now} AS wait FROM outbox

-- name: outbox_depth
SELECT COUNT(*) AS depth FROM outbox
