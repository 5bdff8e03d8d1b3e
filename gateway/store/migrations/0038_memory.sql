-- What is remembered of a person besides the summary of a conversation: sentences that stay true, told first.

ALTER TABLE memories ADD COLUMN facts jsonb;
