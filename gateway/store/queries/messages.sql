-- name: message_insert
INSERT INTO messages (
    conversation_id, seq, id, turn_id, role, content, authored_by, agent_id, created_at,
    tool_calls, model_used, input_tokens, output_tokens, latency_ms, delivery_status,
    metadata, evidence, attachments
) VALUES (
    :conversation_id, :seq, :id, :turn_id, :role, :content, :authored_by, :agent_id, {now},
    :tool_calls, :model_used, :input_tokens, :output_tokens, :latency_ms, :delivery_status,
    :metadata, :evidence, :attachments
)

-- name: messages_recent
-- The newest `limit` messages before `before`, newest first.
SELECT * FROM messages WHERE conversation_id = :conversation_id AND seq < :before
ORDER BY seq DESC LIMIT :limit

-- name: message_newest
-- Who has spoken last.
SELECT role FROM messages WHERE conversation_id = :conversation_id AND role IN ('user', 'assistant')
ORDER BY seq DESC LIMIT 1

-- name: messages_since
SELECT * FROM messages WHERE conversation_id = :conversation_id AND seq > :since
ORDER BY seq LIMIT :limit

-- name: message_delivery_status
-- No row where it has stood so already.
UPDATE messages SET delivery_status = :delivery_status
WHERE conversation_id = :conversation_id AND seq = :seq
  AND COALESCE(delivery_status, '') <> :delivery_status

-- name: message_position
-- Where a message stands, and the turn it belongs to.
SELECT conversation_id, seq, turn_id FROM messages WHERE id = :id

-- name: message_join_turn
UPDATE messages SET turn_id = :turn_id WHERE id = :id

-- name: message_last_said
-- The message that ends a turn's reply.
SELECT id, created_at FROM messages
WHERE conversation_id = :conversation_id AND turn_id = :turn_id AND role = 'assistant'
ORDER BY seq DESC LIMIT 1

-- name: mail_pace
-- The newest messages of a conversation: which are the agent's and how new, and which say these very words.
SELECT role = 'assistant' AND authored_by = 'agent' AS answer,
    created_at > {now} - :lately AS lately,
    created_at > {now} - :day AS today,
    role = 'user' AND content = :content AND created_at > {now} - :hour AS same
FROM messages WHERE conversation_id = :id ORDER BY seq DESC LIMIT 60

-- name: message_attachments
SELECT attachments FROM messages WHERE id = :id

-- name: message_show_attachments
UPDATE messages SET attachments = :attachments WHERE id = :id

-- name: sms_standing
-- Where a text belongs, and what somebody has texted lately and how often the agent has answered: of their newest
-- conversations, the newest messages.
SELECT
    (SELECT c.id FROM conversations c
        WHERE c.organization_id = :organization_id AND c.thread_key = :thread_key AND c.ended_at IS NULL) AS open_id,
    (SELECT c.message_count FROM conversations c
        WHERE c.organization_id = :organization_id AND c.thread_key = :thread_key AND c.ended_at IS NULL) AS messages,
    (SELECT c.id FROM conversations c
        WHERE c.organization_id = :organization_id AND c.thread_key = :thread_key AND c.ended_at IS NOT NULL
        ORDER BY c.ended_at DESC LIMIT 1) AS ended_id,
    COUNT(*) FILTER (WHERE m.role = 'user') AS said,
    COUNT(*) FILTER (WHERE m.role = 'assistant' AND m.authored_by = 'agent'
        AND newest.our_address = :our_address) AS answers,
    COUNT(*) FILTER (WHERE m.role = 'user' AND m.content = :content AND m.created_at > {now} - :lately
        AND newest.our_address = :our_address) AS same
FROM (
    SELECT id, our_address, message_count FROM conversations
    WHERE organization_id = :organization_id AND end_user_id = :end_user_id
    ORDER BY created_at DESC, id DESC LIMIT 10) AS newest
JOIN messages m ON m.conversation_id = newest.id AND m.seq >= newest.message_count - 300
WHERE m.created_at > {now} - :hour

-- name: messages_said_in_turn
-- What a turn has said, in order.
SELECT * FROM messages
WHERE conversation_id = :conversation_id AND turn_id = :turn_id AND role = 'assistant' AND authored_by = 'agent'
ORDER BY seq LIMIT :limit

-- name: messages_said_since
-- What was said to the end user, by the agent or a person, after this one.
SELECT * FROM messages
WHERE conversation_id = :conversation_id AND seq > :since AND role = 'assistant' AND content <> ''
ORDER BY seq LIMIT :limit

-- name: message_of_receipt
-- What a provider's message became.
SELECT m.metadata FROM receipts r JOIN messages m ON m.id = r.message_id
WHERE r.organization_id = :organization_id AND r.provider = :provider
  AND r.provider_message_id = :provider_message_id

-- name: message_of_turn
-- What an end user said last that this turn answers.
SELECT id FROM messages WHERE conversation_id = :conversation_id AND turn_id = :turn_id AND role = 'user'
ORDER BY seq DESC LIMIT 1

-- name: message_said_last
SELECT * FROM messages WHERE conversation_id = :conversation_id AND role = 'assistant' ORDER BY seq DESC LIMIT 1

-- name: message_mark
UPDATE messages SET metadata = :metadata WHERE id = :id
