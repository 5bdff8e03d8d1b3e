-- Files that came with messages: the attachment store has the bytes, these tables who refers to them.

-- What the attachment store holds. A row comes before its file, and goes after it.
CREATE TABLE files (
    organization_id uuid NOT NULL,
    sha256 text NOT NULL,
    size bigint NOT NULL,
    -- When it is to be looked whether anything refers to it; NULL: something did when that was last asked.
    look_at bigint,
    -- Nothing did: it is being removed, and must be put anew when that is done.
    removing boolean NOT NULL DEFAULT FALSE,
    PRIMARY KEY (organization_id, sha256)
);
CREATE INDEX files_to_look_at ON files (look_at) WHERE look_at IS NOT NULL;

CREATE TABLE attachments (
    id uuid PRIMARY KEY,
    organization_id uuid NOT NULL,
    conversation_id uuid NOT NULL,
    message_id uuid NOT NULL,
    state text NOT NULL,
    media_type text NOT NULL,
    size bigint,
    name text,
    sha256 text,
    -- Where the provider has it, and what is known of the fetching.
    provider text NOT NULL,
    source text,
    error text,
    attempt bigint NOT NULL DEFAULT 0,
    due_at bigint,
    created_at bigint NOT NULL
);
CREATE INDEX attachments_of_conversation ON attachments (conversation_id, id);
CREATE INDEX attachments_of_file ON attachments (organization_id, sha256) WHERE sha256 IS NOT NULL;
CREATE INDEX attachments_due ON attachments (due_at) WHERE state = 'pending';
