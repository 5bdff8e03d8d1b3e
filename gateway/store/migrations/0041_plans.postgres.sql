-- Each is for those who ask by its first column, and says so: while a database is empty, PostgreSQL would else read one of
-- them whole to find a row by its id that is open or unsettled, and keep that plan until the table is analysed.
DROP INDEX conversations_idle;
CREATE INDEX conversations_idle ON conversations (ttl_expires_at) WHERE ended_at IS NULL AND ttl_expires_at IS NOT NULL;
DROP INDEX conversations_pinned;
CREATE INDEX conversations_pinned ON conversations (assigned_agent_id, pinned_revision_id)
    WHERE ended_at IS NULL AND assigned_agent_id IS NOT NULL;
DROP INDEX deliveries_unsettled;
CREATE INDEX deliveries_unsettled ON deliveries (lane, number) WHERE settled_at IS NULL AND lane IS NOT NULL;

-- Tables of the hot path are read by their indices whatever their size: there is little to learn of a few rows that came or
-- went, and each look throws away every plan that names the table, in every connection, at the same time.
ALTER TABLE conversations SET (autovacuum_analyze_threshold = 10000);
ALTER TABLE lanes SET (autovacuum_analyze_threshold = 10000);
ALTER TABLE contacts SET (autovacuum_analyze_threshold = 10000);
ALTER TABLE end_users SET (autovacuum_analyze_threshold = 10000);
ALTER TABLE messages SET (autovacuum_analyze_threshold = 10000, autovacuum_vacuum_insert_threshold = 100000);
ALTER TABLE timeline SET (autovacuum_analyze_threshold = 10000, autovacuum_vacuum_insert_threshold = 100000);
ALTER TABLE turns SET (autovacuum_analyze_threshold = 10000, autovacuum_vacuum_insert_threshold = 100000);
ALTER TABLE deliveries SET (autovacuum_analyze_threshold = 10000, autovacuum_vacuum_insert_threshold = 100000);
ALTER TABLE parts SET (autovacuum_analyze_threshold = 10000, autovacuum_vacuum_insert_threshold = 100000);
ALTER TABLE receipts SET (autovacuum_analyze_threshold = 10000, autovacuum_vacuum_insert_threshold = 100000);
-- Rows that come and go, of which there are nearly none at any moment.
ALTER TABLE outbox SET (autovacuum_analyze_threshold = 1000000);
ALTER TABLE inputs SET (autovacuum_analyze_threshold = 1000000);
