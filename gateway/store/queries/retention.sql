-- name: conversation_retired
-- A terminal conversation whose time is up, and which has been summed up.
SELECT c.id FROM conversations c
WHERE c.retention_expires_at <= {now} AND c.archived_at IS NULL
  AND NOT EXISTS (SELECT 1 FROM closings k WHERE k.conversation_id = c.id)
ORDER BY c.retention_expires_at LIMIT 1 {for update skip locked}

-- name: conversation_archive
-- What is left has counts and times, and nothing that was said.
UPDATE conversations SET archived_at = {now}, updated_at = {now}, summary = NULL, digest = NULL, facts = NULL, metadata = '{}',
    context_variables = '{}', subject = NULL, recording_url = NULL, has_recording = FALSE
WHERE id = :id
