-- Which connection of a call moves its transfer, where it is not whoever hears of an event (jambonz): what takes the
-- call up writes its own name here, and the one before it moves nothing any more.
ALTER TABLE held_calls ADD COLUMN holder text;
