-- What a model wants remembered of a person; it goes into the conversation's memory when that is over.

ALTER TABLE conversations ADD COLUMN facts jsonb;
