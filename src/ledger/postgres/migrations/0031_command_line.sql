-- Who started the run on the command line, as JSON. NULL for the runs of daemons. A daemon neither continues such a run nor
-- waits for it.
ALTER TABLE job_runs ADD COLUMN command_line TEXT;

-- What holds an unfinished run to its rehearsed plan, as JSON. A later attempt is held to the same.
ALTER TABLE job_runs ADD COLUMN plan_guard TEXT;

-- An older program would run it again once its process is dead.
UPDATE schema_version SET least = 31;
