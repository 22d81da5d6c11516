-- Whether the service's records settled the last doubt of the broadcast, and that is not reported yet.
ALTER TABLE broadcasts ADD COLUMN reconciled BIGINT NOT NULL DEFAULT 0;
CREATE INDEX broadcasts_reconciled ON broadcasts (id) WHERE reconciled <> 0;
