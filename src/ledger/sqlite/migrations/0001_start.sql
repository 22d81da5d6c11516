-- Instants are milliseconds since 1970-01-01T00:00:00Z unless a column says otherwise.

-- What the small integers of the other tables mean; read by people, not by the program.
CREATE TABLE meanings (
    of TEXT NOT NULL,
    number INTEGER NOT NULL,
    name TEXT NOT NULL,
    meaning TEXT NOT NULL,
    PRIMARY KEY (of, number)
) WITHOUT ROWID;

INSERT INTO meanings (of, number, name, meaning) VALUES
    ('recipient, send', 0, 'pending', 'nothing was sent yet'),
    ('recipient, send', 1, 'sending', 'the intent is written, the outcome is not known yet'),
    ('recipient, send', 2, 'sent', 'the service has it'),
    ('recipient, send', 3, 'rejected', 'the service refused it'),
    ('recipient, send', 4, 'in_doubt', 'it may have been delivered'),
    ('recipient, send', 5, 'skipped', 'left out by the message function or by exclude'),
    ('recipient, send', 6, 'cancelled', 'the broadcast was cancelled before its turn'),
    ('broadcast', 0, 'building', 'the plan is not fixed yet'),
    ('broadcast', 1, 'ready', 'the plan is fixed, not all of it is settled'),
    ('broadcast', 2, 'finished', 'nothing is pending or in flight'),
    ('broadcast', 3, 'cancelled', 'as finished, after a cancel'),
    ('wish', 0, 'run', 'it may be sent'),
    ('wish', 1, 'pause', 'it waits until somebody says resume'),
    ('wish', 2, 'cancel', 'what is pending shall be cancelled'),
    ('recalled', 0, 'no', 'never asked to be recalled'),
    ('recalled', 1, 'yes', 'the service recalled it'),
    ('recalled', 2, 'refused', 'the service would not recall it'),
    ('job run', 0, 'running', 'claimed, not finished'),
    ('job run', 1, 'done', 'ended well'),
    ('job run', 2, 'failed', 'ended with an error'),
    ('job run', 3, 'interrupted', 'its process died half-way'),
    ('job run', 4, 'skipped', 'not run on purpose');

-- One row. A write to it proves that the ledger can be written.
CREATE TABLE pulse (id INTEGER PRIMARY KEY CHECK (id = 1), beats INTEGER NOT NULL);
INSERT INTO pulse (id, beats) VALUES (1, 0);

CREATE TABLE apps (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    key TEXT NOT NULL UNIQUE
);

-- The processes that hold leases and sends. `lock` names what is free when the process is dead.
CREATE TABLE owners (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    name TEXT NOT NULL,
    pid INTEGER NOT NULL,
    lock TEXT NOT NULL UNIQUE,
    since INTEGER NOT NULL
);

CREATE TABLE broadcasts (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    app INTEGER NOT NULL REFERENCES apps (id),
    name TEXT NOT NULL,
    run TEXT NOT NULL,
    spec TEXT NOT NULL,
    state INTEGER NOT NULL DEFAULT 0,
    wish INTEGER NOT NULL DEFAULT 0,
    wish_note TEXT,
    -- The lease: who drives it, the number that fences its writes, until when, and for how long it was given.
    owner INTEGER,
    lease_number INTEGER NOT NULL DEFAULT 0,
    lease_until INTEGER NOT NULL DEFAULT 0,
    lease_for INTEGER NOT NULL DEFAULT 0,
    -- The sequence numbers that the next recipient and the next message get.
    next_seq INTEGER NOT NULL DEFAULT 1,
    next_message INTEGER NOT NULL DEFAULT 1,
    -- How many recipients are in each state: always equal to a count of the rows.
    n_pending INTEGER NOT NULL DEFAULT 0,
    n_sending INTEGER NOT NULL DEFAULT 0,
    n_sent INTEGER NOT NULL DEFAULT 0,
    n_rejected INTEGER NOT NULL DEFAULT 0,
    n_in_doubt INTEGER NOT NULL DEFAULT 0,
    n_skipped INTEGER NOT NULL DEFAULT 0,
    n_cancelled INTEGER NOT NULL DEFAULT 0,
    -- The fixed plan.
    duplicates INTEGER NOT NULL DEFAULT 0,
    excluded INTEGER NOT NULL DEFAULT 0,
    largest INTEGER NOT NULL DEFAULT 0,
    plan TEXT,
    report TEXT,
    created_at INTEGER NOT NULL,
    planned_at INTEGER,
    finished_at INTEGER,
    UNIQUE (app, name, run)
);

