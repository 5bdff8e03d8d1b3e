-- name: analytics_insert
INSERT INTO analytics (conversation_id, organization_id, agent_id, channel, status, started_at, ended_at,
    duration_ms, messages, user_messages, agent_messages, operator_messages, turns, failed_turns, handoffs,
    approvals, input_tokens, output_tokens)
VALUES (:conversation_id, :organization_id, :agent_id, :channel, :status, :started_at, :ended_at,
    :duration_ms, :messages, :user_messages, :agent_messages, :operator_messages, :turns, :failed_turns, :handoffs,
    :approvals, :input_tokens, :output_tokens)
ON CONFLICT DO NOTHING

-- name: analytics_days
-- Sums per day (of the end, UTC, counted from the epoch), channel and outcome.
SELECT ended_at / 86400000000 AS day, channel, status, COUNT(*) AS conversations,
    CAST(SUM(duration_ms) AS bigint) AS duration_ms,
    CAST(SUM(messages) AS bigint) AS messages,
    CAST(SUM(user_messages) AS bigint) AS user_messages,
    CAST(SUM(agent_messages) AS bigint) AS agent_messages,
    CAST(SUM(operator_messages) AS bigint) AS operator_messages,
    CAST(SUM(turns) AS bigint) AS turns,
    CAST(SUM(failed_turns) AS bigint) AS failed_turns,
    CAST(SUM(handoffs) AS bigint) AS handoffs,
    CAST(SUM(approvals) AS bigint) AS approvals,
    CAST(SUM(input_tokens) AS bigint) AS input_tokens,
    CAST(SUM(output_tokens) AS bigint) AS output_tokens
FROM analytics
WHERE organization_id = :organization_id AND ended_at >= :ended_from AND ended_at < :ended_before
GROUP BY ended_at / 86400000000, channel, status
ORDER BY day, channel, status LIMIT 20000
