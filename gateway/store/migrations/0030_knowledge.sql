-- Folders of documents, cut into chunks that can be searched.
CREATE TABLE knowledge_documents (
    -- Follows from the knowledge base and the path.
    id uuid PRIMARY KEY,
    organization_id uuid NOT NULL,
    kb_id uuid NOT NULL,
    path text NOT NULL,
    title text NOT NULL,
    -- The contents whose chunks are found; chunks of others are on their way in or out.
    content_hash text NOT NULL,
    version_number bigint NOT NULL,
    chunks bigint NOT NULL,
    indexed_at bigint NOT NULL
);
CREATE INDEX knowledge_documents_of_kb ON knowledge_documents (kb_id, path);