-- A message is stored once for all recipients that get it.
CREATE TABLE messages (
    broadcast INTEGER NOT NULL REFERENCES broadcasts (id),
    id INTEGER NOT NULL,
    -- SHA-256 in hexadecimal.
    hash TEXT NOT NULL,
    -- Bytes that count against the service's limit.
    size INTEGER NOT NULL,
    content TEXT NOT NULL,
    PRIMARY KEY (broadcast, id)
) WITHOUT ROWID;

CREATE TABLE recipients (
    broadcast INTEGER NOT NULL REFERENCES broadcasts (id),
    seq INTEGER NOT NULL,
    state INTEGER NOT NULL,
    attempts INTEGER NOT NULL DEFAULT 0,
    recalled INTEGER NOT NULL DEFAULT 0,
    updated_at INTEGER NOT NULL,
    message INTEGER,
    group_id TEXT NOT NULL,
    -- A JSON list; empty for a message to the whole group.
    users TEXT NOT NULL,
    message_id TEXT,
    error TEXT,
    PRIMARY KEY (broadcast, seq)
) WITHOUT ROWID;

CREATE TABLE sends (
    id INTEGER PRIMARY KEY,
    app INTEGER NOT NULL REFERENCES apps (id),
    once TEXT,
    hash TEXT NOT NULL,
    recipients TEXT NOT NULL,
    origin TEXT NOT NULL,
    owner INTEGER NOT NULL,
    state INTEGER NOT NULL,
    attempts INTEGER NOT NULL DEFAULT 0,
    receipts TEXT,
    error TEXT,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL
);
CREATE UNIQUE INDEX sends_once ON sends (app, once) WHERE once IS NOT NULL;
CREATE INDEX sends_in_flight ON sends (owner) WHERE state = 1;

CREATE TABLE uploads (
    app INTEGER NOT NULL REFERENCES apps (id),
    content TEXT NOT NULL,
    options TEXT NOT NULL,
    file TEXT NOT NULL,
    uploaded_at INTEGER NOT NULL,
    expires_at INTEGER NOT NULL,
    PRIMARY KEY (app, content, options)
) WITHOUT ROWID;

CREATE TABLE data (
    namespace TEXT NOT NULL,
    key TEXT NOT NULL,
    value TEXT NOT NULL,
    expires_at INTEGER,
    PRIMARY KEY (namespace, key)
) WITHOUT ROWID;

CREATE TABLE job_runs (
    job TEXT NOT NULL,
    scheduled_at INTEGER NOT NULL,
    state INTEGER NOT NULL,
    attempt INTEGER NOT NULL,
    owner INTEGER NOT NULL,
    note TEXT,
    started_at INTEGER NOT NULL,
    finished_at INTEGER,
    PRIMARY KEY (job, scheduled_at)
) WITHOUT ROWID;

-- Both columns in microseconds. `free_at` is the next instant of a quota that no process has taken.
CREATE TABLE slices (
    app INTEGER NOT NULL REFERENCES apps (id),
    quota TEXT NOT NULL,
    free_at INTEGER NOT NULL,
    taken_at INTEGER NOT NULL,
    PRIMARY KEY (app, quota)
) WITHOUT ROWID;
