-- How many attempts of a part its provider refused for now: the next wait grows with them, not with attempts whose
-- outcome was lost.
ALTER TABLE parts ADD COLUMN refusals bigint NOT NULL DEFAULT 0;
