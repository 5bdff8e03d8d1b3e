-- name: memory_insert
INSERT INTO memories (conversation_id, organization_id, end_user_id, channel, text, created_at)
VALUES (:conversation_id, :organization_id, :end_user_id, :channel, :text, {now})
ON CONFLICT DO NOTHING

-- name: memories_of_end_user
-- The newest of a person: of all the records that answer as one.
SELECT conversation_id, channel, text, created_at FROM memories
WHERE end_user_id IN (
    SELECT p.id FROM end_users u JOIN end_users p
        ON p.id = COALESCE(u.merged_into, u.id) OR p.merged_into = COALESCE(u.merged_into, u.id)
    WHERE u.id = :end_user_id)
ORDER BY created_at DESC, conversation_id DESC LIMIT :limit
