-- Sends a text to three groups and prints the message ids:
--
--   mooncast run scripts/hello.lua
--
-- The message goes to the built-in simulator while mooncast.toml contains `simulator = true`. To send to your own groups,
-- put their ids here.

local GROUPS = { "184524748161025", "184524748161026", "184524748161027" }

-- `mooncast run` calls `main` with the arguments after the file name. The script sends only in `main`, so `mooncast serve`
-- and `mooncast check` can load it.
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

-- A job that `mooncast serve` runs on weekdays at nine. `mooncast check` shows when it runs next. To declare it, remove the
-- dashes:
--
-- schedule.cron("0 9 * * mon-fri", { name = "good-morning", tz = "Europe/Berlin" }, function(context)
--   im.broadcast({ name = context.name, to = GROUPS, message = { type = "txt", body = { msg = "Good morning!" } } })
-- end)
