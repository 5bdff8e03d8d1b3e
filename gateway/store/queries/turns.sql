-- name: input_insert
INSERT INTO inputs (message_id, conversation_id, number, kind, seq, text, reply_to, stream, turn_id, accepted_at)
VALUES (:message_id, :conversation_id, :number, :kind, :seq, :text, :reply_to, :stream, :turn_id, {now})

-- name: inputs_to_start
-- The API inputs of a turn that are no messages yet.
SELECT message_id, text FROM inputs
WHERE conversation_id = :conversation_id AND turn_id = :turn_id AND seq IS NULL ORDER BY number LIMIT 200

-- name: input_start
-- An API input becomes a message when its turn starts.
UPDATE inputs SET seq = :seq WHERE message_id = :message_id

-- name: inputs_done
DELETE FROM inputs WHERE conversation_id = :conversation_id AND turn_id = :turn_id

-- name: input_withdraw
-- A request that waited too long for its place takes its input back, unless its turn has begun.
DELETE FROM inputs WHERE message_id = :message_id AND seq IS NULL

-- name: input_by_message
SELECT i.message_id, i.conversation_id, i.turn_id, i.seq, i.accepted_at, c.status, c.organization_id,
    EXISTS (SELECT 1 FROM brakes b WHERE b.cause <> 'messages'
        AND b.subject_id IN (c.organization_id, c.assigned_agent_id)) AS braked
FROM inputs i JOIN conversations c ON c.id = i.conversation_id
WHERE i.message_id = :message_id

-- name: inputs_left
-- What is pending when a conversation ends, taken by a turn or not.
SELECT m.*
FROM inputs i JOIN messages m ON m.id = i.message_id
WHERE i.conversation_id = :conversation_id
ORDER BY i.number LIMIT 200

-- name: inputs_drop
DELETE FROM inputs WHERE conversation_id = :conversation_id

-- name: conversation_settle_input
-- One input less to answer. `last_input` only rises: it numbers inputs, and two must not share a number.
UPDATE conversations SET answered = answered + 1, updated_at = {now} WHERE id = :id

-- name: conversation_claim @sqlite
-- The lease: free, or its owner is dead by the database's clock. Taking it raises the fencing number, and binds
-- the turn that is next: the unfinished one, else that of the input that arrived first. With `fence`: the next
-- turn of a worker that keeps its lease. `unstarted`: inputs of it that become messages only now.
-- Of a reply that was spoken over the agent is told the part before that (domain/message.py, `heard`).
UPDATE conversations SET
    lease_owner = :worker_id,
    fence = CASE WHEN CAST(:fence AS bigint) IS NULL THEN fence + 1 ELSE fence END,
    turn_id = COALESCE(turn_id, (
        SELECT i.turn_id FROM inputs i WHERE i.conversation_id = :id ORDER BY i.number LIMIT 1)),
    next_turn_id = CASE WHEN turn_id IS NULL AND next_turn_id = (
        SELECT i.turn_id FROM inputs i WHERE i.conversation_id = :id ORDER BY i.number LIMIT 1)
        THEN NULL ELSE next_turn_id END,
    updated_at = {now}
WHERE id = :id AND status = 'active' AND answered < last_input
  AND NOT EXISTS (SELECT 1 FROM brakes b WHERE b.cause <> 'messages'
        AND b.subject_id IN (conversations.organization_id, conversations.assigned_agent_id))
  AND CASE WHEN CAST(:fence AS bigint) IS NULL
        THEN (turn_due_at IS NULL OR turn_due_at <= {now})
          AND (lease_owner IS NULL OR lease_owner = :worker_id OR NOT EXISTS (
                SELECT 1 FROM workers w WHERE w.id = conversations.lease_owner AND w.expires_at > {now}))
        ELSE turn_due_at IS NULL AND lease_owner = :worker_id AND fence = CAST(:fence AS bigint) END
