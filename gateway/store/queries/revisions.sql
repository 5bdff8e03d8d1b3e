-- name: revision_activate
INSERT INTO agent_revisions (id, organization_id, agent_id, revision_id, settings, created_at, activated_at)
VALUES (:id, :organization_id, :agent_id, :revision_id, :settings, {now}, {now})
ON CONFLICT (id) DO UPDATE SET activated_at = COALESCE(agent_revisions.activated_at, {now})

-- name: revision_draft
INSERT INTO agent_revisions (id, organization_id, agent_id, revision_id, settings, created_at)
VALUES (:id, :organization_id, :agent_id, :revision_id, :settings, {now})
ON CONFLICT (id) DO NOTHING

-- name: revision_by_id
SELECT * FROM agent_revisions WHERE id = :id AND organization_id = :organization_id

-- name: revisions_page
SELECT * FROM agent_revisions
WHERE organization_id = :organization_id AND agent_id = :agent_id AND (created_at, id) < (:before_at, :before_id)
ORDER BY created_at DESC, id DESC LIMIT :limit
