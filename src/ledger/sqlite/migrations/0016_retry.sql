-- The request of a run that failed or was interrupted is kept, so that it can be run again.
DROP TRIGGER hook_request_over;
DROP TRIGGER hook_request_skipped;
CREATE TRIGGER hook_request_over AFTER UPDATE OF finished_at ON job_runs
    WHEN new.finished_at IS NOT NULL AND new.state NOT IN (2, 3) BEGIN
    DELETE FROM hook_requests WHERE job = new.job AND scheduled_at = new.scheduled_at;
END;
CREATE TRIGGER hook_request_skipped AFTER INSERT ON job_runs
    WHEN new.finished_at IS NOT NULL AND new.state NOT IN (2, 3) BEGIN
    DELETE FROM hook_requests WHERE job = new.job AND scheduled_at = new.scheduled_at;
END;

-- The apps that a daemon sends through, as text: all daemons of a ledger have the same.
ALTER TABLE owners ADD COLUMN apps TEXT;
