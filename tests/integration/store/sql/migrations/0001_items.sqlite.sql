-- a trigger has semicolons inside
CREATE TRIGGER items_keep AFTER UPDATE OF id ON items BEGIN
    SELECT raise(ABORT, 'an id; it stays');
    SELECT 1;
END;
