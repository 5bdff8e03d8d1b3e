-- What only PostgreSQL needs: the database's clock, and vacuuming of tables whose rows come and go.

-- Of the statement's start, and STABLE: only so may an index be searched by it. A statement that waits
-- for a lock takes a lease for longer alive than it is, never for dead.
CREATE FUNCTION gateway_now() RETURNS bigint LANGUAGE sql STABLE AS $$
    SELECT (extract(epoch FROM statement_timestamp()) * 1000000)::bigint
         + coalesce(nullif(current_setting('gateway.clock_offset_us', true), ''), '0')::bigint
$$;

ALTER TABLE messages ALTER COLUMN conversation_id SET STATISTICS 1000;
ALTER TABLE outbox SET (autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 1000);
ALTER TABLE inputs SET (autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 1000);
