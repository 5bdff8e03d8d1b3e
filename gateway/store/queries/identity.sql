-- name: organisation_insert
-- Declared by configuration; its id is made from its name.
INSERT INTO organisations (id, name, created_at) VALUES (:id, :name, {now}) ON CONFLICT DO NOTHING

-- name: receipts_known
SELECT provider_message_id FROM receipts
WHERE organization_id = :organization_id AND provider = :provider AND provider_message_id {in :ids}

-- name: receipt_insert
-- The de-duplication key of a provider's message; no row when it was there before.
INSERT INTO receipts (organization_id, provider, provider_message_id, message_id, received_at)
VALUES (:organization_id, :provider, :provider_message_id, :message_id, {now})
ON CONFLICT DO NOTHING
RETURNING message_id {of given}

-- name: receipt_accepted
-- What an earlier delivery of the same provider message became.
SELECT r.message_id, m.conversation_id, m.turn_id, c.end_user_id, c.status
FROM receipts r
LEFT JOIN messages m ON m.id = r.message_id
LEFT JOIN conversations c ON c.id = m.conversation_id
WHERE r.organization_id = :organization_id AND r.provider = :provider
  AND r.provider_message_id = :provider_message_id

-- name: contact_end_user
SELECT c.end_user_id, c.verified, c.undeliverable_at, u.merged_into
FROM contacts c JOIN end_users u ON u.id = c.end_user_id
WHERE c.organization_id = :organization_id AND c.kind = :kind AND c.value = :value

-- name: contact_insert
-- One end user per address, however many ask at once: the loser of a race inserts nothing.
INSERT INTO contacts (organization_id, kind, value, end_user_id, verified, source, created_at)
VALUES (:organization_id, :kind, :value, :end_user_id, :verified, :source, {now})
ON CONFLICT DO NOTHING
RETURNING end_user_id {of given}

-- name: end_user_insert
INSERT INTO end_users (id, organization_id, profile, created_at)
VALUES (:id, :organization_id, '{}', {now})

-- name: end_user_by_id
SELECT id, profile, created_at, merged_into, merged_directly, erased_at
FROM end_users WHERE organization_id = :organization_id AND id = :id

-- name: end_users_merged_into
-- The records that answer as another one, directly or over others.
SELECT id, merged_directly FROM end_users
WHERE merged_into = :id AND organization_id = :organization_id
ORDER BY created_at, id LIMIT 200

-- name: end_users_lock
SELECT id, merged_into, merged_directly, erased_at, profile FROM end_users
WHERE organization_id = :organization_id AND id {in :ids} ORDER BY id {for update}

-- name: end_users_answer_as
-- From now on these records answer as another one; NULL: for themselves.
UPDATE end_users SET merged_into = :merged_into WHERE id {in :ids}

-- name: end_user_link
UPDATE end_users SET merged_directly = :merged_directly WHERE id = :id

-- name: end_user_profile
UPDATE end_users SET profile = :profile WHERE id = :id

-- name: end_users_erase
UPDATE end_users SET profile = '{}', erased_at = {now} WHERE id {in :ids} AND erased_at IS NULL

-- name: contacts_of_end_users
SELECT end_user_id, kind, value, verified, source, created_at FROM contacts
WHERE end_user_id {in :ids} AND organization_id = :organization_id
ORDER BY created_at, kind, value LIMIT 200

-- name: contact_of_kind
-- Where a person is written to on a channel: of what messages arrive at, that of the record that was asked for
-- first, then what was attached first. What unproven mail claimed to be is no address; WhatsApp writes to WhatsApp.
SELECT value, end_user_id FROM contacts
WHERE end_user_id {in :ids} AND organization_id = :organization_id
  AND kind = :kind AND value NOT LIKE 'unverified:%' AND (value LIKE 'whatsapp:%') = :whatsapp
ORDER BY CASE WHEN undeliverable_at IS NULL THEN 0 ELSE 1 END,
    CASE WHEN end_user_id = :end_user_id THEN 0 ELSE 1 END, created_at, value LIMIT 1

-- name: contact_verify
-- Whoever writes from an address owns it, and it takes messages again.
UPDATE contacts SET verified = TRUE, undeliverable_at = NULL, undeliverable_code = NULL
WHERE organization_id = :organization_id AND kind = :kind AND value = :value

-- name: contacts_erase
DELETE FROM contacts WHERE end_user_id {in :ids} AND organization_id = :organization_id

-- name: api_key_by_hash
SELECT id, organization_id, name, role, approver_roles, created_at FROM api_keys
WHERE key_hash = :key_hash AND revoked_at IS NULL

-- name: api_key_insert
INSERT INTO api_keys (id, organization_id, name, role, key_hash, approver_roles, created_at)
VALUES (:id, :organization_id, :name, :role, :key_hash, :approver_roles, {now})

-- name: api_keys_all
SELECT id, organization_id, name, role, approver_roles, created_at, revoked_at FROM api_keys
ORDER BY created_at, id LIMIT 1000

-- name: api_key_revoke
UPDATE api_keys SET revoked_at = {now} WHERE id = :id AND revoked_at IS NULL

-- name: secret_insert
INSERT INTO secrets (name, value, created_at) VALUES (:name, :value, {now}) ON CONFLICT DO NOTHING

-- name: secret_by_name
SELECT value FROM secrets WHERE name = :name

-- name: receipts_forget @sqlite
DELETE FROM receipts WHERE rowid IN (
    SELECT rowid FROM receipts WHERE received_at < {now} - :age ORDER BY received_at LIMIT 200)

-- name: receipts_forget @postgres
DELETE FROM receipts WHERE ctid = ANY(ARRAY(
    SELECT ctid FROM receipts WHERE received_at < {now} - :age ORDER BY received_at LIMIT 200))

-- name: idempotency_keys_forget @sqlite
DELETE FROM idempotency_keys WHERE rowid IN (
    SELECT rowid FROM idempotency_keys WHERE expires_at < {now} ORDER BY expires_at LIMIT 200)

-- name: idempotency_keys_forget @postgres
DELETE FROM idempotency_keys WHERE ctid = ANY(ARRAY(
    SELECT ctid FROM idempotency_keys WHERE expires_at < {now} ORDER BY expires_at LIMIT 200))
