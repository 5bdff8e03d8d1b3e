-- name: test_clock @sqlite
SELECT :offset AS clock

-- name: test_clock @postgres
SELECT set_config('gateway.clock_offset_us', :offset, true) AS clock

-- name: test_conversation
SELECT * FROM conversations WHERE id = :id
