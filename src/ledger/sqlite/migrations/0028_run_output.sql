-- The output of job runs: the first 64 KiB and the last 64 KiB of each, in parts of whole lines. What lies between two
-- parts was left out.
CREATE TABLE run_output (
    job TEXT NOT NULL,
    scheduled_at INTEGER NOT NULL,
    -- The number of the part's first line, from 1, and the number of its lines.
    first_line INTEGER NOT NULL,
    lines INTEGER NOT NULL,
    -- The bytes of the run's output before the part, and in it.
    at_byte INTEGER NOT NULL,
    bytes INTEGER NOT NULL,
    -- The bytes of `content`.
    size INTEGER NOT NULL,
    written_at INTEGER NOT NULL,
    -- A JSON list of lines: the time in milliseconds since 1970-01-01T00:00:00Z, the stream, the text.
    content TEXT NOT NULL,
    PRIMARY KEY (job, scheduled_at, first_line)
);
CREATE INDEX run_output_by_age ON run_output (written_at, size);

-- The broadcasts that a job run made or continued, or found sent.
CREATE TABLE run_broadcasts (
    job TEXT NOT NULL,
    scheduled_at INTEGER NOT NULL,
    broadcast INTEGER NOT NULL,
    PRIMARY KEY (job, scheduled_at, broadcast)
) WITHOUT ROWID;
CREATE INDEX run_broadcasts_by_broadcast ON run_broadcasts (broadcast);

-- The job run that made a single send: JOB@RUN. NULL if none did.
ALTER TABLE sends ADD COLUMN job_run TEXT;
CREATE INDEX sends_by_run ON sends (job_run) WHERE job_run IS NOT NULL;
