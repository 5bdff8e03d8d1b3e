-- name: knowledge_documents_of_kb
SELECT id, path, content_hash FROM knowledge_documents WHERE kb_id = :kb_id ORDER BY path LIMIT :limit

-- name: knowledge_chunk_insert
INSERT INTO knowledge_chunks (
    id, document_id, content_hash, position, section, text, kb_id, heading_words, body_words
) VALUES (
    :id, :document_id, :content_hash, :position, :section, :text, :kb_id, :heading_words, :body_words
) ON CONFLICT DO NOTHING

-- name: knowledge_document_publish
-- From now on these contents are found.
INSERT INTO knowledge_documents (
    id, organization_id, kb_id, path, title, content_hash, version_number, chunks, indexed_at
) VALUES (
    :id, :organization_id, :kb_id, :path, :title, :content_hash, 1, :chunks, {now}
) ON CONFLICT (id) DO UPDATE SET
    version_number = knowledge_documents.version_number
        + CASE WHEN knowledge_documents.content_hash = excluded.content_hash THEN 0 ELSE 1 END,
    title = excluded.title, content_hash = excluded.content_hash, chunks = excluded.chunks, indexed_at = {now}

-- name: knowledge_document_delete
DELETE FROM knowledge_documents WHERE id = :id

-- name: knowledge_chunks_delete @sqlite
-- All of a document but those of the contents to keep.
DELETE FROM knowledge_chunks WHERE number IN (
    SELECT number FROM knowledge_chunks WHERE document_id = :document_id AND content_hash <> :keep LIMIT :limit)

-- name: knowledge_chunks_delete @postgres
-- All of a document but those of the contents to keep.
DELETE FROM knowledge_chunks WHERE id IN (
    SELECT id FROM knowledge_chunks WHERE document_id = :document_id AND content_hash <> :keep LIMIT :limit)

-- name: knowledge_words @sqlite
-- How many chunks have each of some words, in all knowledge bases; without those that none has.
SELECT term AS word, doc AS chunks FROM knowledge_vocabulary WHERE term IN (SELECT value FROM json_each(:words))

-- name: knowledge_words @postgres
-- How many chunks of some knowledge bases have each of some words, as they were counted last. A word that none had then
-- is counted now, up to `most`.
SELECT w.word, COALESCE((
    SELECT SUM(v.chunks)::bigint FROM knowledge_vocabulary v WHERE v.kb_id = ANY(:kb_ids) AND v.word = w.word
), (
    SELECT COUNT(*) FROM (
        SELECT 1 FROM knowledge_chunks c
        WHERE c.words @@ plainto_tsquery('simple', w.word) AND c.kb_id = ANY(:kb_ids) LIMIT :most
    ) AS counted
)) AS chunks FROM unnest(:words::text[]) AS w (word)

-- name: knowledge_vocabulary_forget @sqlite
-- FTS5 counts by itself.
SELECT 1 WHERE FALSE

-- name: knowledge_vocabulary_forget @postgres
DELETE FROM knowledge_vocabulary WHERE kb_id = :kb_id

-- name: knowledge_vocabulary_count @sqlite
SELECT 1 WHERE FALSE

-- name: knowledge_vocabulary_count @postgres
-- Of `most` chunks; where there are more, the others are taken to be like them.
INSERT INTO knowledge_vocabulary (kb_id, word, chunks)
SELECT CAST(:kb_id AS uuid), counted.word, ceil(counted.ndoc * (
    SELECT GREATEST(1.0, SUM(d.chunks)::float8 / CAST(:most AS bigint))
    FROM knowledge_documents d WHERE d.kb_id = CAST(:kb_id AS uuid)
))::bigint
FROM ts_stat(format(
    'SELECT c.words FROM knowledge_documents d
        JOIN knowledge_chunks c ON c.document_id = d.id AND c.content_hash = d.content_hash
    WHERE d.kb_id = %L LIMIT %s', CAST(:kb_id AS uuid), CAST(:most AS bigint))) AS counted
ON CONFLICT (kb_id, word) DO UPDATE SET chunks = excluded.chunks

-- name: knowledge_search @sqlite
-- The best by BM25; a word in a heading counts four times. `match` is text of FTS5's language.
SELECT c.id, c.section, c.text, c.kb_id, d.title, d.version_number,
    -bm25(knowledge_index, 4.0, 1.0) AS score
FROM knowledge_index
JOIN knowledge_chunks c ON c.number = knowledge_index.rowid
JOIN knowledge_documents d ON d.id = c.document_id AND d.content_hash = c.content_hash
WHERE knowledge_index MATCH :match AND c.kb_id IN (SELECT value FROM json_each(:kb_ids))
ORDER BY score DESC, c.id LIMIT :limit

-- name: knowledge_search @postgres
-- The chunks with the rarest of the words (each of `words` may be several, which must all be there), and of these
-- the best by each one's rank times how rare it is; a word in a heading counts four times. Of each no more than `most`
-- chunks are looked at. OFFSET 0 has each looked up by itself.
WITH asked AS MATERIALIZED (
    SELECT word, plainto_tsquery('simple', word) AS query FROM unnest(:words::text[]) AS w (word)
), hits AS MATERIALIZED (
    SELECT found.id, asked.word
    FROM asked CROSS JOIN LATERAL (
        SELECT c.id, c.document_id, c.content_hash FROM knowledge_chunks c
        WHERE c.words @@ asked.query AND c.kb_id = ANY(:kb_ids)
        LIMIT :most OFFSET 0
    ) found
    JOIN knowledge_documents d ON d.id = found.document_id AND d.content_hash = found.content_hash
), rarity AS MATERIALIZED (
    SELECT word, ln(1 + (
        (SELECT COALESCE(SUM(chunks), 0) FROM knowledge_documents WHERE kb_id = ANY(:kb_ids)) + 0.5
    ) / (COUNT(*) + 0.5))::float8 AS weight
    FROM hits GROUP BY word
), candidates AS MATERIALIZED (
    SELECT hits.id FROM hits JOIN rarity USING (word)
    GROUP BY hits.id ORDER BY SUM(rarity.weight) DESC, hits.id LIMIT :limit * 5
)
SELECT c.id, c.section, c.text, c.kb_id, d.title, d.version_number, (
    SELECT SUM(r.weight * ts_rank('{0.25, 0.25, 0.25, 1}', c.words, a.query, 1))
    FROM asked a JOIN rarity r USING (word)
) AS score
FROM candidates
JOIN knowledge_chunks c ON c.id = candidates.id
JOIN knowledge_documents d ON d.id = c.document_id
ORDER BY score DESC, c.id LIMIT :limit
