-- name: conversation_insert
-- No row when an open conversation of the same thread, or external session, came first.
INSERT INTO conversations (
    id, organization_id, end_user_id, channel, status, session_type, priority, origin,
    assistant_id, assigned_agent_id, pinned_revision_id, our_address, their_address, unverified, thread_key,
    external_session_id, subject, metadata, context_variables,
    started_at, created_at, updated_at, idle_ttl, ttl_expires_at, retention
) VALUES (
    :id, :organization_id, :end_user_id, :channel, :status, :session_type, :priority, :origin,
    :agent_id, :agent_id, :revision_id, :our_address, :their_address, :unverified, :thread_key,
    :external_session_id, :subject, :metadata, :context_variables,
    {now}, {now}, {now}, :idle_ttl, {now} + :idle_ttl, :retention
)
ON CONFLICT DO NOTHING
RETURNING id

-- name: conversation_begin
-- The same with its first message, which a turn answers at once.
INSERT INTO conversations (
    id, organization_id, end_user_id, channel, status, session_type, priority, origin,
    assistant_id, assigned_agent_id, pinned_revision_id, our_address, their_address, unverified, thread_key,
    external_session_id, subject, metadata, context_variables,
    started_at, created_at, updated_at, idle_ttl, ttl_expires_at, retention,
    message_count, event_count, last_input, rung_at, next_turn_id, first_message_at, last_message_at
) VALUES (
    :id, :organization_id, :end_user_id, :channel, :status, :session_type, :priority, :origin,
    :agent_id, :agent_id, :revision_id, :our_address, :their_address, :unverified, :thread_key,
    :external_session_id, :subject, :metadata, :context_variables,
    {now}, {now}, {now}, :idle_ttl, {now} + :idle_ttl, :retention,
    1, 1, 1, {now}, :next_turn_id, {now}, {now}
)
ON CONFLICT DO NOTHING
RETURNING id, end_user_id, status, message_count, event_count, last_input, next_turn_id, our_address, 0 AS wait {of conversations WHERE id = :id}

-- name: conversation_by_id
SELECT * FROM conversations WHERE organization_id = :organization_id AND id = :id

-- name: conversation_of_any
-- For workers, which serve every organisation.
SELECT * FROM conversations WHERE id = :id

-- name: conversation_lock
SELECT * FROM conversations WHERE organization_id = :organization_id AND id = :id {for update}

-- name: conversation_of_thread
SELECT id FROM conversations
WHERE organization_id = :organization_id AND thread_key = :thread_key AND ended_at IS NULL

-- name: conversation_of_external_session
SELECT * FROM conversations
WHERE organization_id = :organization_id AND end_user_id = :end_user_id
  AND external_session_id = :external_session_id AND ended_at IS NULL

-- name: conversation_ended_before
SELECT id FROM conversations
WHERE organization_id = :organization_id AND thread_key = :thread_key AND ended_at IS NOT NULL
ORDER BY ended_at DESC, id DESC LIMIT 1

-- name: conversation_add_input
-- A message of the end user arrives. Refused (no row) when the conversation has ended. Before a turn has begun,
-- its first input opens a window for more, and one with files to fetch holds it open: `wait` is what is left.
UPDATE conversations SET
    message_count = message_count + 1,
    event_count = event_count + 1,
    last_input = last_input + 1,
    rung_at = {now},
    next_turn_id = COALESCE(next_turn_id, :next_turn_id),
    turn_due_at = CASE
        WHEN turn_id IS NOT NULL THEN turn_due_at
        WHEN answered >= last_input AND CAST(:window AS bigint) + CAST(:files AS bigint) = 0 THEN NULL
        WHEN answered >= last_input AND CAST(:files AS bigint) < CAST(:window AS bigint) THEN {now} + :window
        WHEN answered >= last_input THEN {now} + :files
        WHEN CAST(:files AS bigint) > 0 AND COALESCE(turn_due_at, 0) < {now} + :files THEN {now} + :files
        ELSE turn_due_at END,
    first_message_at = COALESCE(first_message_at, {now}),
    last_message_at = {now},
    updated_at = {now},
    ttl_expires_at = {now} + idle_ttl
WHERE id = :id AND ended_at IS NULL
RETURNING id, end_user_id, status, message_count, event_count, last_input, next_turn_id, our_address,
    CASE WHEN turn_id IS NULL AND turn_due_at > {now} THEN turn_due_at - {now} ELSE 0 END AS wait {of conversations WHERE id = :id}

-- name: conversation_wait_no_more @sqlite
-- What the next turn waited for is there: it begins when the window of its first input closes, or now.
UPDATE conversations SET updated_at = {now}, turn_due_at = MAX({now}, :window + (
    SELECT MIN(accepted_at) FROM inputs WHERE conversation_id = :id))
