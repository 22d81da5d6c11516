INSERT INTO meanings (of, number, name, meaning) VALUES
    ('job run', 7, 'already_sent', 'ended well; its messages had been sent before, so it sent nothing');
