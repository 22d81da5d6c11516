-- Where a file at the service came from, by the address that messages hold: what it takes to upload it anew once it
-- has expired there. Unlike a row of `uploads` it stays when the same content is uploaded again.
CREATE TABLE files (
    app INTEGER NOT NULL REFERENCES apps (id),
    url TEXT NOT NULL,
    -- The file on this machine, and the SHA-256 of what it held in hexadecimal.
    path TEXT NOT NULL,
    content TEXT NOT NULL,
    options TEXT NOT NULL,
    expires_at INTEGER NOT NULL,
    PRIMARY KEY (app, url)
) WITHOUT ROWID;
