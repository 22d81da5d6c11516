-- A hash of the URL that the receiver has, by which its alerts find it under another name.
ALTER TABLE alerts ADD COLUMN target TEXT;
