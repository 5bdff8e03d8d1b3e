-- name: deliveries_withdraw
-- Nothing of it leaves any more. First, and by itself: whoever is storing parts of one is waited for here, and
-- they are seen by what deletes them.
UPDATE deliveries SET state = 'canceled', settled_at = {now}, updated_at = {now}
WHERE id IN (SELECT id FROM deliveries WHERE conversation_id = :id AND settled_at IS NULL LIMIT :limit)
RETURNING lane

-- name: lane_withdraw
-- So many deliveries less in a lane. Whoever holds it may have one of them in hand, and loses it.
UPDATE lanes SET settled = settled + :settled, fence = fence + 1, lease_owner = NULL, due_at = NULL, rung_at = NULL
WHERE id = :lane
RETURNING settled < queued AS pending, channel, organization_id, {now} AS at

-- name: parts_purge
-- Before their deliveries, which are deleted once no part is left.
DELETE FROM parts WHERE (delivery_id, number) IN (
    SELECT p.delivery_id, p.number FROM deliveries d JOIN parts p ON p.delivery_id = d.id
    WHERE d.conversation_id = :id AND d.settled_at IS NOT NULL LIMIT :limit)

-- name: deliveries_purge
DELETE FROM deliveries WHERE id IN (
    SELECT d.id FROM deliveries d WHERE d.conversation_id = :id AND d.settled_at IS NOT NULL
      AND NOT EXISTS (SELECT 1 FROM parts p WHERE p.delivery_id = d.id)
    LIMIT :limit)
RETURNING lane, id

-- name: lanes_purge
-- Their names are addresses. One that is in use stays; one that is needed again begins anew.
DELETE FROM lanes WHERE id {in :lanes} AND settled >= queued

-- name: messages_purge
DELETE FROM messages WHERE (conversation_id, seq) IN (
    SELECT conversation_id, seq FROM messages WHERE conversation_id = :id LIMIT :limit)

-- name: turns_purge
DELETE FROM turns WHERE id IN (SELECT id FROM turns WHERE conversation_id = :id LIMIT :limit)

-- name: timeline_purge
DELETE FROM timeline WHERE (conversation_id, number) IN (
    SELECT conversation_id, number FROM timeline WHERE conversation_id = :id LIMIT :limit)

-- name: inputs_purge
DELETE FROM inputs WHERE message_id IN (
    SELECT message_id FROM inputs WHERE conversation_id = :id LIMIT :limit)

-- name: thread_ids_purge
DELETE FROM thread_ids WHERE (organization_id, our_address, thread_id) IN (
    SELECT organization_id, our_address, thread_id FROM thread_ids WHERE conversation_id = :id LIMIT :limit)

-- name: handoffs_purge
DELETE FROM handoffs WHERE id IN (SELECT id FROM handoffs WHERE conversation_id = :id LIMIT :limit)

-- name: approvals_purge
DELETE FROM approvals WHERE id IN (SELECT id FROM approvals WHERE conversation_id = :id LIMIT :limit)

-- name: calls_purge
DELETE FROM calls WHERE (provider, call_id) IN (
    SELECT provider, call_id FROM calls WHERE conversation_id = :id LIMIT :limit)

-- name: idempotency_purge
-- Answers quote what was said.
DELETE FROM idempotency_keys WHERE (organization_id, route, key) IN (
    SELECT organization_id, route, key FROM idempotency_keys WHERE conversation_id = :id LIMIT :limit)

-- name: webhook_deliveries_purge
-- What is still to be told outlives its conversation where it only names it. A call for a person would be in
-- vain, and quotes.
DELETE FROM webhook_deliveries WHERE (endpoint_id, event_id) IN (
    SELECT endpoint_id, event_id FROM webhook_deliveries
    WHERE conversation_id = :id AND (due_at IS NULL OR type = 'conversation.handoff_requested') LIMIT :limit)

-- name: dead_letters_purge
DELETE FROM dead_letters WHERE id IN (SELECT id FROM dead_letters WHERE conversation_id = :id LIMIT :limit)

-- name: closing_purge
DELETE FROM closings WHERE conversation_id = :id

-- name: memory_purge
DELETE FROM memories WHERE conversation_id = :id

-- name: simulation_purge
DELETE FROM simulations WHERE conversation_id = :id

-- name: conversation_delete
DELETE FROM conversations WHERE id = :id
