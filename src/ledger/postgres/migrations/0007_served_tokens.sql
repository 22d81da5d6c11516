-- The number of the newest of an app's tokens that a call succeeded with, on any host: one that has served is renewed when
-- it is refused, and only one that never served is given up.
ALTER TABLE app_tokens ADD COLUMN served BIGINT NOT NULL DEFAULT 0;
