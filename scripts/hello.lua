-- The first script: sends a text to three groups and prints the message ids.
-- Without an app of your own:  mooncast run --simulator scripts/hello.lua

function main()
  local receipts = im.group_send({
    to = { "184524748161025", "184524748161026", "184524748161027" },
    type = "txt",
    body = { msg = "Hello from Mooncast!" },
  })

  local sent = 0
  for group_id, message_id in pairs(receipts) do
    sent = sent + 1
    print("group " .. group_id .. " got message " .. message_id)
  end
  print("Sent to " .. sent .. " groups.")
end
