-- name: memory_insert
INSERT INTO memories (conversation_id, organization_id, end_user_id, channel, text, facts, created_at)
VALUES (:conversation_id, :organization_id, :end_user_id, :channel, :text, :facts, {now})
ON CONFLICT DO NOTHING

-- name: memories_of_end_user
-- The newest of a person: of all the records that answer as one. The texts of the newest `texts` only.
SELECT conversation_id, channel, created_at, facts,
    CASE WHEN ROW_NUMBER() OVER (ORDER BY created_at DESC, conversation_id DESC) <= :texts THEN text END AS text
FROM memories
WHERE end_user_id IN (
    SELECT p.id FROM end_users u JOIN end_users p
        ON p.id = COALESCE(u.merged_into, u.id) OR p.merged_into = COALESCE(u.merged_into, u.id)
    WHERE u.id = :end_user_id)
ORDER BY created_at DESC, conversation_id DESC LIMIT :limit

-- name: memories_page
-- Of all the records of a person, newest first, after a position.
SELECT conversation_id, channel, text, facts, created_at FROM memories
WHERE end_user_id {in :ids} AND (created_at, conversation_id) < (:before_at, :before_id)
ORDER BY created_at DESC, conversation_id DESC LIMIT :limit

-- name: memory_correct
UPDATE memories SET text = COALESCE(:text, text), facts = COALESCE(:facts, facts)
WHERE conversation_id = :conversation_id AND end_user_id {in :ids}
RETURNING conversation_id, channel, text, facts, created_at

-- name: memory_forget
DELETE FROM memories WHERE conversation_id = :conversation_id AND end_user_id {in :ids}
