-- name: call_insert
INSERT INTO calls (provider, call_id, organization_id, conversation_id, host_id, transport, capabilities,
    started_at)
VALUES (:provider, :call_id, :organization_id, :conversation_id, :host_id, :transport, :capabilities, {now})
ON CONFLICT DO NOTHING
RETURNING call_id

-- name: call_by_id
SELECT * FROM calls WHERE provider = :provider AND call_id = :call_id

-- name: call_live
SELECT * FROM calls WHERE conversation_id = :conversation_id AND ended_at IS NULL
ORDER BY started_at DESC LIMIT 1

-- name: call_end
UPDATE calls SET ended_at = {now} WHERE provider = :provider AND call_id = :call_id AND ended_at IS NULL
RETURNING conversation_id, organization_id

-- name: call_seq
-- Events of a host are numbered per call; an old number is a repetition.
UPDATE calls SET last_seq = :seq WHERE provider = :provider AND call_id = :call_id AND last_seq < :seq
RETURNING call_id

-- name: call_announced
-- A call that is still up, by the id its host gave it.
SELECT k.host_id, c.their_address, c.our_address
FROM calls k JOIN conversations c ON c.id = k.conversation_id
WHERE k.call_id = :call_id AND k.ended_at IS NULL
ORDER BY k.started_at DESC LIMIT 1
