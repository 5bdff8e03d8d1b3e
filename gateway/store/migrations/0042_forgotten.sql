-- Calls whose conversation was erased or deleted: what is still told of them brings nobody back.
CREATE TABLE forgotten_calls (
    organization_id uuid NOT NULL,
    call_hash text NOT NULL, -- SHA-256 of the host's name of the call, which may say who called
    forgotten_at bigint NOT NULL,
    PRIMARY KEY (organization_id, call_hash)
);
CREATE INDEX forgotten_calls_by_age ON forgotten_calls (forgotten_at);

-- Mails are counted by the hour, also those of senders that are proven, under 'proven:' and their domain.
ALTER TABLE unproven_mail RENAME TO counted_mail;
