-- name: dead_letter_insert
INSERT INTO dead_letters (id, organization_id, queue, reason, body, headers, conversation_id, created_at)
VALUES (:id, :organization_id, :queue, :reason, :body, :headers, :conversation_id, {now})
ON CONFLICT DO NOTHING

-- name: dead_letters_open
-- A page of the unsettled ones, oldest first, after the last one of the page before.
SELECT id, organization_id, queue, reason, body, headers, conversation_id, created_at, settled_at, settled_how
FROM dead_letters
WHERE settled_at IS NULL AND (created_at, id) > (:created_at, :id)
ORDER BY created_at, id LIMIT :limit

-- name: dead_letter_by_id
SELECT id, organization_id, queue, reason, body, headers, conversation_id, created_at, settled_at, settled_how
FROM dead_letters WHERE id = :id

-- name: dead_letters_between
-- Ids that begin alike; two are enough to know that more than one does.
SELECT id FROM dead_letters WHERE id >= :first AND id <= :last ORDER BY id LIMIT 2

-- name: dead_letter_settle
UPDATE dead_letters SET settled_at = {now}, settled_how = :how WHERE id = :id AND settled_at IS NULL

-- name: conversation_owe_again
-- Messages whose turn was given up are owed an answer again, with whatever is pending already.
UPDATE conversations SET
    last_input = last_input + :added,
    rung_at = {now},
    next_turn_id = COALESCE(next_turn_id, :next_turn_id),
    updated_at = {now},
    ttl_expires_at = {now} + idle_ttl
WHERE id = :id AND ended_at IS NULL
RETURNING organization_id, last_input, next_turn_id, updated_at

-- name: messages_of_turn
-- What the end user said and a turn was to answer.
SELECT id, seq FROM messages
WHERE conversation_id = :conversation_id AND turn_id = :turn_id AND role = 'user'
ORDER BY seq LIMIT 200

-- name: delivery_settled
SELECT id, lane, organization_id, conversation_id, message_seq, channel FROM deliveries
WHERE id = :id AND settled_at IS NOT NULL AND state <> 'canceled'

-- name: delivery_again
-- It leaves after whatever its lane has queued by now. Not pending: it has parts.
UPDATE deliveries SET state = 'sending', number = :number, error_code = NULL, settled_at = NULL,
    updated_at = {now}
WHERE id = :id
RETURNING updated_at

-- name: parts_again
-- What the provider did not take, or could not deliver, is to be sent as if for the first time.
UPDATE parts SET state = 'pending', rank = 0, attempt = 0, refusals = 0, claimed_at = NULL, first_claimed_at = NULL,
    retry_at = NULL, provider_message_id = NULL, error_code = NULL, raw_status = NULL, updated_at = {now}
WHERE delivery_id = :delivery_id AND state IN ('failed', 'canceled')
