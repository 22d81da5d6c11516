-- Each restore of a ledger from a backup. Until it is accepted, no process may send from this ledger.
CREATE TABLE restores (
    restored_at INTEGER PRIMARY KEY,
    -- When the backup was taken: what was sent since then is not in the ledger.
    taken_at INTEGER NOT NULL,
    accepted_at INTEGER
);