RETURNING *, {now} AS claimed_at,
    EXISTS (SELECT 1 FROM memories m WHERE m.end_user_id IN (
        SELECT p.id FROM end_users u JOIN end_users p
            ON p.id = COALESCE(u.merged_into, u.id) OR p.merged_into = COALESCE(u.merged_into, u.id)
        WHERE u.id = conversations.end_user_id))
        AND session_type = 'live' AND NOT unverified AS has_memory,
    (SELECT COUNT(*) FROM inputs i
        WHERE i.conversation_id = :id AND i.turn_id = conversations.turn_id AND i.seq IS NULL) AS unstarted,
    EXISTS (SELECT 1 FROM approvals a WHERE a.turn_id = conversations.turn_id) AS held_before,
    (SELECT json_group_array(json_array(listed.message_id, listed.seq, listed.kind, listed.reply_to, listed.stream)) FROM (
        SELECT i.message_id, i.seq, i.kind, i.reply_to, i.stream FROM inputs i
        WHERE i.conversation_id = :id AND i.turn_id = conversations.turn_id
        ORDER BY i.number LIMIT 200) AS listed) AS inputs,
    (SELECT json_group_array(json_array(newest.seq, newest.role, newest.content,
        newest.authored_by, newest.created_at, newest.attachments, newest.metadata)) FROM (
        SELECT m.seq, m.role, COALESCE(json_extract(m.metadata, '$.spoken_text'), m.content) AS content,
            m.authored_by, m.created_at, CAST(m.attachments AS text) AS attachments,
            CASE WHEN conversations.channel = 'email' AND m.role = 'user' THEN CAST(m.metadata AS text) END AS metadata
        FROM messages m WHERE m.conversation_id = :id
        ORDER BY m.seq DESC LIMIT :history) AS newest) AS newest
{of conversations WHERE id = :id}

-- name: conversation_claim @postgres
-- The lease: free, or its owner is dead by the database's clock. Taking it raises the fencing number, and binds
-- the turn that is next: the unfinished one, else that of the input that arrived first. With `fence`: the next
-- turn of a worker that keeps its lease. `unstarted`: inputs of it that become messages only now.
-- Of a reply that was spoken over the agent is told the part before that (domain/message.py, `heard`).
-- Its inputs and messages are read as they were when the statement began: one that was counted in while it waited
-- for the row is not among them, and it refuses.
UPDATE conversations SET
    lease_owner = :worker_id,
    fence = CASE WHEN CAST(:fence AS bigint) IS NULL THEN fence + 1 ELSE fence END,
    turn_id = COALESCE(turn_id, (
        SELECT i.turn_id FROM inputs i WHERE i.conversation_id = :id ORDER BY i.number LIMIT 1)),
    next_turn_id = CASE WHEN turn_id IS NULL AND next_turn_id = (
        SELECT i.turn_id FROM inputs i WHERE i.conversation_id = :id ORDER BY i.number LIMIT 1)
        THEN NULL ELSE next_turn_id END,
    updated_at = {now}
WHERE id = :id AND status = 'active' AND answered < last_input
  AND NOT EXISTS (SELECT 1 FROM brakes b WHERE b.cause <> 'messages'
        AND b.subject_id IN (conversations.organization_id, conversations.assigned_agent_id))
  AND CASE WHEN CAST(:fence AS bigint) IS NULL
        THEN (turn_due_at IS NULL OR turn_due_at <= {now})
          AND (lease_owner IS NULL OR lease_owner = :worker_id OR NOT EXISTS (
                SELECT 1 FROM workers w WHERE w.id = conversations.lease_owner AND w.expires_at > {now}))
        ELSE turn_due_at IS NULL AND lease_owner = :worker_id AND fence = CAST(:fence AS bigint) END
  AND (last_input, event_count) = (
        SELECT before.last_input, before.event_count FROM conversations before WHERE before.id = :id)
RETURNING *, {now} AS claimed_at,
    EXISTS (SELECT 1 FROM memories m WHERE m.end_user_id IN (
        SELECT p.id FROM end_users u JOIN end_users p
            ON p.id = COALESCE(u.merged_into, u.id) OR p.merged_into = COALESCE(u.merged_into, u.id)
        WHERE u.id = conversations.end_user_id))
        AND session_type = 'live' AND NOT unverified AS has_memory,
    (SELECT COUNT(*) FROM inputs i
        WHERE i.conversation_id = :id AND i.turn_id = conversations.turn_id AND i.seq IS NULL) AS unstarted,
    EXISTS (SELECT 1 FROM approvals a WHERE a.turn_id = conversations.turn_id) AS held_before,
    (SELECT json_agg(json_build_array(listed.message_id, listed.seq, listed.kind, listed.reply_to, listed.stream)) FROM (
        SELECT i.message_id, i.seq, i.kind, i.reply_to, i.stream FROM inputs i
        WHERE i.conversation_id = :id AND i.turn_id = conversations.turn_id
        ORDER BY i.number LIMIT 200) AS listed) AS inputs,
    (SELECT json_agg(json_build_array(newest.seq, newest.role, newest.content,
        newest.authored_by, newest.created_at, newest.attachments, newest.metadata)) FROM (
        SELECT m.seq, m.role, COALESCE(m.metadata ->> 'spoken_text', m.content) AS content,
            m.authored_by, m.created_at, CAST(m.attachments AS text) AS attachments,
            CASE WHEN conversations.channel = 'email' AND m.role = 'user' THEN CAST(m.metadata AS text) END AS metadata
        FROM messages m WHERE m.conversation_id = :id
        ORDER BY m.seq DESC LIMIT :history) AS newest) AS newest

