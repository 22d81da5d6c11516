-- The time zone by which an hour's file was asked for: 0 is Beijing's, 1 is UTC. NULL if it was read before this migration.
ALTER TABLE history_reads ADD COLUMN zone INTEGER;
