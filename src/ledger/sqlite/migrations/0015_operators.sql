-- The audience's own columns of recipients, for exports: a row for each batch that was added, of recipients first to last.
CREATE TABLE recipient_fields (
    broadcast INTEGER NOT NULL,
    first INTEGER NOT NULL,
    last INTEGER NOT NULL,
    -- The columns' names, a JSON list.
    names TEXT NOT NULL,
    -- A JSON list of each recipient's values in the order of the names, compressed (RFC 1951).
    content BLOB NOT NULL,
    PRIMARY KEY (broadcast, first)
);

-- What each process that drives a broadcast says of it: rate, quota and what it waits for, as JSON. Of the moment.
CREATE TABLE driver_status (
    broadcast INTEGER NOT NULL,
    -- The number of its lease.
    driver INTEGER NOT NULL,
    said_at INTEGER NOT NULL,
    status TEXT NOT NULL,
    PRIMARY KEY (broadcast, driver)
) WITHOUT ROWID;

-- Single sends in doubt are looked for again and again, and are few.
CREATE INDEX sends_in_doubt ON sends (id) WHERE state = 4;
