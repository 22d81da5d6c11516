-- Older programs do not know this state of a job run, so they must stop writing.
INSERT INTO meanings (of, number, name, meaning) VALUES
    ('job run', 7, 'already_sent', 'ended well; its messages had been sent before, so it sent nothing');
UPDATE schema_version SET least = 18;
