-- name: usage_add
-- Count what was used today (UTC). The row is locked until the unit ends, so this comes last in it.
INSERT INTO daily_usage (organization_id, day, messages, turns, tokens, spend)
VALUES (:organization_id, {now} / 86400000000, :messages, :turns, :tokens, :spend)
ON CONFLICT (organization_id, day) DO UPDATE SET
    messages = daily_usage.messages + :messages,
    turns = daily_usage.turns + :turns,
    tokens = daily_usage.tokens + :tokens,
    spend = daily_usage.spend + :spend
RETURNING day, messages, turns, tokens, spend, {now} AS at

-- name: usage_add_of_delivery
-- The same for what leaves; no row where it is another organisation's.
INSERT INTO daily_usage (organization_id, day, messages, spend)
SELECT d.organization_id, {now} / 86400000000, :messages, :spend
FROM deliveries d WHERE d.id = :delivery_id AND d.organization_id = :organization_id
ON CONFLICT (organization_id, day) DO UPDATE SET
    messages = daily_usage.messages + :messages,
    spend = daily_usage.spend + :spend
RETURNING day, messages, turns, tokens, spend, {now} AS at

-- name: usage_take_back
-- A part did not leave after all. What was counted yesterday stays so.
UPDATE daily_usage SET messages = messages - 1
WHERE day = {now} / 86400000000 AND messages > 0
  AND organization_id = (SELECT organization_id FROM deliveries WHERE id = :delivery_id)

-- name: usage_of_day
SELECT day, messages, turns, tokens, spend FROM daily_usage
WHERE organization_id = :organization_id AND day = {now} / 86400000000

-- name: usage_lock
-- The same, and what is used meanwhile is counted when this unit has ended.
SELECT day, messages, turns, tokens, spend FROM daily_usage
WHERE organization_id = :organization_id AND day = {now} / 86400000000 {for update}

-- name: usage_clock
SELECT {now} / 86400000000 AS day, {now} AS at

-- name: cap_set
-- No row where it is in force already.
INSERT INTO brakes (subject_id, cause, organization_id, set_at)
VALUES (:organization_id, :cause, :organization_id, {now})
ON CONFLICT (subject_id, cause) DO NOTHING
RETURNING set_at

-- name: cap_lift
DELETE FROM brakes WHERE subject_id = :organization_id AND cause = :cause

-- name: caps_reached
SELECT cause FROM brakes
WHERE subject_id = :organization_id AND cause IN ('messages', 'spend') ORDER BY cause
