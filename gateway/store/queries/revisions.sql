-- name: revision_activate
INSERT INTO agent_revisions (id, organization_id, agent_id, revision_id, settings, created_at, activated_at, used_at)
VALUES (:id, :organization_id, :agent_id, :revision_id, :settings, {now}, {now}, {now})
ON CONFLICT (id) DO UPDATE SET activated_at = COALESCE(agent_revisions.activated_at, {now}), used_at = {now}

-- name: revision_draft
INSERT INTO agent_revisions (id, organization_id, agent_id, revision_id, settings, created_at, used_at)
VALUES (:id, :organization_id, :agent_id, :revision_id, :settings, {now}, {now})
ON CONFLICT (id) DO UPDATE SET used_at = {now}

-- name: revisions_retire
-- Those that were not in force for `age` microseconds, and of which no conversation is open.
DELETE FROM agent_revisions WHERE id IN (
    SELECT r.id FROM agent_revisions r
    WHERE r.used_at <= {now} - :age AND NOT EXISTS (
        SELECT 1 FROM conversations c
        WHERE c.assigned_agent_id = r.agent_id AND c.pinned_revision_id = r.revision_id AND c.ended_at IS NULL)
    ORDER BY r.used_at LIMIT :limit)

-- name: revision_by_id
SELECT * FROM agent_revisions WHERE id = :id AND organization_id = :organization_id

-- name: revisions_page
SELECT * FROM agent_revisions
WHERE organization_id = :organization_id AND agent_id = :agent_id AND (created_at, id) < (:before_at, :before_id)
ORDER BY created_at DESC, id DESC LIMIT :limit
