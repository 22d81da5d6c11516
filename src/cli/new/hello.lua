-- Sends a text to three groups and prints what the service answered.
--
--   mooncast run scripts/hello.lua
--
-- goes to the built-in simulator as long as mooncast.toml says so; then to your own groups, whose ids go in here.

local GROUPS = { "184524748161025", "184524748161026", "184524748161027" }

-- `mooncast run` calls this with the arguments behind the file's name. Outside of it nothing is sent, so `mooncast serve`
-- and `mooncast check` can load this file at any time.
function main(args)
  local receipts = im.group_send({
    to = GROUPS,
    type = "txt",
    body = { msg = args[1] or "Hello from Mooncast!" },
  })
  for group_id, message_id in pairs(receipts) do
    print("group " .. group_id .. " got message " .. message_id)
  end
end

-- A job, which `mooncast serve` runs on workdays at nine; `mooncast check` shows when that is next. Take the dashes away:
--
-- schedule.cron("0 9 * * mon-fri", { name = "good-morning", tz = "Europe/Berlin" }, function(context)
--   im.broadcast({ name = context.name, to = GROUPS, message = { type = "txt", body = { msg = "Good morning!" } } })
-- end)
