-- name: outgoing_call_insert
INSERT INTO outgoing_calls (conversation_id, organization_id, state, rank, due_at, rung_at, expires_at,
    first_message, created_at)
VALUES (:conversation_id, :organization_id, 'queued', 0, :due_at, {now}, :expires_at, :first_message, {now})

-- name: outgoing_call
-- As it stands, and the time. Whoever changes it has locked the conversation first.
SELECT *, {now} AS now FROM outgoing_calls WHERE conversation_id = :conversation_id

-- name: outgoing_call_claim
-- One attempt: `state` queued becomes dialing. Refused (no row) where somebody else was faster.
UPDATE outgoing_calls SET state = 'dialing', rank = 1, attempt = attempt + 1, claimed_at = {now},
    due_at = {now} + :patience
WHERE conversation_id = :conversation_id AND state = 'queued'
RETURNING attempt, claimed_at

-- name: outgoing_call_look
-- Whoever takes it looks alone until the next look is due.
UPDATE outgoing_calls SET due_at = {now} + :patience
WHERE conversation_id = :conversation_id AND due_at <= {now}
RETURNING due_at

-- name: outgoing_call_again
-- An attempt was not taken: it may be dialled again. No row where the provider turned out to have it.
UPDATE outgoing_calls SET state = 'queued', rank = 0, due_at = {now} + :delay
WHERE conversation_id = :conversation_id AND state = 'dialing' AND attempt = :attempt
RETURNING due_at

-- name: outgoing_call_hold
UPDATE outgoing_calls SET due_at = :until, expires_at = :expires_at
WHERE conversation_id = :conversation_id AND state = 'queued'

-- name: outgoing_call_bind
UPDATE outgoing_calls SET provider = :provider, call_id = :call_id
WHERE conversation_id = :conversation_id AND call_id IS NULL

-- name: outgoing_call_raw
UPDATE outgoing_calls SET raw_state = :raw_state WHERE conversation_id = :conversation_id

-- name: outgoing_call_report
-- It has come further; `wait` is when somebody looks at it unasked, null where nobody has to any more.
UPDATE outgoing_calls SET state = :state, rank = :rank, raw_state = :raw_state,
    due_at = CASE WHEN CAST(:wait AS bigint) IS NULL THEN NULL WHEN command IS NOT NULL THEN due_at
        ELSE {now} + CAST(:wait AS bigint) END,
    command = CASE WHEN CAST(:wait AS bigint) IS NULL THEN NULL ELSE command END,
    answered_at = CASE WHEN CAST(:connected AS boolean) THEN COALESCE(answered_at, {now}) ELSE answered_at END
WHERE conversation_id = :conversation_id AND rank < :rank

-- name: outgoing_call_over
-- It was not made, or has ended; nobody looks at it any more.
UPDATE outgoing_calls SET state = :state, rank = :rank, due_at = NULL, command = NULL
WHERE conversation_id = :conversation_id AND rank < :rank

-- name: outgoing_call_answered_by
UPDATE outgoing_calls SET answered_by = :answered_by
WHERE conversation_id = :conversation_id AND call_id = :call_id AND answered_by IS NULL

-- name: outgoing_call_command
-- The provider is to be told something: only of a call that it has, and that is not over. Whoever answers now
-- has no first message to hear.
UPDATE outgoing_calls SET command = :command, first_message = NULL, due_at = {now}, rung_at = {now}
WHERE conversation_id = :conversation_id AND call_id IS NOT NULL AND rank < :over
RETURNING organization_id, rung_at

-- name: outgoing_call_told
-- The provider was told, unless that has changed meanwhile; what came of it is looked at later.
UPDATE outgoing_calls SET command = NULL, due_at = {now} + :wait
WHERE conversation_id = :conversation_id AND call_id = :call_id AND command = :command

-- name: outgoing_calls_due @sqlite
-- Rung for again, but for what a brake keeps from being dialled.
UPDATE outgoing_calls SET rung_at = {now}
WHERE conversation_id IN (
    SELECT o.conversation_id FROM outgoing_calls o
    WHERE o.due_at <= {now} AND o.rung_at < {now} - :every
      AND (o.state <> 'queued' OR NOT EXISTS (
            SELECT 1 FROM brakes b JOIN conversations c ON c.id = o.conversation_id
            WHERE b.cause <> 'messages' AND b.subject_id IN (c.organization_id, c.assigned_agent_id)))
    LIMIT 200)
RETURNING conversation_id, organization_id, rung_at

-- name: outgoing_calls_due @postgres
UPDATE outgoing_calls SET rung_at = {now}
WHERE conversation_id IN (
    SELECT o.conversation_id FROM outgoing_calls o
    WHERE o.due_at <= {now} AND o.rung_at < {now} - :every
      AND (o.state <> 'queued' OR NOT EXISTS (
            SELECT 1 FROM brakes b JOIN conversations c ON c.id = o.conversation_id
            WHERE b.cause <> 'messages' AND b.subject_id IN (c.organization_id, c.assigned_agent_id)))
    LIMIT 200 FOR UPDATE OF o SKIP LOCKED)
RETURNING conversation_id, organization_id, rung_at

-- name: outgoing_calls_bound @sqlite
SELECT call_id FROM outgoing_calls WHERE call_id IN (SELECT value FROM json_each(:ids))

-- name: outgoing_calls_bound @postgres
SELECT call_id FROM outgoing_calls WHERE call_id = ANY(:ids)

-- name: outgoing_calls_purge
-- One that is still to be hung up outlives its conversation until it was: it names nobody.
DELETE FROM outgoing_calls WHERE conversation_id IN (
    SELECT conversation_id FROM outgoing_calls
    WHERE conversation_id = :id AND (command IS NULL OR command <> 'hang_up') LIMIT :limit)

-- name: conversation_bind_call
-- From now on what comes of the call finds its conversation.
UPDATE conversations SET thread_key = :thread_key WHERE id = :id

-- name: conversation_connected
-- A call of ours is answered: it counts from now on.
UPDATE conversations SET started_at = {now}, ttl_expires_at = {now} + idle_ttl, updated_at = {now} WHERE id = :id

-- name: conversation_wait_until
-- A call that we begin has to wait: it does not expire meanwhile.
UPDATE conversations SET ttl_expires_at = CAST(:until AS bigint) + idle_ttl WHERE id = :id AND ended_at IS NULL

-- name: conversation_annotate
UPDATE conversations SET metadata = :metadata, updated_at = {now} WHERE id = :id

-- name: conversation_recorded
UPDATE conversations SET has_recording = TRUE, recording_url = :recording_url, updated_at = {now} WHERE id = :id
