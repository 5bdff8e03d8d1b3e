CREATE FUNCTION gateway_now() RETURNS bigint LANGUAGE sql VOLATILE AS $$
    SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::bigint;
$$;
CREATE FUNCTION items_ring() RETURNS trigger LANGUAGE plpgsql AS $body$
BEGIN
    NOTIFY gateway_outbox;
    RETURN NULL;
END
$body$;
CREATE TRIGGER items_bell AFTER INSERT ON items FOR EACH STATEMENT EXECUTE FUNCTION items_ring();
