-- name: intent_insert
INSERT INTO call_intents (intent_id, call_id, organization_id, conversation_id, kind, patience, due_at, created_at)
VALUES (:intent_id, :call_id, :organization_id, :conversation_id, :kind, :patience, :due_at, {now})
ON CONFLICT DO NOTHING

-- name: intent_progress
-- A sign of life; one that was overtaken by a later report changes nothing.
UPDATE call_intents SET seq = :seq,
    due_at = CASE WHEN due_at IS NULL THEN NULL ELSE {now} + patience END
WHERE intent_id = :intent_id AND call_id = :call_id AND state IS NULL AND seq < :seq
RETURNING organization_id, conversation_id, kind

-- name: intent_end
-- The first end counts; the report that said so may come again.
UPDATE call_intents SET state = :state, ended_by = :ended_by, due_at = NULL
WHERE intent_id = :intent_id AND call_id = :call_id AND (state IS NULL OR ended_by = :ended_by)
RETURNING organization_id, conversation_id, kind

-- name: intents_overdue
SELECT intent_id FROM call_intents WHERE due_at IS NOT NULL AND due_at <= {now} ORDER BY due_at LIMIT 50

-- name: intent_lose
-- No row where its end is known, or it was given up before: then nobody has patience with it any more.
UPDATE call_intents SET due_at = NULL, patience = 0 WHERE intent_id = :intent_id AND state IS NULL AND patience > 0
RETURNING intent_id, call_id, organization_id, conversation_id, {now} AS at

-- name: intents_purge
DELETE FROM call_intents WHERE intent_id IN (
    SELECT intent_id FROM call_intents WHERE conversation_id = :id LIMIT :limit)