WHERE id = :id AND status = 'active' AND answered < last_input AND turn_id IS NULL AND turn_due_at > {now}
RETURNING updated_at, turn_due_at - {now} AS wait

-- name: conversation_wait_no_more @postgres
UPDATE conversations SET updated_at = {now}, turn_due_at = GREATEST({now}, :window::bigint + (
    SELECT MIN(accepted_at) FROM inputs WHERE conversation_id = :id))
WHERE id = :id AND status = 'active' AND answered < last_input AND turn_id IS NULL AND turn_due_at > {now}
RETURNING updated_at, turn_due_at - {now} AS wait

-- name: conversation_add_unanswered
-- The same for one that the agent does not answer.
UPDATE conversations SET
    message_count = message_count + 1,
    event_count = event_count + 1,
    first_message_at = COALESCE(first_message_at, {now}),
    last_message_at = {now},
    updated_at = {now},
    ttl_expires_at = {now} + idle_ttl
WHERE id = :id AND ended_at IS NULL
RETURNING id, end_user_id, status, message_count, event_count, last_input, NULL AS next_turn_id, our_address,
    0 AS wait

-- name: conversation_add_waiting_input
-- An API input of an active conversation: it gets its seq when its turn starts. Refused (no row) while a
-- brake is on; a simulation's waits.
UPDATE conversations SET
    last_input = last_input + 1,
    rung_at = {now},
    updated_at = {now},
    ttl_expires_at = {now} + idle_ttl
WHERE id = :id AND status = 'active'
  AND (session_type = 'simulation' OR NOT EXISTS (SELECT 1 FROM brakes b WHERE b.cause <> 'messages'
        AND b.subject_id IN (conversations.organization_id, conversations.assigned_agent_id)))
RETURNING last_input, updated_at

-- name: conversation_add_message
-- A message that nobody has to answer: a notice, an event, an operator's reply, an agent's first word.
UPDATE conversations SET
    message_count = message_count + 1,
    event_count = event_count + 1,
    first_message_at = COALESCE(first_message_at, {now}),
    last_message_at = {now},
    updated_at = {now},
    ttl_expires_at = {now} + idle_ttl
WHERE id = :id
RETURNING message_count, event_count, status, end_user_id, updated_at

-- name: conversation_add_note
-- The same for something that came from outside and is no message, such as the end of a call.
UPDATE conversations SET
    message_count = message_count + 1,
    event_count = event_count + 1,
    last_message_at = {now},
    updated_at = {now}
WHERE id = :id
RETURNING id, end_user_id, status, message_count, event_count, last_input, NULL AS next_turn_id, our_address,
    0 AS wait

-- name: conversation_moved
-- Another of our numbers speaks from now on.
UPDATE conversations SET our_address = :our_address WHERE id = :id

-- name: conversation_add_event
UPDATE conversations SET event_count = event_count + 1, updated_at = {now} WHERE id = :id
RETURNING event_count, updated_at

-- name: conversation_move
-- One move of the status table: `sources` are the statuses it may start from. Raises the fencing
-- number, so that a turn that was running cannot commit.
UPDATE conversations SET
    status = :status,
    fence = fence + 1,
    lease_owner = NULL,
    event_count = event_count + 1,
    updated_at = {now},
    ended_at = CASE WHEN CAST(:terminal AS boolean) THEN {now} ELSE ended_at END,
    closed_at = CASE WHEN CAST(:closed AS boolean) THEN {now} ELSE closed_at END,
    retention_expires_at = CASE WHEN CAST(:terminal AS boolean) THEN {now} + retention ELSE retention_expires_at END
WHERE id = :id AND status {in :sources}
RETURNING id, status, event_count, turn_id, answered, last_input, updated_at

-- name: timeline_insert
INSERT INTO timeline (conversation_id, number, kind, body, at)
VALUES (:conversation_id, :number, :kind, :body, {now})

-- name: timeline_message @sqlite
INSERT INTO timeline (conversation_id, number, kind, body, at)
VALUES (:conversation_id, :number, 'message', json_object('seq', :seq), {now})

-- name: timeline_message @postgres
INSERT INTO timeline (conversation_id, number, kind, body, at)
VALUES (:conversation_id, :number, 'message', jsonb_build_object('seq', :seq::bigint), {now})

-- name: timeline_head
SELECT status, event_count FROM conversations WHERE organization_id = :organization_id AND id = :id

-- name: timeline_from
SELECT number, kind, body, at FROM timeline
WHERE conversation_id = :conversation_id AND number >= :position
ORDER BY number LIMIT :limit

-- name: thread_id_insert
INSERT INTO thread_ids (organization_id, our_address, thread_id, conversation_id, created_at)
VALUES (:organization_id, :our_address, :thread_id, :conversation_id, {now})
ON CONFLICT DO NOTHING

