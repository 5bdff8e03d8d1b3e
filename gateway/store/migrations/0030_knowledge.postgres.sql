CREATE TABLE knowledge_chunks (
    id uuid PRIMARY KEY,
    document_id uuid NOT NULL,
    content_hash text NOT NULL,
    position bigint NOT NULL,
    section jsonb NOT NULL,
    text text NOT NULL,
    kb_id uuid NOT NULL,
    -- What is searched: words in their common form.
    heading_words text NOT NULL,
    body_words text NOT NULL,
    words tsvector GENERATED ALWAYS AS (
        setweight(to_tsvector('simple', heading_words), 'A') || setweight(to_tsvector('simple', body_words), 'D')
    ) STORED
);
CREATE INDEX knowledge_chunks_of_document ON knowledge_chunks (document_id, content_hash);
CREATE INDEX knowledge_chunks_of_words ON knowledge_chunks USING gin (words) WITH (fastupdate = off);
