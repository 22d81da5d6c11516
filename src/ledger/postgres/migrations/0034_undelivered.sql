-- Older programs do not know this state of a job run, so they must stop writing.
INSERT INTO meanings (of, number, name, meaning) VALUES
    ('job run', 8, 'undelivered', 'ended without an error; not everything that it sent was delivered');
UPDATE schema_version SET least = 34;
