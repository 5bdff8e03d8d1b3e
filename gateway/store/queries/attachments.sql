-- name: file_note
-- Before the bytes are put: what nothing refers to after `keep` microseconds goes. No row while an older file
-- of this content is being removed.
INSERT INTO files (organization_id, sha256, size, look_at)
VALUES (:organization_id, :sha256, :size, {now} + :keep)
ON CONFLICT (organization_id, sha256) DO UPDATE SET look_at = {now} + :keep WHERE NOT files.removing
RETURNING sha256

-- name: file_claim
-- Something refers to it from now on. No row where it has gone, or is going.
UPDATE files SET look_at = NULL
WHERE organization_id = :organization_id AND sha256 = :sha256 AND NOT removing
RETURNING sha256

-- name: files_referred_to @sqlite
-- Something refers to them: nobody needs to look again before that goes.
UPDATE files SET look_at = NULL
WHERE rowid IN (
    SELECT f.rowid FROM files f WHERE f.look_at <= {now} AND NOT f.removing AND EXISTS (
        SELECT 1 FROM attachments a WHERE a.organization_id = f.organization_id AND a.sha256 = f.sha256)
    ORDER BY f.look_at LIMIT 200)

-- name: files_referred_to @postgres
UPDATE files SET look_at = NULL
WHERE ctid = ANY(ARRAY(
    SELECT f.ctid FROM files f WHERE f.look_at <= {now} AND NOT f.removing AND EXISTS (
        SELECT 1 FROM attachments a WHERE a.organization_id = f.organization_id AND a.sha256 = f.sha256)
    ORDER BY f.look_at LIMIT 200 FOR UPDATE SKIP LOCKED))

-- name: files_unreferred @sqlite
-- Nothing refers to them: they go. One that was being removed when its process died is found again.
UPDATE files SET removing = TRUE
WHERE rowid IN (
    SELECT f.rowid FROM files f WHERE f.look_at <= {now} AND NOT EXISTS (
        SELECT 1 FROM attachments a WHERE a.organization_id = f.organization_id AND a.sha256 = f.sha256)
    ORDER BY f.look_at LIMIT 50)
RETURNING organization_id, sha256

-- name: files_unreferred @postgres
UPDATE files SET removing = TRUE
WHERE ctid = ANY(ARRAY(
    SELECT f.ctid FROM files f WHERE f.look_at <= {now} AND NOT EXISTS (
        SELECT 1 FROM attachments a WHERE a.organization_id = f.organization_id AND a.sha256 = f.sha256)
    ORDER BY f.look_at LIMIT 50 FOR UPDATE SKIP LOCKED))
RETURNING organization_id, sha256

-- name: file_removed
DELETE FROM files WHERE organization_id = :organization_id AND sha256 = :sha256 AND removing

-- name: files_look
-- A reference went: it is to be looked whether it was the last.
UPDATE files SET look_at = {now}
WHERE organization_id = :organization_id AND sha256 {in :hashes}

-- name: attachment_insert
INSERT INTO attachments (
    id, organization_id, conversation_id, message_id, state, media_type, size, name, sha256,
    provider, source, due_at, created_at
) VALUES (
    :id, :organization_id, :conversation_id, :message_id, :state, :media_type, :size, :name, :sha256,
    :provider, :source, CASE WHEN :state = 'pending' THEN {now} END, {now}
)

-- name: attachment_by_id
SELECT * FROM attachments WHERE organization_id = :organization_id AND id = :id

-- name: attachments_take @sqlite
-- Forget a bounded number of them; their files are looked at.
DELETE FROM attachments WHERE rowid IN (
    SELECT rowid FROM attachments WHERE conversation_id = :conversation_id ORDER BY id LIMIT 200)
RETURNING organization_id, sha256

-- name: attachments_take @postgres
DELETE FROM attachments WHERE ctid = ANY(ARRAY(
    SELECT ctid FROM attachments WHERE conversation_id = :conversation_id ORDER BY id LIMIT 200))
RETURNING organization_id, sha256

-- name: attachments_claim @sqlite
-- Those that are to be fetched; they are due again when the claim runs out, unless they are settled by then.
UPDATE attachments SET attempt = attempt + 1, due_at = {now} + :claimed
WHERE rowid IN (
    SELECT a.rowid FROM attachments a WHERE a.state = 'pending' AND a.due_at <= {now}
    ORDER BY a.due_at LIMIT :limit)
RETURNING *

-- name: attachments_claim @postgres
UPDATE attachments SET attempt = attempt + 1, due_at = {now} + :claimed
WHERE ctid = ANY(ARRAY(
    SELECT a.ctid FROM attachments a WHERE a.state = 'pending' AND a.due_at <= {now}
    ORDER BY a.due_at LIMIT :limit FOR UPDATE SKIP LOCKED))
RETURNING *

-- name: attachment_kept
UPDATE attachments SET state = 'kept', sha256 = :sha256, size = :size, media_type = :media_type, name = :name,
    source = NULL, error = NULL, due_at = NULL
WHERE id = :id AND state = 'pending'

-- name: attachment_postpone
UPDATE attachments SET error = :error, due_at = {now} + :delay WHERE id = :id AND state = 'pending'

-- name: attachment_failed
UPDATE attachments SET state = :state, error = :error, source = NULL, due_at = NULL
WHERE id = :id AND state = 'pending'

-- name: attachments_pending
SELECT COUNT(*) FILTER (WHERE state = 'pending') AS pending FROM attachments
WHERE conversation_id = :conversation_id
