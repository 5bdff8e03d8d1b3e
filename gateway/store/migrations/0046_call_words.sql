-- Calls at voice hosts: what was said last, and calls to which a host gives the same name.
ALTER TABLE calls ADD COLUMN quiet_said boolean NOT NULL DEFAULT FALSE; -- whether it was a line into a silence
ALTER TABLE calls ADD COLUMN rival_until bigint; -- until when the end of another one, that was refused, is expected
ALTER TABLE calls ADD COLUMN rival_end text; -- the event that was taken for it
