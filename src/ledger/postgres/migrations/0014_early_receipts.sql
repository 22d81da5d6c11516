-- When a receipt came whose message was not known yet: it may be one in flight or in doubt. NULL for the others.
ALTER TABLE read_receipts ADD COLUMN early_at BIGINT;
CREATE INDEX early_receipts ON read_receipts (app, early_at) WHERE early_at IS NOT NULL;
