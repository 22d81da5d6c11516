-- What the service itself records of messages, and what is done with it.

-- The records of accepted messages, from callbacks and history files. Only those of senders in `senders` are kept.
CREATE TABLE service_records (
    app BIGINT NOT NULL REFERENCES apps (id),
    message_id TEXT COLLATE "C" NOT NULL,
    -- The service's time of the message.
    at BIGINT NOT NULL,
    -- Hexadecimal; see `records::fingerprint`.
    fingerprint TEXT COLLATE "C" NOT NULL,
    -- `ext.mooncast`.
    mark TEXT,
    source BIGINT NOT NULL,
    stored_at BIGINT NOT NULL,
    PRIMARY KEY (app, message_id)
);
CREATE INDEX service_records_by_fingerprint ON service_records (app, fingerprint);
CREATE INDEX service_records_by_age ON service_records (stored_at);

INSERT INTO meanings (of, number, name, meaning) VALUES
    ('service record', 0, 'callback', 'the service posted it'),
    ('service record', 1, 'history', 'it was read from a history file');

-- The callbacks that were stored, so that a repeated one changes nothing.
CREATE TABLE callbacks (
    app BIGINT NOT NULL REFERENCES apps (id),
    call_id TEXT COLLATE "C" NOT NULL,
    received_at BIGINT NOT NULL,
    PRIMARY KEY (app, call_id)
);
CREATE INDEX callbacks_by_age ON callbacks (received_at);

-- The users as which this app's messages were sent. Records of other senders are dropped.
CREATE TABLE senders (
    app BIGINT NOT NULL REFERENCES apps (id),
    name TEXT COLLATE "C" NOT NULL,
    used_at BIGINT NOT NULL,
    PRIMARY KEY (app, name)
);

-- The latest read of each hour's history file.
CREATE TABLE history_reads (
    app BIGINT NOT NULL REFERENCES apps (id),
    -- When the hour began.
    hour BIGINT NOT NULL,
    read_at BIGINT NOT NULL,
    -- Whether the file was read to its end without a bad line.
    whole BOOLEAN NOT NULL,
    lines BIGINT NOT NULL,
    PRIMARY KEY (app, hour)
);

-- Who has read a message, by the service's receipts. A member counts once.
CREATE TABLE read_receipts (
    app BIGINT NOT NULL REFERENCES apps (id),
    message_id TEXT COLLATE "C" NOT NULL,
    member TEXT COLLATE "C" NOT NULL,
    at BIGINT NOT NULL,
    PRIMARY KEY (app, message_id, member)
);

-- A JSON list: the fingerprint of the message for each of the groups in `recipients`.
ALTER TABLE sends ADD COLUMN fingerprints TEXT;

-- In a broadcast that edits the messages of another: the other broadcast, and for each recipient the message to edit.
ALTER TABLE broadcasts ADD COLUMN corrects BIGINT;
ALTER TABLE recipients ADD COLUMN target TEXT COLLATE "C";
CREATE INDEX recipients_by_target ON recipients (target) WHERE target IS NOT NULL;

-- What is in doubt keeps the time of its latest intent in `updated_at` from now on. Of older rows that time is not known.
CREATE INDEX recipients_in_doubt ON recipients (broadcast, seq) WHERE state = 4;
UPDATE recipients SET error = coalesce(error || '; ', '') || 'the time of its request is not known' WHERE state = 4;
UPDATE schema_version SET least = 10;
