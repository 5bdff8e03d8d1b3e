-- Silence on calls at voice hosts, into which the gateway says a line now and then.
ALTER TABLE calls ADD COLUMN quiet_since bigint; -- when neither side says anything any more
ALTER TABLE calls ADD COLUMN quiet_lines bigint NOT NULL DEFAULT 0; -- what was said into this silence
ALTER TABLE calls ADD COLUMN quiet_held boolean NOT NULL DEFAULT FALSE; -- whether to a caller on hold
ALTER TABLE calls ADD COLUMN quiet_due bigint; -- when it is to be looked at; null: never
CREATE INDEX calls_quiet ON calls (quiet_due) WHERE quiet_due IS NOT NULL;
