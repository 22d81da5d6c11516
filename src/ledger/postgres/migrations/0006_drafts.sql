-- A draft is a plan that is built beside another broadcast to be compared with it: it is never sent by itself, and never listed.
ALTER TABLE broadcasts ADD COLUMN draft BOOLEAN NOT NULL DEFAULT FALSE;
