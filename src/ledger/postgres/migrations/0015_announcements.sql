-- The announcements that count against the service's limits: those that were sent, and those whose fate is not known.
CREATE TABLE announcements (
    app BIGINT NOT NULL REFERENCES apps (id),
    -- `all` or `online`.
    scope TEXT COLLATE "C" NOT NULL,
    -- When its request was about to begin.
    began_at BIGINT NOT NULL,
    -- When its outcome was recorded. NULL while it is in flight, and after a crash.
    ended_at BIGINT,
    PRIMARY KEY (app, scope, began_at)
);
