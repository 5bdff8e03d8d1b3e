-- What a model has noted of a conversation's beginning, so that later turns need not read it again.

ALTER TABLE conversations ADD COLUMN digest jsonb;
