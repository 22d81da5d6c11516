INSERT INTO meanings (of, number, name, meaning) VALUES
    ('job run', 5, 'waiting', 'claimed, waits for its turn'),
    ('job run', 6, 'cancelled', 'ended because somebody wanted that'),
    ('job wish', 0, 'run', 'a run now, whatever its schedule says'),
    ('job wish', 1, 'cancel', 'the end of the run that goes on');

-- The jobs that a daemon has in force, and those that it had.
CREATE TABLE jobs (
    name TEXT PRIMARY KEY,
    script TEXT NOT NULL,
    -- When it runs, in words; the same words mean the same instants.
    times TEXT NOT NULL,
    -- All instants up to this one are decided: run, or left out.
    decided_until INTEGER NOT NULL,
    next_at INTEGER,
    paused_at INTEGER,
    gone_at INTEGER
) WITHOUT ROWID;
CREATE INDEX jobs_paused ON jobs (name) WHERE paused_at IS NOT NULL;

-- What people want of jobs; a daemon takes them.
CREATE TABLE job_wishes (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    job TEXT NOT NULL,
    wish INTEGER NOT NULL,
    -- The instant of a run that is wished for.
    scheduled_at INTEGER,
    asked_at INTEGER NOT NULL
);

-- The scripts of runs that are not over, with the modules that they require: an unfinished run is entered again with
-- the very same ones. The script itself has no module's name.
CREATE TABLE versions (
    hash TEXT NOT NULL,
    module TEXT NOT NULL,
    path TEXT NOT NULL,
    text BLOB NOT NULL,
    PRIMARY KEY (hash, module)
) WITHOUT ROWID;

ALTER TABLE job_runs ADD COLUMN version TEXT;
-- Whether it has sent anything that is neither in a broadcast nor kept from being sent twice by a key.
ALTER TABLE job_runs ADD COLUMN loose INTEGER NOT NULL DEFAULT 0;
-- Whether it is entered again all the same, and the time that it may take.
ALTER TABLE job_runs ADD COLUMN rerun INTEGER NOT NULL DEFAULT 0;
ALTER TABLE job_runs ADD COLUMN timeout INTEGER;
CREATE INDEX job_runs_open ON job_runs (job) WHERE finished_at IS NULL;

-- Whether a daemon goes on with it whenever nobody drives it.
ALTER TABLE broadcasts ADD COLUMN entrusted INTEGER NOT NULL DEFAULT 0;
CREATE INDEX broadcasts_ready ON broadcasts (id) WHERE state = 1;
