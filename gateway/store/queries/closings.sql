-- name: closing_insert
-- Written in the transaction in which a live conversation ends.
INSERT INTO closings (conversation_id, organization_id, due_at)
VALUES (:conversation_id, :organization_id, {now})
ON CONFLICT DO NOTHING

-- name: closings_claim
-- What is due, claimed until `claim` microseconds from now.
UPDATE closings SET due_at = {now} + :claim, attempt = attempt + 1
WHERE conversation_id IN (
    SELECT conversation_id FROM closings WHERE due_at <= {now} ORDER BY due_at LIMIT 20
    {for update skip locked})
RETURNING conversation_id, organization_id, attempt

-- name: closing_claims_reset
-- An embedded start: whoever was summing up is dead.
UPDATE closings SET due_at = {now} WHERE due_at > {now}

-- name: closing_postpone
-- The claim's own wish; a claim that has been overtaken finds another number.
UPDATE closings SET due_at = {now} + :delay WHERE conversation_id = :conversation_id AND attempt = :attempt

-- name: closing_done
-- Exactly one claim gets a row here, in the transaction of everything that follows.
DELETE FROM closings WHERE conversation_id = :conversation_id AND attempt = :attempt

-- name: conversation_counts
-- What was said, by whom.
SELECT COUNT(*) AS messages,
    COALESCE(SUM(CASE WHEN authored_by = 'end_user' THEN 1 ELSE 0 END), 0) AS user_messages,
    COALESCE(SUM(CASE WHEN authored_by = 'agent' THEN 1 ELSE 0 END), 0) AS agent_messages,
    COALESCE(SUM(CASE WHEN authored_by = 'human_operator' THEN 1 ELSE 0 END), 0) AS operator_messages,
    CAST(COALESCE(SUM(input_tokens), 0) AS bigint) AS input_tokens,
    CAST(COALESCE(SUM(output_tokens), 0) AS bigint) AS output_tokens
FROM messages WHERE conversation_id = :conversation_id

-- name: conversation_work
-- What it took: turns, and people.
SELECT
    (SELECT COUNT(*) FROM turns t WHERE t.conversation_id = :conversation_id) AS turns,
    (SELECT COUNT(*) FROM turns t WHERE t.conversation_id = :conversation_id
        AND t.state IN ('failed', 'dead')) AS failed_turns,
    (SELECT COUNT(*) FROM handoffs h WHERE h.conversation_id = :conversation_id) AS handoffs,
    (SELECT COUNT(*) FROM approvals a WHERE a.conversation_id = :conversation_id) AS approvals

-- name: conversation_summed_up
UPDATE conversations SET summary = COALESCE(:summary, summary), memory_synced = :memory_synced, updated_at = {now}
WHERE id = :id AND archived_at IS NULL