-- name: conversation_claimable
SELECT status, answered, last_input, turn_due_at, turn_due_at > {now} AS waits,
    (lease_owner IS NOT NULL AND EXISTS (
        SELECT 1 FROM workers w WHERE w.id = conversations.lease_owner AND w.expires_at > {now})) AS leased,
    EXISTS (SELECT 1 FROM brakes b WHERE b.cause <> 'messages'
        AND b.subject_id IN (conversations.organization_id, conversations.assigned_agent_id)) AS braked
FROM conversations WHERE id = :id

-- name: conversation_wait
-- A brake is on: no bell is on its way, so that whoever lifts it rings.
UPDATE conversations SET rung_at = NULL
WHERE id = :id AND status = 'active' AND answered < last_input
  AND EXISTS (SELECT 1 FROM brakes b WHERE b.cause <> 'messages'
        AND b.subject_id IN (conversations.organization_id, conversations.assigned_agent_id))
RETURNING session_type, message_count, event_count

-- name: conversation_held
SELECT id FROM conversations WHERE id = :id AND lease_owner = :worker_id AND fence = :fence

-- name: conversation_set_aside
-- A running turn is stopped by a pause: it starts over, with the same input, when that is lifted.
UPDATE conversations SET lease_owner = NULL, rung_at = NULL
WHERE id = :id AND lease_owner = :worker_id AND fence = :fence

-- name: inputs_unstarted
SELECT message_id, text FROM inputs
WHERE conversation_id = :conversation_id AND seq IS NULL ORDER BY number LIMIT 200

-- name: conversation_queue_inputs
-- API inputs that cannot have their turn now become messages of the turn that answers all that waits.
UPDATE conversations SET
    message_count = message_count + :taken,
    event_count = event_count + :taken,
    next_turn_id = COALESCE(next_turn_id, :next_turn_id),
    first_message_at = COALESCE(first_message_at, {now}),
    last_message_at = {now},
    updated_at = {now}
WHERE id = :id
RETURNING next_turn_id

-- name: input_queue
UPDATE inputs SET seq = :seq, kind = 'channel', turn_id = :turn_id, reply_to = NULL, stream = FALSE
WHERE message_id = :message_id

-- name: conversation_start_inputs
-- API inputs become messages when their turn starts.
UPDATE conversations SET
    message_count = message_count + :taken,
    event_count = event_count + :taken,
    first_message_at = COALESCE(first_message_at, {now}),
    last_message_at = {now}
WHERE id = :id

-- name: turn_begin
-- Each attempt is counted before it begins.
INSERT INTO turns (
    id, organization_id, conversation_id, state, attempt, fence, agent_id, message_seqs, started_at
) VALUES (
    :id, :organization_id, :conversation_id, 'running', 1, :fence, :agent_id, '[]', :started_at
)
ON CONFLICT (id) DO UPDATE SET attempt = turns.attempt + 1, fence = excluded.fence, state = 'running'
RETURNING attempt, started_at, shown, agent_state {of turns WHERE id = :id}

-- name: turn_by_id
SELECT * FROM turns WHERE id = :id

-- name: turn_shown
-- A listener has shown something of this attempt: it must never see another's.
UPDATE turns SET shown = TRUE WHERE id = :id AND fence = :fence AND state = 'running'

-- name: turn_said
-- The same for a call at a voice host, with what its caller has been told so far.
UPDATE turns SET shown = TRUE, text = :text WHERE id = :id AND fence = :fence AND state = 'running'

-- name: turn_unsaid
-- What was said of it is a message now: another attempt begins with nothing.
UPDATE turns SET shown = FALSE, text = NULL WHERE id = :id AND state = 'running'

-- name: turn_of_message
-- The turn that answers a message, whether it runs or is over.
SELECT t.*, c.status AS conversation_status, m.seq AS message_seq,
    (t.state = 'running' AND c.lease_owner IS NULL AND EXISTS (
        SELECT 1 FROM brakes b WHERE b.cause <> 'messages'
        AND b.subject_id IN (c.organization_id, c.assigned_agent_id))) AS set_aside
