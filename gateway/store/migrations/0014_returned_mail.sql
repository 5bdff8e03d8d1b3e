-- Mail that keeps coming back from an address: counted over the deliveries themselves.
CREATE INDEX deliveries_of_mail_failed ON deliveries (organization_id, recipient, created_at)
    WHERE channel = 'email' AND state = 'failed';
