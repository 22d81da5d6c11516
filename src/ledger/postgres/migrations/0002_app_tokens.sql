-- An app's token for all hosts that share a store. `sealed` is the token with its times, encrypted with a key made of the
-- app's client secret, which is in no ledger: who has the ledger alone has no token. `seal` tells one secret from another.
CREATE TABLE app_tokens (
    app BIGINT NOT NULL REFERENCES apps (id),
    seal TEXT COLLATE "C" NOT NULL,
    -- None until the first is there.
    sealed TEXT,
    -- Goes up with each new token.
    number BIGINT NOT NULL DEFAULT 0,
    -- Who fetches the next one, and until when the others leave that to it; after a failure, why they would have none.
    fetcher TEXT NOT NULL,
    busy_until BIGINT NOT NULL,
    trouble TEXT,
    changed_at BIGINT NOT NULL,
    PRIMARY KEY (app, seal)
);
