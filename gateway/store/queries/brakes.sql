-- name: pause_set
-- Again changes the reason only: it is paused since the first time.
INSERT INTO brakes (subject_id, cause, organization_id, reason, set_by, set_at)
VALUES (:subject_id, 'pause', :organization_id, :reason, :set_by, {now})
ON CONFLICT (subject_id, cause) DO UPDATE SET reason = :reason
RETURNING subject_id, reason, set_by, set_at

-- name: pause_lift
DELETE FROM brakes WHERE subject_id = :subject_id AND cause = 'pause'

-- name: pause_of
SELECT subject_id, reason, set_by, set_at FROM brakes WHERE subject_id = :subject_id AND cause = 'pause'

-- name: pauses_of_organisation
SELECT subject_id, reason, set_by, set_at FROM brakes
WHERE organization_id = :organization_id AND cause = 'pause' ORDER BY set_at, subject_id LIMIT 1001

-- name: pauses
-- Of every organisation.
SELECT subject_id FROM brakes WHERE cause = 'pause' LIMIT 10000

-- name: turns_stopped
SELECT 1 AS stopped FROM brakes
WHERE subject_id IN (:organization_id, :agent_id) AND cause <> 'messages' LIMIT 1
