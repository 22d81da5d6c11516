-- Which part of the quota its owner takes there to be just now, in thousandths; and how urgent is what waits there.
ALTER TABLE shares ADD COLUMN pace INTEGER NOT NULL DEFAULT 1000;
ALTER TABLE shares ADD COLUMN weight INTEGER NOT NULL DEFAULT 4;

-- The version of its script that is in force.
ALTER TABLE jobs ADD COLUMN version TEXT;
