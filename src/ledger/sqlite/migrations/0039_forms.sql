-- The arguments that a script declares, as JSON. NULL if it declares none.
ALTER TABLE scripts ADD COLUMN form TEXT;

-- Files that were uploaded as arguments of runs, by their SHA-256 in hexadecimal.
CREATE TABLE run_files (
    hash TEXT PRIMARY KEY,
    bytes INTEGER NOT NULL,
    content BLOB NOT NULL,
    -- When it was last uploaded.
    stored_at INTEGER NOT NULL
) WITHOUT ROWID;

-- Rehearsals that were asked for over the page or the API.
CREATE TABLE rehearsals (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    script TEXT NOT NULL,
    -- The SHA-256 of the script and its modules.
    version TEXT NOT NULL,
    -- JSON.
    args TEXT NOT NULL,
    -- Who asked for it.
    actor TEXT NOT NULL,
    requested_at INTEGER NOT NULL,
    -- When it ended; NULL while it runs.
    finished_at INTEGER,
    -- The plan that a run can follow; NULL if there is none.
    plan TEXT,
    -- What it found, as JSON; NULL if it did not end.
    report TEXT,
    -- Why it has no report.
    error TEXT
);
