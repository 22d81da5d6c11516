-- What a process says of itself: the machine that it runs on, the program's version, what a daemon does there, and the
-- hash of its scripts. `alive_until` is for stores that many machines share; beside a file, `lock` says who lives.
ALTER TABLE owners ADD COLUMN host TEXT;
ALTER TABLE owners ADD COLUMN program TEXT;
ALTER TABLE owners ADD COLUMN roles TEXT;
ALTER TABLE owners ADD COLUMN scripts TEXT;
ALTER TABLE owners ADD COLUMN alive_until INTEGER;
