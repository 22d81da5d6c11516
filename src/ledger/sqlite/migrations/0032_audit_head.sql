-- One row: the newest entry of the audit, and the anchor, the last entry that was deleted because of its age.
CREATE TABLE audit_head (
    id INTEGER PRIMARY KEY,
    number INTEGER NOT NULL,
    hash TEXT NOT NULL,
    anchor_number INTEGER NOT NULL,
    anchor_hash TEXT NOT NULL
);
