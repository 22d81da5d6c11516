-- Whether a driver may still send to recipients of a ramp's stage that were released to it. NULL for the driver of an
-- older program, which does not say.
ALTER TABLE drivers ADD COLUMN ramp_turn BOOLEAN;
