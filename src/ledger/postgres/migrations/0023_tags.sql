-- What kind of messages a broadcast sends, as its script names it. Caps count the messages of a tag.
ALTER TABLE broadcasts ADD COLUMN tag TEXT COLLATE "C";
-- The messages to a group in all broadcasts, which caps count.
CREATE INDEX recipients_by_group ON recipients (group_id);
