-- What stops an agent or a whole organisation until somebody, or the next day, lets it go on.

CREATE TABLE brakes (
    -- An agent's id; or an organisation's, for everything of it.
    subject_id uuid NOT NULL,
    -- `pause`: a person's. Else the cap that is reached.
    cause text NOT NULL,
    organization_id uuid NOT NULL,
    reason text,
    set_by text,
    set_at bigint NOT NULL,
    PRIMARY KEY (subject_id, cause)
);

-- What an organisation has used on a day; counted where it has a cap.
CREATE TABLE daily_usage (
    organization_id uuid NOT NULL,
    -- Days since the epoch, UTC.
    day bigint NOT NULL,
    messages bigint NOT NULL DEFAULT 0,
    turns bigint NOT NULL DEFAULT 0,
    tokens bigint NOT NULL DEFAULT 0,
    -- Millionths of the currency that the prices are in.
    spend bigint NOT NULL DEFAULT 0,
    PRIMARY KEY (organization_id, day)
);
