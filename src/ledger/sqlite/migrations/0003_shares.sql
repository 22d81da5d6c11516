-- The places of a quota that a process holds: until `lent_until` for sure, and unused by others until its messages are
-- a second old. `cooling` places, those it holds included, are bound until `cool_until`.
CREATE TABLE shares (
    app INTEGER NOT NULL REFERENCES apps (id),
    quota TEXT NOT NULL,
    owner INTEGER NOT NULL,
    places INTEGER NOT NULL,
    short INTEGER NOT NULL,
    lent_until INTEGER NOT NULL,
    cooling INTEGER NOT NULL,
    cool_until INTEGER NOT NULL,
    PRIMARY KEY (app, quota, owner)
) WITHOUT ROWID;

-- Places took the place of slices.
DROP TABLE slices;
