-- The scripts of a daemon as it knew them last.
CREATE TABLE scripts (
    name TEXT PRIMARY KEY,
    -- The version in force; none where none ever was.
    hash TEXT,
    loaded_at INTEGER,
    -- Why the file as it is now is not in force, and since when.
    error TEXT,
    stale_since INTEGER
) WITHOUT ROWID;
