-- Sends a text to three groups and prints what the service answered.
--
--   mooncast run scripts/hello.lua
--
-- goes to the built-in simulator as long as mooncast.toml says so; then to your own groups, whose ids go in here.

local receipts = im.group_send({
  to = { "184524748161025", "184524748161026", "184524748161027" },
  type = "txt",
  body = { msg = "Hello from Mooncast!" },
})

for group_id, message_id in pairs(receipts) do
  print("group " .. group_id .. " got message " .. message_id)
end
