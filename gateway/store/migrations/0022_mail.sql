-- Tokens that a provider signs instead of what it sends: each belongs to the first content it came with.
CREATE TABLE webhook_tokens (
    provider text NOT NULL,
    token text NOT NULL,
    -- sha256 of the content, in hex.
    digest text NOT NULL,
    created_at bigint NOT NULL,
    PRIMARY KEY (provider, token)
);
CREATE INDEX webhook_tokens_old ON webhook_tokens (created_at);

-- Mails of senders that nothing proves, counted by the hour: those that name a domain, and ('') all.
CREATE TABLE unproven_mail (
    organization_id uuid NOT NULL,
    domain text NOT NULL,
    hour bigint NOT NULL,
    mails bigint NOT NULL,
    PRIMARY KEY (organization_id, domain, hour)
);
CREATE INDEX unproven_mail_old ON unproven_mail (hour);

-- An address from which mail came back is tried again after a time.
CREATE INDEX suppressions_of_bounces ON suppressions (created_at)
    WHERE lifted_at IS NULL AND reason IN ('hard_bounce', 'soft_bounces');
