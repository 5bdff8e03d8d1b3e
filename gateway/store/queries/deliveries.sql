-- name: lane_queue
-- A delivery joins its lane; the lane's counter is its place.
INSERT INTO lanes (id, channel, organization_id, queued, rung_at)
VALUES (:lane, :channel, :organization_id, 1, {now})
ON CONFLICT (id) DO UPDATE SET queued = lanes.queued + 1, rung_at = {now}
RETURNING queued {of lanes WHERE id = :lane}

-- name: lane_hold
-- Nothing of it leaves before.
UPDATE lanes SET due_at = :until, rung_at = NULL WHERE id = :lane

-- name: lane_aside
-- A lane for one delivery, which is not to be taken before the delay is over.
INSERT INTO lanes (id, channel, organization_id, queued, due_at)
VALUES (:lane, :channel, :organization_id, 1, {now} + :delay)
RETURNING due_at

-- name: lane_queue_many
-- The same for several at once: the last one's place.
INSERT INTO lanes (id, channel, organization_id, queued, rung_at)
VALUES (:lane, :channel, :organization_id, :count, {now})
ON CONFLICT (id) DO UPDATE SET queued = lanes.queued + :count, rung_at = {now}
RETURNING queued

-- name: deliveries_waiting
-- What waits in a lane, in its order, and whether something of it may have left; one part may be known not to.
SELECT d.id, (d.state = 'canceled' OR EXISTS (
    SELECT 1 FROM parts p WHERE p.delivery_id = d.id AND p.state <> 'pending'
      AND NOT (p.delivery_id = :delivery_id AND p.number = :number))) AS stays
FROM deliveries d WHERE d.lane = :lane AND d.settled_at IS NULL ORDER BY d.number LIMIT 200

-- name: delivery_move
UPDATE deliveries SET lane = :lane, number = :number, sender = :sender, updated_at = {now}
WHERE id = :id AND settled_at IS NULL

-- name: lane_moved
-- So many deliveries less; the lane is free and due. Refused when the lease is lost.
UPDATE lanes SET settled = settled + :count, due_at = NULL, rung_at = NULL, lease_owner = NULL
WHERE id = :lane AND fence = :fence AND lease_owner = :worker_id
RETURNING settled < queued AS more

-- name: delivery_insert
INSERT INTO deliveries (
    id, lane, number, organization_id, conversation_id, message_id, message_seq, turn_id, channel,
    sender, recipient, text, thread, attachments, sandboxed, by_agent, despite_suppression, expires_at, state,
    created_at, updated_at
) VALUES (
    :id, :lane, :number, :organization_id, :conversation_id, :message_id, :message_seq, :turn_id, :channel,
    :sender, :recipient, :text, :thread, :attachments, :sandboxed, :by_agent, :despite_suppression, :expires_at, 'pending',
    {now}, {now}
)

-- name: lane_claim
-- The lease, and what is next. Refused while a brake keeps that. What is next is read as it was when the statement
-- began: where somebody wrote in the lane while it waited for the row, it refuses, too.
UPDATE lanes SET lease_owner = :worker_id, fence = fence + 1
WHERE id = :lane AND settled < queued AND (due_at IS NULL OR due_at <= {now})
  AND (lease_owner IS NULL OR lease_owner = :worker_id OR NOT EXISTS (
        SELECT 1 FROM workers w WHERE w.id = lanes.lease_owner AND w.expires_at > {now}))
  AND NOT EXISTS (SELECT 1 FROM brakes b JOIN deliveries d ON d.lane = :lane AND d.settled_at IS NULL
        WHERE b.cause IN ('pause', 'messages', 'spend') AND d.state <> 'canceled'
        AND (b.subject_id = d.organization_id OR (d.by_agent AND b.subject_id = (
            SELECT c.assigned_agent_id FROM conversations c WHERE c.id = d.conversation_id)))
        AND d.number = (SELECT MIN(n.number) FROM deliveries n WHERE n.lane = :lane AND n.settled_at IS NULL))
  AND (queued, settled, fence) = (
        SELECT before.queued, before.settled, before.fence FROM lanes before WHERE before.id = :lane)
