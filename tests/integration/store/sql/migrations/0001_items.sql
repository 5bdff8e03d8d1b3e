CREATE TABLE items (
    id uuid PRIMARY KEY,
    n bigint NOT NULL,
    body jsonb,
    flag boolean NOT NULL,
    at bigint NOT NULL
);
CREATE TABLE copies (id uuid PRIMARY KEY REFERENCES items (id));
