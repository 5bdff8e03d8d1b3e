-- name: worker_renew
-- Liveness: one row per process, one statement however many leases it holds.
INSERT INTO workers (id, roles, host, started_at, expires_at)
VALUES (:id, :roles, :host, {now}, {now} + :lifetime)
ON CONFLICT (id) DO UPDATE SET expires_at = {now} + :lifetime

-- name: worker_leave
DELETE FROM workers WHERE id = :id

-- name: workers_clear
-- An embedded start: whoever held leases here is dead.
DELETE FROM workers

-- name: workers_expired
DELETE FROM workers WHERE expires_at < {now} - :age

-- name: ping
-- Whether the database answers, and has its schema.
SELECT id FROM organisations LIMIT 1
