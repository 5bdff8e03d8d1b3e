-- name: call_insert
INSERT INTO calls (provider, call_id, organization_id, conversation_id, host_id, transport, capabilities,
    started_at)
VALUES (:provider, :call_id, :organization_id, :conversation_id, :host_id, :transport, :capabilities, {now})
ON CONFLICT DO NOTHING
RETURNING call_id

-- name: call_by_id
SELECT * FROM calls WHERE provider = :provider AND call_id = :call_id

-- name: call_live
SELECT calls.*, {now} AS at FROM calls WHERE conversation_id = :conversation_id AND ended_at IS NULL
ORDER BY started_at DESC LIMIT 1

-- name: call_end
UPDATE calls SET ended_at = {now} WHERE provider = :provider AND call_id = :call_id AND ended_at IS NULL
RETURNING conversation_id, organization_id

-- name: call_announced
-- A call by the id its host gave it, whether or not it is still up; without its addresses its person is erased.
SELECT k.host_id, k.ended_at, k.capabilities, k.keys, c.their_address, c.our_address
FROM calls k JOIN conversations c ON c.id = k.conversation_id
WHERE k.call_id = :call_id AND k.host_id IS NOT NULL AND c.their_address IS NOT NULL
ORDER BY k.started_at DESC LIMIT 1

-- name: call_keys @sqlite
-- What was pressed on a call and is not worked off yet. `transferring`: keys are nobody's then.
SELECT k.keys, k.organization_id, k.conversation_id, {now} AS at, EXISTS (
    SELECT 1 FROM call_intents i
    WHERE i.conversation_id = k.conversation_id AND i.call_id = k.call_id AND i.kind = 'transfer' AND i.state IS NULL
    ) AS transferring
FROM calls k WHERE k.provider = :host_id AND k.call_id = :call_id

-- name: call_keys @postgres
SELECT k.keys, k.organization_id, k.conversation_id, {now} AS at, EXISTS (
    SELECT 1 FROM call_intents i
    WHERE i.conversation_id = k.conversation_id AND i.call_id = k.call_id AND i.kind = 'transfer' AND i.state IS NULL
    ) AS transferring
FROM calls k WHERE k.provider = :host_id AND k.call_id = :call_id FOR UPDATE

-- name: call_keys_keep
UPDATE calls SET keys = :keys WHERE provider = :host_id AND call_id = :call_id
