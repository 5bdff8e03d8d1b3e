-- name: idempotency_take
-- A key is taken once a day: no row when an earlier request has it.
INSERT INTO idempotency_keys (organization_id, route, key, body_hash, message_id, conversation_id, expires_at)
VALUES (:organization_id, :route, :key, :body_hash, :message_id, :conversation_id, {now} + :lifetime)
ON CONFLICT (organization_id, route, key) DO UPDATE SET
    body_hash = excluded.body_hash, message_id = excluded.message_id,
    conversation_id = excluded.conversation_id, status = NULL, answer = NULL,
    expires_at = excluded.expires_at
WHERE idempotency_keys.expires_at <= {now}
RETURNING key

-- name: idempotency_find
SELECT body_hash, message_id, status, answer FROM idempotency_keys
WHERE organization_id = :organization_id AND route = :route AND key = :key

-- name: idempotency_answer
UPDATE idempotency_keys SET status = :status, answer = :answer,
    conversation_id = COALESCE(:conversation_id, conversation_id), end_user_id = :end_user_id
WHERE organization_id = :organization_id AND route = :route AND key = :key
