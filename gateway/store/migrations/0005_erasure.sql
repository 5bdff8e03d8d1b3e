-- How far an erasure has looked through the dead letters for what quotes the person.
ALTER TABLE erasures ADD COLUMN letters_seen uuid;