RETURNING fence, (
    SELECT {json object}('id', d.id, 'lane', d.lane, 'number', d.number, 'organization_id', d.organization_id,
        'conversation_id', d.conversation_id, 'message_id', d.message_id, 'message_seq', d.message_seq,
        'turn_id', d.turn_id, 'channel', d.channel, 'sender', d.sender, 'recipient', d.recipient, 'text', d.text,
        'state', d.state, 'attempt', d.attempt, 'sandboxed', d.sandboxed, 'created_at', d.created_at,
        'thread', CAST(d.thread AS text), 'attachments', CAST(d.attachments AS text))
    FROM deliveries d WHERE d.lane = :lane AND d.settled_at IS NULL ORDER BY d.number LIMIT 1) AS next {of lanes WHERE id = :lane}

-- name: lane_set_aside
-- A brake keeps what is next in a lane that nobody holds: no bell is on its way, so that whoever lifts it rings.
UPDATE lanes SET rung_at = NULL
WHERE id = :lane AND settled < queued AND (due_at IS NULL OR due_at <= {now})
  AND (lease_owner IS NULL OR NOT EXISTS (
        SELECT 1 FROM workers w WHERE w.id = lanes.lease_owner AND w.expires_at > {now}))

-- name: lane_claimable
SELECT settled, queued, due_at - {now} AS wait,
    (lease_owner IS NOT NULL AND EXISTS (
        SELECT 1 FROM workers w WHERE w.id = lanes.lease_owner AND w.expires_at > {now})) AS leased
FROM lanes WHERE id = :lane

-- name: delivery_next
SELECT d.*, (d.state <> 'canceled' AND EXISTS (
        SELECT 1 FROM brakes b WHERE b.cause IN ('pause', 'messages', 'spend')
        AND (b.subject_id = d.organization_id OR (d.by_agent AND b.subject_id = (
            SELECT c.assigned_agent_id FROM conversations c WHERE c.id = d.conversation_id))))) AS braked
FROM deliveries d WHERE d.lane = :lane AND d.settled_at IS NULL ORDER BY d.number LIMIT 1

-- name: parts_of_delivery
SELECT * FROM parts WHERE delivery_id = :delivery_id ORDER BY number

-- name: part_insert
-- How a reply was cut is decided once: who comes second, having lost the lane, changes nothing.
INSERT INTO parts (delivery_id, number, text, hash, encoding, segments, state, updated_at)
VALUES (:delivery_id, :number, :text, :hash, :encoding, :segments, 'pending', {now})
ON CONFLICT DO NOTHING

-- name: part_claim
-- The attempt is committed before the provider is called; the first one stores the part. Refused when the lease is
-- lost, the delivery was canceled meanwhile, its recipient wants nothing from us, a brake is on, or its sender is
-- stopped (but for the one that tries). How much later we come to it than its lane was put off for, or than `patience`
-- after an attempt that was not settled, is no time in which it holds up others.
INSERT INTO parts (
    delivery_id, number, text, hash, encoding, segments, state, rank, attempt, claimed_at, first_claimed_at,
    provider, updated_at)
