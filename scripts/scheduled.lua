-- Two jobs. `mooncast check scripts/scheduled.lua` shows when they run next. `mooncast serve` runs them at their scheduled
-- times. To run one now:  mooncast run --simulator scripts/scheduled.lua --job good-morning

-- The `run` of a broadcast inside a job is the scheduled time. So each morning has its own broadcast, and an interrupted
-- broadcast continues.
schedule.cron("0 9 * * mon-fri", { name = "good-morning", tz = "Asia/Shanghai" }, function(context)
  local report = im.broadcast({
    name = "good-morning",
    to = "scripts/groups.csv",
    message = { from = "shop", type = "txt", body = { msg = "Good morning! The shop is open until 21:00." } },
  })
  print(("%s for %s: %d of %d sent"):format(context.name, context.run, report.sent, report.total))
end)

-- Every quarter of an hour. `missed = "skip"` skips the scheduled times that pass while no daemon runs.
schedule.every("15m", { name = "heartbeat", missed = "skip", jitter = "30s" }, function(context)
  im.group_send({
    to = "184524748161025",
    from = "shop",
    type = "cmd",
    body = { action = "heartbeat" },
  }, { once = "heartbeat " .. context.run })
end)
