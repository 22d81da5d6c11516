-- What people and machines did, in one chain: each entry's hash covers the entry and the hash before it.
CREATE TABLE audit (
    number BIGINT PRIMARY KEY,
    at BIGINT NOT NULL,
    actor TEXT NOT NULL,
    -- How the actor is known: token, proxy or system.
    kind TEXT NOT NULL,
    role TEXT NOT NULL,
    -- Where the act came in: page, api or cli.
    door TEXT NOT NULL,
    host TEXT NOT NULL,
    act TEXT NOT NULL,
    object TEXT NOT NULL,
    -- JSON.
    details TEXT NOT NULL,
    -- SHA-256 in hexadecimal.
    previous TEXT NOT NULL,
    hash TEXT NOT NULL
);

CREATE INDEX audit_at ON audit (at);
