-- Sends a text to every group of a list, once to each:
--
--   mooncast rehearse scripts/campaign.lua     -- shows what would be sent, and how long it takes
--   mooncast run scripts/campaign.lua --test-only
--   mooncast run scripts/campaign.lua
--
-- If the script runs again, it continues where it stopped. To send to everyone again, change `run`.

require("campaign").run({
  name = "summer-meeting",
  run = "1",
  to = "scripts/groups.csv",
  from = "office",
  -- Each row of the file fills the names in braces.
  text = "Hello {{ name }}! The summer meeting in {{ city }} is on 21 June. Will you come?",
  -- This group gets the message first. If that fails, the others get nothing.
  test = { "184524748161029" },
  test_as = { name = "testers", city = "Leipzig" },
  -- It sends in these hours only, and waits outside them.
  window = { from = "00:00", to = "23:59", tz = "Asia/Shanghai" },
})
