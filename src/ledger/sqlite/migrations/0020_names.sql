-- Tables and columns get the field's terms. Nothing else changes.
ALTER TABLE owners RENAME TO instances;
ALTER TABLE pulse RENAME TO write_proof;
ALTER TABLE write_proof RENAME COLUMN beats TO writes;
ALTER TABLE broadcasts RENAME COLUMN wish TO command;
ALTER TABLE broadcasts RENAME COLUMN wish_note TO command_note;
ALTER TABLE broadcasts RENAME COLUMN entrusted TO handed_to_daemon;
ALTER TABLE driver_status RENAME COLUMN said_at TO reported_at;
ALTER TABLE job_runs RENAME COLUMN loose TO not_rerunnable;
ALTER TABLE job_wishes RENAME TO job_commands;
ALTER TABLE job_commands RENAME COLUMN wish TO command;
ALTER TABLE job_commands RENAME COLUMN asked_at TO requested_at;
ALTER TABLE shares RENAME TO quota_shares;
ALTER TABLE quota_shares RENAME COLUMN places TO slots;
ALTER TABLE quota_shares RENAME COLUMN lent_until TO claimed_until;
UPDATE meanings SET of = 'command' WHERE of = 'wish';
UPDATE meanings SET of = 'job command' WHERE of = 'job wish';
