-- name: calls_newest
SELECT call_id FROM calls WHERE conversation_id = :conversation_id ORDER BY started_at DESC, call_id LIMIT :limit

-- name: forgotten_call_insert
INSERT INTO forgotten_calls (organization_id, call_hash, forgotten_at) VALUES (:organization_id, :call_hash, {now})
ON CONFLICT DO NOTHING

-- name: forgotten_call
SELECT forgotten_at FROM forgotten_calls WHERE organization_id = :organization_id AND call_hash = :call_hash

-- name: forgotten_calls_among
SELECT call_hash FROM forgotten_calls WHERE organization_id = :organization_id AND call_hash {in :hashes}

-- name: forgotten_calls_forget @sqlite
DELETE FROM forgotten_calls WHERE rowid IN (
    SELECT rowid FROM forgotten_calls WHERE forgotten_at < {now} - :age ORDER BY forgotten_at LIMIT 200)

-- name: forgotten_calls_forget @postgres
DELETE FROM forgotten_calls WHERE ctid = ANY(ARRAY(
    SELECT ctid FROM forgotten_calls WHERE forgotten_at < {now} - :age ORDER BY forgotten_at LIMIT 200))

-- name: conversation_person
-- Null also for one whose person has no record, as in test chats.
SELECT u.erased_at FROM conversations c LEFT JOIN end_users u ON u.id = c.end_user_id WHERE c.id = :id

-- name: erasure_insert
INSERT INTO erasures (end_user_id, organization_id, addresses, requested_at, due_at)
VALUES (:end_user_id, :organization_id, :addresses, {now}, {now})
ON CONFLICT DO NOTHING

-- name: erasure_due
SELECT * FROM erasures WHERE finished_at IS NULL AND due_at <= {now} ORDER BY due_at LIMIT 1 OFFSET :past
{for update skip locked}

-- name: erasure_letters_seen
UPDATE erasures SET letters_seen = :letter_id WHERE end_user_id = :end_user_id

-- name: erasure_swept
-- Everything is gone. It is looked for once more after `grace`, and then the addresses are forgotten too.
UPDATE erasures SET
    swept_at = COALESCE(swept_at, {now}),
    due_at = CASE WHEN swept_at IS NULL THEN {now} + :grace ELSE due_at END,
    addresses = CASE WHEN swept_at IS NULL THEN addresses ELSE '[]' END,
    letters_seen = NULL,
    finished_at = CASE WHEN swept_at IS NULL THEN NULL ELSE {now} END
WHERE end_user_id = :end_user_id
RETURNING finished_at IS NOT NULL AS finished

-- name: conversations_open_of
SELECT id, end_user_id FROM conversations
WHERE organization_id = :organization_id AND end_user_id {in :ids} AND ended_at IS NULL
ORDER BY created_at DESC, id DESC LIMIT :limit

-- name: conversation_of_record
-- Any one of a record's, as long as there are some.
SELECT id FROM conversations WHERE organization_id = :organization_id AND end_user_id = :end_user_id
ORDER BY created_at, id LIMIT 1

-- name: conversation_forget
-- What a conversation's own row tells of its person; with the addresses go the ways by which mail and calls
-- would find it.
UPDATE conversations SET archived_at = {now}, updated_at = {now}, summary = NULL, digest = NULL, facts = NULL, metadata = '{}',
    context_variables = '{}', subject = NULL, their_address = NULL, thread_key = NULL, external_session_id = NULL,
    recording_url = NULL, has_recording = FALSE
WHERE id = :id

-- name: webhook_deliveries_erase
DELETE FROM webhook_deliveries WHERE (endpoint_id, event_id) IN (
    SELECT endpoint_id, event_id FROM webhook_deliveries WHERE conversation_id = :id LIMIT :limit)

-- name: memories_erase
DELETE FROM memories WHERE conversation_id IN (
    SELECT conversation_id FROM memories WHERE end_user_id = :end_user_id LIMIT :limit)

-- name: idempotency_erase
DELETE FROM idempotency_keys WHERE (organization_id, route, key) IN (
    SELECT organization_id, route, key FROM idempotency_keys WHERE end_user_id = :end_user_id LIMIT :limit)

-- name: consents_strip
-- That there was a wish stays, with its time and its source; what was said then, and where, does not.
UPDATE consents SET detail = NULL, conversation_id = NULL, message_id = NULL
WHERE id IN (
    SELECT id FROM consents
    WHERE organization_id = :organization_id AND channel = :channel AND their_address = :their_address
      AND created_at <= :until AND (detail IS NOT NULL OR conversation_id IS NOT NULL)
    LIMIT :limit)

-- name: bounce_suppressions_erase
-- By the address, not through all bounces: hence the ||.
DELETE FROM suppressions WHERE id IN (
    SELECT id FROM suppressions
    WHERE organization_id = :organization_id AND channel = 'email' AND their_address = :their_address
      AND reason || '' IN ('hard_bounce', 'soft_bounces')
    LIMIT :limit)

-- name: dead_letters_after
-- All of them, a few at a time, by those who look for what quotes a person.
SELECT id, organization_id, body, headers FROM dead_letters WHERE id > :after ORDER BY id LIMIT :limit

-- name: dead_letters_erase
DELETE FROM dead_letters WHERE id {in :ids}
