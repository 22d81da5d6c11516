INSERT INTO meanings (of, number, name, meaning) VALUES
    ('job run', 8, 'undelivered', 'ended without an error; not everything that it sent was delivered');
