-- The arguments of a run that somebody wants of a script, as a JSON list; runs of jobs have none.
ALTER TABLE job_wishes ADD COLUMN args TEXT;
ALTER TABLE job_runs ADD COLUMN args TEXT;
CREATE INDEX job_runs_asked ON job_runs (job, scheduled_at) WHERE args IS NOT NULL;
