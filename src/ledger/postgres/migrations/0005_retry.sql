-- The request of a run that failed or was interrupted is kept, so that it can be run again.
DROP TRIGGER hook_request_over ON job_runs;
DROP TRIGGER hook_request_skipped ON job_runs;
CREATE TRIGGER hook_request_over AFTER UPDATE OF finished_at ON job_runs
    FOR EACH ROW WHEN (new.finished_at IS NOT NULL AND new.state NOT IN (2, 3)) EXECUTE FUNCTION drop_hook_request();
CREATE TRIGGER hook_request_skipped AFTER INSERT ON job_runs
    FOR EACH ROW WHEN (new.finished_at IS NOT NULL AND new.state NOT IN (2, 3)) EXECUTE FUNCTION drop_hook_request();

-- The apps that a daemon sends through, as text: all daemons of a ledger have the same.
ALTER TABLE owners ADD COLUMN apps TEXT;
