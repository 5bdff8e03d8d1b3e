-- How many chunks of a knowledge base have a word, as it was counted last: what is rare is looked for first. SQLite's
-- FTS5 keeps such a table itself.
CREATE TABLE knowledge_vocabulary (
    kb_id uuid NOT NULL,
    word text NOT NULL,
    chunks bigint NOT NULL,
    PRIMARY KEY (kb_id, word)
);
