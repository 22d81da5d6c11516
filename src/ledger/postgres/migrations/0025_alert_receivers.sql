-- Each receiver of alerts has its own, so that one that does not answer delays no other.
ALTER TABLE alerts ADD COLUMN receiver TEXT NOT NULL DEFAULT 'default';
ALTER TABLE alerts ALTER COLUMN receiver DROP DEFAULT;
ALTER TABLE alerts DROP CONSTRAINT alerts_key_key;
ALTER TABLE alerts ADD UNIQUE (receiver, key);
DROP INDEX alerts_due;
CREATE INDEX alerts_due ON alerts (receiver, due_at) WHERE done_at IS NULL;
