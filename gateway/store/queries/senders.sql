-- name: sender_slot
-- A place in the sender's rate, behind all that were given before.
INSERT INTO senders (organization_id, channel, address, next_at)
SELECT d.organization_id, d.channel, d.sender, {now} + :cost FROM deliveries d WHERE d.id = :delivery_id
ON CONFLICT (organization_id, channel, address) DO UPDATE SET
    next_at = CASE WHEN senders.next_at > {now} THEN senders.next_at ELSE {now} END + :cost
RETURNING next_at - :cost AS slot_at, next_at - :cost - {now} AS wait

-- name: sender_halted
-- Whether the sender of a delivery is stopped, and how long until one part may try.
SELECT s.organization_id, s.channel, s.address, s.retry_at - {now} AS wait FROM deliveries d
JOIN senders s ON s.organization_id = d.organization_id AND s.channel = d.channel AND s.address = d.sender
WHERE d.id = :delivery_id AND s.halted_at IS NOT NULL

-- name: sender_try
-- Of all that wait, one part tries whether the sender is well again.
UPDATE senders SET retry_at = {now} + :again
WHERE organization_id = :organization_id AND channel = :channel AND address = :address
  AND halted_at IS NOT NULL AND retry_at <= {now}

-- name: sender_halt
-- No row where it is stopped already.
INSERT INTO senders (organization_id, channel, address, halted_at, halted_code, retry_at)
VALUES (:organization_id, :channel, :address, {now}, :code, {now} + CAST(:again AS bigint))
ON CONFLICT (organization_id, channel, address) DO UPDATE SET halted_at = {now}, halted_code = :code,
    retry_at = {now} + CAST(:again AS bigint)
WHERE senders.halted_at IS NULL
RETURNING halted_at

-- name: sender_told
UPDATE senders SET letter_id = :letter_id
WHERE organization_id = :organization_id AND channel = :channel AND address = :address

-- name: sender_resume
UPDATE senders SET halted_at = NULL, halted_code = NULL, retry_at = NULL
WHERE organization_id = :organization_id AND channel = :channel AND address = :address
  AND halted_at IS NOT NULL
RETURNING letter_id

-- name: senders_halted
SELECT channel, address, halted_at, halted_code, retry_at FROM senders
WHERE halted_at IS NOT NULL ORDER BY channel, address LIMIT 1000

-- name: lanes_resume
-- What waited for a sender is due; their timer rings them.
UPDATE lanes SET due_at = NULL, rung_at = NULL
WHERE settled < queued AND due_at IS NOT NULL AND substr(id, 1, length(:prefix)) = :prefix

-- name: contact_undeliverable
UPDATE contacts SET undeliverable_at = {now}, undeliverable_code = :code
WHERE organization_id = :organization_id AND kind = :kind AND value = :value
