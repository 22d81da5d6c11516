-- The addresses of the files at the service that a single send's message carries, as a JSON list. The service deletes them
-- with a recall of the message.
ALTER TABLE sends ADD COLUMN files TEXT;
CREATE INDEX sends_with_files ON sends (app) WHERE files IS NOT NULL;
