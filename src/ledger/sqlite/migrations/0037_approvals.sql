-- Of a broadcast's approval: whether it needs one, the hash of what an approval covers, and the hash that was approved.
-- It is sent only if both hashes are equal, or it needs none.
ALTER TABLE broadcasts ADD COLUMN needs_approval INTEGER NOT NULL DEFAULT 0;
ALTER TABLE broadcasts ADD COLUMN approval_hash TEXT;
ALTER TABLE broadcasts ADD COLUMN approved TEXT;
ALTER TABLE broadcasts ADD COLUMN approved_by TEXT;
ALTER TABLE broadcasts ADD COLUMN approved_at INTEGER;
ALTER TABLE broadcasts ADD COLUMN approval_note TEXT;
-- Who began it or changed its plan: a line of JSON for each.
ALTER TABLE broadcasts ADD COLUMN begun_by TEXT NOT NULL DEFAULT '';

-- Who asked for a run of a job or of a script.
CREATE TABLE run_requesters (
    job TEXT NOT NULL,
    scheduled_at INTEGER NOT NULL,
    name TEXT NOT NULL,
    -- How the requester is known: token, proxy or system.
    kind TEXT NOT NULL,
    PRIMARY KEY (job, scheduled_at, name)
) WITHOUT ROWID;
