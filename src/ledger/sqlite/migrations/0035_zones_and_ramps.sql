-- The recipient's own time zone for the window of its broadcast. NULL if it has none.
ALTER TABLE recipients ADD COLUMN zone TEXT;
-- Of a ramp: how many stages are over, how many recipients were released so far, and when the next stage begins.
ALTER TABLE broadcasts ADD COLUMN ramp_stage INTEGER NOT NULL DEFAULT 0;
ALTER TABLE broadcasts ADD COLUMN ramp_released INTEGER NOT NULL DEFAULT 0;
ALTER TABLE broadcasts ADD COLUMN ramp_until INTEGER;
-- The counts, as JSON, when `stop_if` last stopped it.
ALTER TABLE broadcasts ADD COLUMN stop_counts TEXT;
