-- name: item_insert
INSERT INTO items (id, n, body, flag, at) VALUES (:id, :n, :body, :flag, {now});

-- name: item_insert_returning
INSERT INTO items (id, n, flag, at) VALUES (:id, :n, :flag, {now}) RETURNING id, n, at

-- name: items_add_like
-- A statement that does not begin with UPDATE.
WITH alike (n) AS (SELECT n FROM items WHERE id = :id)
UPDATE items SET n = n + :more WHERE n IN (SELECT n FROM alike)

-- name: item
SELECT id, n, body, flag, at FROM items WHERE id = :id

-- name: items_in @postgres
SELECT id FROM items WHERE id = ANY(:ids) AND n = ANY(:ns) ORDER BY n
-- name: items_in @sqlite
SELECT id FROM items WHERE id IN (SELECT value FROM json_each(:ids)) AND n IN (SELECT value FROM json_each(:ns)) ORDER BY n

-- name: items_count
SELECT count(*) AS n FROM items

-- name: items_add
UPDATE items SET n = n + :more

-- name: item_add
UPDATE items SET n = n + :more WHERE id = :id

-- name: copy_insert
INSERT INTO copies (id) VALUES (:id)

-- name: broken
SELECT one FROM nowhere

-- name: slow_count @sqlite
WITH RECURSIVE t (x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM t LIMIT :n) SELECT count(*) AS n FROM t
-- name: slow_count @postgres
SELECT count(*) AS n FROM generate_series(1, CAST(:n AS bigint))

-- name: cap_pages @sqlite
PRAGMA max_page_count = 30
-- name: cap_pages @postgres
SELECT 1

-- name: uncap_pages @sqlite
PRAGMA max_page_count = 1000000
-- name: uncap_pages @postgres
SELECT 1

-- name: kill_others @postgres
SELECT pg_terminate_backend(pid) FROM pg_stat_activity
WHERE datname = current_database() AND pid <> pg_backend_pid() AND application_name LIKE :name
-- name: kill_others @sqlite
SELECT :name

-- name: kill_self @postgres
SELECT pg_terminate_backend(pg_backend_pid())
-- name: kill_self @sqlite
SELECT 1

-- name: item_add_returning
UPDATE items SET n = n + :more WHERE id = :id RETURNING id, n
