-- Of a broadcast's approval: whether it needs one, the hash of what an approval covers, and the hash that was approved.
-- It is sent only if both hashes are equal, or it needs none.
ALTER TABLE broadcasts ADD COLUMN needs_approval BIGINT NOT NULL DEFAULT 0;
ALTER TABLE broadcasts ADD COLUMN approval_hash TEXT COLLATE "C";
ALTER TABLE broadcasts ADD COLUMN approved TEXT COLLATE "C";
ALTER TABLE broadcasts ADD COLUMN approved_by TEXT COLLATE "C";
ALTER TABLE broadcasts ADD COLUMN approved_at BIGINT;
ALTER TABLE broadcasts ADD COLUMN approval_note TEXT COLLATE "C";
-- Who began it or changed its plan: a line of JSON for each.
ALTER TABLE broadcasts ADD COLUMN begun_by TEXT COLLATE "C" NOT NULL DEFAULT '';

-- Who asked for a run of a job or of a script.
CREATE TABLE run_requesters (
    job TEXT COLLATE "C" NOT NULL,
    scheduled_at BIGINT NOT NULL,
    name TEXT COLLATE "C" NOT NULL,
    -- How the requester is known: token, proxy or system.
    kind TEXT COLLATE "C" NOT NULL,
    PRIMARY KEY (job, scheduled_at, name)
);

-- An older program would send what waits for an approval.
UPDATE schema_version SET least = 26;
