-- How often the run was entered without an end or a stop in order: once more than its host died during it, while it goes on.
ALTER TABLE job_runs ADD COLUMN entries INTEGER NOT NULL DEFAULT 0;
