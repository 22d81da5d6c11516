-- Counts how often it is run, and waits while it is.
Runs = (Runs or 0) + 1
require("task").sleep(0.001)
return { runs = Runs }
