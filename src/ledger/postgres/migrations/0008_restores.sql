-- Each restore of a ledger from a backup. Until it is accepted, no process may send from this ledger.
CREATE TABLE restores (
    restored_at BIGINT PRIMARY KEY,
    -- When the backup was taken: what was sent since then is not in the ledger.
    taken_at BIGINT NOT NULL,
    accepted_at BIGINT
);
