-- name: conversation_retired @sqlite
-- A terminal conversation whose time is up, and which has been summed up.
SELECT c.id FROM conversations c
WHERE c.retention_expires_at <= {now} AND c.archived_at IS NULL
  AND NOT EXISTS (SELECT 1 FROM closings k WHERE k.conversation_id = c.id)
ORDER BY c.retention_expires_at LIMIT 1

-- name: conversation_retired @postgres
SELECT c.id FROM conversations c
WHERE c.retention_expires_at <= {now} AND c.archived_at IS NULL
  AND NOT EXISTS (SELECT 1 FROM closings k WHERE k.conversation_id = c.id)
ORDER BY c.retention_expires_at LIMIT 1 FOR UPDATE SKIP LOCKED

-- name: messages_retire @sqlite
DELETE FROM messages WHERE rowid IN (
    SELECT rowid FROM messages WHERE conversation_id = :id ORDER BY seq LIMIT 200)

-- name: messages_retire @postgres
DELETE FROM messages WHERE ctid = ANY(ARRAY(
    SELECT ctid FROM messages WHERE conversation_id = :id ORDER BY seq LIMIT 200))

-- name: turns_retire @sqlite
DELETE FROM turns WHERE rowid IN (
    SELECT rowid FROM turns WHERE conversation_id = :id ORDER BY id LIMIT 200)

-- name: turns_retire @postgres
DELETE FROM turns WHERE ctid = ANY(ARRAY(
    SELECT ctid FROM turns WHERE conversation_id = :id ORDER BY id LIMIT 200))

-- name: timeline_retire @sqlite
DELETE FROM timeline WHERE rowid IN (
    SELECT rowid FROM timeline WHERE conversation_id = :id ORDER BY number LIMIT 200)

-- name: timeline_retire @postgres
DELETE FROM timeline WHERE ctid = ANY(ARRAY(
    SELECT ctid FROM timeline WHERE conversation_id = :id ORDER BY number LIMIT 200))

-- name: parts_retire @sqlite
-- Before their deliveries, which a later unit takes once no part is left.
DELETE FROM parts WHERE rowid IN (
    SELECT p.rowid FROM deliveries d JOIN parts p ON p.delivery_id = d.id
    WHERE d.conversation_id = :id AND d.settled_at IS NOT NULL LIMIT 200)

-- name: parts_retire @postgres
DELETE FROM parts WHERE ctid = ANY(ARRAY(
    SELECT p.ctid FROM deliveries d JOIN parts p ON p.delivery_id = d.id
    WHERE d.conversation_id = :id AND d.settled_at IS NOT NULL LIMIT 200))

-- name: deliveries_retire @sqlite
DELETE FROM deliveries WHERE rowid IN (
    SELECT d.rowid FROM deliveries d WHERE d.conversation_id = :id AND d.settled_at IS NOT NULL
      AND NOT EXISTS (SELECT 1 FROM parts p WHERE p.delivery_id = d.id)
    ORDER BY d.number LIMIT 200)

-- name: deliveries_retire @postgres
DELETE FROM deliveries WHERE ctid = ANY(ARRAY(
    SELECT d.ctid FROM deliveries d WHERE d.conversation_id = :id AND d.settled_at IS NOT NULL
      AND NOT EXISTS (SELECT 1 FROM parts p WHERE p.delivery_id = d.id)
    ORDER BY d.number LIMIT 200))
