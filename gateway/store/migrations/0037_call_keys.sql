-- What callers press at voice hosts that report keys one by one, until it is an input.
ALTER TABLE calls ADD COLUMN keys text;
