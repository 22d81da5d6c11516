-- What became of the latest request for each history file: a number of `core::HistoryResult`.
ALTER TABLE history_reads ADD COLUMN result INTEGER NOT NULL DEFAULT 0;
UPDATE history_reads SET result = whole;
ALTER TABLE history_reads DROP COLUMN whole;

INSERT INTO meanings (of, number, name, meaning) VALUES
    ('history file', 0, 'asked', 'the process that asked for it ended before the answer'),
    ('history file', 1, 'whole', 'it was read to its end'),
    ('history file', 2, 'no_file', 'the service has no file of the hour'),
    ('history file', 3, 'failed', 'the service or the file could not be reached'),
    ('history file', 4, 'broken', 'it has a bad line or broke off'),
    ('history file', 5, 'other_hours', 'it has records of other hours'),
    ('history file', 6, 'empty', 'it has no record, and its zone is not known');