SELECT d.id, :number, :text, :hash, :encoding, :segments, 'sending', 1, 1, {now}, {now}, :provider, {now}
FROM deliveries d WHERE d.id = :delivery_id AND d.state <> 'canceled'
  AND EXISTS (SELECT 1 FROM lanes l WHERE l.id = :lane AND l.fence = :fence AND l.lease_owner = :worker_id)
  AND (d.expires_at IS NULL OR d.expires_at > {now})
  AND (d.despite_suppression OR NOT EXISTS (
    SELECT 1 FROM suppressions s
    WHERE s.organization_id = d.organization_id AND s.channel = d.channel AND s.their_address = d.recipient
      AND s.our_address IN ('', d.sender)))
  AND (:trying OR NOT EXISTS (
    SELECT 1 FROM senders s
    WHERE s.organization_id = d.organization_id AND s.channel = d.channel AND s.address = d.sender
      AND s.halted_at IS NOT NULL))
  AND NOT EXISTS (
    SELECT 1 FROM brakes b WHERE b.cause IN ('pause', 'messages', 'spend')
    AND (b.subject_id = d.organization_id OR (d.by_agent AND b.subject_id = (
        SELECT c.assigned_agent_id FROM conversations c WHERE c.id = d.conversation_id))))
ON CONFLICT (delivery_id, number) DO UPDATE SET state = 'sending', rank = 1, attempt = parts.attempt + 1,
    claimed_at = {now}, first_claimed_at = COALESCE(parts.first_claimed_at + (
        SELECT CASE WHEN {now} <= l.due_at OR parts.state = 'sending' AND {now} <= parts.claimed_at + :patience THEN 0
            WHEN parts.state = 'sending' AND (l.due_at IS NULL OR l.due_at < parts.claimed_at + :patience)
                THEN {now} - parts.claimed_at - :patience
            ELSE COALESCE({now} - l.due_at, 0) END
        FROM lanes l WHERE l.id = :lane), {now}),
    slot_at = NULL, provider = excluded.provider, updated_at = {now}
WHERE parts.state IN ('pending', 'sending', 'unknown')
RETURNING attempt, claimed_at, first_claimed_at {of parts WHERE delivery_id = :delivery_id AND number = :number}

-- name: part_slot
UPDATE parts SET slot_at = :slot_at WHERE delivery_id = :delivery_id AND number = :number

-- name: part_unclaim
-- The attempt does not count: its sender was stopped by it, or it was not begun. `first_claimed_at`: since when
-- the part holds up what is behind it, to which what has passed since the claim is added.
UPDATE parts SET state = 'pending', rank = 0, attempt = attempt - 1,
    first_claimed_at = CAST(:first_claimed_at AS bigint) + {now} - claimed_at,
    refusals = CASE WHEN CAST(:first_claimed_at AS bigint) IS NULL THEN 0 ELSE refusals END,
    error_code = :error_code, updated_at = {now}
WHERE delivery_id = :delivery_id AND number = :number AND state = 'sending'

-- name: part_settle
-- What the provider answered. A receipt that came first is never undone.
UPDATE parts SET
    state = CASE WHEN rank < :rank THEN :state ELSE state END,
    rank = CASE WHEN rank < :rank THEN :rank ELSE rank END,
    provider_message_id = COALESCE(provider_message_id, :provider_message_id),
    error_code = CASE WHEN rank < :rank THEN :error_code ELSE error_code END,
    updated_at = {now}
WHERE delivery_id = :delivery_id AND number = :number
RETURNING state, error_code, provider_message_id, retry_at {of parts WHERE delivery_id = :delivery_id AND number = :number}

-- name: part_reset
-- Refused for now, or unknown: to be tried again, or looked up.
UPDATE parts SET state = :state, rank = :rank, error_code = :error_code,
    refusals = CASE WHEN :state = 'pending' THEN refusals + 1 ELSE refusals END, updated_at = {now}
WHERE delivery_id = :delivery_id AND number = :number AND rank <= 1

-- name: parts_cancel
UPDATE parts SET state = 'canceled', rank = 5, updated_at = {now}
WHERE delivery_id = :delivery_id AND state = 'pending'

-- name: delivery_state
UPDATE deliveries SET state = :state, error_code = :error_code, updated_at = {now}
WHERE id = :id AND state <> 'canceled'

-- name: delivery_settle
-- A reply that was canceled while its last part was on its way has left.
UPDATE deliveries SET state = CASE WHEN state = 'canceled' AND :state <> 'sent' THEN state ELSE :state END,
    error_code = :error_code, settled_at = {now}, updated_at = {now}
