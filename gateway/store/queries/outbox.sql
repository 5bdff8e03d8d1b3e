-- name: outbox_insert
INSERT INTO outbox (id, exchange, routing_key, body, traceparent, due_at)
VALUES (:id, :exchange, :routing_key, :body, :traceparent, {now} + :delay)

-- name: outbox_claim
-- Rows that are due, claimed until `claim` microseconds from now.
UPDATE outbox SET due_at = {now} + :claim, attempt = attempt + 1
WHERE id IN (
    SELECT id FROM outbox WHERE due_at <= {now} ORDER BY due_at, id LIMIT :limit {for update skip locked})
RETURNING id, exchange, routing_key, body, traceparent, attempt

-- name: outbox_delete
DELETE FROM outbox WHERE id {in :ids}

-- name: outbox_postpone
-- A bell that was handed over without a row gets one.
INSERT INTO outbox (id, exchange, routing_key, body, traceparent, due_at, attempt)
VALUES (:id, :exchange, :routing_key, :body, :traceparent, {now} + :delay, :attempt)
ON CONFLICT (id) DO UPDATE SET due_at = excluded.due_at

-- name: outbox_hurry
UPDATE outbox SET due_at = {now} WHERE id = :id

-- name: outbox_reset
-- An embedded start: nobody else is dispatching, so nothing has to wait for a dead claim.
UPDATE outbox SET due_at = {now} WHERE due_at > {now}

-- name: outbox_next_due
SELECT MIN(due_at) - {now} AS wait FROM outbox

-- name: backlog
-- What waits, each kind counted up to :most.
SELECT
    (SELECT COUNT(*) FROM (SELECT 1 AS one FROM outbox ORDER BY due_at LIMIT :most) AS listed) AS outbox,
    (SELECT COUNT(*) FROM (
        SELECT 1 AS one FROM conversations WHERE answered < last_input ORDER BY rung_at LIMIT :most) AS listed) AS turns,
    (SELECT COUNT(*) FROM (
        SELECT 1 AS one FROM lanes WHERE settled < queued ORDER BY rung_at LIMIT :most) AS listed) AS deliveries,
    (SELECT COUNT(*) FROM (
        SELECT 1 AS one FROM dead_letters WHERE settled_at IS NULL ORDER BY created_at, id LIMIT :most) AS listed
    ) AS dead_letters
