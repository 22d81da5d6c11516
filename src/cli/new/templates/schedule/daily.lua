-- A message to all groups of a list, on weekdays at nine. `mooncast serve` runs the job at its times, and `mooncast check`
-- shows the next ones. To run it now:
--
--   mooncast rehearse scripts/daily.lua --job good-morning
--   mooncast run scripts/daily.lua --job good-morning

-- The job's time zone; change it to yours.
local ZONE = "Asia/Shanghai"

schedule.cron("0 9 * * mon-fri", { name = "good-morning", tz = ZONE }, function(context)
  -- In a job, the `run` of a broadcast is the scheduled time. So each morning has a broadcast of its own, and one that was
  -- interrupted continues.
  local report = im.broadcast({
    name = "good-morning",
    to = "scripts/groups.csv",
    message = function(group)
      return { from = "shop", type = "txt", body = { msg = "Good morning, " .. group.name .. "!" } }
    end,
    -- What does not get out in these hours waits for the next day.
    window = { from = "08:00", to = "20:00", tz = ZONE },
  })
  print(("%s for %s: %d of %d sent"):format(context.name, context.run, report.sent, report.total))
end)
