-- The tokens of the page and its API, each with a name and a role. A revoked or expired one stays, so that its holder
-- is told why it ended.
CREATE TABLE access_tokens (
    -- SHA-256 of the token in hexadecimal.
    hash TEXT PRIMARY KEY,
    name TEXT NOT NULL,
    -- The beginning of the token, by which its owner recognises it.
    prefix TEXT NOT NULL,
    role TEXT NOT NULL,
    made_at INTEGER NOT NULL,
    expires_at INTEGER,
    -- The last use, to the minute.
    used_at INTEGER,
    revoked_at INTEGER
) WITHOUT ROWID;

INSERT INTO access_tokens (hash, name, prefix, role, made_at)
    SELECT hash, role, 'mooncast_' || role || '_', CASE role WHEN 'operate' THEN 'admin' ELSE 'viewer' END, made_at
    FROM tokens;

DROP TABLE tokens;
