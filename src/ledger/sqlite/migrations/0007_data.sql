-- What expires of the scripts' data is found without looking at the rest.
CREATE INDEX data_by_expiry ON data (namespace, expires_at) WHERE expires_at IS NOT NULL;
