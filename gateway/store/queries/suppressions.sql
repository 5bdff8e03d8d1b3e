-- name: suppression_insert
-- No row when it is in force already.
INSERT INTO suppressions (id, organization_id, channel, our_address, their_address, derived, reason, created_at)
VALUES (:id, :organization_id, :channel, :our_address, :their_address, :derived, :reason, {now})
ON CONFLICT DO NOTHING
RETURNING id

-- name: suppression_lift
UPDATE suppressions SET lifted_at = {now}
WHERE organization_id = :organization_id AND channel = :channel AND their_address = :their_address
  AND our_address = :our_address AND NOT derived AND lifted_at IS NULL

-- name: suppression_between
-- Whether one of ours may not send to one of theirs.
SELECT reason FROM suppressions
WHERE organization_id = :organization_id AND channel = :channel AND their_address = :their_address
  AND our_address IN ('', :our_address) AND lifted_at IS NULL
LIMIT 1

-- name: suppressions_of_addresses @sqlite
SELECT channel, our_address, their_address, derived, reason, created_at FROM suppressions
WHERE organization_id = :organization_id AND channel = :channel
  AND their_address IN (SELECT value FROM json_each(:addresses)) AND lifted_at IS NULL
ORDER BY created_at, their_address, our_address LIMIT 1000

-- name: suppressions_of_addresses @postgres
SELECT channel, our_address, their_address, derived, reason, created_at FROM suppressions
WHERE organization_id = :organization_id AND channel = :channel
  AND their_address = ANY(:addresses) AND lifted_at IS NULL
ORDER BY created_at, their_address, our_address LIMIT 1000

-- name: suppressions_underive @sqlite
DELETE FROM suppressions
WHERE organization_id = :organization_id AND channel = :channel
  AND their_address IN (SELECT value FROM json_each(:addresses)) AND derived AND lifted_at IS NULL

-- name: suppressions_underive @postgres
DELETE FROM suppressions
WHERE organization_id = :organization_id AND channel = :channel
  AND their_address = ANY(:addresses) AND derived AND lifted_at IS NULL

-- name: delivery_suppressed
SELECT d.id FROM deliveries d JOIN suppressions s
  ON s.organization_id = d.organization_id AND s.channel = d.channel AND s.their_address = d.recipient
  AND s.our_address IN ('', d.sender) AND s.lifted_at IS NULL
WHERE d.id = :id
LIMIT 1
