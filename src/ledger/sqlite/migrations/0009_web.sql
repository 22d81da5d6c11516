-- Who may look at the page and its API ('read') and who may act there ('operate'): SHA-256 of the token in hexadecimal.
CREATE TABLE tokens (
    role TEXT PRIMARY KEY,
    hash TEXT NOT NULL,
    made_at INTEGER NOT NULL
) WITHOUT ROWID;

-- What was sent of each quota, in spans of ten seconds: `at` is the beginning of one, in seconds since 1970.
CREATE TABLE activity (
    app INTEGER NOT NULL REFERENCES apps (id),
    quota TEXT NOT NULL,
    at INTEGER NOT NULL,
    -- What was written, in what the quota counts, and what of it the service refused as too much.
    sent INTEGER NOT NULL DEFAULT 0,
    throttled INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (app, quota, at)
) WITHOUT ROWID;
