-- name: suppression_insert
-- No row when it is in force already.
INSERT INTO suppressions (
    id, organization_id, channel, our_address, their_address, derived, firm, reason, created_at)
VALUES (:id, :organization_id, :channel, :our_address, :their_address, :derived, :firm, :reason, {now})
ON CONFLICT DO NOTHING
RETURNING id

-- name: suppression_lift
DELETE FROM suppressions
WHERE organization_id = :organization_id AND channel = :channel AND their_address = :their_address
  AND our_address = :our_address AND NOT derived

-- name: bounce_suppressions_lift
-- Whoever writes from an address takes mail there again.
-- By the address, not through all bounces: hence the ||.
DELETE FROM suppressions
WHERE organization_id = :organization_id AND channel = 'email' AND their_address = :their_address
  AND reason || '' IN ('hard_bounce', 'soft_bounces')

-- name: bounce_suppressions_forget @sqlite
-- Mailboxes are opened and emptied: after so long, mail is tried again.
DELETE FROM suppressions WHERE rowid IN (
    SELECT rowid FROM suppressions
    WHERE reason IN ('hard_bounce', 'soft_bounces') AND created_at < {now} - :age
    ORDER BY created_at LIMIT 200)

-- name: bounce_suppressions_forget @postgres
DELETE FROM suppressions WHERE ctid = ANY(ARRAY(
    SELECT ctid FROM suppressions
    WHERE reason IN ('hard_bounce', 'soft_bounces') AND created_at < {now} - :age
    ORDER BY created_at LIMIT 200 FOR UPDATE SKIP LOCKED))

-- name: suppression_firm
-- What a START, or the next mail from there, would have lifted is now there for a reason that neither lifts.
UPDATE suppressions SET firm = TRUE, reason = :reason
WHERE organization_id = :organization_id AND channel = :channel AND their_address = :their_address
  AND our_address = :our_address AND NOT derived
  AND (NOT firm OR reason || '' IN ('hard_bounce', 'soft_bounces'))

-- name: suppression_lift_by_start
DELETE FROM suppressions
WHERE organization_id = :organization_id AND channel = :channel AND their_address = :their_address
  AND our_address = :our_address AND NOT derived AND NOT firm

-- name: suppression_not_firm
SELECT id FROM suppressions
WHERE organization_id = :organization_id AND channel = :channel AND their_address = :their_address
  AND our_address = :our_address AND NOT derived AND NOT firm

-- name: suppression_of_pair
SELECT * FROM suppressions
WHERE organization_id = :organization_id AND channel = :channel AND their_address = :their_address
  AND our_address = :our_address AND NOT derived

-- name: suppression_by_id
SELECT * FROM suppressions WHERE organization_id = :organization_id AND id = :id

-- name: suppressions_page
SELECT * FROM suppressions
WHERE organization_id = :organization_id AND (created_at, id) < (:before_at, :before_id)
ORDER BY created_at DESC, id DESC LIMIT :limit

-- name: suppressions_page_of_address
SELECT * FROM suppressions
WHERE organization_id = :organization_id AND channel = :channel AND their_address = :their_address
  AND (created_at, id) < (:before_at, :before_id)
ORDER BY created_at DESC, id DESC LIMIT :limit

-- name: suppression_between
-- Whether one of ours may not send to one of theirs.
SELECT reason FROM suppressions
WHERE organization_id = :organization_id AND channel = :channel AND their_address = :their_address
  AND our_address IN ('', :our_address)
LIMIT 1

-- name: suppressions_of_addresses
SELECT * FROM suppressions
WHERE organization_id = :organization_id AND channel = :channel
  AND their_address {in :addresses}
ORDER BY created_at, their_address, our_address LIMIT 1000

-- name: suppressions_underive
DELETE FROM suppressions
WHERE organization_id = :organization_id AND channel = :channel
  AND their_address {in :addresses} AND derived

-- name: delivery_suppressed
SELECT d.id FROM deliveries d JOIN suppressions s
  ON s.organization_id = d.organization_id AND s.channel = d.channel AND s.their_address = d.recipient
  AND s.our_address IN ('', d.sender)
WHERE d.id = :id AND NOT d.despite_suppression
LIMIT 1

-- name: consent_insert
INSERT INTO consents (
    id, organization_id, channel, our_address, their_address, state, source, detail, actor,
    conversation_id, message_id, created_at
) VALUES (
    :id, :organization_id, :channel, :our_address, :their_address, :state, :source, :detail, :actor,
    :conversation_id, :message_id, {now}
)

-- name: consents_page
SELECT * FROM consents
WHERE organization_id = :organization_id AND (created_at, id) < (:before_at, :before_id)
ORDER BY created_at DESC, id DESC LIMIT :limit

-- name: consents_page_of_address
SELECT * FROM consents
WHERE organization_id = :organization_id AND channel = :channel AND their_address = :their_address
  AND (created_at, id) < (:before_at, :before_id)
ORDER BY created_at DESC, id DESC LIMIT :limit
