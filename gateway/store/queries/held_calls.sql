-- name: held_insert
INSERT INTO held_calls
    (id, provider, call_id, organization_id, conversation_id, held, due_at, holder, created_at)
VALUES (:id, :provider, :call_id, :organization_id, :conversation_id, :held, :due_at, :holder, {now})

-- name: held_by_id
SELECT * FROM held_calls WHERE id = :id

-- name: held_lock @sqlite
SELECT *, {now} AS at FROM held_calls WHERE id = :id

-- name: held_lock @postgres
SELECT *, {now} AS at FROM held_calls WHERE id = :id FOR UPDATE

-- name: held_of_call
SELECT * FROM held_calls WHERE provider = :provider AND call_id = :call_id ORDER BY created_at DESC LIMIT 1

-- name: held_unfinished
SELECT id FROM held_calls WHERE conversation_id = :conversation_id AND due_at IS NOT NULL LIMIT 50

-- name: held_due
SELECT id FROM held_calls WHERE due_at IS NOT NULL AND due_at <= {now} ORDER BY due_at LIMIT 50

-- name: held_save
UPDATE held_calls SET held = :held, due_at = :due_at WHERE id = :id

-- name: held_keep
UPDATE held_calls SET held = :held WHERE id = :id AND holder = :holder

-- name: held_take_up
UPDATE held_calls SET holder = :holder WHERE id = :id

-- name: held_purge
DELETE FROM held_calls WHERE id IN (SELECT id FROM held_calls WHERE conversation_id = :id LIMIT :limit)

-- name: held_clock
SELECT {now} AS at
