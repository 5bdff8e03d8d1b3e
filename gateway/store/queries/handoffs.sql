-- name: handoff_insert
INSERT INTO handoffs (id, organization_id, conversation_id, turn_id, reason, static_text, status, source,
    packet, created_at)
VALUES (:id, :organization_id, :conversation_id, :turn_id, :reason, :static_text, :status, :source,
    :packet, {now})

-- name: handoff_open
SELECT * FROM handoffs WHERE conversation_id = :conversation_id AND resolved_at IS NULL

-- name: handoff_assign
UPDATE handoffs SET status = :status, assignee = :assignee WHERE id = :id AND resolved_at IS NULL

-- name: handoff_close
-- Whoever ends one that nobody had claimed has done it.
UPDATE handoffs SET status = :status, assignee = COALESCE(assignee, :assignee), resolved_at = {now}
WHERE id = :id AND resolved_at IS NULL

-- name: handoff_deadline
UPDATE handoffs SET timeout_at = {now} + :timeout WHERE conversation_id = :conversation_id AND resolved_at IS NULL

-- name: handoffs_overdue
-- Nobody has taken them.
SELECT id, organization_id, conversation_id FROM handoffs
WHERE status = 'requested' AND timeout_at <= {now} ORDER BY timeout_at LIMIT :limit OFFSET :past

-- name: handoff_time_out
-- No row where somebody was faster.
UPDATE handoffs SET status = 'cancelled', resolved_at = {now}
WHERE id = :id AND status = 'requested' AND timeout_at <= {now}
RETURNING id

-- name: handoffs_cancel
UPDATE handoffs SET status = 'cancelled', resolved_at = {now}
WHERE conversation_id = :conversation_id AND resolved_at IS NULL
RETURNING id

-- name: approvals_in_order @sqlite
SELECT :organization_id AS organization_id

-- name: approvals_in_order @postgres
-- An organisation's approvals are created one after the other, held to the commit: the list is read on from
-- its last row, and what committed late under an earlier time would never be seen.
SELECT CAST(:organization_id AS uuid) AS organization_id
FROM (SELECT pg_advisory_xact_lock(hashtextextended(CAST(CAST(:organization_id AS uuid) AS text), 3))) AS held

-- name: approval_insert
INSERT INTO approvals (id, organization_id, conversation_id, turn_id, subject_kind, subject_ref, payload,
    approver_role, status, suspend_message, safe_message, on_reject, timeout_at, created_at)
VALUES (:id, :organization_id, :conversation_id, :turn_id, 'tool_call', :subject_ref, :payload,
    :approver_role, 'pending', :suspend_message, :safe_message, :on_reject, {now} + :timeout, {now})

-- name: approval_by_id
SELECT * FROM approvals WHERE organization_id = :organization_id AND id = :id

-- name: approval_of_turn
SELECT * FROM approvals WHERE turn_id = :turn_id ORDER BY created_at DESC, id DESC LIMIT 1

-- name: approval_decide
-- Exactly one decision wins.
UPDATE approvals SET status = :status, decision = :decision, decided_by = :decided_by, note = :note,
    decided_at = {now}
WHERE id = :id AND status = 'pending'
RETURNING turn_id

-- name: approvals_cancel
UPDATE approvals SET status = 'cancelled', decided_at = {now}
WHERE conversation_id = :conversation_id AND status = 'pending'
RETURNING id

-- name: approvals_overdue
SELECT id, organization_id, conversation_id FROM approvals
WHERE status = 'pending' AND timeout_at <= {now} ORDER BY timeout_at LIMIT :limit OFFSET :past

-- name: handoff_by_id
SELECT * FROM handoffs WHERE organization_id = :organization_id AND id = :id

-- name: handoffs_page
-- Newest first, after a position.
SELECT * FROM handoffs
WHERE organization_id = :organization_id AND (created_at, id) < (:before_at, :before_id)
ORDER BY created_at DESC, id DESC LIMIT :limit

-- name: handoffs_page_of_status
SELECT * FROM handoffs
WHERE organization_id = :organization_id AND status = :status AND (created_at, id) < (:before_at, :before_id)
ORDER BY created_at DESC, id DESC LIMIT :limit

-- name: approvals_page
-- Oldest first, after a position.
SELECT * FROM approvals
WHERE organization_id = :organization_id AND (created_at, id) > (:after_at, :after_id)
ORDER BY created_at, id LIMIT :limit

-- name: approvals_page_of_status
SELECT * FROM approvals
WHERE organization_id = :organization_id AND status = :status AND (created_at, id) > (:after_at, :after_id)
ORDER BY created_at, id LIMIT :limit