FROM messages m
JOIN turns t ON t.id = m.turn_id
JOIN conversations c ON c.id = m.conversation_id
WHERE m.id = :message_id

-- name: turn_progress
-- How far the agent came, kept before it goes on, by the one who holds the lease only.
UPDATE turns SET agent_state = :state
WHERE id = :id AND fence = :fence AND finished_at IS NULL AND EXISTS (
    SELECT 1 FROM conversations c
    WHERE c.id = turns.conversation_id AND c.lease_owner = :worker_id AND c.fence = :fence)

-- name: turn_finish @sqlite
-- `last`: the newest of its messages, besides `message_seqs`; NULL where there is none.
UPDATE turns SET
    state = :state, path = :path, decision_source = :decision_source, text = :text,
    message_seqs = CASE WHEN :last IS NULL THEN :message_seqs ELSE json_insert(:message_seqs, '$[#]', :last) END,
    session_status = :session_status, ttft_ms = :ttft_ms,
    evidence = :evidence, intents = :intents, error = :error, error_message = :error_message,
    agent_state = NULL, finished_at = {now}
WHERE id = :id AND finished_at IS NULL

-- name: turn_finish @postgres
UPDATE turns SET
    state = :state, path = :path, decision_source = :decision_source, text = :text,
    message_seqs = :message_seqs::jsonb || CASE WHEN :last::bigint IS NULL THEN '[]' ELSE jsonb_build_array(:last::bigint) END,
    session_status = :session_status, ttft_ms = :ttft_ms,
    evidence = :evidence, intents = :intents, error = :error, error_message = :error_message,
    agent_state = NULL, finished_at = {now}
WHERE id = :id AND finished_at IS NULL

-- name: turn_park
-- The turn waits for a decision; how far its agent came is kept already. What was said is stored and shown: it
-- is no failed attempt, and what follows is no other version of it.
UPDATE turns SET state = 'parked', attempt = 0, shown = FALSE,
    path = 'approval', decision_source = 'policy', text = :text,
    message_seqs = :message_seqs, session_status = 'awaiting_approval'
WHERE id = :id AND finished_at IS NULL

-- name: conversation_finish_turn
-- Commit a turn under its fencing number; the lease goes when nothing more is pending. The answered
-- inputs are counted here and deleted after: the conversation's row is what every unit locks first.
-- The status stays: SQLite writes every index anew whose columns are set, be it to what they were.
UPDATE conversations SET
    message_count = message_count + :added,
    event_count = event_count + :events,
    answered = answered + done.inputs,
    turn_id = NULL,
    turn_due_at = NULL,
    rung_at = NULL,
    last_message_at = CASE WHEN :added > 0 THEN {now} ELSE last_message_at END,
    updated_at = {now},
    ttl_expires_at = {now} + idle_ttl,
    lease_owner = CASE WHEN answered + done.inputs >= last_input THEN NULL ELSE lease_owner END
FROM (SELECT COUNT(*) AS inputs FROM inputs WHERE conversation_id = :id AND turn_id = :turn_id) AS done
WHERE id = :id AND lease_owner = :worker_id AND fence = :fence AND turn_id = :turn_id
  AND NOT EXISTS (SELECT 1 FROM brakes b WHERE b.cause = 'pause'
        AND b.subject_id IN (conversations.organization_id, conversations.assigned_agent_id))
RETURNING message_count, event_count, lease_owner, updated_at {of conversations WHERE id = :id}

-- name: conversation_finish_and_move
-- The same where the turn changes the status.
UPDATE conversations SET
    message_count = message_count + :added,
    event_count = event_count + :events,
    answered = answered + done.inputs,
    status = CAST(:status AS text),
    turn_id = CASE WHEN CAST(:parked AS boolean) THEN turn_id END,
    turn_due_at = NULL,
    rung_at = NULL,
    last_message_at = CASE WHEN :added > 0 THEN {now} ELSE last_message_at END,
    updated_at = {now},
    ttl_expires_at = {now} + idle_ttl,
    ended_at = CASE WHEN CAST(:closed AS boolean) THEN {now} ELSE ended_at END,
    closed_at = CASE WHEN CAST(:closed AS boolean) THEN {now} ELSE closed_at END,
    retention_expires_at = CASE WHEN CAST(:closed AS boolean) THEN {now} + retention ELSE retention_expires_at END,
    lease_owner = CASE WHEN answered + done.inputs >= last_input OR CAST(:status AS text) <> 'active'
                       THEN NULL ELSE lease_owner END