WHERE id = :id AND settled_at IS NULL
RETURNING id, organization_id, conversation_id, message_id, message_seq, turn_id, channel, sender, recipient, state,
    error_code, updated_at {of deliveries WHERE id = :id}

-- name: delivery_lock
-- Settling and receipts read the parts together: one after the other.
SELECT * FROM deliveries WHERE id = :id {for update}

-- name: lane_settle
-- One delivery less; the lease goes when it was the last. Refused when the lease is lost.
UPDATE lanes SET settled = settled + 1, due_at = NULL, rung_at = NULL,
    lease_owner = CASE WHEN settled + 1 >= queued THEN NULL ELSE lease_owner END
WHERE id = :lane AND fence = :fence AND lease_owner = :worker_id
RETURNING lease_owner {of lanes WHERE id = :lane}

-- name: lane_postpone
UPDATE lanes SET lease_owner = NULL, due_at = {now} + :delay, rung_at = NULL
WHERE id = :lane AND fence = :fence AND lease_owner = :worker_id
RETURNING organization_id, channel, due_at

-- name: lane_wait
-- A brake is on: no bell is on its way, so that whoever lifts it rings.
UPDATE lanes SET lease_owner = NULL, rung_at = NULL
WHERE id = :lane AND fence = :fence AND lease_owner = :worker_id

-- name: lane_hurry
UPDATE lanes SET due_at = NULL, rung_at = {now}
WHERE id = :lane AND settled < queued AND due_at IS NOT NULL AND lease_owner IS NULL

-- name: lane_release
UPDATE lanes SET lease_owner = NULL
WHERE id = :lane AND fence = :fence AND lease_owner = :worker_id

-- name: part_by_reference
SELECT * FROM parts WHERE delivery_id = :delivery_id AND number = :number

-- name: part_by_provider
SELECT * FROM parts
WHERE provider = :provider AND provider_message_id = :provider_message_id

-- name: part_receipt
-- A receipt: only upwards, but for delivered after failed. What did not arrive for now may be sent once more.
UPDATE parts SET state = :state, rank = :rank, raw_status = :raw_status, error_code = :error_code,
    retry_at = CASE WHEN late_tries < :again_times THEN {now} + CAST(:again_after AS bigint) END,
    provider = :provider, provider_message_id = COALESCE(provider_message_id, :provider_message_id),
    updated_at = {now}
WHERE delivery_id = :delivery_id AND number = :number AND rank < :rank
RETURNING rank

-- name: delivery_may_again
-- What we began a conversation with, unasked, is not tried at another time of the day.
SELECT d.id FROM deliveries d JOIN conversations c ON c.id = d.conversation_id
WHERE d.id = :id AND d.settled_at IS NOT NULL AND d.state <> 'canceled' AND NOT d.sandboxed
  AND d.message_seq > 0 AND d.created_at + :within >= :at AND c.ended_at IS NULL

-- name: lane_again
-- A lane for one delivery, which it may have had before; not to be taken before its time.
INSERT INTO lanes (id, channel, organization_id, queued, due_at)
VALUES (:lane, :channel, :organization_id, 1, :at)
ON CONFLICT (id) DO UPDATE SET queued = lanes.queued + 1, due_at = :at, rung_at = NULL
RETURNING queued

-- name: delivery_once_more
UPDATE deliveries SET state = 'sending', lane = :lane, number = :number, error_code = NULL, settled_at = NULL,
    updated_at = {now}
WHERE id = :id

-- name: parts_once_more
-- What did not arrive, and what was not sent because of that. The attempts go on counting: they name receipts.
UPDATE parts SET state = 'pending', rank = 0, refusals = 0, claimed_at = NULL, first_claimed_at = NULL, retry_at = NULL,
    late_tries = late_tries + 1, failed_id = provider_message_id, provider_message_id = NULL, raw_status = NULL,
    updated_at = {now}
