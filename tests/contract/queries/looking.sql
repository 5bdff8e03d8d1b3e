-- name: test_clock @sqlite
SELECT :moment AS clock

-- name: test_clock @postgres
SELECT set_config('gateway.clock_us', :moment, false) AS clock

-- name: test_conversation
SELECT * FROM conversations WHERE id = :id

-- name: test_messages
SELECT * FROM messages WHERE conversation_id = :id ORDER BY seq

-- name: test_timeline
SELECT * FROM timeline WHERE conversation_id = :id ORDER BY number

-- name: test_inputs
SELECT * FROM inputs WHERE conversation_id = :id ORDER BY number

-- name: test_conversations
SELECT * FROM conversations ORDER BY created_at, id

-- name: test_turns
SELECT * FROM turns WHERE conversation_id = :id ORDER BY started_at, id

-- name: test_outbox
SELECT id, exchange, routing_key, body FROM outbox ORDER BY id

-- name: test_outbox_clear
DELETE FROM outbox

-- name: test_deliveries
SELECT * FROM deliveries WHERE conversation_id = :id ORDER BY number

-- name: test_parts
SELECT p.* FROM parts p JOIN deliveries d ON d.id = p.delivery_id
WHERE d.conversation_id = :id ORDER BY d.number, p.number

-- name: test_end_users
SELECT * FROM end_users ORDER BY created_at, id

-- name: test_receipts
SELECT * FROM receipts ORDER BY provider_message_id

-- name: test_approvals
SELECT * FROM approvals WHERE conversation_id = :id ORDER BY created_at, id

-- name: test_handoffs
SELECT * FROM handoffs WHERE conversation_id = :id ORDER BY created_at, id

-- name: test_dead_letters
SELECT * FROM dead_letters ORDER BY created_at, id

-- name: test_workers
SELECT * FROM workers ORDER BY id

-- name: test_idempotency_insert
INSERT INTO idempotency_keys (organization_id, route, key, body_hash, expires_at)
VALUES (:organization_id, 'r', :key, 'h', {now} + :lifetime)

-- name: test_idempotency_keys
SELECT key FROM idempotency_keys ORDER BY key

-- name: test_session_type
UPDATE conversations SET session_type = :session_type WHERE id = :id

-- name: test_closings
SELECT * FROM closings ORDER BY conversation_id

-- name: test_memories
SELECT * FROM memories ORDER BY created_at, conversation_id

-- name: test_analytics
SELECT * FROM analytics ORDER BY ended_at, conversation_id

-- name: test_unverified
UPDATE conversations SET unverified = TRUE WHERE id = :id

-- name: test_left_over
-- What is left of a conversation in the tables that hold what was said.
SELECT
    (SELECT COUNT(*) FROM messages WHERE conversation_id = :id)
    + (SELECT COUNT(*) FROM turns WHERE conversation_id = :id)
    + (SELECT COUNT(*) FROM timeline WHERE conversation_id = :id)
    + (SELECT COUNT(*) FROM deliveries WHERE conversation_id = :id)
    + (SELECT COUNT(*) FROM parts p JOIN deliveries d ON d.id = p.delivery_id WHERE d.conversation_id = :id)
    + (SELECT COUNT(*) FROM handoffs WHERE conversation_id = :id)
    + (SELECT COUNT(*) FROM approvals WHERE conversation_id = :id)
    + (SELECT COUNT(*) FROM memories WHERE conversation_id = :id) AS remaining

-- name: test_contacts
SELECT * FROM contacts ORDER BY kind, value

-- name: test_lanes
SELECT * FROM lanes ORDER BY id

-- name: test_all_parts
SELECT * FROM parts ORDER BY delivery_id, number

-- name: test_all_deliveries
SELECT * FROM deliveries ORDER BY lane, number

-- name: test_webhook_deliveries
SELECT * FROM webhook_deliveries ORDER BY created_at, event_id

-- name: test_consents
SELECT * FROM consents ORDER BY created_at, id

-- name: test_senders
SELECT * FROM senders ORDER BY channel, address

-- name: test_lane
SELECT * FROM lanes WHERE id = :id

-- name: test_suppressions
SELECT * FROM suppressions ORDER BY created_at, id

-- name: test_knowledge_chunks
SELECT id FROM knowledge_chunks WHERE document_id = :document_id

-- name: test_outgoing_call
SELECT * FROM outgoing_calls WHERE conversation_id = :id

-- name: test_forgotten_calls
SELECT * FROM forgotten_calls ORDER BY call_hash

-- name: test_counted_mail
SELECT * FROM counted_mail ORDER BY domain, hour

-- name: test_conversation_spoil
UPDATE conversations SET priority = 'of another version' WHERE id = :id

-- name: test_erasure_spoil
UPDATE erasures SET addresses = '["none"]' WHERE end_user_id = :id