FROM (SELECT COUNT(*) AS inputs FROM inputs
      WHERE conversation_id = :id AND turn_id = :turn_id AND NOT CAST(:parked AS boolean)) AS done
WHERE id = :id AND lease_owner = :worker_id AND fence = :fence AND turn_id = :turn_id
  AND NOT EXISTS (SELECT 1 FROM brakes b WHERE b.cause = 'pause'
        AND b.subject_id IN (conversations.organization_id, conversations.assigned_agent_id))
RETURNING message_count, event_count, lease_owner, updated_at

-- name: conversation_noted
-- Both in one: of two changes of a row that are sent together PostgreSQL makes one. NULL leaves what there is.
UPDATE conversations SET digest = COALESCE(:digest, digest), facts = COALESCE(:facts, facts) WHERE id = :id

-- name: conversation_postpone_turn
-- The attempt failed and will be repeated: let go until then.
UPDATE conversations SET lease_owner = NULL, turn_due_at = {now} + :delay, rung_at = NULL
WHERE id = :id AND lease_owner = :worker_id AND fence = :fence

-- name: conversation_release
-- Let go without an outcome (a drain, a lease about to run out).
UPDATE conversations SET lease_owner = NULL
WHERE id = :id AND lease_owner = :worker_id AND fence = :fence

-- name: turns_due
-- Conversations with pending input that nobody works on and whose bell is old: ring again.
UPDATE conversations SET rung_at = {now}
WHERE id IN (
    SELECT c.id FROM conversations c
    WHERE c.answered < c.last_input AND c.status = 'active'
      AND NOT EXISTS (SELECT 1 FROM brakes b WHERE b.cause <> 'messages'
            AND b.subject_id IN (c.organization_id, c.assigned_agent_id))
      AND (c.rung_at IS NULL OR c.rung_at < {now} - :every)
      AND (c.turn_due_at IS NULL OR c.turn_due_at <= {now})
      AND (c.lease_owner IS NULL OR NOT EXISTS (
            SELECT 1 FROM workers w WHERE w.id = c.lease_owner AND w.expires_at > {now}))
    LIMIT 200 {for update skip locked})
RETURNING id, organization_id, rung_at

-- name: turn_bells_reset
-- An embedded start: whoever rang has died, and its bells with it.
UPDATE conversations SET rung_at = NULL WHERE answered < last_input AND rung_at IS NOT NULL

-- name: turns_held
-- By their owner, to see which of them nobody works under: through what is pending, for there is no index of owners.
SELECT id, fence FROM conversations WHERE answered < last_input AND lease_owner = :worker_id
ORDER BY rung_at LIMIT :limit

-- name: turn_abandon
UPDATE turns SET state = :state, session_status = :session_status, agent_state = NULL, finished_at = {now}
WHERE id = :id AND finished_at IS NULL

-- name: conversation_forget_turn
UPDATE conversations SET turn_id = NULL, turn_due_at = NULL,
    next_turn_id = COALESCE(next_turn_id, :next_turn_id)
WHERE id = :id
RETURNING next_turn_id

-- name: inputs_regroup
UPDATE inputs SET turn_id = :later, kind = 'channel'
WHERE conversation_id = :conversation_id AND turn_id = :turn_id

-- name: messages_regroup
UPDATE messages SET turn_id = :later
WHERE conversation_id = :conversation_id AND turn_id = :turn_id AND role = 'user'

-- name: conversation_drop_inputs
-- A conversation that has ended owes no answers.
UPDATE conversations SET answered = last_input, next_turn_id = NULL, turn_id = NULL WHERE id = :id

-- name: conversation_interrupt_turn
-- The reply is spoken over while it is made: its turn is over, what was shown of it is a message, and whoever
-- made it commits nothing.
UPDATE conversations SET
    fence = fence + 1,
    lease_owner = NULL,
    turn_id = NULL,
    turn_due_at = NULL,
    rung_at = NULL,
    answered = answered + (
        SELECT COUNT(*) FROM inputs i WHERE i.conversation_id = conversations.id AND i.turn_id = :turn_id),
    message_count = message_count + 1,
    event_count = event_count + 1,
    last_message_at = {now},
    updated_at = {now},
    ttl_expires_at = {now} + idle_ttl
WHERE id = :id AND turn_id = :turn_id AND status = 'active'
RETURNING message_count, event_count, answered, last_input, updated_at
