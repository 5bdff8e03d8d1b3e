-- name: simulation_insert
INSERT INTO simulations (conversation_id, organization_id, agent_id, revision_id, script, results, started_at,
    baseline_id)
VALUES (:conversation_id, :organization_id, :agent_id, :revision_id, :script, '[]', {now}, :baseline_id)

-- name: simulation_by_id
SELECT * FROM simulations WHERE conversation_id = :conversation_id AND organization_id = :organization_id

-- name: simulation_running
-- Its conversation is locked by the unit that asks.
SELECT * FROM simulations WHERE conversation_id = :conversation_id

-- name: simulation_result
UPDATE simulations SET results = :results WHERE conversation_id = :conversation_id

-- name: simulation_finish
UPDATE simulations SET finished_at = {now} WHERE conversation_id = :conversation_id AND finished_at IS NULL
