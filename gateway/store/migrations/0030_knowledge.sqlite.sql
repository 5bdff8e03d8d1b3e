CREATE TABLE knowledge_chunks (
    number INTEGER PRIMARY KEY,
    id uuid NOT NULL UNIQUE,
    document_id uuid NOT NULL,
    content_hash text NOT NULL,
    position bigint NOT NULL,
    section jsonb NOT NULL,
    text text NOT NULL,
    kb_id uuid NOT NULL,
    -- What is searched: words in their common form.
    heading_words text NOT NULL,
    body_words text NOT NULL
);
CREATE INDEX knowledge_chunks_of_document ON knowledge_chunks (document_id, content_hash);

CREATE VIRTUAL TABLE knowledge_index USING fts5 (
    heading_words, body_words, content = 'knowledge_chunks', content_rowid = 'number', tokenize = 'unicode61'
);
-- How many chunks have a word.
CREATE VIRTUAL TABLE knowledge_vocabulary USING fts5vocab (knowledge_index, row);
CREATE TRIGGER knowledge_chunk_in AFTER INSERT ON knowledge_chunks BEGIN
    INSERT INTO knowledge_index (rowid, heading_words, body_words)
    VALUES (new.number, new.heading_words, new.body_words);
END;
CREATE TRIGGER knowledge_chunk_out AFTER DELETE ON knowledge_chunks BEGIN
    INSERT INTO knowledge_index (knowledge_index, rowid, heading_words, body_words)
    VALUES ('delete', old.number, old.heading_words, old.body_words);
END;
