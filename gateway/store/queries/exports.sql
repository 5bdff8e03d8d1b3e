-- name: handoffs_of_conversation
SELECT * FROM handoffs WHERE conversation_id = :id AND id > :after ORDER BY id LIMIT :limit

-- name: approvals_of_conversation
SELECT * FROM approvals WHERE conversation_id = :id AND id > :after ORDER BY id LIMIT :limit

-- name: calls_of_conversation
SELECT provider, call_id, transport, started_at, ended_at FROM calls WHERE conversation_id = :id
ORDER BY started_at, call_id LIMIT 1000

-- name: outgoing_call_of_conversation
SELECT state, attempt, first_message, answered_by, answered_at, created_at FROM outgoing_calls
WHERE conversation_id = :id

-- name: notes_of_conversation
SELECT digest, facts FROM conversations WHERE id = :id

-- name: deliveries_of_messages
SELECT id, message_id, channel, sender, recipient, state, error_code, created_at, settled_at FROM deliveries
WHERE message_id {in :ids} ORDER BY created_at, id LIMIT 1000

-- name: parts_of_deliveries
-- Without their texts, which are the message's, cut.
SELECT delivery_id, number, segments, state, provider, provider_message_id, error_code, updated_at FROM parts
WHERE delivery_id {in :ids} ORDER BY delivery_id, number LIMIT 50000
