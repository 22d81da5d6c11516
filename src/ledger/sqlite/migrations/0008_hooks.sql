-- The requests that hooks have taken, until their runs are over; each is a run that is wished for, or goes on.
CREATE TABLE hook_requests (
    job TEXT NOT NULL,
    -- The instant of its run.
    scheduled_at INTEGER NOT NULL,
    -- Everything but the body, as JSON.
    head TEXT NOT NULL,
    body BLOB NOT NULL,
    PRIMARY KEY (job, scheduled_at)
);

-- The deliveries that were taken, by the ids that their senders gave them, so that each runs once.
CREATE TABLE hook_deliveries (
    job TEXT NOT NULL,
    delivery TEXT NOT NULL,
    scheduled_at INTEGER NOT NULL,
    PRIMARY KEY (job, delivery)
) WITHOUT ROWID;
CREATE INDEX hook_deliveries_by_time ON hook_deliveries (scheduled_at);

-- However a run ends, nobody needs its request any more.
CREATE TRIGGER hook_request_over AFTER UPDATE OF finished_at ON job_runs WHEN new.finished_at IS NOT NULL BEGIN
    DELETE FROM hook_requests WHERE job = new.job AND scheduled_at = new.scheduled_at;
END;
CREATE TRIGGER hook_request_skipped AFTER INSERT ON job_runs WHEN new.finished_at IS NOT NULL BEGIN
    DELETE FROM hook_requests WHERE job = new.job AND scheduled_at = new.scheduled_at;
END;
