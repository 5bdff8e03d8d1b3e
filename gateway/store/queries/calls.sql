-- name: call_insert
INSERT INTO calls (provider, call_id, organization_id, conversation_id, host_id, transport, capabilities,
    started_at, quiet_since, quiet_due)
VALUES (:provider, :call_id, :organization_id, :conversation_id, :host_id, :transport, :capabilities,
    {now}, {now}, CASE WHEN CAST(:host_id AS text) IS NOT NULL THEN {now} END)
ON CONFLICT DO NOTHING
RETURNING call_id

-- name: call_by_id
SELECT * FROM calls WHERE provider = :provider AND call_id = :call_id

-- name: call_live
SELECT calls.*, {now} AS at FROM calls WHERE conversation_id = :conversation_id AND ended_at IS NULL
ORDER BY started_at DESC LIMIT 1

-- name: call_end
UPDATE calls SET ended_at = {now}, quiet_due = NULL
WHERE provider = :provider AND call_id = :call_id AND ended_at IS NULL
RETURNING conversation_id, organization_id

-- name: call_connect
-- One more connection of a call that is up, whose number `last_seq` is.
UPDATE calls SET last_seq = last_seq + 1
WHERE provider = :provider AND call_id = :call_id AND ended_at IS NULL
RETURNING last_seq

-- name: call_take
-- The same, where no other connection of the call has begun since that of this number.
UPDATE calls SET last_seq = last_seq + 1
WHERE provider = :provider AND call_id = :call_id AND last_seq = :number AND ended_at IS NULL
RETURNING last_seq

-- name: call_announced
-- A call by the id its host gave it, whether or not it is still up; without its addresses its person is erased.
SELECT k.host_id, k.ended_at, k.capabilities, k.keys, k.quiet_lines, k.quiet_said, {now} - k.quiet_since AS quiet,
    c.their_address, c.our_address
FROM calls k JOIN conversations c ON c.id = k.conversation_id
WHERE k.call_id = :call_id AND k.host_id IS NOT NULL AND c.their_address IS NOT NULL
ORDER BY k.started_at DESC LIMIT 1

-- name: call_rival
-- A call by the same name was refused: of one that is up.
UPDATE calls SET rival_until = {now} + :wait, rival_end = NULL
WHERE provider = :host_id AND call_id = :call_id AND ended_at IS NULL

-- name: call_rival_end
-- Nothing where none is expected, or another event was taken for it.
UPDATE calls SET rival_end = :event_id
WHERE provider = :host_id AND call_id = :call_id AND rival_until > {now}
  AND (rival_end IS NULL OR rival_end = :event_id)

-- name: call_keys
-- What was pressed on a call and is not worked off yet. `transferring`: keys are nobody's then.
SELECT k.keys, k.organization_id, k.conversation_id, k.ended_at, {now} AS at, EXISTS (
    SELECT 1 FROM call_intents i
    WHERE i.conversation_id = k.conversation_id AND i.call_id = k.call_id AND i.kind = 'transfer' AND i.state IS NULL
    ) AS transferring
FROM calls k WHERE k.provider = :host_id AND k.call_id = :call_id {for update}

-- name: call_keys_keep
UPDATE calls SET keys = :keys WHERE provider = :host_id AND call_id = :call_id

-- name: call_close_later
-- Its conversation stays open for a while, for a caller who rings back; told again, for no longer.
UPDATE calls SET closes_at = COALESCE(closes_at, {now} + :wait)
WHERE conversation_id = :conversation_id AND ended_at IS NOT NULL

-- name: calls_keep
-- The caller has rung back.
UPDATE calls SET closes_at = NULL WHERE conversation_id = :conversation_id AND closes_at IS NOT NULL

-- name: calls_close
-- The caller has not: nothing where they have at this very moment.
UPDATE calls SET closes_at = NULL WHERE conversation_id = :conversation_id AND closes_at <= {now}

-- name: calls_closing
SELECT organization_id, conversation_id FROM calls WHERE closes_at <= {now} ORDER BY closes_at LIMIT :limit OFFSET :past

-- name: call_to_go_on_with
-- A person's conversation whose call is over, and which is open: where they ring back, they go on with it.
SELECT c.id FROM conversations c
WHERE c.organization_id = :organization_id AND c.end_user_id = :end_user_id AND c.channel = 'voice'
  AND c.our_address = :our_address AND c.ended_at IS NULL
  AND EXISTS (SELECT 1 FROM calls k WHERE k.conversation_id = c.id AND k.ended_at IS NOT NULL)
  AND NOT EXISTS (SELECT 1 FROM calls k WHERE k.conversation_id = c.id AND k.ended_at IS NULL)
ORDER BY c.created_at DESC, c.id DESC LIMIT 1

-- name: call_braked
-- The conversation of a call in which something was said that a brake keeps from its turn; held until the unit ends.
SELECT c.* FROM conversations c
WHERE c.id = :id AND c.channel = 'voice' AND c.status = 'active' AND c.answered < c.last_input
  AND EXISTS (SELECT 1 FROM brakes b WHERE b.cause <> 'messages'
        AND b.subject_id IN (c.organization_id, c.assigned_agent_id)) {for update}

-- name: call_heard
UPDATE calls SET quiet_since = {now}, quiet_lines = 0
WHERE provider = :host_id AND call_id = :call_id AND ended_at IS NULL

-- name: call_said
-- Something is to be said, behind what is being said: until then nobody is silent.
UPDATE calls SET quiet_since = CASE WHEN quiet_since > {now} THEN quiet_since ELSE {now} END + :length, quiet_lines = 0,
    quiet_said = FALSE
WHERE provider = :host_id AND call_id = :call_id

-- name: call_spoken
-- The host is done with something: silence begins, unless more is to be said.
UPDATE calls SET quiet_since = CASE WHEN quiet_since > {now} AND EXISTS (
        SELECT 1 FROM call_intents i WHERE i.conversation_id = calls.conversation_id AND i.call_id = calls.call_id
          AND i.kind = 'say' AND i.state IS NULL
    ) THEN quiet_since ELSE {now} END
WHERE conversation_id = :conversation_id AND call_id = :call_id AND host_id IS NOT NULL AND ended_at IS NULL

-- name: calls_quiet
-- Calls whose silence is due to be looked at; held until the unit ends.
SELECT provider, call_id, host_id, organization_id, conversation_id, keys, quiet_since, quiet_lines, quiet_held,
    quiet_due, {now} AS at
FROM calls WHERE quiet_due <= {now} ORDER BY quiet_due LIMIT :limit OFFSET :past {for update skip locked}

-- name: call_stands
-- What keeps a caller waiting, if anything does.
SELECT c.status, c.our_address, c.answered < c.last_input AS waits,
    EXISTS (SELECT 1 FROM brakes b WHERE b.cause <> 'messages'
        AND b.subject_id IN (c.organization_id, c.assigned_agent_id)) AS braked,
    EXISTS (SELECT 1 FROM call_intents i
        WHERE i.conversation_id = c.id AND i.call_id = :call_id AND i.kind = 'transfer' AND i.state IS NULL
        ) AS transferring
FROM conversations c WHERE c.id = :conversation_id

-- name: call_look_again
UPDATE calls SET quiet_due = :due, quiet_lines = :lines, quiet_held = :held,
    quiet_said = quiet_said OR CAST(:said AS boolean)
WHERE provider = :host_id AND call_id = :call_id