-- name: conversation_of_thread_id
SELECT c.id, c.their_address, c.unverified, c.ended_at
FROM thread_ids t JOIN conversations c ON c.id = t.conversation_id
WHERE t.organization_id = :organization_id AND t.our_address = :our_address AND t.thread_id = :thread_id

-- name: conversations_idle
-- Open for longer than they may be without a word. What waits for a decision does not expire, nor
-- what the agent still owes an answer.
SELECT id, organization_id FROM conversations
WHERE ttl_expires_at <= {now} AND ended_at IS NULL AND status <> 'awaiting_approval'
  AND (status <> 'active' OR answered >= last_input)
ORDER BY ttl_expires_at LIMIT :limit OFFSET :past

-- name: conversation_lock_idle
SELECT * FROM conversations WHERE id = :id AND ttl_expires_at <= {now} AND ended_at IS NULL
  AND status <> 'awaiting_approval' AND (status <> 'active' OR answered >= last_input)
{for update skip locked}

-- name: conversation_insert_after
-- The conversation that follows one which ended with messages unanswered.
INSERT INTO conversations (
    id, organization_id, end_user_id, channel, status, session_type, priority, origin,
    assistant_id, assigned_agent_id, pinned_revision_id, our_address, their_address, unverified,
    thread_key, subject, metadata, context_variables,
    started_at, created_at, updated_at, idle_ttl, ttl_expires_at, retention
)
SELECT :id, organization_id, end_user_id, channel, 'active', session_type, priority, 'inbound',
    assistant_id, assistant_id, pinned_revision_id, our_address, their_address, unverified,
    thread_key, subject, :metadata, '{}',
    {now}, {now}, {now}, idle_ttl, {now} + idle_ttl, retention
FROM conversations WHERE id = :previous

-- name: conversations_page
-- Newest first, after a position; a filter that is not wanted lists everything.
SELECT * FROM conversations
WHERE organization_id = :organization_id
  AND created_at >= :created_from AND (created_at, id) < (:before_at, :before_id)
  AND channel {in :channels}
  AND priority {in :priorities}
  AND session_type {in :session_types}
  AND (CAST(:agent_id AS text) IS NULL OR CAST(assigned_agent_id AS text) = CAST(:agent_id AS text))
  AND started_at >= :started_from AND started_at < :started_before
ORDER BY created_at DESC, id DESC LIMIT :limit

-- name: conversations_page_of_status
-- The same in one status.
SELECT * FROM conversations {index conversations_of_status}
WHERE organization_id = :organization_id AND status = :status
  AND created_at >= :created_from AND (created_at, id) < (:before_at, :before_id)
  AND channel {in :channels}
  AND priority {in :priorities}
  AND session_type {in :session_types}
  AND (CAST(:agent_id AS text) IS NULL OR CAST(assigned_agent_id AS text) = CAST(:agent_id AS text))
  AND started_at >= :started_from AND started_at < :started_before
ORDER BY created_at DESC, id DESC LIMIT :limit

-- name: conversations_page_of_end_user
-- The same of one person.
SELECT * FROM conversations
WHERE organization_id = :organization_id AND end_user_id = :end_user_id
  AND created_at >= :created_from AND (created_at, id) < (:before_at, :before_id)
  AND status {in :statuses}
  AND channel {in :channels}
  AND priority {in :priorities}
  AND session_type {in :session_types}
  AND (CAST(:agent_id AS text) IS NULL OR CAST(assigned_agent_id AS text) = CAST(:agent_id AS text))
  AND started_at >= :started_from AND started_at < :started_before
ORDER BY created_at DESC, id DESC LIMIT :limit

-- name: conversation_add_input_again
-- A message whose turn failed is asked again: it has its seq already.
UPDATE conversations SET
    last_input = last_input + 1,
    rung_at = {now},
    next_turn_id = CASE WHEN CAST(:waits AS boolean) THEN COALESCE(next_turn_id, :next_turn_id) ELSE next_turn_id END,
    updated_at = {now},
    ttl_expires_at = {now} + idle_ttl
WHERE id = :id AND ended_at IS NULL
RETURNING status, last_input, next_turn_id, updated_at

-- name: mail_conversations_lately
-- Threads between two mailboxes in which something was said lately, the newest first.
SELECT id, subject, ended_at FROM conversations
WHERE organization_id = :organization_id AND end_user_id = :end_user_id AND channel = 'email'
  AND our_address = :our_address AND their_address = :their_address AND last_message_at > {now} - :within
ORDER BY created_at DESC, id DESC LIMIT 20

-- name: conversations_lately
-- How many a person has begun lately.
SELECT COUNT(*) AS begun FROM conversations
WHERE organization_id = :organization_id AND end_user_id = :end_user_id AND created_at > {now} - :within
