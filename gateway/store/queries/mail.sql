-- name: token_bind
-- The content a token came with first.
INSERT INTO webhook_tokens (provider, token, digest, created_at) VALUES (:provider, :token, :digest, {now})
ON CONFLICT (provider, token) DO UPDATE SET token = webhook_tokens.token
RETURNING digest

-- name: tokens_forget @sqlite
DELETE FROM webhook_tokens WHERE rowid IN (
    SELECT rowid FROM webhook_tokens WHERE created_at < {now} - :age ORDER BY created_at LIMIT 200)

-- name: tokens_forget @postgres
DELETE FROM webhook_tokens WHERE ctid = ANY(ARRAY(
    SELECT ctid FROM webhook_tokens WHERE created_at < {now} - :age ORDER BY created_at LIMIT 200))

-- name: mail_count
-- One more; how many in this hour.
INSERT INTO counted_mail (organization_id, domain, hour, mails)
VALUES (:organization_id, :domain, {now} / :hour, 1)
ON CONFLICT (organization_id, domain, hour) DO UPDATE SET mails = counted_mail.mails + 1
RETURNING mails

-- name: mail_counted
SELECT mails FROM counted_mail
WHERE organization_id = :organization_id AND domain = :domain AND hour = {now} / :hour

-- name: counted_mail_forget @sqlite
DELETE FROM counted_mail WHERE rowid IN (
    SELECT rowid FROM counted_mail WHERE hour < {now} / :hour - 1 ORDER BY hour LIMIT 200)

-- name: counted_mail_forget @postgres
DELETE FROM counted_mail WHERE ctid = ANY(ARRAY(
    SELECT ctid FROM counted_mail WHERE hour < {now} / :hour - 1 ORDER BY hour LIMIT 200))