WHERE delivery_id = :delivery_id AND state IN ('failed', 'canceled')

-- name: part_doubled
UPDATE parts SET doubled_by = :provider_message_id
WHERE delivery_id = :delivery_id AND number = :number AND doubled_by IS NULL

-- name: part_raw_status
UPDATE parts SET raw_status = :raw_status WHERE delivery_id = :delivery_id AND number = :number

-- name: parts_unconfirmed
UPDATE parts SET state = 'unconfirmed', updated_at = {now}
WHERE (delivery_id, number) IN (
    SELECT delivery_id, number FROM parts
    WHERE state IN ('accepted', 'sent') AND claimed_at < {now} - :age ORDER BY claimed_at LIMIT 200)
  AND rank <= 4

-- name: parts_bound
SELECT provider_message_id FROM parts
WHERE provider = :provider AND provider_message_id {in :ids}

-- name: deliveries_cancel
-- A take-over or a close: what the agent said and has not left stays here.
UPDATE deliveries SET state = 'canceled', updated_at = {now}
WHERE conversation_id = :conversation_id AND by_agent AND settled_at IS NULL
RETURNING lane, message_seq

-- name: delivery_supersede
-- A reply that has not left whole, where a later turn has said something.
UPDATE deliveries SET state = 'canceled', updated_at = {now}
WHERE id = :id AND by_agent AND settled_at IS NULL AND EXISTS (
    SELECT 1 FROM deliveries n
    WHERE n.conversation_id = deliveries.conversation_id AND n.message_seq > deliveries.message_seq
      AND n.by_agent AND n.turn_id <> deliveries.turn_id)

-- name: lanes_due
UPDATE lanes SET rung_at = {now}
WHERE id IN (
    SELECT l.id FROM lanes l
    WHERE l.settled < l.queued AND (l.rung_at IS NULL OR l.rung_at < {now} - :every)
      AND (l.due_at IS NULL OR l.due_at <= {now})
      AND NOT EXISTS (SELECT 1 FROM deliveries d JOIN brakes b ON b.cause IN ('pause', 'messages', 'spend')
            AND (b.subject_id = d.organization_id OR (d.by_agent AND b.subject_id = (
                SELECT c.assigned_agent_id FROM conversations c WHERE c.id = d.conversation_id)))
            WHERE d.lane = l.id AND d.settled_at IS NULL AND d.state <> 'canceled' AND d.number = (
                SELECT MIN(n.number) FROM deliveries n WHERE n.lane = l.id AND n.settled_at IS NULL))
      AND (l.lease_owner IS NULL OR NOT EXISTS (
            SELECT 1 FROM workers w WHERE w.id = l.lease_owner AND w.expires_at > {now}))
    LIMIT 200 {for update skip locked})
RETURNING id, channel, organization_id, rung_at

-- name: lane_bells_reset
-- An embedded start: whoever rang has died, and its bells with it.
UPDATE lanes SET rung_at = NULL WHERE settled < queued AND rung_at IS NOT NULL

-- name: lanes_held
SELECT id, fence FROM lanes WHERE settled < queued AND lease_owner = :worker_id
ORDER BY rung_at LIMIT :limit

-- name: lane_held
SELECT id FROM lanes WHERE id = :lane AND fence = :fence AND lease_owner = :worker_id

-- name: delivery_of_message
SELECT * FROM deliveries WHERE message_id = :message_id ORDER BY number LIMIT 1 {for update}

-- name: mail_returned_lately
-- How many mails to an address have come back lately, whatever the reason.
SELECT COUNT(*) AS returned FROM deliveries
WHERE organization_id = :organization_id AND recipient = :recipient AND channel = 'email' AND state = 'failed'
  AND created_at > {now} - :within AND error_code <> 'suppressed'

-- name: delivery_expired
SELECT id FROM deliveries WHERE id = :id AND expires_at <= {now}
